"""Removing, promoting and handing over, asked of any node: done when the answer says so, refused with the reason."""

from __future__ import annotations

import pytest
from clusters import ELECTION_TIMEOUT_SECONDS, Cluster, Member, Outcome
from twisted.trial.unittest import SynchronousTestCase

from hraft.errors import ChangeRefused, NotLeader, OutcomeUnknown, PeerUnreachable
from hraft.questions import Change, ChangeOutcome, ForwardChange, JoinOutcome
from hraft.raft.messages import AppendEntries


class ChangingTests(SynchronousTestCase):
    """Three voters, of which node0 leads."""

    def setUp(self) -> None:
        self.cluster = Cluster().bootstrap(3)
        self.node0, self.node1, self.node2 = self.cluster.members.values()

    def change(self, change: Change, node_id: str, by: Member | None = None) -> Outcome:
        return self.cluster.wait_for((by or self.node1).service.change_member(change, node_id))

    def voters(self) -> list[str]:
        return sorted(self.cluster.the_leader().service.status().configuration.voters)

    def refusal(self, outcome: Outcome) -> str:
        assert isinstance(outcome.error, ChangeRefused), outcome
        self.assertFalse(outcome.error.temporary)
        return str(outcome.error)

    def newcomer(self, **options: bool) -> Member:
        member = self.cluster.member("node3")
        member.start()
        outcome = self.cluster.wait_for(self.node1.service.join("node3", member.address, True, **options))
        assert outcome.error is None, outcome
        self.role = outcome.value.role
        return member

    def test_remove_a_follower(self) -> None:
        """Done when it is committed; asked again, done as well."""
        outcome = self.change(Change.REMOVE, "node2")
        self.assertEqual("node2", outcome.value.node_id)
        self.assertEqual(["node0", "node1"], self.voters())
        self.assertEqual(outcome.value.index, self.node0.service.status().last.index)
        self.assertEqual(ChangeOutcome(0, "node2"), self.change(Change.REMOVE, "node2").value)

    @pytest.mark.scenario("M10")
    def test_remove_the_leader(self) -> None:
        """It hands over first, so that clients need not wait for an election timeout; whoever is asked, also itself."""
        for by in (self.node1, self.node0):
            with self.subTest(by.node_id):
                self.setUp()
                by = self.cluster.members[by.node_id]
                began = self.cluster.clock.seconds()
                outcome = self.change(Change.REMOVE, "node0", by)
                assert outcome.error is None, outcome
                self.assertLess(self.cluster.clock.seconds() - began, ELECTION_TIMEOUT_SECONDS)
                self.assertEqual(["node1", "node2"], self.voters())
                self.assertIsNone(self.cluster.write("a", "1").error)

    @pytest.mark.scenario("M9")
    def test_refused_where_the_quorum_would_be_lost(self) -> None:
        """With node2 down, the two that are left are needed: also the leader, which goes on to lead."""
        self.node2.crash()
        self.cluster.run(2 * ELECTION_TIMEOUT_SECONDS)
        for node_id in ("node0", "node1"):
            reason = self.refusal(self.change(Change.REMOVE, node_id))
            self.assertIn(f"without '{node_id}' the cluster would have no quorum: node2 cannot be heard", reason)
        self.assertEqual("node0", self.cluster.the_leader().node_id)
        self.assertIsNone(self.change(Change.REMOVE, "node2").error)

    def test_strangers(self) -> None:
        """Who is no member is named."""
        self.assertIn("'x' is not a member", self.refusal(self.change(Change.REMOVE, "x")))
        self.assertIn("'x' is not a learner", self.refusal(self.change(Change.PROMOTE, "x")))
        self.assertIn("'x' is not a voter", self.refusal(self.change(Change.TRANSFER, "x")))
        outcome = Outcome(self.node0.transport.requested("node1", ForwardChange("praise", "node1")))
        self.assertIn("cannot 'praise' a member", self.refusal(outcome))

    def test_down_to_one(self) -> None:
        """And not further."""
        self.assertIsNone(self.change(Change.REMOVE, "node1", self.node2).error)
        self.assertIsNone(self.change(Change.REMOVE, "node0", self.node2).error)
        self.assertEqual(["node2"], self.voters())
        self.assertIn("is the only voter", self.refusal(self.change(Change.REMOVE, "node2", self.node2)))

    def test_a_replica_stays_one_until_it_is_promoted(self) -> None:
        """It is fed, has no vote, and survives a change of leaders as what it is."""
        self.newcomer(learner=True)
        self.assertEqual("learner", self.role)
        self.cluster.write_many(20)
        self.cluster.run(5.0)
        self.assertEqual(3, len(self.voters()))
        self.assertEqual("node1", self.change(Change.TRANSFER, "node1").value.node_id)
        self.cluster.run(5.0)
        self.assertEqual(("node3",), self.cluster.the_leader().service.status().configuration.replicas)
        self.assertIsNone(self.change(Change.PROMOTE, "node3").error)
        self.assertEqual(["node0", "node1", "node2", "node3"], self.voters())
        self.assertEqual(ChangeOutcome(0, "node3"), self.change(Change.PROMOTE, "node3").value)
        outcome = self.cluster.wait_for(self.node1.service.join("node3", "node3:12000", False, True))
        self.assertEqual(JoinOutcome("voter"), outcome.value)

    @pytest.mark.scenario("M7")
    def test_promotion_of_a_learner_that_lags(self) -> None:
        """It would hold up every commit."""
        self.newcomer(learner=True)
        self.cluster.network.lets_pass = lambda envelope: (
            envelope.to != "node3" or not isinstance(envelope.message, AppendEntries) or not envelope.message.entries
        )
        self.cluster.write_many(20)
        self.cluster.run(2 * ELECTION_TIMEOUT_SECONDS)
        self.assertIn("'node3' has not caught up: it lacks ", self.refusal(self.change(Change.PROMOTE, "node3")))
        self.assertEqual(3, len(self.voters()))

    def test_transfer(self) -> None:
        """To a member that is named, to whoever is best, to who leads already."""
        self.assertEqual("node2", self.change(Change.TRANSFER, "node2").value.node_id)
        self.assertEqual("node2", self.cluster.the_leader().node_id)
        outcome = self.change(Change.TRANSFER, "")
        self.assertIn(outcome.value.node_id, ("node0", "node1"))
        leader = self.cluster.the_leader().node_id
        self.assertEqual(ChangeOutcome(0, leader), self.change(Change.TRANSFER, leader).value)

    def test_transfer_to_one_that_is_cut_off(self) -> None:
        """It does not take over, which is said in time, and nothing else has changed."""
        self.cluster.network.isolate("node2", self.cluster.members)
        outcome = self.change(Change.TRANSFER, "node2")
        self.assertIn("node2 did not take over in time: node0 leads on", self.refusal(outcome))
        self.assertIsNone(self.cluster.write("a", "1").error)

    def test_the_leader_is_cut_off_with_the_change(self) -> None:
        """Nobody knows then whether the change will be; and a client that asks again is told."""
        self.cluster.network.isolate("node0", self.cluster.members)
        outcome = self.change(Change.REMOVE, "node2", self.node0)
        self.assertIsInstance(outcome.error, (OutcomeUnknown, NotLeader))
        self.cluster.network.heal()
        self.assertIsNone(self.change(Change.REMOVE, "node2", self.node0).error)
        self.assertEqual(["node0", "node1"], self.voters())

    def test_without_a_leader(self) -> None:
        """In bounded time."""
        self.node0.crash()
        self.node2.crash()
        outcome = self.change(Change.REMOVE, "node0")
        self.assertIsInstance(outcome.error, (NotLeader, PeerUnreachable))

    @pytest.mark.scenario("M13")
    def test_a_removed_id_is_refused_before_anybody_is_dialled(self) -> None:
        """Its old node may be gone, and that is not the reason."""
        self.change(Change.REMOVE, "node2")
        self.node2.crash()
        outcome = self.cluster.wait_for(self.node1.service.join("node2", "node2:12000", True))
        self.assertIn("was removed from this cluster and is never used again; join under a new id", self.refusal(outcome))

    def test_learner_first_even_in_a_cluster_of_one(self) -> None:
        """What `add` says when it is done: a voter."""
        self.newcomer()
        self.assertEqual(JoinOutcome("voter").role, self.role)
