"""Bad networks and paused processes in a simulated cluster: it goes on where it can, and never answers wrongly."""

from __future__ import annotations

from random import Random

import pytest
from scenario_cases import TIMEOUT_SECONDS, ScenarioCase, put

from hraft.errors import NotLeader, ReadFailed
from hraft.raft.ready import Role
from hraft.simulation.cluster import Cluster
from hraft.simulation.network import Faults
from hraft.simulation.network_faults import flapping, swizzle
from hraft.simulation.run import run
from hraft.simulation.shape import Selection


class Case(ScenarioCase):
    def terms(self, cluster: Cluster) -> int:
        return max(cluster.world.ledger.leaders)


class PartitionTests(Case):
    @pytest.mark.scenario("N1", "E16")
    def test_a_leader_that_is_heard_but_hears_nobody(self) -> None:
        """Its heartbeats would keep the others from electing for ever: it must step down by itself."""
        cluster = self.cluster()
        old = cluster.leader()
        for other in cluster.followers():
            cluster.cut(other, old)
        cluster.until(lambda: cluster.leader() != old, "another leads")
        cluster.propose(put("a", "1"), node=cluster.leader())

    @pytest.mark.scenario("N1")
    def test_a_leader_that_hears_but_is_not_heard(self) -> None:
        """The others elect without it; it hears of that and follows."""
        cluster = self.cluster()
        old = cluster.leader()
        for other in cluster.followers():
            cluster.cut(old, other)
        cluster.until(lambda: cluster.leader() != old and cluster.node(old).role is Role.FOLLOWER, "another leads")
        cluster.propose(put("a", "1"), node=cluster.leader())

    @pytest.mark.scenario("N1")
    def test_ring_and_bridge(self) -> None:
        """Five nodes that each hear two others, or two halves with one between them: somebody comes to lead and to commit."""
        ring = [(a, b) for a in range(5) for b in range(5) if (a - b) % 5 in (2, 3)]
        bridge = [link for a in (0, 1) for b in (3, 4) for link in ((a, b), (b, a))]
        for cuts in (ring, bridge):
            cluster = self.cluster(nodes_count=5)
            for a, b in cuts:
                cluster.cut(f"node{a}", f"node{b}")
            cluster.advance(10.0)
            cluster.propose(put("a", "1"))

    @pytest.mark.scenario("N2")
    def test_a_cut_between_two_of_three(self) -> None:
        """The one that lost its leader asks for votes in vain, since the third one hears the leader: one reign, for as long as
        the cut lasts."""
        for seed in range(4):
            cluster = self.cluster(seed)
            leader, cut_off = cluster.leader(), cluster.followers()[0]
            cluster.cut(leader, cut_off)
            cluster.cut(cut_off, leader)
            cluster.advance(20.0)
            settled = self.terms(cluster)
            cluster.propose(put("a", "1"))
            cluster.advance(60.0)
            self.assertEqual(settled, self.terms(cluster))

    @pytest.mark.scenario("N3")
    def test_flapping_links(self) -> None:
        """The links of one node go down and up every 200 ms for a minute: at most one change of leaders."""
        for seed in range(4):
            cluster = self.cluster(seed)
            before = self.terms(cluster)
            for _ in range(12):
                flapping(cluster.world, Random(seed))
                cluster.advance(5.0)
            cluster.world.network.heal()
            self.assertLessEqual(self.terms(cluster) - before, 1)

    @pytest.mark.scenario("N5")
    def test_swizzle(self) -> None:
        """Nodes are clogged one by one and unclogged in another order, again and again; nothing is lost and all agree."""
        cluster = self.cluster(nodes_count=5)
        random = cluster.world.stream("test")
        for number in range(8):
            cluster.submit(put(f"k{number}", "v"))
            swizzle(cluster.world, random)
            cluster.advance(6.0)
        cluster.settle()

    @pytest.mark.scenario("N4")
    def test_loss_copies_and_disorder(self) -> None:
        """A third lost, half twice, delays up to 100 ms: whole worlds of it stay linearizable and live."""
        for seed in (1, 2, 3):
            outcome = run(Selection(seed, 30.0, 3, 3, ("loss", "duplicates", "delay")))
            self.assertEqual("", outcome.rule, outcome.what)
        cluster = self.cluster(messages=Faults(0.3, 0.5, (0.0, 0.1)))
        for number in range(10):
            cluster.propose(put("a", str(number)))
        self.assertEqual(b"9", cluster.read().get(b"a").value)


class PauseTests(Case):
    @pytest.mark.scenario("N6", "X6", "R6")
    def test_a_leader_that_wakes_up_answers_nothing_old(self) -> None:
        """Paused while others wrote, and a client asked it meanwhile: no answer from before the pause (ETCD#20418)."""
        for seed in range(10):
            cluster = self.cluster(seed)
            cluster.propose(put("a", "old"))
            paused = cluster.leader()
            cluster.pause(paused)
            cluster.until(lambda: cluster.leader() != paused, "another leads")  # noqa: B023
            cluster.propose(put("a", "new"), node=cluster.leader())
            asked = cluster.confirm_read(paused)
            if seed % 2:  # Nobody can tell it the news.
                cluster.partition([paused])
            cluster.resume()
            cluster.until(lambda: asked.is_over, "an answer")  # noqa: B023
            if asked.error is None:
                self.assertEqual(b"new", cluster.state_machine(paused).get(b"a").value)
            else:
                self.assertIsInstance(asked.error, (ReadFailed, NotLeader))

    @pytest.mark.scenario("N6")
    def test_a_quorum_and_all(self) -> None:
        """Whoever is paused, when they wake up the cluster goes on, and what was acknowledged is there."""
        for count in (3, 5):
            cluster = self.cluster(nodes_count=5)
            cluster.propose(put("a", "1"))
            for node_id in cluster.node_ids[:count]:
                cluster.pause(node_id)
            cluster.advance(20 * TIMEOUT_SECONDS)
            cluster.resume()
            self.assertEqual(b"1", cluster.read().get(b"a").value)

    @pytest.mark.scenario("R5", "R9")
    def test_a_follower_cut_off_reads_nothing(self) -> None:
        """It cannot ask the leader, so it fails instead of telling what it has."""
        cluster = self.cluster()
        alone = cluster.followers()[0]
        cluster.propose(put("a", "1"))
        cluster.partition([alone])
        asked = cluster.confirm_read(alone)
        cluster.until(lambda: asked.is_over, "an answer")
        self.assertIsInstance(asked.error, (ReadFailed, NotLeader))


class ClockTests(Case):
    @pytest.mark.scenario("N11")
    def test_a_clock_that_runs_at_half_or_double_speed(self) -> None:
        """Safety needs no clock; and with one node twice as fast or slow the cluster keeps its leader and serves."""
        for rate in (0.5, 2.0):
            for place in (0, 1):
                rates = tuple(rate if number == place else 1.0 for number in range(3))
                cluster = self.cluster(clock_rates=rates)
                cluster.advance(5.0)
                before = self.terms(cluster)
                for number in range(20):
                    cluster.propose(put("a", str(number)))
                    cluster.advance(1.0)
                self.assertEqual(before, self.terms(cluster), f"rates {rates}")
