"""Bad disks in a simulated cluster: stalled, slow, full, failing, wiped, without power. What was acknowledged stays."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from scenario_cases import TIMEOUT_SECONDS, ScenarioCase, put

from hraft.raft.ready import Role
from hraft.simulation import disk_faults
from hraft.simulation.cluster import Cluster
from hraft.simulation.node import SimulatedNode


class StubChance(Random):
    """Chooses what it was told to where that is among the choices, else the first."""

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        super().__init__(0)

    def choice(self, seq: Sequence[Any]) -> Any:
        return self._wanted if self._wanted in seq else seq[0]


class Case(ScenarioCase):
    def value(self, cluster: Cluster, key: str) -> str:
        record = cluster.read().get(key.encode())
        return "" if record is None else record.value.decode()


class StalledDiskTests(Case):
    @pytest.mark.scenario("D15")
    def test_a_stalled_disk_costs_leadership(self) -> None:
        """Its heartbeats would go on for ever, and the cluster would hang (HC#503): within three election timeouts another
        leads."""
        for seed in range(4):
            cluster = self.cluster(seed)
            stalled = cluster.stall_disk()
            cluster.submit(put("a", "1"), stalled)
            passed = cluster.until(lambda: cluster.node(stalled).role is not Role.LEADER, "it steps down")  # noqa: B023
            passed += cluster.until(lambda: cluster.world.leader() not in (None, cluster.node(stalled)), "another leads")  # noqa: B023
            self.assertLessEqual(passed, 2 * 3 * TIMEOUT_SECONDS)
            cluster.propose(put("a", "2"), node=cluster.leader())
            cluster.heal()
            self.assertEqual("2", self.value(cluster, "a"))

    @pytest.mark.scenario("D15", "D17")
    def test_a_stalled_follower_does_no_harm(self) -> None:
        """The quorum does not need it, so nobody waits for it."""
        cluster = self.cluster()
        cluster.stall_disk(cluster.followers()[0])
        term, begin = cluster.node().state.term, cluster.now
        for number in range(20):
            cluster.propose(put("a", str(number)), retry=False)
        self.assertLessEqual(cluster.now - begin, 20 * 0.1)
        cluster.advance(10.0)
        self.assertEqual(term, cluster.node().state.term)

    @pytest.mark.scenario("D16")
    def test_a_slow_disk_keeps_its_leadership(self) -> None:
        """Each sync takes up to most of an election timeout: writes are slow, but heartbeats go out and nobody else stands."""
        cluster = self.cluster()
        leader = cluster.node()
        term = leader.state.term
        leader.disk_seconds = (0.1, 0.4)
        for number in range(30):
            cluster.propose(put("a", str(number)), retry=False)
        self.assertEqual((term, leader.node_id), (leader.state.term, cluster.leader()))


class FullDiskTests(Case):
    @pytest.mark.scenario("D3")
    def test_a_full_disk(self) -> None:
        """The node takes part no more, the others serve on; with room again it catches up, restarted or not."""
        for restarted in (False, True):
            cluster = self.cluster()
            full = cluster.fill_disk(cluster.followers()[0])
            for number in range(20):
                cluster.propose(put("a" * 100, str(number)))
            state = cluster.node(full).state
            self.assertLess(state.saving.persisted_index, state.commit_index)
            if restarted:
                cluster.crash(full)
            cluster.heal()
            cluster.settle()
            self.assertIsNotNone(cluster.state_machine(full).get(b"a" * 100))

    @pytest.mark.scenario("D3")
    def test_a_leader_whose_disk_is_full(self) -> None:
        """The others' disks are a majority, so what it has sent is committed; but until its own save is through it takes in no
        more. The cluster is settled when it does again."""
        cluster = self.cluster(padding_bytes=0)
        full = cluster.fill_disk()
        cluster.submit(put("a", "1"), full)
        cluster.until(lambda: cluster.node(full).is_short_of_room, "it finds no room")
        cluster.heal()
        cluster.settle()
        cluster.propose(put("a", "2"), full, retry=False)

    @pytest.mark.scenario("D4")
    def test_no_room_for_a_snapshot(self) -> None:
        """The log stays as it is and the node goes on; when there is room, snapshots come again."""
        cluster = self.cluster(padding_bytes=0)
        follower = cluster.node(cluster.followers()[0])
        for number in range(40):
            cluster.propose(put(f"key{number}", "v" * 200))
        follower.disk.room_bytes = sum(map(len, follower.disk.contents().values())) + 5000
        for number in range(10):
            cluster.propose(put("a", str(number)))
        cluster.advance(1.0)
        self.assertEqual(0, follower.state.snapshot_index)
        cluster.heal()
        cluster.propose(put("a", "b"))
        cluster.until(lambda: follower.state.snapshot_index > 0, "a snapshot is taken")


class FailingDiskTests(Case):
    @pytest.mark.scenario("D1", "D2")
    def test_a_failed_sync_stops_the_node(self) -> None:
        """It says nothing more from that moment on, in whatever role; restarted from what is on disk it has lost nothing."""
        for seed in range(8):
            cluster = self.cluster(seed)
            disk_faults.failing_disk(cluster.world, Random(seed))
            failing = next(node for node in cluster.world.nodes.values() if node.disk.fault is not None)
            lives_count = failing.starts_count
            done = []
            for number in range(60):
                asked = cluster.submit(put(f"k{number}", "v"), cluster.node_ids[number % 3])
                cluster.until(lambda: asked.is_over, "an answer")  # noqa: B023
                if asked.error is None:
                    done.append(f"k{number}")
                cluster.until(lambda: all(node.is_up for node in cluster.world.nodes.values()), "it starts again")  # noqa: B023
                cluster.settle()
            store = cluster.read()
            self.assertEqual([], [key for key in done if store.get(key.encode()) is None])
            has_yet_to_fail = failing.disk.fault is not None
            self.assertEqual(has_yet_to_fail, failing.starts_count == lives_count, "it stopped if and only if its disk failed")

    def test_a_fault_that_strikes_in_a_later_life(self) -> None:
        """A crash between leaves it armed: it strikes once, and excuses one halt of the life that it strikes in."""
        cluster = self.cluster()
        failing = self.arm(cluster)
        cluster.crash(failing.node_id)
        cluster.restart(failing.node_id)
        lives_count = failing.starts_count
        for number in range(60):
            cluster.propose(put(f"k{number}", "v"))
        cluster.settle()
        self.assertEqual((None, lives_count + 1), (failing.disk.fault, failing.starts_count))

    def test_a_fault_that_is_heard_of_after_the_healing(self) -> None:
        """The disk failed while all was bad, and its process hears of it when all is well: it halts all the same."""
        cluster = self.cluster()
        failing = self.arm(cluster)
        lives_count = failing.starts_count
        cluster.submit(put("a", "1"))
        cluster.until(lambda: failing.disk.has_failed, "the disk fails")
        cluster.heal()
        cluster.advance(10.0)
        self.assertEqual((lives_count + 1, False), (failing.starts_count, failing.disk.has_failed))

    def arm(self, cluster: Cluster) -> SimulatedNode:
        """The next sync of a node's disk fails."""
        disk_faults.failing_disk(cluster.world, StubChance("fdatasync"))
        return next(node for node in cluster.world.nodes.values() if node.disk.fault is not None)


class LostDiskTests(Case):
    @pytest.mark.scenario("D19")
    def test_a_wiped_disk_under_its_old_id(self) -> None:
        """The node has forgotten its promises: it is refused, never votes and is never counted, even where that stops the
        cluster."""
        cluster = self.cluster()
        cluster.propose(put("a", "1"))
        wiped, healthy = cluster.followers()
        cluster.crash(wiped)
        cluster.node(wiped).wipe()
        cluster.restart(wiped)
        joiner = cluster.world.join(cluster.node(wiped))
        cluster.until(lambda: joiner.is_over, "an answer")
        self.assertIsNotNone(joiner.refused)
        cluster.propose(put("a", "2"))
        cluster.crash(cluster.leader())
        cluster.advance(20.0)
        self.assertNotEqual(Role.LEADER, cluster.node(healthy).role)
        cluster.restart()
        self.assertEqual("2", self.value(cluster, "a"))

    @pytest.mark.scenario("D14", "N13", "L21")
    def test_all_lose_their_power_at_once(self) -> None:
        """Everything not synced is gone everywhere; what was acknowledged is not."""
        for seed in range(8):
            cluster = self.cluster(seed, nodes_count=5)
            for number in range(10):
                cluster.propose(put(f"k{number}", str(seed)))
            pending = [cluster.submit(put("late", str(number)), cluster.node_ids[number]) for number in range(5)]
            cluster.advance(0.003)
            for node_id in cluster.node_ids:
                cluster.crash(node_id)
            for node_id in Random(seed).sample(cluster.node_ids, 5):
                cluster.restart(node_id)
                cluster.advance(0.3)
            store = cluster.read()
            self.assertEqual([seed] * 10, [int(store.get(f"k{number}".encode()).value) for number in range(10)])
            del pending
