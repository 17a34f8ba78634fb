# mypy: allow-untyped-calls
"""One client's connection: refuses what is too large, too slow or malformed before any of it reaches the application.

Twisted reads a whole body before anything of ours is called, so the limits must be here. Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.server import Request

from hraft import limits
from hraft.web.bodies import too_large
from hraft.web.problems import NOT_DONE, Problem, retry_later

STOPPING = retry_later("stopping", "this node is stopping; ask another one", outcome=NOT_DONE)


class BoundedRequest(Request):
    """A request whose body stays under the limit also when its length was not told beforehand."""

    channel: Any
    content: Any

    def gotLength(self, length: int | None) -> None:
        # Never a temporary file, which is what Twisted uses for large bodies: the reactor thread does not wait for a disk.
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        if self.content.tell() + len(data) > limits.REQUEST_BODY_BYTES:
            self.channel.refuse(too_large(None))
        else:
            self.content.write(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        super().requestReceived(command, _origin_form(path), version)


class Channel(HTTPChannel):
    """Reads requests one after the other.

    At most one timer runs, for whichever comes next: the end of the time in which a request must arrive, the end of a
    refused client's grace, or of a closing connection's.
    """

    site: Any
    transport: Any

    def __init__(self) -> None:
        super().__init__()
        self._timer: IDelayedCall | None = None
        self._is_receiving = False
        self._is_handling = False
        #: How many requests were answered since it was this client's turn, and when it is again.
        self._served_count = 0
        self._later: IDelayedCall | None = None
        #: The client is asked for nothing more: what it still sends is forgotten.
        self._is_done = False
        #: Why this client is not served at all, if so: it is told when it connects, or when it asks.
        self.refusal: Problem | None = None
        self.has_asked = False
        self._turn_began_seconds = 0.0

    # --- a connection's life ---------------------------------------------------------------------

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.opened(self)
        self._turn_began_seconds = self.site.seconds()
        if self.refusal is not None:
            self.refuse(self.refusal)

    @property
    def turn(self) -> tuple[bool, float] | None:
        """Whether this client ever asked anything, and since when it is its turn. None: the node's, or the end is near."""
        return None if self._is_handling or self._is_done else (self.has_asked, self._turn_began_seconds)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        super().connectionLost(reason)
        self.site.closed(self)

    def loseConnection(self) -> None:
        """Deliver what was written, then close; but do not wait for ever for a client that does not read (O4)."""
        self._is_done = True
        self._start_timer(limits.HTTP_CLOSE_TIMEOUT_SECONDS, self.transport.abortConnection)
        super().loseConnection()

    def timeoutConnection(self) -> None:
        """Nothing came for a long time, and nothing is owed."""
        self.loseConnection()

    def abort(self) -> None:
        """Close at once, whatever has not been delivered."""
        self._is_done = True
        self._stop_timer()
        self.transport.abortConnection()

    def cut(self) -> None:
        """Close at once, but deliver what a client that reads has nearly read."""
        if self._waitingForTransport:
            self.abort()
        else:
            self.loseConnection()

    def take_over(self, data: bytes, seconds_left: float) -> None:
        """Begin with what somebody else read from this connection; a request in it that is not whole has so much time left."""
        self.dataReceived(data)
        if self._is_receiving:
            self._start_timer(max(0.0, seconds_left), self.too_slow)

    def finish(self, is_fresh: bool) -> None:
        """Answer what is in hand, then close: the node is stopping.

        The request of a client that `is_fresh` is very likely on its way, and would meet a closed connection: it is awaited.
        """
        if self._is_handling:
            self.persistent = False
            for request in self.requests:
                request.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        elif self._is_receiving:
            self.refuse(STOPPING)
        elif is_fresh and not self._is_done:
            self.refusal = STOPPING
            self._start_timer(limits.HTTP_GRACE_SECONDS, self.loseConnection)
        elif not self._is_done:
            self.loseConnection()

    # --- receiving -------------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        if self._is_done:
            return
        if self.refusal is not None:
            self.refuse(self.refusal)
            return
        if not self._busyReceiving:
            self._served_count = 0
        super().dataReceived(data)
        if self._is_done:
            return
        self._is_receiving = not (self._is_handling or self.paused) and bool(self.requests or self._buffer)
        if not self._is_receiving:
            self._stop_timer()
        elif self._timer is None:
            self._turn_began_seconds = self.site.seconds()
            self._start_timer(limits.REQUEST_TIMEOUT_SECONDS, self.too_slow)

    def lineReceived(self, line: bytes) -> None:
        if not self._is_done:
            super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        if not self._is_done:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        if self.length is not None and self.length > limits.REQUEST_BODY_BYTES:
            # Before the super call, which would answer `Expect: 100-continue` with an invitation.
            self.refuse(too_large(self.length))
        else:
            super().allHeadersReceived()

    def allContentReceived(self) -> None:
        if self._is_done:
            return
        self._is_receiving = False
        self._is_handling = True
        self.has_asked = True
        self._stop_timer()
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        self._is_handling = False
        self._turn_began_seconds = self.site.seconds()
        self._served_count += 1
        is_others_turn = self._served_count == limits.PIPELINED_SLOW_COUNT
        self.paused = self.paused or is_others_turn
        super().requestDone(request)
        if is_others_turn and not self._is_done and self._later is None:
            self._networkProducer.pauseProducing()
            self._later = self.callLater(0, self._go_on)

    def _go_on(self) -> None:
        """The others have had their turn. A client that does not read its answers has to do that first."""
        self._later = None
        if not self._waitingForTransport:
            self.resumeProducing()

    # --- back-pressure ---------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The client does not read its answers: read no more of what it asks, and parse no more of what was read."""
        self.paused = True
        super().pauseProducing()
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        self.paused = False
        super().resumeProducing()
        self.dataReceived(b"")
        if self._is_handling and not self._waitingForTransport and self._ahead_bytes <= limits.PIPELINED_BYTES:
            # An answer that lasts, like a watch, ends when its client hangs up, of which one learns by reading.
            self._networkProducer.resumeProducing()

    @property
    def _ahead_bytes(self) -> int:
        return sum(map(len, self._dataBuffer))

    # --- refusing --------------------------------------------------------------------------------

    def refuse(self, problem: Problem) -> None:
        """Answer before the request is whole, and close.

        Closing at once, with bytes of the client's still unread, would reset the connection and destroy the answer on its way.
        So what comes is read and forgotten for a moment.
        """
        if self._is_done:
            return
        self._is_done = True
        self._is_receiving = False
        self.transport.write(problem.response())
        self.site.refused(self)
        self._start_timer(limits.REFUSED_LINGER_SECONDS, self.loseConnection)

    def too_slow(self) -> None:
        """The time in which the request must arrive is over."""
        seconds = limits.REQUEST_TIMEOUT_SECONDS
        self.refuse(Problem(408, "too_slow", f"the request did not arrive within {seconds:g} s", outcome=NOT_DONE))

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Twisted's one answer to whatever it cannot parse."""
        detail = f"this is not HTTP/1.1, or its request line and headers have more than {self.totalHeadersSize} bytes"
        self.refuse(Problem(400, "bad_request", detail, outcome=NOT_DONE))

    def lineLengthExceeded(self, line: bytes) -> None:
        self._respondToBadRequestAndDisconnect()

    # --- the timer -------------------------------------------------------------------------------

    def _start_timer(self, seconds: float, function: Callable[[], object]) -> None:
        self._stop_timer()

        def due() -> None:
            self._timer = None
            function()

        self._timer = self.callLater(seconds, due)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


def _origin_form(target: bytes) -> bytes:
    """`http://host/path`, which a client that takes us for its proxy sends, is `/path` to us (RFC 9112, Section 3.2.2)."""
    if not target.startswith((b"http://", b"https://")):
        return target
    _, slash, rest = target.partition(b"://")[2].partition(b"/")
    return b"/" + rest if slash else b"/"
