"""Those who want to know what becomes of a node."""

from __future__ import annotations

from clusters import Cluster, Member
from twisted.trial.unittest import SynchronousTestCase

from hraft.interfaces import SnapshotPolicy


class Looking:
    """Looks at the store whenever it is told to."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.revisions: list[int] = []
        self.terms: list[int | None] = []
        member.service.observe(self)

    @property
    def revision(self) -> int:
        revision: int = self.member.service.state_machine.revision  # type: ignore[attr-defined]
        return revision

    def applied(self) -> None:
        self.revisions.append(self.revision)

    def leading(self, term: int | None) -> None:
        self.terms.append(term)


class ObservingTests(SynchronousTestCase):
    """Whoever looks when told has seen everything."""

    def test_told_of_what_was_applied(self) -> None:
        """On every node, and when it can be read."""
        cluster = Cluster().bootstrap(3)
        looking = [Looking(member) for member in cluster.members.values()]
        cluster.write_many(20)
        cluster.settle()
        for each in looking:
            self.assertEqual((20, 20, sorted(each.revisions)), (each.revision, each.revisions[-1], each.revisions))

    def test_told_of_reigns(self) -> None:
        """When one begins and when it ends, for what only a leader may do; and at once of the one that has begun already."""
        cluster = Cluster().bootstrap(3)
        old, (new, _) = cluster.the_leader(), cluster.followers()
        term = old.service.status().term
        looking = [Looking(old), Looking(new)]
        cluster.network.lets_pass = lambda envelope: old.node_id not in (envelope.sender, envelope.to)
        cluster.run(5.0)
        leader = cluster.the_leader()
        self.assertIsNot(old, leader)
        self.assertEqual([term, None], looking[0].terms)
        self.assertEqual([leader.service.status().term] if leader is new else [], looking[1].terms)

    def test_a_reign_begins_with_the_first_entry_of_its_own(self) -> None:
        """Before it is applied, what earlier leaders acknowledged may be missing here."""
        cluster = Cluster().bootstrap(3)
        old, (first, second) = cluster.the_leader(), cluster.followers()
        looking = [Looking(first), Looking(second)]
        for member in (first, second):
            applying = member.service._running.applying  # type: ignore[union-attr]
            applying.committed = lambda entries: None  # type: ignore[method-assign]
        old.crash()
        new = cluster.elect(other_than=old)
        cluster.run(1.0)
        self.assertIs(new, cluster.the_leader())
        self.assertEqual([[], []], [each.terms for each in looking])

    def test_told_of_a_snapshot(self) -> None:
        """A follower was cut off for so long that its state machine is replaced; it must not look at the old one."""
        cluster = Cluster(snapshot_policy=SnapshotPolicy(entries_count=10, kept_entries_count=1)).bootstrap(3)
        late = cluster.followers()[0]
        looking, before = Looking(late), late.service.state_machine
        cluster.network.lets_pass = lambda envelope: late.node_id not in (envelope.sender, envelope.to)
        cluster.write_many(40)
        cluster.run(1.0)
        self.assertEqual([], looking.revisions)
        cluster.network.lets_pass = lambda envelope: True
        cluster.settle()
        self.assertIsNot(before, late.service.state_machine)
        self.assertEqual((40, 40), (looking.revision, looking.revisions[-1]))
