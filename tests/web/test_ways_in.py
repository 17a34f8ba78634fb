"""When a connection begins on the front: not before there is an API, not without httptools; and under TLS too."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions, KeyPair
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from twisted.web.resource import Resource
from web_doubles import Client, Served, ToldApplied, get, post

from hraft.kv.commands import Set
from hraft.kv.results import Written
from hraft.web.channel import Channel
from hraft.web.site import HttpSite

pytest.importorskip("httptools")
from hraft.web.front import Front, ServerAndDate

WITHOUT_HTTPTOOLS = """
import sys, importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "httptools" else found(name, *more)
sys.modules["httptools"] = None
import web_doubles
from hraft.web import site
served = web_doubles.Served(has_front=site.HAS_FRONT)
client = served.connect()
client.send(web_doubles.post(b'{"a":"b"}'))
print(type(client.protocol).__name__, client.received().split(b"\\r\\n")[0].decode())
"""


class _Socket(StringTransport, tcp.Connection):
    """Counts how often it sends at once, instead of when the reactor next looks; a full one takes nothing at once."""

    connected = True
    TLS = False
    dataBuffer = b""
    _tempDataBuffer = ()
    sent_count = 0
    is_full = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.is_full:
            self.producer.pauseProducing()

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def getHandle(self) -> _Socket:
        return self

    def send(self, data: bytes) -> int:
        if self.is_full:
            raise BlockingIOError
        self.sent_count += 1
        super().write(data)
        return len(data)


class SendingTests(SynchronousTestCase):
    def test_answers_leave_at_once_and_together(self) -> None:
        """The client waits; but requests that came together are answered together."""
        served = Served()
        front, socket = served.site.buildProtocol(None), _Socket()
        front.makeConnection(socket)
        front.dataReceived(post(b'{"a":"b"}') * 3 + get("/key/a") * 2)
        self.assertEqual((5, 1), (socket.value().count(b"HTTP/1.1 200 OK"), socket.sent_count))
        served.node.at_once = False
        front.dataReceived(post(b'{"a":"b"}') + get("/key/a"))
        self.assertEqual(1, socket.sent_count)
        served.node.asked[-1].answer.callback(ToldApplied(1, Written(1, 1)))
        self.assertEqual((7, 2), (socket.value().count(b"HTTP/1.1 200 OK"), socket.sent_count))
        front.connectionLost(Failure(ConnectionDone()))

    def test_a_full_socket_is_left_alone(self) -> None:
        """What does not leave is held for this client, so it gets no more answers than were made already."""
        served = Served()
        front, socket = served.site.buildProtocol(None), _Socket()
        socket.is_full = True
        front.makeConnection(socket)
        front.dataReceived(post(b'{"a":"b"}') * 2)
        front.dataReceived(post(b'{"a":"b"}'))
        self.assertEqual((2, 0), (socket.value().count(b"HTTP/1.1 200 OK"), socket.sent_count))
        socket.is_full = False
        front.resumeProducing()
        self.assertEqual((3, 1), (socket.value().count(b"HTTP/1.1 200 OK"), socket.sent_count))
        front.connectionLost(Failure(ConnectionDone()))

    def test_large_answers_do_not_gather(self) -> None:
        """A client that asks for much at once, and reads nothing, is not to have it all held ready for it."""
        served = Served()
        served.node.put(Set(b"large", bytes(100_000)))
        front, socket = served.site.buildProtocol(None), _Socket()
        socket.is_full = True
        front.makeConnection(socket)
        front.dataReceived(get("/key/large") * 8)
        self.assertEqual(1, socket.value().count(b"HTTP/1.1 200 OK"))
        front.connectionLost(Failure(ConnectionDone()))


class DateTests(SynchronousTestCase):
    def test_made_once_a_second(self) -> None:
        """Not for each answer, and not once for ever."""
        common = ServerAndDate()
        first = common.lines(7.1)
        self.assertIs(first, common.lines(7.9))
        self.assertIsNot(first, common.lines(8.0))


class BeginningTests(SynchronousTestCase):
    def test_no_front_without_an_api(self) -> None:
        """A node that has not joined yet says so to everybody; there is nothing to be fast about."""
        site = HttpSite(Resource(), Clock())  # type: ignore[no-untyped-call]
        client = Client(site)
        self.assertIsInstance(client.protocol, Channel)
        client.hang_up()

    def test_a_connection_from_before_the_api(self) -> None:
        """It stays where it began, and finds the API there."""
        served = Served(has_front=False)
        early = served.connect()
        served.site.serve(served.api, has_front=True)
        late = served.connect()
        self.assertEqual([Channel, Front], [type(early.protocol), type(late.protocol)])
        for client in (early, late):
            client.send(post(b'{"a":"b"}'))
            self.assertIn(b"HTTP/1.1 200 OK", client.received())
            client.hang_up()

    def test_without_httptools(self) -> None:
        """PyPy has none, and a missing C library is no reason not to serve."""
        done = subprocess.run([sys.executable, "-c", WITHOUT_HTTPTOOLS], env=_path(), capture_output=True, text=True)
        self.assertEqual(("Channel HTTP/1.1 200 OK\n", ""), (done.stdout, done.stderr))


def _path() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(path for path in sys.path if path), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Twisted's own way to make a certificate
class TlsTests(SynchronousTestCase):
    def test_both_ways_under_tls(self) -> None:
        """TLS is a transport like another: a connection begins on the front, moves to twisted.web, and is closed."""
        served = Served()
        try:
            certificate = KeyPair.generate(size=2048).selfSignedCert(1, CN="node0")
        except AttributeError as error:
            raise SkipTest(f"this Twisted cannot make a certificate with this pyOpenSSL: {error}") from error
        ends = [
            _End(TLSMemoryBIOFactory(certificate.options(), False, served.site, served.clock)),
            _End(TLSMemoryBIOFactory(CertificateOptions(), True, _Recording(), served.clock)),
        ]
        received = ends[1].protocol.wrappedProtocol
        for request in (post(b'{"a":"b"}'), get("/key/a"), get("/key/a", "Connection: close")):
            ends[1].protocol.write(request)
            _exchange(ends, served.clock)
        self.assertEqual(3, received.data.count(b"HTTP/1.1 200 OK"))
        self.assertEqual(2, received.data.count(b'{"a":"b"}'))
        self.assertIsInstance(ends[0].protocol.wrappedProtocol, Front)
        self.assertTrue(ends[0].disconnecting)
        ends[0].protocol.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(served.site.drained())


class _Recording:
    """A client that keeps what it is told."""

    noisy = False

    class _Protocol(Protocol):
        data = b""

        def dataReceived(self, data: bytes) -> None:
            self.data += data

    def doStart(self) -> None: ...

    def doStop(self) -> None: ...

    def buildProtocol(self, addr: object) -> Protocol:
        return self._Protocol()


class _End(StringTransport):
    """One end of a connection in memory."""

    def __init__(self, factory: Any) -> None:
        super().__init__()
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self)

    def setTcpNoDelay(self, enabled: bool) -> None: ...


def _exchange(ends: list[_End], clock: Clock) -> None:
    """Carry bytes both ways until there are none. TLS gathers small writes until the next turn of the reactor."""
    clock.advance(0)
    while any(end.value() for end in ends):
        for end, other in (ends, ends[::-1]):
            data = end.value()
            end.clear()
            if data:
                other.protocol.dataReceived(data)
        clock.advance(0)
