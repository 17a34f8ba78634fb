"""This node's own way to one peer: a connection that is dialled again, for ever, whenever it is lost.

Knows nothing of what is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import PeerUnreachable
from hraft.peers.dialled import DialledConnection
from hraft.peers.hello import Purpose


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a link leads to."""

    peer: str
    address: str
    purpose: Purpose


class Link:
    """Idle, dialling, connected, or waiting to dial again.

    Bytes sent while dialling leave when the hello is done; bytes sent while waiting are lost. A link for messages
    dials by itself; one for bulk when there is something to send. `dial` fails with HraftErrors only.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        node_id: str,
        target: Target,
        dial: Callable[[Target], Deferred[DialledConnection]],
        jitter: Callable[[], float],
    ) -> None:
        self.target = target
        self.connection: DialledConnection | None = None
        self._clock = clock
        self._node_id = node_id
        self._dial = dial
        self._jitter = jitter
        self._dialling: Deferred[DialledConnection] | None = None
        self._retry: IDelayedCall | None = None
        self._failures_count = 0
        self._connected_at_seconds = 0.0
        self._complaint = ""
        self._is_closed = False
        self._is_full = False
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._waiting: list[Deferred[DialledConnection]] = []

    def send(self, data: bytes) -> None:
        """Send the bytes of a box, now or when dialling is done, or drop them."""
        if self.connection is not None:
            self._note_queue(self.connection.send(data))
        elif self._may_wait() and self._pending_bytes + len(data) <= limits.PEER_QUEUE_BYTES:
            self._pending.append(data)
            self._pending_bytes += len(data)
            self.open()

    def connected(self) -> Deferred[DialledConnection]:
        """The connection, when there is one soon. Fails with PeerUnreachable or WrongPeer."""
        if self.connection is not None:
            return succeed(self.connection)
        if not self._may_wait():
            return fail(PeerUnreachable(f"no connection to {self.target.peer!r} at {self.target.address}: {self._complaint}"))
        waiting: Deferred[DialledConnection] = Deferred(lambda deferred: self._waiting.remove(deferred))
        self._waiting.append(waiting)
        self.open()
        return waiting

    def open(self) -> None:
        """Dial now, unless that is under way, done, or waiting for its turn."""
        if self.connection is None and self._dialling is None and self._may_wait():
            self._dialling = dialled = self._dial(self.target)
            dialled.addCallbacks(self._connected, self._failed)

    def hurry(self) -> None:
        """The peer shows that it is alive, so there is no reason to wait."""
        if self._retry is not None:
            self._retry.cancel()
            self._retried()

    def close(self) -> None:
        """Let go of the peer. What was sent still leaves, if the peer takes it."""
        self._is_closed = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._dialling is not None:
            self._dialling.cancel()
        self._disappoint(PeerUnreachable(f"{self.target.peer!r} at {self.target.address} is no peer any more"))
        if self.connection is not None:
            self.connection.close("no peer any more")

    def _may_wait(self) -> bool:
        return self._retry is None and not self._is_closed

    def _connected(self, connection: DialledConnection) -> None:
        self._dialling = None
        self.connection = connection
        self._connected_at_seconds = self._clock.seconds()
        self._complaint = ""
        self.log.info("{node}: connected to {peer} at {address} for {purpose}", **self._fields())
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        for data in pending:
            connection.send(data)
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(connection)
        connection.when_closed(self._lost)

    def _failed(self, failure: Failure) -> None:
        self._dialling = None
        if self._is_closed and failure.check(CancelledError):
            return
        self._complain("{node}: cannot reach {peer} at {address} for {purpose}: {reason}", failure.getErrorMessage())
        assert failure.value is not None
        self._disappoint(failure.value)
        self._wait()

    def _lost(self, reason: str) -> None:
        self.connection = None
        self._is_full = False
        if self._clock.seconds() - self._connected_at_seconds >= limits.PEER_RETRY_LAST_SECONDS:
            # Not for a peer that takes every hello and hangs up at once: it would be dialled without a pause.
            self._failures_count = 0
        if not self._is_closed:
            self._complain("{node}: lost {peer} at {address} for {purpose}: {reason}", reason)
            self._wait()

    def _disappoint(self, reason: BaseException) -> None:
        self._pending, self._pending_bytes = [], 0
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.errback(reason)

    def _wait(self) -> None:
        """Back off: twice as long each time, up to a limit, and up to a half less so that nodes do not march in step."""
        if self._is_closed:
            return
        longest = min(limits.PEER_RETRY_FIRST_SECONDS * 2**self._failures_count, limits.PEER_RETRY_LAST_SECONDS)
        self._failures_count = min(self._failures_count + 1, 16)
        self._retry = self._clock.callLater(longest * (1 - self._jitter() / 2), self._retried)

    def _retried(self) -> None:
        self._retry = None
        if self.target.purpose is Purpose.MESSAGES:
            self.open()

    def _note_queue(self, was_taken: bool) -> None:
        if was_taken == self._is_full:
            self._is_full = not was_taken
            if self._is_full:
                self.log.warn("{node}: {peer} at {address} does not take what it is sent: messages are dropped", **self._fields())

    def _complain(self, message: str, reason: str) -> None:
        """Once for each reason, not once for each try."""
        if reason != self._complaint:
            self._complaint = reason
            self.log.warn(message, reason=reason, **self._fields())

    def _fields(self) -> dict[str, str]:
        target = self.target
        return {"node": self._node_id, "peer": target.peer, "address": target.address, "purpose": target.purpose.value}
