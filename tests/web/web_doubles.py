"""What the tests of the web share: a node that answers when told, and a client's end of one connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import certificates
from OpenSSL import SSL
from treq.testing import StubTreq
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from hraft.errors import LeaseNotFound, NodeRemoved, NotLeader
from hraft.interfaces import Observer, ReadLevel
from hraft.kv.commands import Command, decode_command, encode_command
from hraft.kv.store import KeyValueStore
from hraft.questions import Change, ChangeOutcome, JoinOutcome
from hraft.raft.configuration import Configuration
from hraft.raft.entry import EntryId, Snapshot
from hraft.raft.ready import FollowerStatus, NodeStatus, Role
from hraft.service.alarms import Alarms
from hraft.service.backup import Backup
from hraft.service.chronicle import Chronicle
from hraft.service.counts import Counts
from hraft.service.events import Events
from hraft.service.health import Check
from hraft.service.shared_view import MemberView, views_of
from hraft.storage.snapshot_file import encode
from hraft.tls.connections import Secured
from hraft.web.figures import Figures
from hraft.web.guard import Guard
from hraft.web.node import Node
from hraft.web.routes import node_api
from hraft.web.site import HAS_FRONT, HttpSite

URL = "http://node0"
CONFIGURATION = Configuration({"node0": "host0:12000", "node1": "host1:12001"}, {"node2": "host2:12002"})


@dataclass(frozen=True, slots=True)
class ToldLeader:
    """A leader hint, as the service gives it."""

    node_id: str = "node1"
    raft_address: str = "host1:12001"
    http_address: str | None = "host1:11001"


@dataclass(frozen=True, slots=True)
class ToldApplied:
    """What a proposal fires with."""

    index: int
    result: Any


@dataclass
class Asked:
    """One question to the node, which waits until the test answers it."""

    how: str
    arguments: tuple[Any, ...]
    answer: Deferred[Any]
    is_cancelled: bool = False

    @property
    def command(self) -> Command:
        return decode_command(self.arguments[0])


@dataclass
class ToldNode:
    """A node0 that leads, or not, and answers when told."""

    node_id: str = "node0"
    cluster_id: str = "c1"
    raft_address: str = "host0:12000"
    http_address: str = "host0:11000"
    leads: bool = True
    known_leader: ToldLeader | None = None
    configuration: Configuration = CONFIGURATION
    state_machine: KeyValueStore = field(default_factory=KeyValueStore)
    asked: list[Asked] = field(default_factory=list)
    #: Apply and answer every proposal at once.
    at_once: bool = True
    #: Whatever was acknowledged is here already, and the leader says so at once.
    is_fresh: bool = False
    followers: dict[str, FollowerStatus] = field(default_factory=dict)
    chronicle: Chronicle = field(default_factory=lambda: Chronicle(lambda: 1_700_000_000.0))
    alarms: Alarms = field(default_factory=lambda: Alarms(Clock(), Events("node0")))
    #: What the node finds when it looks at itself.
    counted: Counts = field(default_factory=Counts)
    checks: tuple[Check, ...] = (Check("leader", True, "node0"),)
    observers: list[Observer] = field(default_factory=list)
    #: Answer who changes members at once.
    changes_members: bool = False
    removal: NodeRemoved | None = None
    #: How often it was to ask its leader, and what that has said.
    looks_count: int = 0
    told_views: Mapping[str, MemberView] = field(default_factory=dict)
    #: Of backups, made so far.
    parts_count: int = 0

    def put(self, command: Command) -> None:
        self.state_machine.apply(1, encode_command(command))

    def put_line(self, index: int, line: bytes) -> None:
        self.state_machine.apply(index, line)

    def ask(self, how: str, *arguments: Any) -> Deferred[Any]:
        def cancelled(_: Deferred[Any]) -> None:
            asked.is_cancelled = True

        asked = Asked(how, arguments, Deferred(cancelled))
        self.asked.append(asked)
        if how == "propose" and not self.leads:
            asked.answer.errback(NotLeader(self.known_leader.node_id if self.known_leader else None))
        elif self.at_once and how in ("propose", "submit"):
            index = sum(each.how in ("propose", "submit") for each in self.asked)
            asked.answer.callback(ToldApplied(index, self.state_machine.apply(index, arguments[0])))
        elif self.changes_members and how == "join":
            asked.answer.callback(JoinOutcome("learner" if arguments[3] else "voter"))
        elif self.changes_members and how == "change":
            asked.answer.callback(ChangeOutcome(0 if arguments[0] is Change.TRANSFER else 10, arguments[1] or "node2"))
        elif self.is_fresh and how == "confirm_read":
            asked.answer.callback(self.status().applied_index)
        return asked.answer

    def propose(self, command: bytes) -> Deferred[Any]:
        return self.ask("propose", command)

    def submit(self, command: bytes) -> Deferred[Any]:
        return self.ask("submit", command)

    def confirm_read(self, level: ReadLevel = ReadLevel.LINEARIZABLE) -> Deferred[Any]:
        return self.ask("confirm_read", level)

    def backup(self) -> Backup:
        def counted(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            self.parts_count += 1
            return succeed(function(*arguments))

        snapshot = Snapshot(6, 3, self.configuration)
        return Backup(snapshot, encode(snapshot, self.cluster_id, self.state_machine.snapshot()), counted)

    def observe(self, observer: Observer) -> None:
        self.observers.append(observer)

    def change(self, *commands: Command) -> None:
        """What the leader has committed is applied here."""
        for command in commands:
            self.put(command)
        for observer in self.observers:
            observer.applied()

    def join(self, node_id: str, address: str, empty_log: bool | None = None, learner: bool | None = None) -> Deferred[Any]:
        return self.ask("join", node_id, address, empty_log, learner)

    def change_member(self, change: Change, node_id: str) -> Deferred[Any]:
        return self.ask("change", change, node_id)

    def age_seconds(self) -> float | None:
        return None

    def counts(self) -> Counts:
        return self.counted

    def look_around(self) -> None:
        self.looks_count += 1

    def member_views(self) -> Mapping[str, MemberView]:
        return views_of(self.status(), self.tick_seconds) if self.leads else self.told_views

    def liveness(self) -> tuple[Check, ...]:
        return self.checks

    def readiness(self) -> tuple[Check, ...]:
        return self.checks

    def leader(self) -> ToldLeader | None:
        return ToldLeader(self.node_id, self.raft_address, self.http_address) if self.leads else self.known_leader

    @property
    def term(self) -> int:
        return 3

    tick_seconds: float = 0.02

    def http_address_of(self, node_id: str) -> str | None:
        return {"node0": self.http_address, "node1": "host1:11001"}.get(node_id)

    def status(self) -> NodeStatus:
        leader = self.leader()
        return NodeStatus(
            node_id=self.node_id,
            role=Role.LEADER if self.leads else Role.FOLLOWER,
            term=3,
            leader_id=leader.node_id if leader else None,
            last=EntryId(3, 9),
            first_index=2,
            snapshot_index=1,
            persisted_index=8,
            commit_index=7,
            applied_index=6,
            configuration=self.configuration,
            configuration_committed=True,
            followers=self.followers,
        )


def typed(node: ToldNode) -> Node:
    """mypy checks here that the tests' node is what the web asks for."""
    return node


