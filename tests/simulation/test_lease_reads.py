"""Reads by lease, and the age of what a node serves, in simulated clusters whose processes pause, restart and hand over."""

from __future__ import annotations

from typing import Any
from unittest import TestCase

import pytest

from hraft.interfaces import ReadLevel, Timing
from hraft.kv.commands import Set, encode_command
from hraft.raft.ready import Role
from hraft.service.contact import LEASE_SHARE
from hraft.simulation.cluster import Cluster
from hraft.simulation.network import Faults

TIMING = Timing(tick_seconds=0.02, heartbeat_interval_ticks=5, election_timeout_ticks=25)
HEARTBEAT_SECONDS = 0.1
TIMEOUT_SECONDS = 0.5
LEASE_SECONDS = 24 * 0.02 * LEASE_SHARE


def put(value: str) -> bytes:
    return encode_command(Set(b"a", value.encode()))


class Case(TestCase):
    """Three nodes that hold `old`: the leader, who then stays behind, and two others."""

    def form(self, seed: int = 1, **options: Any) -> Cluster:
        cluster = self.cluster = Cluster(seed, 3, timing=TIMING, messages=Faults(delay_seconds=(0.0, 0.002)), **options)
        self.addCleanup(cluster.close)
        cluster.propose(put("old"))
        cluster.settle()
        cluster.advance(2 * HEARTBEAT_SECONDS)
        self.leader = cluster.leader()
        self.first, self.second = cluster.followers()
        return cluster

    def leads(self, node: str) -> bool:
        return self.cluster.node(node).role is Role.LEADER

    def leave_alone(self, node: str) -> None:
        for other in self.cluster.node_ids:
            if other != node:
                self.cluster.cut(node, other)
                self.cluster.cut(other, node)

    def is_answered_at_once(self, level: ReadLevel = ReadLevel.LEASE) -> bool:
        asked = self.cluster.confirm_read(self.leader, level)
        self.cluster.advance(0.0)
        return asked.is_over and asked.error is None

    def assert_never_old(self, seconds: float) -> None:
        """Whatever the leader of old answers at once is what was acknowledged last, while others try to lead and to write."""
        cluster, written = self.cluster, None
        for _ in range(int(seconds / 0.005)):
            new = next((node for node in (self.first, self.second) if cluster.node(node).life and self.leads(node)), None)
            if written is None and new is not None:
                written = cluster.submit(put("new"), new)
            is_written = written is not None and written.is_over and written.error is None
            if self.is_answered_at_once() and is_written:
                self.assertEqual(b"new", cluster.state_machine(self.leader).get(b"a").value, f"at {cluster.now}")
            cluster.advance(0.005)
        self.assertTrue(written is not None and written.error is None and written.is_over, "nobody else wrote")


