"""Changes of members in a simulated cluster, alone and in the midst of faults."""

from __future__ import annotations

import pytest
from scenario_cases import ScenarioCase, put

from hraft.errors import ChangeRefused, NotLeader, OutcomeUnknown, PeerUnreachable, ProposalDropped
from hraft.raft.ready import Role
from hraft.simulation.cluster import Asked
from hraft.simulation.run import run
from hraft.simulation.shape import Selection


class JoinTests(ScenarioCase):
    @pytest.mark.scenario("M8")
    def test_an_address_where_nobody_is(self) -> None:
        """It is never taken in, so it costs no quorum: with one of three down a write still passes."""
        cluster = self.cluster()
        asked = Asked(cluster.node().service.join("node9", "node9:12000", True))
        cluster.until(lambda: asked.is_over, "an answer")
        self.assertIsInstance(asked.error, PeerUnreachable)
        cluster.crash(cluster.followers()[0])
        cluster.propose(put("a", "1"))
        self.assertNotIn("node9", cluster.node().state.configuration.members)

    @pytest.mark.scenario("M8", "M7")
    def test_a_joiner_that_dies_is_a_learner(self) -> None:
        """It vanishes before it has caught up: it has no vote, and the quorum is that of before."""
        cluster = self.cluster()
        joiner = cluster.join()
        leader = cluster.node()
        cluster.until(lambda: joiner in leader.state.configuration.learners, "it is a learner")
        cluster.crash(joiner)
        cluster.crash(cluster.followers()[0])
        cluster.propose(put("a", "1"))
        self.assertNotIn(joiner, leader.state.configuration.voters)

    @pytest.mark.scenario("M17", "M1", "M3")
    def test_changes_in_the_midst_of_everything(self) -> None:
        """Joins, removals and transfers under partitions, crashes and pauses: every history stays linearizable."""
        kinds = ("loss", "partition", "crash", "crash_leader", "pause", "join", "remove", "transfer")
        for seed in range(6):
            outcome = run(Selection(seed, 60.0, 3 + seed % 3, 2, kinds))
            self.assertEqual("", outcome.rule, outcome.what)


class RemoveTests(ScenarioCase):
    @pytest.mark.scenario("M10")
    def test_a_leader_removes_itself(self) -> None:
        """It leads until its removal is committed, by the others, then steps down; also where only one other is left."""
        for nodes_count in (2, 3):
            cluster = self.cluster(nodes_count=nodes_count)
            leader = cluster.leader()
            cluster.remove(leader)
            self.assertIs(Role.LEADER, cluster.node(leader).role)
            cluster.until(lambda: leader not in cluster.voters, "it is removed")  # noqa: B023
            cluster.until(lambda: cluster.world.leader() not in (None, cluster.node(leader)), "another leads")  # noqa: B023
            self.assertIs(Role.FOLLOWER, cluster.node(leader).role)
            cluster.propose(put("a", "1"), node=cluster.leader())

    @pytest.mark.scenario("M10", "M3")
    def test_a_removal_that_fails_is_rolled_back(self) -> None:
        """A leader that removes itself while it is alone: the others know nothing of it, and it is a voter again."""
        cluster = self.cluster()
        leader = cluster.leader()
        cluster.partition([leader])
        cluster.remove(leader)
        self.assertNotIn(leader, cluster.node(leader).state.configuration.voters)
        cluster.until(lambda: cluster.world.leader() not in (None, cluster.node(leader)), "another leads")
        cluster.propose(put("a", "1"), node=cluster.leader())
        cluster.heal()
        cluster.settle()
        self.assertIn(leader, cluster.node(leader).state.configuration.voters)
        self.assertEqual(1, cluster.world.marks.counts["a configuration was rolled back"])

    @pytest.mark.scenario("M11", "M12")
    def test_a_removed_node_disturbs_nobody(self) -> None:
        """It may never hear that it was removed, and ask for votes for ever: the reign goes on, and it answers no client."""
        cluster = self.cluster()
        gone = cluster.followers()[0]
        cluster.partition([gone])
        cluster.remove(gone)
        cluster.until(lambda: gone not in cluster.voters, "it is removed")
        term = cluster.node().state.term
        cluster.heal()
        cluster.advance(20.0)
        self.assertEqual(term, cluster.node().state.term)
        asked = cluster.submit(put("a", "1"), gone)
        cluster.until(lambda: asked.is_over, "an answer")
        self.assertIsInstance(asked.error, NotLeader | ProposalDropped | OutcomeUnknown)

    @pytest.mark.scenario("M9")
    def test_a_removal_that_would_end_the_cluster(self) -> None:
        """With one of three down, removing another healthy one would leave no quorum: refused, and the cluster serves on."""
        cluster = self.cluster()
        down, healthy = cluster.followers()
        cluster.crash(down)
        cluster.advance(2.0)
        with self.assertRaises(ChangeRefused):
            cluster.remove(healthy)
        cluster.propose(put("a", "1"))

    @pytest.mark.scenario("R13")
    def test_reads_that_wait_while_the_leader_is_removed(self) -> None:
        """They are answered or fail; nothing hangs."""
        cluster = self.cluster()
        leader = cluster.leader()
        cluster.remove(leader)
        asked = [cluster.confirm_read(leader) for _ in range(5)]
        cluster.until(lambda: all(one.is_over for one in asked), "answers")


class ReplacementTests(ScenarioCase):
    @pytest.mark.scenario("M6", "M14")
    def test_every_voter_is_replaced(self) -> None:
        """One by one, under writes: the cluster of today has none of its founders, and all their data."""
        cluster = self.cluster()
        for number, old in enumerate(["node1", "node2", "node0"]):
            cluster.propose(put(f"k{number}", old), node=cluster.leader())
            new = cluster.join()
            cluster.until(lambda: new in cluster.voters, "the new one is in")  # noqa: B023
            cluster.remove(old)
            cluster.until(lambda: old not in cluster.voters, "the old one is out")  # noqa: B023
            cluster.crash(old)
        self.assertEqual(["node3", "node4", "node5"], sorted(cluster.voters))
        store = cluster.read()
        self.assertEqual([b"node1", b"node2", b"node0"], [store.get(f"k{number}".encode()).value for number in range(3)])
        for node_id in ("node0", "node1", "node2"):
            cluster.restart(node_id)
        cluster.advance(10.0)
