"""Chunks that come in the wrong order, twice, late, or from the wrong node."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hraft import limits
from hraft.interfaces import ChunkEnvelope, SnapshotChunk, SnapshotChunkResponse
from hraft.raft.configuration import Configuration
from hraft.raft.entry import HardState, Snapshot
from hraft.raft.messages import Envelope, InstallSnapshot
from hraft.raft.ready import Save
from hraft.service.events import Events
from hraft.service.snapshot_receiving import SnapshotReceiving
from hraft.simulation.thread import SimulatedThread

FILE = b"0123456789"


def snapshot_at(index: int) -> Snapshot:
    return Snapshot(index, 1, Configuration(voters={"node1": "node1:1"}))


def chunk(offset: int, data: bytes, index: int = 5, term: int = 3) -> SnapshotChunk:
    return SnapshotChunk(term, snapshot_at(index), offset, len(FILE), data)


class FakeWriter:
    """Keeps what it is given."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.data = b""
        self.is_aborted = False
        self.size_bytes = 0

    def append(self, data: bytes) -> None:
        self.data += data

    def complete(self) -> Snapshot:
        return self.snapshot

    def abort(self) -> None:
        self.is_aborted = True


class ReceivingTests(SynchronousTestCase):
    """The leader is node1, in term 3; the file has ten bytes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.node: Any = SimpleNamespace(current_term=3, leader_id="node1", commit_index=0)
        self.writers: list[FakeWriter] = []
        self.sent: list[tuple[str, SnapshotChunkResponse]] = []
        self.arrived: list[Envelope] = []
        self.halted: list[str] = []
        self.in_flight: Save | None = None
        self.receiving = SnapshotReceiving(
            self.clock,
            self.node,
            "node0",
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            SimulatedThread(self.clock, 0.0),
            self.arrived.append,
            lambda: self.in_flight,
            self.halted.append,
            Events("node0"),
        )

    def receive_snapshot(self, snapshot: Snapshot) -> FakeWriter:
        self.writers.append(FakeWriter(snapshot))
        return self.writers[-1]

    def send_chunk(self, envelope: ChunkEnvelope) -> None:
        assert isinstance(envelope.message, SnapshotChunkResponse)
        self.sent.append((envelope.to, envelope.message))

    def take(self, *chunks: SnapshotChunk, sender: str = "node1") -> list[int]:
        """Hand chunks in one after the other; return the offsets that were asked for next."""
        self.sent.clear()
        for one in chunks:
            self.receiving.chunk(sender, one)
            self.clock.advance(0.0)
        return [response.next_offset for _, response in self.sent]

    def test_in_order(self) -> None:
        """The node hears of it when the file is whole, and not before."""
        self.assertEqual([4, 8], self.take(chunk(0, b"0123"), chunk(4, b"4567")))
        self.assertEqual([], self.arrived)
        self.assertEqual([10], self.take(chunk(8, b"89")))
        self.assertEqual([Envelope("node1", "node0", InstallSnapshot(3, snapshot_at(5)))], self.arrived)
        self.assertEqual(FILE, self.writers[0].data)

    @pytest.mark.scenario("S8")
    def test_twice_or_too_early(self) -> None:
        """Each is answered with what is wanted, and nothing is written twice."""
        self.assertEqual([4, 4, 4], self.take(chunk(0, b"0123"), chunk(0, b"0123"), chunk(8, b"89")))
        self.assertEqual([0], self.take(chunk(4, b"4567", index=6)))
        self.take(chunk(4, b"4567"), chunk(8, b"89"))
        self.assertEqual(FILE, self.writers[0].data)

    @pytest.mark.scenario("S8")
    def test_old_terms_and_other_nodes_are_not_heard(self) -> None:
        """A deposed leader's chunks may still be on their way, and a node that does not lead has nothing to send."""
        self.assertEqual([], self.take(chunk(0, b"0123", term=2)))
        self.assertEqual([], self.take(chunk(0, b"0123"), sender="node2"))
        self.assertEqual([], self.writers)

    @pytest.mark.scenario("S8")
    def test_a_new_leader_begins_again(self) -> None:
        """What the old one sent is let go, even of the very same snapshot: the files need not be the same."""
        self.take(chunk(0, b"0123"))
        self.node.current_term, self.node.leader_id = 4, "node2"
        self.assertEqual([0, 4], self.take(chunk(4, b"4567", term=4), chunk(0, b"0123", term=4), sender="node2"))
        self.assertEqual([True, False], [writer.is_aborted for writer in self.writers])

    def test_what_no_leader_sends(self) -> None:
        """Past the end, longer than agreed, of no length, of no entry: dropped before anything is opened."""
        odd = [
            chunk(8, b"8901"),
            chunk(-1, b"0"),
            chunk(0, b""),
            chunk(0, b"0", index=0),
            SnapshotChunk(3, snapshot_at(5), 0, 0, b""),
            SnapshotChunk(3, snapshot_at(5), 0, 1 << 30, b"x" * (limits.SNAPSHOT_CHUNK_BYTES + 1)),
        ]
        self.assertEqual(([], []), (self.take(*odd), self.writers))

    @pytest.mark.scenario("S13")
    def test_one_at_a_time_until_it_is_installed(self) -> None:
        """The save that is on its way began before the file came, so only a later one can have installed it."""
        before = self.in_flight = Save(1, HardState(3))
        self.take(chunk(0, FILE))
        self.assertEqual([], self.take(chunk(0, b"0123", index=9)))
        self.receiving.saved(before)
        self.receiving.turned()
        self.assertEqual([], self.take(chunk(0, b"0123", index=9)))
        self.in_flight = Save(2, HardState(3))
        self.receiving.turned()
        self.receiving.saved(self.in_flight)
        self.assertEqual([4], self.take(chunk(0, b"0123", index=9)))

    def test_let_go_by_the_node(self) -> None:
        """It had no use for the file and wants nothing saved: the next one is welcome."""
        self.take(chunk(0, FILE))
        self.receiving.turned()
        self.assertEqual([4], self.take(chunk(0, b"0123", index=9)))

    @pytest.mark.scenario("S8")
    def test_already_there(self) -> None:
        """Nothing is written; the leader's node gets its answer again, since the first may have been lost."""
        self.node.commit_index = 5
        self.assertEqual([10], self.take(chunk(10, b"")))
        self.assertEqual(([], 1), (self.writers, len(self.arrived)))

    def test_forgotten_by_its_leader(self) -> None:
        """Half a file must not stay for ever."""
        self.take(chunk(0, b"0123"))
        self.clock.advance(limits.SNAPSHOT_TRANSFER_TIMEOUT_SECONDS - 1)
        self.receiving.tick()
        self.assertFalse(self.receiving.is_idle)
        self.clock.advance(1)
        self.receiving.tick()
        self.clock.advance(0)
        self.assertEqual((True, True), (self.receiving.is_idle, self.writers[0].is_aborted))

    @pytest.mark.scenario("D1")
    def test_a_disk_that_failed(self) -> None:
        """Neither answered nor tried again."""

        def failed(data: bytes) -> None:
            raise OSError("EIO")

        self.take(chunk(0, b"0123"))
        self.writers[0].append = failed  # type: ignore[method-assign]
        self.assertEqual([], self.take(chunk(4, b"4567")))
        self.assertEqual(1, len(self.halted))

    def test_stopped(self) -> None:
        """What a thread still does with the file changes nothing any more."""
        self.receiving.chunk("node1", chunk(0, b"0123"))
        self.receiving.stop()
        self.clock.pump([0.0, 0.0])
        self.assertEqual(([], True), (self.sent, self.writers[0].is_aborted))
