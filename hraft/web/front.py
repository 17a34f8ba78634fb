# mypy: allow-untyped-calls
"""One client's connection as it begins: plain requests are read and answered here, at a fraction of twisted.web's cost.

    client --bytes--> PlainRequests --Asked--> Api --Answer--> client
                           |
                           '-- anything else: the whole connection moves to a `Channel`, for good

The first request that is not plain, or that the routing table does not know, moves the connection with all that is unanswered.
So does every end of a connection but an answered request: there is one place that refuses, lingers and closes, and it is not
here. As in twisted.web, one request of a connection is answered at a time, and later ones wait unread.
"""

from __future__ import annotations

from math import inf
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.server import version
from zope.interface import implementer

from hraft import limits
from hraft.sending import send
from hraft.web.answers import Answer, response
from hraft.web.api import Api
from hraft.web.asked import Asked, address_of
from hraft.web.channel import Channel
from hraft.web.plain import NotPlain, PlainRequests
from hraft.web.problems import Problem


class Site(Protocol):
    """What a front needs of the server it belongs to."""

    def opened(self, connection: Any) -> None: ...

    def closed(self, connection: Any) -> None: ...

    def channel(self) -> Channel:
        """A new one, which will find its way to the Klein tree."""


class ServerAndDate:
    """The two headers that twisted.web puts on every answer, made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._lines = b""

    def lines(self, now: float) -> bytes:
        if self._second != int(now):
            self._second = int(now)
            self._lines = b"Server: %b\r\nDate: %b\r\n" % (version, datetimeToString())
        return self._lines


@implementer(IPushProducer)
class Front(protocol.Protocol):
    """Reads and answers until it hands the connection over. At most one timer runs, and seldom has to be moved."""

    transport: Any

    def __init__(self, site: Site, api: Api, clock: IReactorTime, common: ServerAndDate) -> None:
        self._site = site
        self._api = api
        self._clock = clock
        self._common = common
        self._requests = PlainRequests()
        #: The request that is being answered, and what it waits for.
        self._in_hand: Asked | None = None
        self._waiting: Deferred[Answer] | None = None
        self._is_last = False
        #: When the others have had their turn, more of what this client has sent ahead.
        self._later: IDelayedCall | None = None
        self._has_asked = False
        self._is_serving = False
        self._answered_seconds = 0.0
        #: Answers of this turn: they leave together, however many requests were sent ahead.
        self._unsent = b""
        #: When the client will have been silent, or slow, for too long. While it waits for us there is no such time.
        self._deadline = inf
        self._is_receiving = False
        self._timer: IDelayedCall | None = None
        #: The client does not read its answers as fast as it asks.
        self._is_unread = False
        self._is_paused = False
        self._channel: Channel | None = None

    # --- a connection's life ---------------------------------------------------------------------

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self._site.opened(self)
        self._wait_for_client(self._clock.seconds())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._channel is not None:
            self._channel.connectionLost(reason)
            return
        self._stop_timer()
        waiting, self._waiting, self._in_hand = self._waiting, None, None
        if waiting is not None:
            waiting.cancel()
        self._site.closed(self)

    def finish(self, is_fresh: bool) -> None:
        """Answer what is in hand, then close: the node is stopping."""
        if self._in_hand is not None:
            self._is_last = True
        else:
            self._hand_over().finish(is_fresh)

    def refuse(self, problem: Problem) -> None:
        """Say why nothing of what the client has sent since its last answer is done, and close."""
        self._hand_over(with_unread=False).refuse(problem)

    @property
    def turn(self) -> tuple[bool, float] | None:
        """Whether this client ever asked anything, and since when it is its turn. None while it is the node's."""
        if self._deadline == inf or self._channel is not None:
            return None
        seconds = limits.REQUEST_TIMEOUT_SECONDS if self._is_receiving else limits.IDLE_CONNECTION_TIMEOUT_SECONDS
        return self._has_asked, self._deadline - seconds

    # --- requests and answers --------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        if self._channel is not None:
            self._channel.dataReceived(data)
            return
        if not self._has_asked:
            # Through a `haproxy:` endpoint it is known as soon as something comes, and not before.
            self._requests.peer = address_of(self.transport.getPeer())
        self._requests.add(data)
        self._go_on()

    def _go_on(self) -> None:
        if self._in_hand is None and self._later is None:
            self._serve()
        else:
            self._set_reading()

    def _serve(self) -> None:
        """Answer what has arrived, one after the other, until one has to wait for the node, or it is the others' turn."""
        self._is_serving = True
        self._later = None
        served_count = 0
        try:
            while self._in_hand is None and self._requests.unread and not self._is_unread:
                if served_count == limits.PIPELINED_COUNT:
                    self._later = self._clock.callLater(0, self._serve)
                    break
                if not self._serve_next():
                    break
                served_count += 1
        finally:
            self._is_serving = False
        if self._channel is None:
            self._send()
            self._wait_for_client(self._answered_seconds if served_count else self._clock.seconds())

    def _serve_next(self) -> bool:
        """False where there is none, or no longer one for us."""
        try:
            asked = self._requests.next()
        except NotPlain:
            self._hand_over()
            return False
        if asked is None:
            return False
        function = self._api.find(asked.method, asked.path)
        if function is None:
            self._hand_over()
            return False
        self._requests.take()
        self._in_hand = asked
        self._is_receiving = False
        self._has_asked = True
        answer = self._api.ask(function, asked)
        if isinstance(answer, Answer):
            self._answered(answer)
        else:
            self._waiting = answer
            answer.addCallback(self._answered)
        return True

    def _answered(self, answer: Answer) -> None:
        asked, self._in_hand, self._waiting = self._in_hand, None, None
        if asked is None:  # The client has hung up.
            return
        now = self._answered_seconds = self._clock.seconds()
        lines = self._common.lines(now)
        if self._is_last:
            lines += b"Connection: close\r\n"
        self._unsent += response(answer, lines, asked.method == b"HEAD")
        if len(self._unsent) > limits.PIPELINED_BYTES:
            self._send()
        if self._is_last:
            self._hand_over(with_unread=False).loseConnection()
        elif not self._is_serving:
            self._serve()

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, b""
        if unsent:
            send(self.transport, unsent)

    def _hand_over(self, with_unread: bool = True) -> Channel:
        """Go on with twisted.web's protocol. What the client has sent and was not answered comes first."""
        self._send()
        self._stop_timer()
        self.transport.unregisterProducer()
        if self._is_paused:
            self.transport.resumeProducing()
        channel = self._channel = self._site.channel()
        channel.has_asked = self._has_asked
        channel.makeConnection(self.transport)
        if self._is_unread:
            channel.pauseProducing()
        self._site.closed(self)
        if with_unread and self._requests.unread:
            seconds_left = self._deadline - self._clock.seconds() if self._is_receiving else limits.REQUEST_TIMEOUT_SECONDS
            channel.take_over(bytes(self._requests.unread), seconds_left)
        return channel

    # --- time ------------------------------------------------------------------------------------

    def _wait_for_client(self, now: float) -> None:
        """From now on it is the client's turn, or else the node's."""
        if self._in_hand is not None or self._later is not None:
            self._set_reading()
            self._deadline = inf
            return
        if self._is_paused != self._is_unread:
            self._set_reading()
        is_receiving = bool(self._requests.unread) and not self._is_unread
        if is_receiving and self._is_receiving:
            return  # However slowly a request comes, its time does not begin anew.
        self._is_receiving = is_receiving
        seconds = limits.REQUEST_TIMEOUT_SECONDS if is_receiving else limits.IDLE_CONNECTION_TIMEOUT_SECONDS
        self._deadline = now + seconds
        if self._timer is None:
            self._timer = self._clock.callLater(seconds, self._due)
        elif is_receiving and self._timer.getTime() > self._deadline:  # Else it rings in time: idle clients have the longest.
            self._timer.reset(seconds)

    def _due(self) -> None:
        """The timer is not moved for each request, so it may ring too early."""
        self._timer = None
        if self._deadline == inf:
            return
        seconds_left = self._deadline - self._clock.seconds()
        if seconds_left > 0:
            self._timer = self._clock.callLater(seconds_left, self._due)
        elif self._is_receiving:
            self._hand_over().too_slow()
        else:
            self._hand_over(with_unread=False).timeoutConnection()

    def _stop_timer(self) -> None:
        for timer in (self._timer, self._later):
            if timer is not None:
                timer.cancel()
        self._timer = self._later = None

    # --- back-pressure ---------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """The transport holds answers that the client has not read: answer no more, and read no more."""
        self._is_unread = True
        self._set_reading()

    def resumeProducing(self) -> None:
        self._is_unread = False
        self._go_on()

    def stopProducing(self) -> None:
        """The connection is lost, of which `connectionLost` will tell."""

    def _set_reading(self) -> None:
        """Read on, so as to notice when the client hangs up, but not without end while it waits."""
        is_waiting = self._in_hand is not None or self._later is not None
        is_ahead = is_waiting and len(self._requests.unread) > limits.PIPELINED_BYTES
        is_paused = is_ahead or self._is_unread
        if is_paused != self._is_paused:
            self._is_paused = is_paused
            if is_paused:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()
