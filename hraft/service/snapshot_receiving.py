"""Taking a snapshot in, chunk by chunk; the node hears of it when the file is whole, verified and on disk (Section 5.1).

    chunk at 0 --> begin a file --> append, answer, append, answer --> complete --> InstallSnapshot to the node
                                                                                          |
              nothing else is taken in until the node's save has installed the file <-----'

A chunk of a later term or of another snapshot starts over; anything out of order is answered with what is wanted (S8, S9).
One transfer at a time, one chunk in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import LogCorrupted, StorageFull, in_words
from hraft.interfaces import ChunkEnvelope, SnapshotChunk, SnapshotChunkResponse, SnapshotWriter, Storage, Transport
from hraft.raft.entry import Snapshot
from hraft.raft.messages import Envelope, InstallSnapshot
from hraft.raft.node import RaftNode
from hraft.raft.ready import Save
from hraft.service.events import Events
from hraft.service.surroundings import RunInThread


class _Receiving:
    """One transfer from one leader."""

    def __init__(self, sender: str, chunk: SnapshotChunk, now: float) -> None:
        self.sender = sender
        self.term = chunk.term
        self.snapshot = chunk.snapshot
        self.total_bytes = chunk.total_bytes
        self.writer: SnapshotWriter | None = None
        self.next_offset = 0
        #: A thread has the writer.
        self.is_busy = True
        self.is_over = False
        self.heard_at = now

    def is_of(self, sender: str, chunk: SnapshotChunk) -> bool:
        """Whether that chunk goes on with this transfer."""
        return (self.sender, self.term, self.snapshot.id, self.total_bytes) == (
            sender,
            chunk.term,
            chunk.snapshot.id,
            chunk.total_bytes,
        )


class SnapshotReceiving:
    """The transfer to this node, if there is one."""

    def __init__(
        self,
        clock: IReactorTime,
        node: RaftNode,
        node_id: str,
        storage: Storage,
        transport: Transport,
        run_in_background: RunInThread,
        arrived: Callable[[Envelope], None],
        save_in_flight: Callable[[], Save | None],
        halt: Callable[[str], None],
        events: Events,
    ) -> None:
        self._clock = clock
        self._node = node
        self._node_id = node_id
        self._storage = storage
        self._transport = transport
        self._run_in_background = run_in_background
        self._arrived = arrived
        self._save_in_flight = save_in_flight
        self._halt = halt
        self._events = events
        self._receiving: _Receiving | None = None
        #: A whole file was handed to the node, and the save that came before it, if any: a later one will have installed it.
        self._is_installing = False
        self._save_before: Save | None = None

    @property
    def is_idle(self) -> bool:
        return self._receiving is None

    def chunk(self, sender: str, chunk: SnapshotChunk) -> None:
        """Take one chunk from a leader."""
        node = self._node
        if chunk.term < node.current_term or not _is_plausible(chunk):
            return
        if chunk.term == node.current_term and node.leader_id not in (None, sender):
            return  # Another leads this term.
        if chunk.snapshot.index <= node.commit_index:
            self._have_it_already(sender, chunk)
            return
        if self._is_installing:
            return  # The file that was completed last is the one that a save installs (S13). The leader sends again.
        receiving = self._receiving
        if receiving is None or not receiving.is_of(sender, chunk):
            if receiving is not None and (chunk.term < receiving.term or receiving.is_busy):
                return
            if chunk.offset != 0:
                self._answer(sender, chunk.term, chunk.snapshot, 0)
                return
            self._begin(sender, chunk)
            return
        receiving.heard_at = self._clock.seconds()
        if receiving.is_busy:
            return
        if chunk.offset != receiving.next_offset or not chunk.data:
            self._answer(sender, receiving.term, receiving.snapshot, receiving.next_offset)
            return
        self._append(receiving, chunk.data)

    def saved(self, save: Save) -> None:
        """A save is durable: if it began after the file was handed in, the node has installed the file or let it go."""
        if self._is_installing and save is not self._save_before:
            self._is_installing = False

    def tick(self) -> None:
        """Let go of a transfer that its leader has forgotten."""
        receiving = self._receiving
        if receiving is None or receiving.is_busy:
            return
        if self._clock.seconds() - receiving.heard_at >= limits.SNAPSHOT_TRANSFER_TIMEOUT_SECONDS:
            self._events.snapshot_not_received(receiving.sender, "the leader has stopped sending it")
            self._end(receiving)

    def turned(self) -> None:
        """The node had its turn and wants nothing saved: then what was handed in was let go."""
        if self._is_installing and self._save_in_flight() is None:
            self._is_installing = False

    def stop(self) -> None:
        if self._receiving is not None:
            self._end(self._receiving)

    # --- one transfer ----------------------------------------------------------------------------

    def _begin(self, sender: str, chunk: SnapshotChunk) -> None:
        if self._receiving is not None:
            self._end(self._receiving)
        receiving = self._receiving = _Receiving(sender, chunk, self._clock.seconds())
        beginning = self._run_in_background(self._storage.receive_snapshot, chunk.snapshot)
        beginning.addCallback(self._begun, receiving, chunk.data)
        beginning.addErrback(self._failed, receiving)

    def _begun(self, writer: SnapshotWriter, receiving: _Receiving, data: bytes) -> None:
        receiving.writer = writer
        if receiving.is_over:
            self._run_in_background(writer.abort)
            return
        self._append(receiving, data)

    def _append(self, receiving: _Receiving, data: bytes) -> None:
        assert receiving.writer is not None
        receiving.is_busy = True
        next_offset = receiving.next_offset + len(data)
        is_last = next_offset == receiving.total_bytes
        writing = self._run_in_background(_write, receiving.writer, data, is_last)
        writing.addCallback(self._appended, receiving, next_offset)
        writing.addErrback(self._failed, receiving)

    def _appended(self, snapshot: Snapshot | None, receiving: _Receiving, next_offset: int) -> None:
        if receiving.is_over:
            return
        receiving.is_busy = False
        receiving.next_offset = next_offset
        if snapshot is not None:
            if snapshot != receiving.snapshot:
                raise LogCorrupted(f"the file says that it is {snapshot}, not {receiving.snapshot}")
            self._complete(receiving)
        self._answer(receiving.sender, receiving.term, receiving.snapshot, next_offset)

    def _complete(self, receiving: _Receiving) -> None:
        self._receiving = None
        receiving.is_over = True
        self._events.snapshot_received(receiving.snapshot, receiving.sender)
        self._is_installing, self._save_before = True, self._save_in_flight()
        self._arrived(Envelope(receiving.sender, self._node_id, InstallSnapshot(receiving.term, receiving.snapshot)))

    def _have_it_already(self, sender: str, chunk: SnapshotChunk) -> None:
        """All of it is committed here. The node tells the leader's how far its disk has come (S8)."""
        self._answer(sender, chunk.term, chunk.snapshot, chunk.total_bytes)
        self._arrived(Envelope(sender, self._node_id, InstallSnapshot(chunk.term, chunk.snapshot)))

    def _failed(self, failure: Failure, receiving: _Receiving) -> Any:
        if receiving.is_over:
            return
        self._end(receiving)
        if not failure.check(StorageFull, LogCorrupted):
            self._halt(f"writing a received snapshot failed: {in_words(failure.value)}")
            return
        self._events.snapshot_not_received(receiving.sender, str(failure.value))
        self._answer(receiving.sender, receiving.term, receiving.snapshot, 0, refused=str(failure.value))

    def _answer(self, to: str, term: int, snapshot: Snapshot, next_offset: int, refused: str = "") -> None:
        response = SnapshotChunkResponse(term, snapshot.index, next_offset, refused)
        self._transport.send_chunk(ChunkEnvelope(self._node_id, to, response))

    def _end(self, receiving: _Receiving) -> None:
        receiving.is_over = True
        if self._receiving is receiving:
            self._receiving = None
        if receiving.writer is not None:
            self._run_in_background(receiving.writer.abort)


def _write(writer: SnapshotWriter, data: bytes, is_last: bool) -> Snapshot | None:
    """In another thread."""
    writer.append(data)
    return writer.complete() if is_last else None


def _is_plausible(chunk: SnapshotChunk) -> bool:
    """What a chunk of ours may look like; an empty one asks at the end of the file whether all of it is there."""
    size_bytes = len(chunk.data)
    return (
        chunk.snapshot.index > 0
        and chunk.total_bytes > 0
        and chunk.offset >= 0
        and chunk.offset + size_bytes <= chunk.total_bytes
        and size_bytes <= limits.SNAPSHOT_CHUNK_BYTES
        and (size_bytes > 0 or chunk.offset == chunk.total_bytes)
    )
