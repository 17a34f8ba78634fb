"""Listening: at once or not at all, on every address of a name, with one line that says why not."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from chaos.ports import free_row
from hraft.addresses import Address, Endpoint, parse_listening, parse_target
from hraft.endpoints import ACCEPTED_CONNECTIONS_COUNT, client_endpoint, listen
from hraft.errors import BadAddress, PortUnusable


class ListenTests(SynchronousTestCase):
    """Real sockets on this machine, of ports the system chose."""

    def listening(self, where: Address | Endpoint) -> set[str]:
        """Listen, let go at the end of the test, and return the interfaces."""
        listener = listen(reactor, where, Factory())
        ports: list[Any] = list(listener._ports)
        for port in ports:
            # Not a Deferred to wait for: the reactor does not run here.
            self.addCleanup(port.connectionLost, None)
            reactor.removeReader(port)  # type: ignore[attr-defined]
        return {port.getHost().host for port in ports}

    def test_every_interface_is_both_families(self) -> None:
        """`:11000` answers IPv4 and, where the machine has it, IPv6, whatever the system makes of a socket on `::`."""
        interfaces = self.listening(Address("", free_row(1)))
        self.assertIn("0.0.0.0", interfaces)
        self.assertEqual(set(), interfaces - {"0.0.0.0", "::"})

    def test_localhost(self) -> None:
        """Both `curl localhost` and `curl 127.0.0.1` find it."""
        self.assertIn("127.0.0.1", self.listening(Address("localhost", free_row(1))))

    def test_a_flood_is_accepted_bit_by_bit(self) -> None:
        """Or all that were accepted before it would look silent: they are read between two turns only."""

        class Counting(Factory):
            accepted_count = 0

            def buildProtocol(self, addr: Any) -> None:
                self.accepted_count += 1

        factory = Counting()
        where = Address("127.0.0.1", free_row(1))
        (port,) = listen(reactor, where, factory)._ports
        self.addCleanup(port.connectionLost, None)  # type: ignore[attr-defined]
        reactor.removeReader(port)  # type: ignore[attr-defined]
        clients = [socket.create_connection((where.host, where.port)) for _ in range(3 * ACCEPTED_CONNECTIONS_COUNT)]
        for turns_count in (1, 2, 3):
            port.doRead()  # type: ignore[attr-defined]
            self.assertEqual(turns_count * ACCEPTED_CONNECTIONS_COUNT, factory.accepted_count)
        for client in clients:
            client.close()

    def test_endpoint_string(self) -> None:
        """Twisted's own strings work as they do elsewhere."""
        port = free_row(1)
        self.assertEqual({"127.0.0.1"}, self.listening(parse_listening(f"tcp:{port}:interface=127.0.0.1")))

    def test_port_in_use(self) -> None:
        """One line with the address and the reason, whichever way the address was written."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for where in (f"localhost:{port}", f":{port}", f"127.0.0.1:{port}", f"tcp:{port}"):
                with self.assertRaisesRegex(PortUnusable, f"cannot listen on {where}: .*in use"):
                    listen(reactor, parse_listening(where), Factory())

    def test_unusable_addresses(self) -> None:
        """A name that does not resolve, an address of another machine, a directory that is not there."""
        for where, reason in (
            ("nonesuch.invalid:7777", "does not resolve"),
            ("192.0.2.77:7777", "must be an address of this machine"),
            ("unix:/nonesuch/socket", "cannot listen on unix"),
        ):
            with self.assertRaisesRegex(PortUnusable, reason) as caught:
                listen(reactor, parse_listening(where), Factory())
            self.assertNotIn("\n", str(caught.exception))
            for logged in self.flushLoggedErrors():
                self.fail(logged)

    def test_endpoint_strings_that_twisted_refuses(self) -> None:
        """Its parsers raise what they like; the operator gets one line."""
        for where in ("ssl:7777:privateKey=/nonesuch.pem", "systemd:domain=INET:index=7", "tcp:7777:nonesuch=1"):
            with self.assertRaisesRegex(BadAddress, "bad address") as caught:
                listen(reactor, parse_listening(where), Factory())
            self.assertNotIn("\n", str(caught.exception))


class ClientEndpointTests(SynchronousTestCase):
    """What a target is dialled with."""

    def test_targets(self) -> None:
        """An address by its name, an endpoint string by what it says."""
        memory = MemoryReactorClock()
        client_endpoint(memory, parse_target("tcp:localhost:7777"))
        client_endpoint(memory, parse_target(":7777"))
        with self.assertRaisesRegex(BadAddress, "bad address 'tcp:x:y:z'"):
            client_endpoint(memory, parse_target("tcp:x:y:z"))