class _Transport(StringTransportWithDisconnection):
    """Knows aborting, and can be like a socket whose other end is slow: full, and not closed before its bytes are sent."""

    is_slow_to_close = False
    is_slow_to_send = False
    is_aborted = False
    is_full = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.is_slow_to_send and self.producer is not None and not self.is_full and len(self.value()) > 65536:
            self.is_full = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def clear(self) -> None:
        super().clear()
        if self.is_full:
            self.is_full = False
            if self.producer is not None:
                self.producer.resumeProducing()

    def loseConnection(self) -> None:
        self.disconnecting = True
        if not self.is_slow_to_close:
            super().loseConnection()

    def abortConnection(self) -> None:
        self.is_aborted = True
        super().loseConnection()

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 31337)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.2", 11000)


class Client:
    """The client's end of one connection to a site."""

    def __init__(self, site: HttpSite) -> None:
        self.transport = _Transport()
        self.protocol = site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 31337))
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def received(self) -> bytes:
        """What came since the last look."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def hang_up(self) -> None:
        self.transport.connected = False
        self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def is_closed(self) -> bool:
        return not self.transport.connected


class _TlsTransport(_Transport):
    """Lost only after the call that ends it, as every socket is; TLS relies on that."""

    is_ending = False

    def loseConnection(self) -> None:
        self.disconnecting = self.is_ending = True

    def abortConnection(self) -> None:
        self.is_aborted = self.is_ending = True

    def end(self) -> None:
        if self.is_ending and self.connected and not (self.is_slow_to_close and not self.is_aborted):
            StringTransportWithDisconnection.loseConnection(self)


class TlsClient(Client):
    """The same under TLS, as a node's HTTP port has it."""

    def __init__(self, site: HttpSite) -> None:
        self.transport: _TlsTransport = _TlsTransport()
        self._clock: Any = site._clock
        outer = Secured(site, certificates.server(certificates.node("localhost")), self._clock).buildProtocol(
            IPv4Address("TCP", "192.0.2.1", 31337)
        )
        self._outer: Any = outer
        self.transport.protocol = outer
        self.protocol = outer.wrappedProtocol
        self._tls = SSL.Connection(certificates.dialler()(), None)
        self._tls.set_app_data(SimpleNamespace(host="localhost", objection="", hands_shaken=lambda: None))
        self._tls.set_connect_state()
        self._plain = b""
        outer.makeConnection(self.transport)
        for _ in range(2):
            with suppress(SSL.WantReadError):
                self._tls.do_handshake()
            self._give()
            self._take()

    def _give(self) -> None:
        """What TLS has for the site."""
        parts = []
        with suppress(SSL.WantReadError):
            while True:
                parts.append(self._tls.bio_read(65536))
        if parts and self.transport.connected:
            self._outer.dataReceived(b"".join(parts))
        self.transport.end()

    def _take(self) -> None:
        """What the site has sent. Its end is answered, as by every client."""
        # Twisted gathers what is written until the reactor's next turn.
        self._outer._aggregator.flush()
        data = super().received()
        self.transport.end()
        if data:
            self._tls.bio_write(data)
        try:
            while True:
                self._plain += self._tls.recv(65536)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self._tls.shutdown()
            self._give()

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), 16384):
            self._tls.send(data[start : start + 16384])
        self._give()

    def received(self) -> bytes:
        self._take()
        data, self._plain = self._plain, b""
        return data

    def hang_up(self) -> None:
        self.transport.connected = False
        self._outer.connectionLost(Failure(ConnectionDone()))
        # Twisted 25.5 looks once more then whether there is something to be sent.
        self._clock.advance(0)

    @property
    def is_closed(self) -> bool:
        self.transport.end()
        if self.transport.connected and not (self.transport.is_slow_to_close or self.transport.is_slow_to_send):
            self._take()
            self.transport.end()
        if not self.transport.connected:
            self._clock.advance(0)
        return not self.transport.connected


