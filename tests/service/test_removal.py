"""Members that are gone: who was removed is told, serves nobody, and knows it for ever; who is silent is reaped."""

from __future__ import annotations

import pytest
from clusters import Cluster, Outcome, set_command
from twisted.trial.unittest import SynchronousTestCase

from hraft.errors import NodeRemoved
from hraft.interfaces import Precautions
from hraft.questions import Change
from hraft.raft.messages import PreVote


class RemovalTests(SynchronousTestCase):
    """Three voters, of which one goes."""

    def setUp(self) -> None:
        self.cluster = Cluster().bootstrap(3)
        self.node0, self.node1, self.node2 = self.cluster.members.values()

    def remove(self, node_id: str) -> int:
        outcome = self.cluster.wait_for(self.node1.service.change_member(Change.REMOVE, node_id))
        assert outcome.error is None, outcome
        index: int = outcome.value.index
        return index

    @pytest.mark.scenario("M12")
    def test_a_removed_node_is_told_and_serves_nobody(self) -> None:
        """Not even what it has: that grows old without a sign. Writes, reads and changes say why, and at which entry."""
        waiting = Outcome(self.node2.service.propose(set_command("a", "1")))
        index = self.remove("node2")
        self.cluster.run_until(lambda: self.node2.service.removal is not None, "it is told", 5.0)
        service = self.node2.service
        for asked in (
            service.propose(set_command("a", "1")),
            service.submit(set_command("a", "1")),
            service.confirm_read(),
            service.change_member(Change.TRANSFER, ""),
            service.join("node9", "node9:12000"),
        ):
            error = Outcome(asked).error
            assert isinstance(error, NodeRemoved), error
            self.assertEqual(index, error.index)
            self.assertIn(f"removed from the cluster at index {index}", str(error))
        self.assertTrue(waiting.is_over)
        self.assertIn("removed", next(check for check in service.readiness() if not check.is_ok).words)
        self.assertIsNone(self.cluster.write("b", "2").error)

    @pytest.mark.scenario("M11", "M12")
    def test_it_seeks_no_election_any_more(self) -> None:
        """A removed node that was not told would ask for votes for ever."""
        self.remove("node2")
        self.cluster.run_until(lambda: self.node2.service.removal is not None, "it is told", 5.0)
        asked: list[str] = []
        self.cluster.network.lets_pass = lambda envelope: (
            not isinstance(envelope.message, PreVote) or bool(asked.append(envelope.sender)) or True
        )
        self.cluster.run(10.0)
        self.assertNotIn("node2", asked)

    @pytest.mark.scenario("M12")
    def test_it_was_down_meanwhile(self) -> None:
        """Whoever comes back after its removal is told when it asks."""
        self.node2.crash()
        self.remove("node2")
        self.node2.start()
        self.cluster.run_until(lambda: self.node2.service.removal is not None, "it is told", 5.0)

    @pytest.mark.scenario("M12")
    def test_it_was_removed_in_an_earlier_life(self) -> None:
        """What it was told it knows also where nobody is there to tell."""
        self.node2.crash()
        self.node2.start(removed_index=17)
        self.assertEqual(17, self.node2.service.removal.index)  # type: ignore[union-attr]
        self.assertIsInstance(Outcome(self.node2.service.confirm_read()).error, NodeRemoved)
        self.assertEqual("node2", self.node2.service.status().node_id)
        self.assertIsNone(self.cluster.wait_for(self.node2.service.stopService()).error)

    @pytest.mark.scenario("M10", "M12")
    def test_the_leader_that_was_removed_knows_it_by_itself(self) -> None:
        """And whoever keeps its directory is called once."""
        told: list[int] = []
        self.node0.service._when_removed = told.append
        index = self.remove("node0")
        self.cluster.run_until(lambda: bool(told), "it is told", 5.0)
        self.cluster.run(3.0)
        self.assertEqual([index], told)

    @pytest.mark.scenario("M3", "M12")
    def test_not_by_what_may_be_rolled_back(self) -> None:
        """A removal that only a leader without a majority has in its log removes nobody."""
        self.cluster.network.isolate("node0", self.cluster.members)
        self.node0.service._running.node.remove("node2")  # type: ignore[union-attr]
        self.cluster.network.heal()
        self.cluster.network.cut("node0", "node1")
        self.assertIsNone(self.node0.service._running.removal.removal_of("node2"))  # type: ignore[union-attr]
        self.assertIsNone(self.node2.service.removal)


class ReapingTests(SynchronousTestCase):
    def reaping(self, voters_count: int, after_seconds: float | None = 20.0) -> Cluster:
        return Cluster(precautions=Precautions(reap_after_seconds=after_seconds)).bootstrap(voters_count)

    def voters(self, cluster: Cluster) -> list[str]:
        return sorted(cluster.the_leader().service.status().configuration.voters)

    def test_a_silent_member_is_removed(self) -> None:
        """After its time and not before; and not at all where nobody said so."""
        cluster = self.reaping(3)
        cluster.members["node2"].crash()
        cluster.run(19.0)
        self.assertEqual(3, len(self.voters(cluster)))
        cluster.run(2.0)
        self.assertEqual(["node0", "node1"], self.voters(cluster))
        patient = self.reaping(3, None)
        patient.members["node2"].crash()
        patient.run(200.0)
        self.assertEqual(3, len(self.voters(patient)))

    def test_one_at_a_time(self) -> None:
        """Two of five: after the first is gone, three of four carry the second."""
        cluster = self.reaping(5)
        for node_id in ("node3", "node4"):
            cluster.members[node_id].crash()
        cluster.run(25.0)
        self.assertEqual(["node0", "node1", "node2"], self.voters(cluster))

    def test_a_new_leader_counts_anew(self) -> None:
        """It cannot know how long somebody was silent before."""
        cluster = self.reaping(4)
        cluster.members["node3"].crash()
        cluster.run(15.0)
        for node_id in ("node1", "node0"):
            cluster.wait_for(cluster.members["node0"].service.change_member(Change.TRANSFER, node_id))
        cluster.run(15.0)
        self.assertEqual(4, len(self.voters(cluster)))
        cluster.run(8.0)
        self.assertEqual(3, len(self.voters(cluster)))

    def test_a_leader_that_stood_still_takes_nobody_for_dead(self) -> None:
        """An hour in which it was stopped is an hour in which it heard nobody, and proves nothing."""
        cluster = self.reaping(3)
        cluster.members["node2"].crash()
        cluster.run(2.0)
        cluster.clock.rightNow += 3600.0
        cluster.run(5.0)
        self.assertEqual(3, len(self.voters(cluster)))
