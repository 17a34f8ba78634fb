"""Snapshots taken, sent, lost on the way, and installed, between real nodes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from unittest.mock import patch

import pytest
from clusters import EAGER, ELECTION_TIMEOUT_SECONDS, Cluster, Member, Outcome, losing, set_command
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hraft import limits
from hraft.errors import LogCorrupted, StorageFailed, StorageFull
from hraft.interfaces import ChunkEnvelope, SnapshotChunk, SnapshotChunkResponse
from hraft.raft.messages import Envelope, InstallSnapshotResponse
from hraft.simulation.network import Faults

#: So that a store of a few kilobytes makes many chunks.
SMALL_CHUNK_BYTES = 100


class Snapshots(SynchronousTestCase):
    """Three nodes that take snapshots eagerly; one follower, `late`, is to be left behind."""

    def setUp(self) -> None:
        chunks = patch.object(limits, "SNAPSHOT_CHUNK_BYTES", SMALL_CHUNK_BYTES)
        chunks.start()
        self.addCleanup(chunks.stop)
        self.cluster = Cluster(snapshot_policy=EAGER).bootstrap(3)
        self.leader = self.cluster.the_leader()
        self.late, self.other = self.cluster.followers()

    def leave_behind(self, entries_count: int = 60) -> None:
        """`late` is killed, and what it misses is compacted away."""
        self.late.crash()
        for number in range(entries_count // 20):
            self.cluster.write_many(20, prefix=f"p{number}-")
            self.cluster.run(0.1)
        self.assertGreater(self.first_index(self.leader), self.leader.service.status().followers["node1"].match_index)

    def first_index(self, member: Member) -> int:
        return member.service.status().first_index

    def listen(self, words: str) -> list[LogEvent]:
        """The lines of the operators' log that say this, from now on."""
        said: list[LogEvent] = []

        def hear(line: LogEvent) -> None:
            if words in line.get("log_format", ""):
                said.append(line)

        globalLogPublisher.addObserver(hear)
        self.addCleanup(globalLogPublisher.removeObserver, hear)
        return said

    def all_agree(self) -> None:
        self.cluster.settle()
        self.assertEqual((3, 1), (len(self.cluster.running()), len(self.cluster.states())))


class TakingTests(Snapshots):
    """The log does not grow for ever."""

    @pytest.mark.scenario("S2")
    def test_taken_and_compacted(self) -> None:
        """Entries go when the snapshot is durable, and some stay behind it for who is a little slow."""
        self.cluster.write_many(45)
        self.cluster.run(0.1)
        status = self.leader.service.status()
        self.assertGreaterEqual(status.snapshot_index, 40)
        self.assertEqual(status.snapshot_index - EAGER.kept_entries_count + 1, status.first_index)
        self.assertEqual(status.first_index - 1, self.leader.storage.recover().base.index)

    @pytest.mark.scenario("S2")
    def test_nothing_goes_before_the_snapshot_is_durable(self) -> None:
        """A power cut in between must find the entries."""
        first_index = self.first_index(self.leader)
        self.leader.background.hang()
        self.cluster.write_many(45)
        self.cluster.run(1.0)
        self.assertEqual(first_index, self.first_index(self.leader))
        self.leader.background.resume()
        self.cluster.run(0.1)
        self.assertGreater(self.first_index(self.leader), first_index)

    def test_a_follower_does_not_wait_until_the_next_snapshot_is_written(self) -> None:
        """Writing one of a million keys beside a load takes longer than a transfer may be without progress."""
        received = self.listen("received a snapshot")
        self.leave_behind()
        self.leader.background.hang()
        self.cluster.write_many(45)
        self.late.start()
        self.cluster.run(2.0)
        self.assertEqual(1, len(received))
        self.leader.background.resume()
        self.all_agree()

    @pytest.mark.scenario("R8")
    def test_restart_from_a_snapshot(self) -> None:
        """The state machine is whole before anything is answered from it."""
        self.cluster.write_many(45)
        self.cluster.run(0.1)
        self.late.crash()
        self.late.start()
        snapshot_index = self.late.service.status().snapshot_index
        self.assertGreaterEqual(snapshot_index, 20)
        self.assertEqual((snapshot_index, "0"), (self.late.service.status().applied_index, self.late.get("k0")))
        self.all_agree()

    @pytest.mark.scenario("D4")
    def test_no_room_for_a_snapshot(self) -> None:
        """The node goes on with its log and tries again later."""
        first_index = self.first_index(self.leader)
        write, tried = self.leader.storage.write_snapshot, []

        def full(*arguments: object) -> None:
            tried.append(arguments)
            raise StorageFull("no space left")

        self.leader.storage.write_snapshot = full
        self.cluster.write_many(45)
        self.cluster.run(limits.SNAPSHOT_RETRY_SECONDS / 2)
        self.assertEqual((1, first_index, []), (len(tried), self.first_index(self.leader), self.leader.halted))
        self.leader.storage.write_snapshot = write
        self.cluster.run(limits.SNAPSHOT_RETRY_SECONDS)
        self.assertGreater(self.first_index(self.leader), first_index)

    @pytest.mark.scenario("D1")
    def test_a_snapshot_that_cannot_be_synced_stops_the_node(self) -> None:
        """Nothing is known any more of what that disk keeps."""

        def failed(*arguments: object) -> None:
            raise StorageFailed("fsync: EIO")

        self.leader.storage.write_snapshot = failed
        self.cluster.write_many(45)
        self.cluster.run(0.1)
        self.assertEqual(1, len(self.leader.halted))