#: Whether connections begin on the fast front; test_both_ways.py runs the whole suite without it, too.
front = {"is_used": HAS_FRONT}
#: Whether clients connect under TLS; test_over_tls.py runs most of the suite so.
tls = {"is_used": False}


@dataclass
class ToldTimes:
    """What a lease's clock says."""

    ttl_seconds: int
    remaining_seconds: float


@dataclass
class ToldClock:
    """Says of each lease that half of its time is left."""

    node: ToldNode
    kept: list[int] = field(default_factory=list)

    def keep_alive(self, lease: int) -> Deferred[Any]:
        self.kept.append(lease)
        return self._told(lease, 1.0)

    def times(self, lease: int) -> Deferred[Any]:
        return self._told(lease, 0.5)

    def _told(self, lease: int, part: float) -> Deferred[Any]:
        found = self.node.state_machine.lease(lease)
        if found is None:
            return fail(LeaseNotFound(f"there is no lease {lease}"))
        return succeed(ToldTimes(found.ttl_seconds, found.ttl_seconds * part))


class Served:
    """A node, its site and a clock, without a network."""

    def __init__(
        self,
        forward: bool = False,
        has_front: bool | None = None,
        guard: Guard | None = None,
        figures: Figures | None = None,
        **limits: Any,
    ) -> None:
        self.node = ToldNode()
        self.clock = Clock()
        #: How old what the node has may be.
        self.age_seconds: float | None = None
        self.lease_clock = ToldClock(self.node)
        node, clock = typed(self.node), self.lease_clock
        self.api = node_api(node, forward, clock, lambda: self.age_seconds, guard=guard, figures=figures)
        self.site = HttpSite(Resource(), self.clock, **limits)  # type: ignore[no-untyped-call]
        self.site.serve(self.api, front["is_used"] if has_front is None else has_front)
        self.clients: list[Client] = []

    def connect(self) -> Client:
        self.clients.append((TlsClient if tls["is_used"] else Client)(self.site))
        return self.clients[-1]


