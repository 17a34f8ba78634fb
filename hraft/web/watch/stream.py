# mypy: allow-untyped-calls
"""One watcher's end of a connection: bytes go out as fast as the client reads, and nobody waits for it.

What the client has not read is at most one portion in the transport, and the rest of the message that is being sent; that is
shared with all who are sent the same. Knows nothing of changes.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from hraft import limits
from hraft.sending import lose_after, send_now
from hraft.web.watch.hub import Hub, Watcher
from hraft.web.watch.views import View


@implementer(IPushProducer)
class WatchStream:
    """The answer to a request, which ends when the client hangs up, or the hub ends it."""

    def __init__(self, request: Any, hub: Hub) -> None:
        self._request = request
        self._hub = hub
        self._watcher: Watcher | None = None
        self._rest = memoryview(b"")
        self._is_over = False
        #: The client has not read what it was sent.
        self.is_full = False

    def begin(self, view: View, since: int | None) -> None:
        """Send what `view` sees after this revision. The answer's headers must be on the request."""
        request = self._request
        # However it ends, the connection ends with it: nobody asks anything more on the connection of one that does not read.
        request.channel.persistent = False
        request.setHeader(b"Connection", b"close")
        request.setHeader(b"Content-Type", view.form.value)
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"X-Accel-Buffering", b"no")  # For nginx, which would hold messages back.
        request.notifyFinish().addErrback(self._lost)
        request.registerProducer(self, True)
        lose_after(request.channel.transport, limits.WATCH_VANISHED_SECONDS)
        self._watcher = self._hub.add(view, since, self)

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
        if self._watcher is not None:
            self._hub.is_full(self._watcher)

    def resumeProducing(self) -> None:
        self.is_full = False
        self._send_rest()
        if self._watcher is not None and not self.is_full:
            self._hub.has_room(self._watcher)

    def stopProducing(self) -> None:
        """The connection is lost, of which `_lost` is told."""

    def _lost(self, reason: Failure) -> None:
        self._is_over = True
        self._rest = memoryview(b"")
        if self._watcher is not None:
            self._hub.remove(self._watcher)

    def _send_rest(self) -> None:
        while self._rest and not self.is_full:
            portion, self._rest = self._rest[: limits.WATCH_PORTION_BYTES], self._rest[limits.WATCH_PORTION_BYTES :]
            self._write(bytes(portion))

    def _write(self, data: bytes) -> None:
        if not self._is_over:
            self._request.write(data)
            if not self.is_full:
                send_now(self._request.channel.transport)