class LeaseReadTests(Case):
    """confirm_read(LEASE)."""

    @pytest.mark.scenario("R11")
    def test_asks_nobody_while_the_lease_holds(self) -> None:
        """Cut off from everybody, a leader answers for a while, since nobody else can lead yet; and no longer."""
        cluster = self.form()
        self.leave_alone(self.leader)
        self.assertTrue(self.is_answered_at_once())
        self.assertFalse(self.is_answered_at_once(ReadLevel.LINEARIZABLE))
        cluster.advance(LEASE_SECONDS - HEARTBEAT_SECONDS - 0.02)
        self.assertTrue(self.is_answered_at_once())
        cluster.advance(HEARTBEAT_SECONDS + 0.02)
        self.assertTrue(self.leads(self.leader))
        self.assertFalse(self.is_answered_at_once())

    def test_falls_back_to_a_round(self) -> None:
        """With its lease over, a leader asks the others, and answers when they have."""
        cluster = self.form()
        cluster.pause(self.leader)
        cluster.advance(LEASE_SECONDS)
        asked = cluster.confirm_read(self.leader, ReadLevel.LEASE)
        cluster.resume()
        cluster.wait_for(asked)
        self.assertIsNone(asked.error)

    def test_a_follower_asks_its_leader(self) -> None:
        """It has no lease of its own, and is as sure as ever."""
        cluster = self.form()
        asked = cluster.confirm_read(self.first, ReadLevel.LEASE)
        cluster.advance(0.0)
        self.assertFalse(asked.is_over)
        cluster.wait_for(asked)
        self.assertIsNone(asked.error)
        self.assertEqual(b"old", cluster.state_machine(self.first).get(b"a").value)

    def test_alone_always(self) -> None:
        """A cluster of one has nobody to ask."""
        cluster = Cluster(1, 1, timing=TIMING)
        self.addCleanup(cluster.close)
        self.leader, self.cluster = cluster.leader(), cluster
        cluster.advance(2 * HEARTBEAT_SECONDS)
        for _ in range(50):
            self.assertTrue(self.is_answered_at_once())
            cluster.advance(0.01)

    @pytest.mark.scenario("R6", "R11")
    def test_a_leader_that_stood_still(self) -> None:
        """It has counted no tick meanwhile; the clock went on, and so did the others."""
        for seed in range(5):
            cluster = self.form(seed)
            cluster.pause(self.leader)
            cluster.until(lambda: self.leads(self.first) or self.leads(self.second), "another leads")
            cluster.propose(put("new"), node=self.first if self.leads(self.first) else self.second)
            asked = cluster.confirm_read(self.leader, ReadLevel.LEASE)
            cluster.partition([self.leader])
            cluster.resume()
            cluster.advance(0.0)
            self.assertFalse(asked.is_over and asked.error is None)

    @pytest.mark.scenario("R6", "R11")
    def test_answers_that_waited(self) -> None:
        """The answers to its last heartbeat lay there while it stood still: they prove what was so before."""
        cluster = self.form()
        state = cluster.node(self.leader).state
        assert state.leading is not None
        before = state.leading.reads.round
        cluster.until(lambda: state.leading.reads.round > before, "a heartbeat is due")
        cluster.advance(0.0)
        cluster.pause(self.leader)
        cluster.advance(0.01)
        cluster.partition([self.leader])
        cluster.until(lambda: self.leads(self.first) or self.leads(self.second), "another leads")
        cluster.propose(put("new"), node=self.first if self.leads(self.first) else self.second)
        cluster.resume()
        cluster.advance(0.0)
        self.assertTrue(self.leads(self.leader))
        self.assertFalse(self.is_answered_at_once())

    @pytest.mark.scenario("R11", "T1")
    def test_a_leader_that_has_handed_over(self) -> None:
        """Its successor was elected against stickiness, within the time that the lease would have had."""
        cluster = self.form()
        cluster.transfer(self.first)
        cluster.advance(0.0)
        for other in (self.first, self.second):
            cluster.cut(other, self.leader)
        self.assert_never_old(2 * TIMEOUT_SECONDS)

    @pytest.mark.scenario("R11")
    def test_voters_that_restart(self) -> None:
        """One does not hear the leader and wants to lead; the other has just answered, restarts, and is asked for its vote."""
        for seed in range(5):
            cluster = self.form(seed)
            cluster.cut(self.leader, self.first)
            cluster.cut(self.first, self.leader)
            cluster.until(lambda: self.cluster.node(self.first).role is Role.PRE_CANDIDATE, "it wants to lead")
            cluster.advance(HEARTBEAT_SECONDS)
            self.assertTrue(self.is_answered_at_once())
            self.leave_alone(self.leader)
            cluster.crash(self.second, power=False)
            cluster.restart(self.second)
            self.assert_never_old(2 * TIMEOUT_SECONDS)

    @pytest.mark.scenario("R11", "N11")
    def test_clocks_that_differ(self) -> None:
        """The voters' run faster than the leader's, by as much as the lease allows for."""
        for seed in range(5):
            cluster = self.form(seed, clock_rates=(1.0, 1.2, 1.2))
            if cluster.node(self.leader).clock_rate != 1.0:
                cluster.transfer("node0")
                cluster.until(lambda: self.leads("node0"), "the slow clock leads")
                self.leader, (self.first, self.second) = "node0", ("node1", "node2")
                cluster.advance(2 * HEARTBEAT_SECONDS)
            self.leave_alone(self.leader)
            self.assert_never_old(3 * TIMEOUT_SECONDS)