def post(body: bytes, *headers: str, path: str = "/key") -> bytes:
    """The bytes of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    """The bytes of a request without a body."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


@dataclass(frozen=True)
class Reply:
    """What came back. Names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class WireTestCase(SynchronousTestCase):
    """A node that applies at once, and a client of it that says exactly what it is told to."""

    def setUp(self) -> None:
        self.served = Served()
        self.node = self.served.node
        self.node.is_fresh = True
        self.client = self.served.connect()

    def tearDown(self) -> None:
        self.client.hang_up()

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> None:
        """Names of headers have lines below instead of hyphens."""
        lines = [f"{method} {path} HTTP/1.1", "Host: h", *(f"{name.replace('_', '-')}: {headers[name]}" for name in headers)]
        lines += [] if body is None else [f"Content-Length: {len(body)}"]
        if self.client.is_closed:
            self.client = self.served.connect()
        self.client.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))

    def reply(self) -> Reply:
        head, _, body = self.client.received().partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Reply(int(first.split(" ")[1]), headers, body)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        self.send(method, path, body, **headers)
        return self.reply()

    def answered(self, status: int, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """The JSON of an answer that must be as all are under /v1."""
        reply = self.ask(method, path, body, **headers)
        self.assertEqual(status, reply.status, reply.body)
        self.assertEqual("application/json", reply.headers["content-type"])
        self.assert_stamped(reply)
        return reply.json()

    def refused(self, status: int, code: str, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        """The problem, which must be as all are."""
        reply = self.ask(method, path, body, **headers)
        self.assertEqual((status, code), (reply.status, reply.json()["code"]), reply.body)
        self.assertEqual("application/problem+json", reply.headers["content-type"])
        self.assert_stamped(reply)
        return reply.json()

    def assert_stamped(self, reply: Reply) -> None:
        self.assertTrue(reply.headers["x-hraft-revision"].isdigit())
        self.assertEqual(("3", "nosniff"), (reply.headers["x-hraft-term"], reply.headers["x-content-type-options"]))


class ApiTestCase(SynchronousTestCase):
    """The HTTP face of a node that answers when told."""

    forward = False

    def setUp(self) -> None:
        served = Served(self.forward)
        self.node = served.node
        self.node.at_once = False
        self.treq = StubTreq(served.site.resource)
        # treq makes a server of its own for a resource; this one has ours.
        self.treq._agent._serverFactory = served.site

    def request(self, method: str, path: str, **more: Any) -> Deferred[Any]:
        answer: Deferred[Any] = self.treq.request(method, URL + path, allow_redirects=False, **more)
        return answer

    def answered(self, answer: Deferred[Any], status: int) -> tuple[Any, bytes]:
        """The response, which must be there by now, and its body."""
        self.treq.flush()
        response = self.successResultOf(answer)
        body = self.successResultOf(self.treq.content(response))
        self.assertEqual(status, response.code, body)
        return response, body

    def refused(self, answer: Deferred[Any], status: int) -> tuple[Any, dict[str, Any]]:
        """The same for an error, whose body is a problem."""
        response, body = self.answered(answer, status)
        self.assertEqual(["application/problem+json"], response.headers.getRawHeaders("Content-Type"))
        self.assertEqual(["nosniff"], response.headers.getRawHeaders("X-Content-Type-Options"))
        problem = json.loads(body)
        self.assertEqual(["about:blank", status], [problem["type"], problem["status"]])
        self.assertTrue(problem["title"] and problem["detail"] and problem["code"])
        return response, problem
