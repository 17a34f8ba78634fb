"""What leaves at once, and what is better left to the reactor."""

from __future__ import annotations

from unittest import TestCase

from twisted.internet import tcp
from twisted.internet.testing import StringTransport

from hraft.sending import send_now


class _Connection(tcp.Connection):
    """A plain connection without a socket, which counts."""

    def __init__(self, connected: bool = True, disconnecting: bool = False, is_tls: bool = False) -> None:
        self.connected, self.disconnecting, self.TLS = connected, disconnecting, is_tls
        self.writes_count = 0

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