class SendingTests(Snapshots):
    """Whoever was left behind is brought up by chunks."""

    @pytest.mark.scenario("S10")
    def test_catch_up(self) -> None:
        """In many chunks, none of them larger than it may be, at most one on its way."""
        self.leave_behind()
        sizes: list[int] = []
        self.watch(lambda message: sizes.append(len(message.data)) if isinstance(message, SnapshotChunk) else None)
        self.late.start()
        self.all_agree()
        self.assertGreater(len(sizes), 10)
        self.assertEqual(SMALL_CHUNK_BYTES, max(sizes))

    def watch(self, look: Callable[[object], None]) -> None:
        def passing(envelope: Envelope | ChunkEnvelope) -> bool:
            look(envelope.message)
            return True

        self.cluster.network.lets_pass = passing

    @pytest.mark.scenario("S16")
    def test_afterwards_the_log_suffices(self) -> None:
        """One snapshot, then entries: not a snapshot for every few entries."""
        self.leave_behind()
        begun: list[int] = []

        def look(message: object) -> None:
            if isinstance(message, SnapshotChunk) and message.offset == 0:
                begun.append(message.snapshot.index)

        self.watch(look)
        self.late.start()
        self.all_agree()
        self.cluster.write_many(10)
        self.all_agree()
        self.assertEqual(1, len(begun))

    @pytest.mark.scenario("S8")
    def test_a_bad_network(self) -> None:
        """Chunks and answers are lost, copied and reordered; the file that arrives is the file that was sent."""
        self.leave_behind()
        self.cluster.network.faults = Faults(loss_chance=0.15, duplicate_chance=0.3, delay_seconds=(0.001, 0.05))
        self.late.start()
        self.cluster.run(20.0)
        self.cluster.network.faults = Faults()
        self.all_agree()

    def test_the_last_word_is_lost(self) -> None:
        """The follower has installed the snapshot, and its node's answer never comes: the leader asks until it does."""
        self.leave_behind()
        self.cluster.network.lets_pass = losing(InstallSnapshotResponse, 0.8, Random(3))
        self.late.start()
        self.all_agree()

    @pytest.mark.scenario("S5")
    def test_sent_means_installed(self) -> None:
        """A file that has arrived is not yet a node that has caught up: the operator is told when it is."""
        self.leave_behind()
        said = self.listen("sent a snapshot")
        self.late.start()
        late = self.late.service._running
        assert late is not None
        self.cluster.run_until(lambda: not late.receiving.is_idle, "it has begun")
        self.late.writer.hang()
        self.cluster.run(5.0)
        self.assertEqual((True, []), (late.receiving.is_idle, said))
        self.late.writer.resume()
        self.all_agree()
        self.cluster.run(1.0)
        self.assertEqual(1, len(said))

    @pytest.mark.scenario("S8", "S9")
    def test_the_leader_changes_in_the_middle(self) -> None:
        """The new one begins again, and the old one's late chunks do no harm."""
        self.leave_behind()
        self.late.start()
        late = self.late.service._running
        assert late is not None
        self.cluster.run_until(lambda: not late.receiving.is_idle, "it has begun")
        self.cluster.network.isolate(self.leader.node_id, self.cluster.members)
        self.cluster.elect(other_than=self.leader)
        self.cluster.write_many(30, prefix="new")
        self.cluster.network.heal()
        self.all_agree()

    @pytest.mark.scenario("S9")
    def test_either_side_dies_at_any_chunk(self) -> None:
        """Whatever was half done is forgotten, and a later attempt succeeds."""
        self.leave_behind()
        for number in range(1, 12):
            victim = self.leader if number % 4 == 0 else self.late
            chunks: list[object] = []
            self.watch(lambda message, chunks=chunks: chunks.append(message) if isinstance(message, SnapshotChunk) else None)
            if not self.late.transport.is_listening:
                self.late.start()
            self.cluster.run_until(lambda chunks=chunks, number=number: len(chunks) >= number, f"chunk {number}")
            victim.crash()
            self.cluster.run(0.05)
            if victim is self.leader:
                victim.start()
                self.cluster.elect()
                self.late.crash()
                self.leader = self.cluster.the_leader()
        if not self.late.transport.is_listening:
            self.late.start()
        self.all_agree()

    @pytest.mark.scenario("S7")
    def test_writes_go_on_meanwhile(self) -> None:
        """What is committed while a snapshot is received, installed and read in is there afterwards, once."""
        self.leave_behind()
        self.late.start()
        late = self.late.service._running
        assert late is not None
        seen_restoring = False
        for number in range(100):
            outcome = Outcome(self.leader.service.propose(set_command(f"m{number}", "v")))
            self.cluster.run(0.01)
            self.assertIsNone(outcome.error)
            seen_restoring = seen_restoring or late.applying.is_restoring or not late.receiving.is_idle
        self.assertTrue(seen_restoring)
        self.all_agree()

    @pytest.mark.scenario("S11")
    def test_a_follower_that_does_not_answer_is_given_up(self) -> None:
        """It holds up neither the leader's own snapshots nor anything else, and may try again."""
        self.leave_behind()
        self.cluster.network.lets_pass = lambda envelope: not isinstance(envelope.message, SnapshotChunkResponse)
        self.late.start()
        leader = self.leader.service._running
        assert leader is not None
        self.cluster.run_until(lambda: len(leader.sending) == 1, "sending has begun")
        before = self.leader.service.status().snapshot_index
        self.cluster.write_many(45)
        self.cluster.run(1.0)
        self.assertGreater(self.leader.service.status().snapshot_index, before)
        with patch.object(leader.node, "snapshot_failed", wraps=leader.node.snapshot_failed) as failed:
            self.cluster.run(limits.SNAPSHOT_TRANSFER_TIMEOUT_SECONDS + 1.0)
        failed.assert_called_with(self.late.node_id)
        self.cluster.network.lets_pass = lambda envelope: True
        self.all_agree()

    def test_a_snapshot_that_cannot_be_read_is_not_sent_in_a_tight_circle(self) -> None:
        """The leader says so and tries again now and then; it does not spin."""
        self.leave_behind()
        opened: list[object] = []

        def broken() -> None:
            opened.append(None)
            raise LogCorrupted("a flipped bit")

        opener, self.leader.storage.open_snapshot = self.leader.storage.open_snapshot, broken
        self.late.start()
        self.cluster.run(5.0)
        self.assertTrue(1 <= len(opened) <= 11, len(opened))
        self.leader.storage.open_snapshot = opener
        self.all_agree()

    def test_damaged_on_the_way(self) -> None:
        """A file that does not verify is refused and sent again; it never becomes visible."""
        self.leave_behind()
        damaged: list[int] = []
        send_chunk = self.leader.transport.send_chunk

        def damaging(envelope: ChunkEnvelope) -> None:
            message = envelope.message
            if isinstance(message, SnapshotChunk) and message.offset == 500 and not damaged:
                damaged.append(message.offset)
                data = bytes([message.data[0] ^ 1]) + message.data[1:]
                message = SnapshotChunk(message.term, message.snapshot, message.offset, message.total_bytes, data)
            send_chunk(ChunkEnvelope(envelope.sender, envelope.to, message))

        self.leader.transport.send_chunk = damaging  # type: ignore[method-assign]
        self.late.start()
        self.all_agree()
        self.assertEqual(([500], []), (damaged, self.late.halted))

    @pytest.mark.scenario("S13")
    def test_two_snapshots_in_short_order(self) -> None:
        """While the first is being installed a second one must wait: a save installs what it names, nothing else."""
        self.leave_behind()
        self.late.start()
        late = self.late.service._running
        assert late is not None
        self.cluster.run_until(lambda: not late.receiving.is_idle, "it has begun")
        self.late.writer.hang()
        self.cluster.run_until(lambda: late.receiving.is_idle, "it has arrived")
        self.cluster.write_many(45, prefix="later")
        self.cluster.run(2 * ELECTION_TIMEOUT_SECONDS)
        self.late.writer.resume()
        self.all_agree()
        self.assertEqual([], self.late.halted)

    def test_no_room_for_a_received_snapshot(self) -> None:
        """The leader is told, and tries again until there is room."""
        self.leave_behind()
        self.late.start()
        receive = self.late.storage.receive_snapshot

        def full(snapshot: object) -> None:
            raise StorageFull("no space left")

        self.late.storage.receive_snapshot = full
        node = self.leader.service._running.node  # type: ignore[union-attr]
        with patch.object(node, "snapshot_failed", wraps=node.snapshot_failed) as failed:
            self.cluster.run(3.0)
        failed.assert_called_with(self.late.node_id)
        self.assertEqual((None, []), (self.late.get("p0-0"), self.late.halted))
        self.late.storage.receive_snapshot = receive
        self.all_agree()


