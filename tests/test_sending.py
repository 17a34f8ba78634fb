"""What leaves at once, and what is better left to the reactor."""

from __future__ import annotations

import socket
from typing import Any
from unittest import TestCase, skipUnless

from twisted.internet import tcp
from twisted.internet.testing import StringTransport

from hraft.sending import lose_after, send, send_now


class _Connection(tcp.Connection):
    """A plain connection that counts, and is its own socket where it is given no other."""

    def __init__(self, connected: bool = True, disconnecting: bool = False, is_tls: bool = False) -> None:
        self.connected, self.disconnecting, self.TLS = connected, disconnecting, is_tls
        self.writes_count = 0
        self.handle: Any = self
        self.dataBuffer, self._tempDataBuffer = b"", []
        #: How much the socket takes of what it is given; None: the connection is lost.
        self.room_bytes: int | None = 1000
        self.sent: list[bytes] = []
        self.left_to_the_reactor: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.left_to_the_reactor.append(data)

    def getHandle(self) -> Any:
        return self.handle

    def send(self, data: bytes) -> int:
        """As a socket that does not block."""
        if self.room_bytes is None:
            raise BrokenPipeError
        if self.room_bytes == 0:
            raise BlockingIOError
        self.sent.append(data[: self.room_bytes])
        return len(self.sent[-1])

    def doWrite(self) -> None:
        self.writes_count += 1


class SendTests(TestCase):
    """Every byte once and in order, and mostly without the reactor."""

    def assert_after_send(self, sent: list[bytes], left_to_the_reactor: list[bytes], connection: _Connection) -> None:
        send(connection, b"answer")
        self.assertEqual((sent, left_to_the_reactor), (connection.sent, connection.left_to_the_reactor))

    def test_all_at_once(self) -> None:
        """The usual case: the reactor is not asked for anything."""
        self.assert_after_send([b"answer"], [], _Connection())

    def test_a_socket_that_is_full_on_the_way(self) -> None:
        """What it did not take goes the ordinary way, and with it the pause of who writes too much."""
        connection = _Connection()
        connection.room_bytes = 2
        self.assert_after_send([b"an"], [b"swer"], connection)

    def test_a_full_socket(self) -> None:
        """The same for all of it."""
        connection = _Connection()
        connection.room_bytes = 0
        self.assert_after_send([], [b"answer"], connection)

    def test_nothing_overtakes_what_waits(self) -> None:
        """Twisted has two places for it."""
        for place, waiting in (("dataBuffer", b"before"), ("_tempDataBuffer", [b"before"])):
            connection = _Connection()
            setattr(connection, place, waiting)
            self.assert_after_send([], [b"answer"], connection)

    def test_a_lost_connection(self) -> None:
        """The reactor finds that out by itself, and tells the protocol."""
        connection = _Connection()
        connection.room_bytes = None
        self.assert_after_send([], [b"answer"], connection)

    def test_left_to_the_reactor(self) -> None:
        """A closing connection is the reactor's; TLS has bytes of its own to write, and when."""
        for connection in (_Connection(connected=False), _Connection(disconnecting=True), _Connection(is_tls=True)):
            self.assert_after_send([], [b"answer"], connection)

    def test_no_socket_at_all(self) -> None:
        """Under TLS as a protocol of its own, and in tests, the transport is of another kind."""
        transport = StringTransport()
        send(transport, b"answer")
        self.assertEqual(b"answer", transport.value())

    def test_the_buffers_of_twisted(self) -> None:
        """That of what was written since the last sending has no public name: another version might give it another."""
        with socket.socket() as handle:
            connection = tcp.Connection(handle, None, object())
            connection.connected, connection.startWriting = True, lambda: None
            connection.write(b"before")
            self.assertEqual((b"", [b"before"]), (connection.dataBuffer, connection._tempDataBuffer))


class SendNowTests(TestCase):
    def test_plain_tcp(self) -> None:
        """The usual case, for which it is there."""
        connection = _Connection()
        send_now(connection)
        self.assertEqual(1, connection.writes_count)

    def test_left_to_the_reactor(self) -> None:
        """A closing connection's end is the reactor's to notice; TLS has bytes of its own to write, and when."""
        for connection in (_Connection(connected=False), _Connection(disconnecting=True), _Connection(is_tls=True)):
            send_now(connection)
            self.assertEqual(0, connection.writes_count)

    def test_no_socket_at_all(self) -> None:
        """Under TLS as a protocol of its own, and in tests, the transport is of another kind."""
        send_now(StringTransport())


@skipUnless(hasattr(socket, "TCP_USER_TIMEOUT"), "only Linux has it")
class LoseAfterTests(TestCase):
    """What was sent to a machine that is no longer there."""

    def test_the_system_is_told(self) -> None:
        """In milliseconds; it is the only one who knows what was acknowledged."""
        connection = _Connection()
        with socket.socket() as connection.handle:
            lose_after(connection, 1.5)
            self.assertEqual(1500, connection.handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))

    def test_others_are_left_alone(self) -> None:
        """A transport that has no socket of TCP's, or none any more."""
        for transport in (StringTransport(), _Connection(connected=False)):
            lose_after(transport, 1.5)
