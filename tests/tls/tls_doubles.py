"""Both ends of one connection under TLS, in memory, as `SecuredEndpoint` and `Secured` make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.test import iosim
from zope.interface import implementer

from hraft.tls.connections import Secured, SecuredEndpoint

Context = Callable[[], SSL.Context]


class Wire(iosim.FakeTransport):
    """Knows aborting and pausing."""

    was_aborted = False
    is_paused = False

    def abortConnection(self) -> None:
        self.was_aborted = True
        self.stream = []
        self.disconnecting = True

    def pauseProducing(self) -> None:
        self.is_paused = True

    def resumeProducing(self) -> None:
        self.is_paused = False


class Inner(Protocol):
    """What is inside of TLS."""

    def __init__(self) -> None:
        self.received = b""
        self.reasons: list[Any] = []

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.reasons.append(reason.value)

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Connects at once, to a protocol of the listening factory."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        ends = self._ends
        ends.dialled = protocolFactory.buildProtocol(None)
        ends.accepted = ends.factory.buildProtocol(None)
        ends.near, ends.far = Wire(ends.dialled, isServer=False), Wire(ends.accepted, isServer=True)
        ends.pump = iosim.connect(ends.accepted, ends.far, ends.dialled, ends.near, greet=False, clock=ends.clock)
        return succeed(ends.dialled)


class Ends:
    """`client` and `server` are the protocols inside. With a context left out, that end speaks no TLS."""

    near: Wire
    far: Wire
    pump: Any
    dialled: Any
    accepted: Any

    def __init__(self, server: Context | None, client: Context | None, host: str = "localhost") -> None:
        self.clock = Clock()
        self.client, self.server = Inner(), Inner()
        self.factory: Any = Factory.forProtocol(lambda: self.server)
        if server is not None:
            self.factory = Secured(self.factory, server, self.clock, answer_to_plain=b"speak TLS\n")
        endpoint: Any = Endpoint(self)
        if client is not None:
            endpoint = SecuredEndpoint(endpoint, client, host, self.clock)
        self.connecting: Deferred[Any] = endpoint.connect(Factory.forProtocol(lambda: self.client))

    def flush(self, seconds: float = 0) -> None:
        for _ in range(20):
            self.clock.advance(0)
            self.pump.flush()
        self.clock.advance(seconds)
        self.pump.flush()
        self.clock.advance(0)
        self.pump.flush()

    @property
    def is_over(self) -> bool:
        return bool(self.near.disconnected and self.far.disconnected)
