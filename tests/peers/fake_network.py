"""A network of AmpTransports in memory: nothing moves until a test says so, and time is a Clock."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.test import iosim
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hraft.interfaces import ChunkEnvelope, PeerIdentity, Receivers
from hraft.peers.boxes import BoxParser, serialized
from hraft.peers.transport import AmpTransport
from hraft.questions import Request
from hraft.raft.messages import Envelope

#: A Twisted transport says that it is full when it holds more.
FULL_BYTES = 64 * 1024


class Wire(iosim.FakeTransport):
    """One end. While `is_stuck`, what is written stays here, as with a peer that does not read or is gone."""

    is_stuck = False
    is_paused = False
    was_aborted = False

    @property
    def held_bytes(self) -> int:
        return sum(map(len, self.stream))

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.producer is not None and not self.is_paused and self.held_bytes > FULL_BYTES:
            self.is_paused = True
            self.producer.pauseProducing()

    def getOutBuffer(self) -> bytes | None:
        if self.is_stuck:
            return None
        data: bytes | None = super().getOutBuffer()
        if self.is_paused and self.producer is not None:
            self.is_paused = False
            self.producer.resumeProducing()
        return data

    def abortConnection(self) -> None:
        self.was_aborted = True
        self.stream = []
        self.disconnecting = True


class Host:
    def __init__(self, host: str) -> None:
        self.host = host


class Connection:
    """Both ends of one connection, and the pump between them."""

    def __init__(self, client: Any, server: Any, clock: Clock) -> None:
        self.client, self.server = client, server
        self.client_wire = Wire(client, isServer=False, peerAddress=Host("10.0.0.2"))
        self.server_wire = Wire(server, isServer=True, peerAddress=Host("10.0.0.1"))
        self.pump = iosim.connect(server, self.server_wire, client, self.client_wire, greet=False, clock=clock)

    @property
    def is_over(self) -> bool:
        return bool(self.client_wire.disconnected and self.server_wire.disconnected)

    def cut(self) -> None:
        self.client_wire.abortConnection()

    def vanish(self) -> None:
        """The cable is pulled: neither end hears anything any more, nor that it does not."""
        self.client_wire.is_stuck = self.server_wire.is_stuck = True


@implementer(IStreamClientEndpoint)
class Endpoint:
    def __init__(self, network: Network, address: str) -> None:
        self._network = network
        self._address = address

    def connect(self, factory: Any) -> Deferred[Any]:
        network = self._network
        network.dialled.append(self._address)
        if self._address in network.silent:
            return Deferred()
        server = network.listening.get(self._address)
        protocol = server.buildProtocol(Host("10.0.0.1")) if server is not None else None
        if protocol is None:
            return fail_with(error.ConnectionRefusedError())
        client = factory.buildProtocol(None)
        network.connections.append(Connection(client, protocol, network.clock))
        return succeed(client)


def fail_with(reason: Exception) -> Deferred[Any]:
    failed: Deferred[Any] = Deferred()
    failed.errback(reason)
    return failed


class Node:
    """A transport, and all that it has handed in."""

    def __init__(self, network: Network, identity: PeerIdentity) -> None:
        self.messages: list[Envelope] = []
        self.chunks: list[ChunkEnvelope] = []
        self.requests: list[tuple[str, Request, Deferred[Any]]] = []
        self.answer: Callable[[str, Request], Deferred[Any]] = self._ask_the_test
        self.transport = AmpTransport(network.clock, identity, network.dial, jitter=lambda: 0.0)
        self.receivers = Receivers(self.messages.append, self.chunks.append, lambda sender, request: self.answer(sender, request))

    def _ask_the_test(self, sender: str, request: Request) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.requests.append((sender, request, answer))
        return answer


class Network:
    """`listening` by address; `dialled` is every attempt; `silent` addresses never answer."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.listening: dict[str, Any] = {}
        self.silent: set[str] = set()
        self.dialled: list[str] = []
        self.connections: list[Connection] = []
        self.nodes: list[Node] = []

    def dial(self, address: str) -> Endpoint:
        return Endpoint(self, address)

    def node(self, node_id: str, cluster_id: str = "c1", version: int = 1, starts: bool = True) -> Node:
        """A node that listens at `<id>:1` and serves HTTP at `<id>:80`."""
        node = Node(self, PeerIdentity(cluster_id, node_id, f"{node_id}:80", version))
        self.nodes.append(node)
        self.listening[f"{node_id}:1"] = node.transport.factory
        if starts:
            node.transport.start(node.receivers)
        return node

    def pair(self) -> tuple[Node, Node]:
        """Two nodes that are connected to each other."""
        one, two = self.node("n1"), self.node("n2")
        one.transport.set_peers({"n2": "n2:1"})
        two.transport.set_peers({"n1": "n1:1"})
        self.flush()
        return one, two

    def flush(self) -> None:
        """Move bytes until none is left to move."""
        for _ in range(2000):
            moved = [connection.pump.pump() for connection in list(self.connections)]
            self.connections = [connection for connection in self.connections if not connection.is_over]
            if not any(moved):
                return
        raise AssertionError("bytes without end")

    def advance(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass in small steps, moving bytes at each."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.flush()

    def stop(self) -> None:
        """Stop every node and show that nothing is left behind."""
        stopped = [node.transport.stop() for node in self.nodes]
        self.advance(4.0, 0.5)
        left = self.clock.getDelayedCalls()
        assert all(deferred.called for deferred in stopped), "a transport did not stop"
        assert left == [], left
        assert self.connections == [], self.connections


class PeersTestCase(SynchronousTestCase):
    """A network for each test; afterwards nothing is left in it: no timer, no connection, no error that nobody saw."""

    def setUp(self) -> None:
        self.network = Network()
        # Errors in Deferreds that nobody holds any more show when these go; what this test made is still young.
        self.addCleanup(gc.collect, 1)
        self.addCleanup(self.network.stop)

    def logged(self) -> list[str]:
        """What is logged from now on, as an operator reads it."""
        lines: list[str] = []

        def observe(event: Any) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return lines


class Stranger(Protocol):
    """Whoever dials the raft port and writes what it likes."""

    def __init__(self) -> None:
        self.received = b""
        self.is_lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Any = None) -> None:
        self.is_lost = True

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    @property
    def boxes(self) -> list[dict[bytes, bytes]]:
        return list(BoxParser(1 << 30).feed(self.received))


def stranger_at(network: Network, node: Node, host: str = "10.6.6.6") -> tuple[Stranger, Connection]:
    """Dial a node without any manners."""
    server = node.transport.factory.buildProtocol(Host(host))
    assert server is not None
    stranger = Stranger()
    connection = Connection(stranger, server, network.clock)
    network.connections.append(connection)
    return stranger, connection


def hello_bytes(**changes: Any) -> bytes:
    """The box of a hello that node n1 of cluster c1 takes, but for the changes."""
    said = {
        "protocol_version": "1", "cluster_id": "c1", "node_id": "n9", "http_address": "n9:80", "to": "n1", "purpose": "messages"
    } | changes  # fmt: skip
    box = {name.encode(): value.encode() for name, value in said.items() if value is not None}
    return serialized({b"_command": b"Hello", b"_ask": b"1", **box})
