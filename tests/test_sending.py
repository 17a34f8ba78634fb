"""What leaves at once, and what is better left to the reactor."""

from __future__ import annotations

import socket
from unittest import TestCase, skipUnless

from twisted.internet import tcp
from twisted.internet.testing import StringTransport

from hraft.sending import lose_after, send_now


class _Connection(tcp.Connection):
    """A plain connection without a socket, which counts."""

    def __init__(self, connected: bool = True, disconnecting: bool = False, is_tls: bool = False) -> None:
        self.connected, self.disconnecting, self.TLS = connected, disconnecting, is_tls
        self.writes_count = 0
        self.handle: socket.socket

    def getHandle(self) -> socket.socket:
        return self.handle

    def doWrite(self) -> None:
        self.writes_count += 1


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
