"""Snapshots on their way between nodes of a simulated cluster, while everything else goes on or goes wrong."""

from __future__ import annotations

from unittest import TestCase

import pytest
from scenario_cases import put

from hraft.interfaces import ChunkEnvelope, SnapshotChunk, SnapshotPolicy
from hraft.simulation.cluster import Cluster
from hraft.simulation.network import Faults
from hraft.simulation.process_faults import start

EAGER = SnapshotPolicy(entries_count=10, kept_entries_count=0, chunk_bytes=400)


class SnapshotTests(TestCase):
    def cluster(self, seed: int = 1, **options: object) -> Cluster:
        cluster = Cluster(seed, 3, snapshot_policy=EAGER, **options)  # type: ignore[arg-type]
        self.addCleanup(cluster.close)
        return cluster

    def behind(self, cluster: Cluster) -> str:
        """A follower whose next entry is compacted away everywhere else; still cut off."""
        alone = cluster.followers()[0]
        cluster.partition([alone])
        for number in range(35):
            cluster.propose(put(f"key{number:02}", "v" * 20))
        return alone

    @pytest.mark.scenario("S7", "S16")
    def test_entries_go_on_while_a_snapshot_arrives(self) -> None:
        """Writes all the while: the follower has them all in the end, though entries come before, amid and after the install."""
        for seed in range(6):
            cluster = self.cluster(seed, messages=Faults(0.1, 0.2, (0.0, 0.03)))
            alone = self.behind(cluster)
            cluster.world.network.heal()
            for number in range(40):
                cluster.submit(put("busy", str(number)))
                cluster.advance(0.05)
            cluster.settle()
            self.assertGreater(cluster.world.marks.counts["a snapshot was installed"], 0)
            self.assertIsNotNone(cluster.state_machine(alone).get(b"key34"))

    @pytest.mark.scenario("S9", "S8")
    def test_either_side_crashes_at_every_chunk(self) -> None:
        """The transfer is cut off after one chunk, two, three ...: once more begun, it succeeds, and leaves nothing behind."""
        for who in ("sender", "receiver"):
            for chunks_count in range(1, 14, 2):
                cluster = self.cluster(chunks_count)
                alone = self.behind(cluster)
                cluster.world.network.heal()
                victim = cluster.leader() if who == "sender" else alone
                self.crash_after_chunks(cluster, victim, chunks_count)
                cluster.until(lambda: not cluster.node(victim).is_up, "the crash")  # noqa: B023
                cluster.advance(1.0)
                cluster.heal()
                cluster.settle()
                self.assertIsNotNone(cluster.state_machine(alone).get(b"key34"))

    def crash_after_chunks(self, cluster: Cluster, victim: str, chunks_count: int) -> None:
        left = chunks_count

        def passes(envelope: object) -> bool:
            nonlocal left
            if isinstance(envelope, ChunkEnvelope) and isinstance(envelope.message, SnapshotChunk):
                left -= 1
                if left == 0:
                    cluster.world.clock.schedule(0.002, None, cluster.node(victim).crash, (1.0,))
            return True

        cluster.world.network.lets_pass = passes

    @pytest.mark.scenario("S8", "S13")
    def test_another_leader_begins_again(self) -> None:
        """The leader changes in mid-transfer: chunks of the old one are of no use, the new one's snapshot arrives."""
        cluster = self.cluster()
        alone = self.behind(cluster)
        old = cluster.leader()
        cluster.world.network.heal()
        cluster.until(lambda: not cluster.node(alone).service._running.receiving.is_idle, "chunks arrive")
        cluster.partition([old])
        cluster.until(lambda: cluster.world.leader() not in (None, cluster.node(old)), "another leads")
        for number in range(15):
            cluster.propose(put(f"key{number:02}", "w"), node=cluster.leader())
        self.assertEqual(b"w", cluster.read(alone).get(b"key14").value)

    @pytest.mark.scenario("S1", "S2", "D13")
    def test_crashes_among_snapshots(self) -> None:
        """Nodes that snapshot and compact every few entries lose their power again and again, at starts too."""
        for seed in range(6):
            cluster = self.cluster(seed, segment_bytes=500, padding_bytes=0)
            dice = cluster.world.stream("test")
            for number in range(60):
                cluster.submit(put(f"key{number % 7}", "v" * 30))
                cluster.advance(0.02)
                if number % 6 == 5:
                    victim = cluster.world.nodes[dice.choice(cluster.node_ids)]
                    victim.crash(1.0)
                    cluster.world.clock.schedule(0.1, None, start, (cluster.world, dice, victim))
                    cluster.advance(1.5)
            self.assertGreater(cluster.world.marks.counts["a segment was removed"], 0)