class AgeTests(Case):
    """age_seconds."""

    def age(self, node: str) -> float | None:
        return self.cluster.node(node).service.age_seconds()

    @pytest.mark.scenario("R10")
    def test_small_in_touch(self) -> None:
        """A heartbeat interval and the way of a message."""
        self.form()
        for node in self.cluster.node_ids:
            self.assertLess(self.age(node), HEARTBEAT_SECONDS + 0.02, node)

    @pytest.mark.scenario("R10")
    def test_grows_out_of_touch(self) -> None:
        """On a follower that is cut off, and on a leader, which is none after a while."""
        for node_is_leader in (False, True):
            self.form()
            node = self.leader if node_is_leader else self.first
            self.leave_alone(node)
            self.cluster.advance(3.0)
            self.assertAlmostEqual(3.0, self.age(node), delta=HEARTBEAT_SECONDS + 0.02)

    @pytest.mark.scenario("R10")
    def test_counts_pauses(self) -> None:
        """Also just after one, when what was sent meanwhile arrives, which may be old itself."""
        for node_is_leader in (False, True):
            cluster = self.form()
            node = self.leader if node_is_leader else self.first
            cluster.pause(node)
            cluster.advance(3.0)
            cluster.resume()
            cluster.advance(0.0)
            self.assertGreater(self.age(node), 2.9)
            cluster.advance(1.0)
            self.assertLess(self.age(node), HEARTBEAT_SECONDS + 0.02)

    @pytest.mark.scenario("R10")
    def test_unknown_before_any_touch(self) -> None:
        """What a restarted node has may be of any age."""
        cluster = self.form()
        cluster.partition([self.first])
        cluster.crash(self.first, power=False)
        cluster.restart(self.first)
        cluster.advance(1.0)
        self.assertIsNone(self.age(self.first))
        cluster.heal()
        cluster.advance(2.0)
        self.assertLess(self.age(self.first), HEARTBEAT_SECONDS + 0.02)

    @pytest.mark.scenario("R10")
    def test_a_follower_that_lags_is_old(self) -> None:
        """It hears its leader all the time, and cannot take in what was written."""
        cluster = self.form()
        follower = cluster.node(self.first).service._running
        assert follower is not None
        follower.applying.committed = lambda entries: None
        cluster.propose(put("new"))
        cluster.advance(1.0)
        self.assertGreater(self.age(self.first), 0.8)
        cluster.crash(self.first, power=False)

    @pytest.mark.scenario("R1", "R10")
    def test_a_new_leader_does_not_know_all_yet(self) -> None:
        """It hears everybody, but has not committed an entry of its own: what its predecessor acknowledged is not applied."""
        cluster = self.form()
        cluster.cut(self.leader, self.second)
        written = cluster.submit(put("new"), self.leader)
        cluster.until(lambda: written.is_over, "acknowledged")
        acknowledged_at = cluster.now
        cluster.crash(self.leader, power=False)
        cluster.until(lambda: self.leads(self.first), "who has it leads")
        cluster.stall_disk(self.first)
        cluster.advance(TIMEOUT_SECONDS - HEARTBEAT_SECONDS)
        self.assertTrue(self.leads(self.first))
        self.assertEqual(b"old", cluster.state_machine(self.first).get(b"a").value)
        self.assertGreater(self.age(self.first), cluster.now - acknowledged_at)