class OvertakenTests(Snapshots):
    """Our own snapshot and a received one at the same time."""

    @pytest.mark.scenario("S15")
    def test_our_own_is_let_go(self) -> None:
        """A snapshot of our own that is still being written counts for nothing when a received one went past it."""
        self.late.background.hang()
        self.cluster.write_many(25)
        self.cluster.run(0.1)
        own_index = self.late.service.status().applied_index
        late = self.late.service._running
        assert late is not None
        jobs = list(self.late.background._jobs)
        self.assertEqual(1, len(jobs))
        self.late.background._jobs.clear()
        self.cluster.network.isolate(self.late.node_id, self.cluster.members)
        self.cluster.write_many(45, prefix="later")
        self.cluster.run(0.1)
        self.cluster.network.heal()
        self.late.background.resume()
        self.all_agree()
        received_index = self.late.service.status().snapshot_index
        self.assertGreater(received_index, own_index)
        said = self.listen("took a snapshot")
        self.late.background._jobs.extend(jobs)
        self.late.background._go_on()
        self.cluster.run(0.1)
        self.assertEqual((received_index, []), (self.late.service.status().snapshot_index, self.late.halted))
        self.assertEqual([], said)
        self.cluster.write_many(45, prefix="more")
        self.cluster.run(0.5)
        self.assertGreater(self.late.service.status().snapshot_index, received_index)
