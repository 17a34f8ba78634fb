# mypy: allow-untyped-calls
"""Answers without end: the way to one over twisted.web, and server-sent bytes that go out as fast as the client reads.

What a client has not read is at most one portion in the transport, and the rest of the message that is being sent; that is
shared with all who are sent the same. Knows nothing of what is told, and of who else is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from hraft import limits
from hraft.sending import lose_after, send_now
from hraft.web.answers import Answer
from hraft.web.tree import give

ListenerT = TypeVar("ListenerT")
_ListenerT = TypeVar("_ListenerT", contravariant=True)


class StreamResource(Resource):
    """Where streams begin. `failed` makes an answer of what went wrong before one has begun."""

    isLeaf = True

    def __init__(self, failed: Callable[[Failure, bytes, bytes], Answer]) -> None:
        super().__init__()
        self._failed = failed

    def render(self, request: Any) -> int:
        """Twisted's way in."""
        waiting = Deferred.fromCoroutine(self.answer(request))
        if not waiting.called:
            request.notifyFinish().addErrback(lambda _: waiting.cancel())
        waiting.addErrback(self._refuse, request)
        return NOT_DONE_YET

    async def answer(self, request: Any) -> None:
        """Begin to answer, or raise what says why not. Cancelled when the client hangs up meanwhile."""
        raise NotImplementedError

    def _refuse(self, failure: Failure, request: Any) -> None:
        if failure.check(CancelledError):  # The client has hung up.
            return
        request.write(give(request, self._failed(failure, request.method, request.path)))
        request.finish()


class Hub(Protocol[_ListenerT]):
    """Who tells the clients of streams something, each as a listener of its own kind."""

    def is_full(self, listener: _ListenerT, /) -> None: ...

    def has_room(self, listener: _ListenerT, /) -> None: ...

    def remove(self, listener: _ListenerT, /) -> None: ...


@implementer(IPushProducer)
class EventStream(Generic[ListenerT]):
    """The answer to a request, which ends when the client hangs up, or the hub ends it."""

    def __init__(self, request: Any, hub: Hub[ListenerT]) -> None:
        self._request = request
        self._hub = hub
        self._listener: ListenerT | None = None
        self._rest = memoryview(b"")
        self._is_over = False
        #: The client has not read what it was sent.
        self.is_full = False

    def begin(self, content_type: bytes, add: Callable[[EventStream[ListenerT]], ListenerT]) -> None:
        """Add it to the hub. The answer's own headers must be on the request."""
        request = self._request
        # However it ends, the connection ends with it: nobody asks anything more on the connection of one that does not read.
        request.channel.persistent = False
        request.setHeader(b"Connection", b"close")
        request.setHeader(b"Content-Type", content_type)
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"X-Accel-Buffering", b"no")  # For nginx, which would hold messages back.
        request.notifyFinish().addErrback(self._lost)
        request.registerProducer(self, True)
        lose_after(request.channel.transport, limits.WATCH_VANISHED_SECONDS)
        self._listener = add(self)

    # --- what the hub does -----------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """As much as the client reads; the rest when it has. Not while `is_full`."""
        if len(data) <= limits.WATCH_PORTION_BYTES:
            self._write(data)
        else:
            self._rest = memoryview(data)
            self._send_rest()

    def end(self, last: bytes) -> None:
        """Within a message there is no place for another: then the connection breaks, which says the same in one word less."""
        if self._is_over:
            return
        self._is_over = True
        self._request.unregisterProducer()
        if self._rest:
            self._rest = memoryview(b"")
            self._request.channel.abort()
        else:
            self._request.write(last)
            self._request.finish()

    # --- what the transport does -----------------------------------------------------------------

    def pauseProducing(self) -> None:
        self.is_full = True
        if self._listener is not None:
            self._hub.is_full(self._listener)

    def resumeProducing(self) -> None:
        self.is_full = False
        self._send_rest()
        if self._listener is not None and not self.is_full:
            self._hub.has_room(self._listener)

    def stopProducing(self) -> None:
        """The connection is lost, of which `_lost` is told."""

    def _lost(self, reason: Failure) -> None:
        self._is_over = True
        self._rest = memoryview(b"")
        if self._listener is not None:
            self._hub.remove(self._listener)

    def _send_rest(self) -> None:
        while self._rest and not self.is_full:
            portion, self._rest = self._rest[: limits.WATCH_PORTION_BYTES], self._rest[limits.WATCH_PORTION_BYTES :]
            self._write(bytes(portion))

    def _write(self, data: bytes) -> None:
        if not self._is_over:
            self._request.write(data)
            if not self.is_full:
                send_now(self._request.channel.transport)
