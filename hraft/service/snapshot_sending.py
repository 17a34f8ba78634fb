"""Bringing snapshots to followers, chunk by chunk, one chunk on its way to each (Section 5.1).

    open --> send chunk --answer--> read next --> ... --> whole file there --> wait for the follower's node to say so
              ^--no answer within SNAPSHOT_RESEND_SECONDS--'
    no progress for SNAPSHOT_TRANSFER_TIMEOUT_SECONDS, a refusal, or an unreadable file: the node is told that it failed

At the end an empty chunk at the end of the file asks again and again "is it there?", since the follower's answer may get
lost. Holds one chunk per follower in memory; the file stays open, so that compaction need not wait for slow followers (S11).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.interfaces import ChunkEnvelope, SnapshotChunk, SnapshotChunkResponse, SnapshotReader, Storage, Transport
from hraft.raft.node import RaftNode
from hraft.raft.ready import Role
from hraft.service.events import Events
from hraft.service.surroundings import RunInThread


class _Sending:
    """One transfer to one follower."""

    def __init__(self, peer: str, term: int, now: float) -> None:
        self.peer = peer
        self.term = term
        self.reader: SnapshotReader | None = None
        #: The chunk that was last sent, to be sent again.
        self.chunk: SnapshotChunk | None = None
        self.is_reading = True
        self.is_over = False
        #: Why it failed; the node hears of it a little later, so that a broken file is not read in a tight circle.
        self.failed_reason = ""
        self.sent_at = self.progressed_at = now

    @property
    def is_delivered(self) -> bool:
        """The whole file is there; what is missing is the word of the follower's node."""
        return self.chunk is not None and self.chunk.offset == self.chunk.total_bytes


class SnapshotSending:
    """All transfers of this leader, by follower."""

    def __init__(
        self,
        clock: IReactorTime,
        node: RaftNode,
        node_id: str,
        storage: Storage,
        transport: Transport,
        run_in_background: RunInThread,
        wake: Callable[[], None],
        events: Events,
        chunk_bytes: int = limits.SNAPSHOT_CHUNK_BYTES,
    ) -> None:
        self._clock = clock
        self._node = node
        self._node_id = node_id
        self._storage = storage
        self._transport = transport
        self._run_in_background = run_in_background
        self._wake = wake
        self._events = events
        self._chunk_bytes = min(chunk_bytes, limits.SNAPSHOT_CHUNK_BYTES)
        self._sendings: dict[str, _Sending] = {}

    def __len__(self) -> int:
        return len(self._sendings)

    def start(self, peer: str, term: int) -> None:
        """Send the newest snapshot to `peer`, unless that is under way: the node asks again now and then."""
        old = self._sendings.get(peer)
        if old is not None and old.term == term:
            return
        if old is not None:
            self._end(old)
        sending = _Sending(peer, term, self._clock.seconds())
        self._sendings[peer] = sending
        opening = self._run_in_background(self._storage.open_snapshot)
        opening.addCallbacks(self._opened, self._unreadable, callbackArgs=(sending,), errbackArgs=(sending,))

    def answered(self, peer: str, response: SnapshotChunkResponse) -> None:
        """The follower says how far it has come; late and repeated answers change nothing (S8)."""
        sending = self._sendings.get(peer)
        if sending is None or sending.chunk is None or sending.is_reading or sending.failed_reason:
            return
        chunk = sending.chunk
        if response.term != sending.term or response.index != chunk.snapshot.index:
            return
        if response.refused:
            self._fail(sending, f"it was refused: {response.refused}")
            return
        if response.next_offset == chunk.offset or not 0 <= response.next_offset <= chunk.total_bytes:
            return
        if response.next_offset > chunk.offset:
            sending.progressed_at = self._clock.seconds()
        self._read(sending, response.next_offset)

    def tick(self) -> None:
        """Send again what was not answered, and end what has no end."""
        for sending in list(self._sendings.values()):
            self._look_at(sending)

    def stop(self) -> None:
        for sending in list(self._sendings.values()):
            self._end(sending)

    # --- one transfer ----------------------------------------------------------------------------

    def _look_at(self, sending: _Sending) -> None:
        now, node = self._clock.seconds(), self._node
        if node.role is not Role.LEADER or node.current_term != sending.term or not node.configuration.is_member(sending.peer):
            self._end(sending)
        elif sending.failed_reason:
            if now - sending.sent_at >= limits.SNAPSHOT_RESEND_SECONDS:
                self._end(sending)
                node.snapshot_failed(sending.peer)
                self._wake()
        elif now - sending.progressed_at >= limits.SNAPSHOT_TRANSFER_TIMEOUT_SECONDS:
            self._fail(sending, f"no progress for {limits.SNAPSHOT_TRANSFER_TIMEOUT_SECONDS:g} s")
        elif sending.is_delivered and self._has_installed(sending):
            self._end(sending)
        elif sending.chunk is not None and not sending.is_reading and now - sending.sent_at >= limits.SNAPSHOT_RESEND_SECONDS:
            self._send(sending, sending.chunk)

    def _has_installed(self, sending: _Sending) -> bool:
        """Whether the follower's node has said that it is as far as the snapshot."""
        assert sending.chunk is not None
        snapshot = sending.chunk.snapshot
        has_installed = self._node.status().followers[sending.peer].match_index >= snapshot.index
        if has_installed:
            self._events.snapshot_sent(snapshot, sending.peer)
        return has_installed

    def _opened(self, reader: SnapshotReader, sending: _Sending) -> None:
        if sending.is_over:
            self._run_in_background(reader.close)
            return
        sending.reader = reader
        self._read(sending, 0)

    def _read(self, sending: _Sending, offset: int) -> None:
        reader = sending.reader
        assert reader is not None
        sending.is_reading = True
        reading = self._run_in_background(reader.read, offset, min(self._chunk_bytes, reader.size_bytes - offset))
        reading.addCallback(self._have_read, sending, offset)
        reading.addErrback(self._unreadable, sending)

    def _have_read(self, data: bytes, sending: _Sending, offset: int) -> None:
        if sending.is_over:
            return
        assert sending.reader is not None
        sending.is_reading = False
        self._send(sending, SnapshotChunk(sending.term, sending.reader.snapshot, offset, sending.reader.size_bytes, data))

    def _send(self, sending: _Sending, chunk: SnapshotChunk) -> None:
        sending.chunk = chunk
        sending.sent_at = self._clock.seconds()
        self._transport.send_chunk(ChunkEnvelope(self._node_id, sending.peer, chunk))

    def _unreadable(self, failure: Failure, sending: _Sending) -> None:
        if not sending.is_over:
            self._fail(sending, f"the snapshot cannot be read: {failure.value!r}")

    def _fail(self, sending: _Sending, reason: str) -> None:
        self._events.snapshot_not_sent(sending.peer, reason)
        sending.failed_reason = reason
        sending.sent_at = self._clock.seconds()

    def _end(self, sending: _Sending) -> None:
        sending.is_over = True
        if self._sendings.get(sending.peer) is sending:
            del self._sendings[sending.peer]
        if sending.reader is not None:
            self._run_in_background(sending.reader.close)
