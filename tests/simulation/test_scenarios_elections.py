"""Elections in a simulated cluster: who leads after what went wrong, and how soon."""

from __future__ import annotations

import pytest
from scenario_cases import TIMEOUT_SECONDS, ScenarioCase, put

from hraft.errors import OutcomeUnknown
from hraft.raft.ready import Role
from hraft.simulation.cluster import Cluster
from hraft.simulation.process_faults import crash_after_save


class ElectionTests(ScenarioCase):
    def term(self, cluster: Cluster) -> int:
        return cluster.node().state.term

    @pytest.mark.scenario("E14", "N12")
    def test_who_comes_back_deposes_nobody(self) -> None:
        """A node that was cut off for long has asked in vain for votes; back again, it follows the leader there is."""
        for seed in range(5):
            cluster = self.cluster(seed)
            leader, alone = cluster.leader(), cluster.followers()[0]
            term = self.term(cluster)
            cluster.partition([alone])
            cluster.advance(20 * TIMEOUT_SECONDS)
            self.assertEqual(term, cluster.node(alone).state.term, "pre-vote keeps it from raising its term")
            cluster.heal()
            cluster.settle()
            self.assertEqual((leader, term), (cluster.leader(), self.term(cluster)))

    @pytest.mark.scenario("E15")
    def test_a_node_at_a_later_term_is_freed(self) -> None:
        """A node whose term is later than the cluster's ignores the leader; the cluster must come to it, or it is lost."""
        cluster = self.cluster()
        leader, nodes = cluster.leader(), cluster.world.nodes.values()
        cluster.pause(leader)
        cluster.until(lambda: any(node.role is Role.CANDIDATE for node in nodes), "somebody raises its term")
        stuck = next(node.node_id for node in nodes if node.role is Role.CANDIDATE)
        cluster.partition([stuck])
        cluster.resume()
        cluster.advance(0.1)
        self.assertGreater(cluster.node(stuck).state.term, cluster.node(leader).state.term)
        self.assertIs(Role.LEADER, cluster.node(leader).role)
        cluster.world.network.heal()
        cluster.settle()
        cluster.propose(put("a", "1"), node=stuck)

    @pytest.mark.scenario("E16", "C5")
    def test_a_leader_alone_gives_up_and_says_so(self) -> None:
        """Nobody answers it for an election timeout: it steps down, and its clients learn that nobody knows."""
        cluster = self.cluster()
        leader = cluster.leader()
        cluster.partition([leader])
        asked = cluster.submit(put("a", "1"), leader)
        passed = cluster.until(lambda: cluster.node(leader).role is not Role.LEADER, "it steps down")
        self.assertLessEqual(passed, 1.5 * TIMEOUT_SECONDS)
        cluster.advance(0.01)
        self.assertIsInstance(asked.error, OutcomeUnknown)

    @pytest.mark.scenario("E2")
    def test_a_vote_survives_a_crash_before_it_was_told(self) -> None:
        """The power goes just after a vote became durable: the node must not vote again in that term. The promises of every
        message are checked against all earlier ones."""
        for seed in range(15):
            cluster = self.cluster(seed, nodes_count=5)
            for _ in range(4):
                crash_after_save(cluster.world, cluster.world.stream(f"test/{seed}"))
                cluster.crash()
                cluster.advance(3.0)
                cluster.restart()
                cluster.advance(1.0)
            cluster.world.trap = None

    @pytest.mark.scenario("E13", "E18")
    def test_nodes_of_different_terms_elect(self) -> None:
        """After a whole cluster lost its power in the midst of elections, terms differ; the needed votes come together."""
        for seed in range(5):
            cluster = self.cluster(seed, nodes_count=5)
            for node_id in cluster.node_ids:
                cluster.crash(node_id)
            for node_id in cluster.node_ids[:3]:
                cluster.restart(node_id)
            passed = cluster.until(lambda: cluster.world.leader() is not None, "three of five elect")  # noqa: B023
            self.assertLessEqual(passed, 10 * TIMEOUT_SECONDS)

    @pytest.mark.scenario("E20", "L5")
    def test_a_cluster_of_one(self) -> None:
        """Its only disk is its quorum: no answer before the sync, and after a power cut everything answered is there."""
        cluster = self.cluster(nodes_count=1)
        cluster.propose(put("a", "1"))
        cluster.stall_disk()
        asked = cluster.submit(put("a", "2"))
        cluster.advance(0.3)
        self.assertFalse(asked.is_over)
        cluster.crash("node0")
        cluster.heal()
        self.assertEqual(b"1", cluster.read().get(b"a").value)


class TransferTests(ScenarioCase):
    @pytest.mark.scenario("T2")
    def test_a_cluster_that_hands_over_is_not_settled(self) -> None:
        """Its leader takes in nothing: once it is settled, whoever leads takes in a write at once."""
        cluster = self.cluster(seed=3)
        target = cluster.followers()[0]
        cluster.cut(cluster.leader(), target)
        cluster.transfer(target)
        cluster.heal()
        cluster.settle()
        cluster.propose(put("a", "1"), cluster.leader(), retry=False)

    @pytest.mark.scenario("T2")
    def test_no_write_is_lost_in_a_transfer(self) -> None:
        """Writes that come while leadership is handed over are refused or done; each that was acknowledged is there."""
        cluster, done = self.cluster(seed=3), []
        for number in range(60):
            if number % 15 == 5:
                cluster.transfer(cluster.followers()[0])
            asked = cluster.submit(put(f"k{number}", "v"), cluster.node_ids[number % 3])
            cluster.advance(0.02)
            done.append((f"k{number}", asked))
        cluster.until(lambda: all(asked.is_over for _, asked in done), "all are answered")
        store = cluster.read()
        acknowledged = [key for key, asked in done if asked.error is None]
        self.assertEqual([], [key for key in acknowledged if store.get(key.encode()) is None])
        self.assertGreater(len(acknowledged), 30)
        self.assertGreater(cluster.world.marks.counts["leadership was transferred"], 2)

    @pytest.mark.scenario("T1")
    def test_a_target_that_is_gone(self) -> None:
        """The target does not answer: the transfer is given up, and clients are served by the old leader."""
        cluster = self.cluster(seed=3)
        leader, target = cluster.leader(), cluster.followers()[0]
        cluster.propose(put("a", "1"))
        cluster.crash(target)
        cluster.transfer(target)
        begin = cluster.now
        cluster.propose(put("a", "2"))
        self.assertEqual(leader, cluster.leader())
        self.assertLessEqual(cluster.now - begin, 3 * TIMEOUT_SECONDS)
