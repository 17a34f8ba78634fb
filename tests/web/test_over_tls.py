"""Tests of the web once more with every client under TLS, by both ways in: nobody can tell the answers apart.

And what only TLS can do wrong.
"""

from __future__ import annotations

from unittest import TestCase

import test_front_and_tree
import test_hraftd_contract
import test_site
import test_v1_keys
import web_doubles
from web_doubles import Served, TlsClient, get

from hraft import limits
from hraft.kv.commands import Set

#: These compare no answers of their own, or ask thousands of connections.
_NOT_AGAIN = {"test_the_front_is_what_is_compared", "test_split_anywhere"}
#: These look at the bytes in the transport, or at one that closes without the client's last word.
_ABOUT_SOCKETS = {
    "test_a_client_that_never_reads",
    "test_refused_clients_are_limited",
    "test_half_a_request_is_refused",
    "test_idle_connections_are_closed",
    "test_another_turn_is_no_reason_to_answer_who_does_not_read",
}


class _OverTls:
    @classmethod
    def setUpClass(cls) -> None:
        web_doubles.tls["is_used"] = True

    @classmethod
    def tearDownClass(cls) -> None:
        web_doubles.tls["is_used"] = False


for _module in (test_front_and_tree, test_hraftd_contract, test_site, test_v1_keys):
    for _name, _value in vars(_module).items():
        if isinstance(_value, type) and issubclass(_value, TestCase) and _value.__module__ == _module.__name__:
            _left_out = {name: None for name in _ABOUT_SOCKETS | _NOT_AGAIN if hasattr(_value, name)}
            globals()[f"{_name}OverTls"] = type(f"{_name}OverTls", (_OverTls, _value), _left_out)


class TlsAloneTests(TestCase):
    """A site whose clients are under TLS."""

    def setUp(self) -> None:
        self.served = Served()
        self.client = TlsClient(self.served.site)
        self.addCleanup(lambda: self.assertEqual([], self.served.clock.getDelayedCalls()))

    def test_a_client_that_never_reads(self) -> None:
        """Nor says its last word, for which TLS would wait for ever: it is cut off."""
        self.client.transport.is_slow_to_close = self.client.transport.is_slow_to_send = True
        self.served.node.put(Set(b"k", b"x" * 50_000))
        self.client.send(get("/key/k") * 10)
        self.served.clock.advance(limits.IDLE_CONNECTION_TIMEOUT_SECONDS)
        self.assertFalse(self.client.transport.is_aborted)
        self.served.clock.advance(limits.HTTP_CLOSE_TIMEOUT_SECONDS)
        self.assertTrue(self.client.transport.is_aborted and self.client.is_closed)

    def test_a_stop_waits_for_the_last_word(self) -> None:
        """Which clients say; and then nothing is open."""
        self.served.clock.advance(limits.HTTP_GRACE_SECONDS)
        drained: list[object] = []
        self.served.site.drained().addCallback(drained.append)
        self.assertEqual(([], True, [None]), (list(drained), self.client.is_closed, drained))

    def test_a_refusal_before_the_hands_are_shaken(self) -> None:
        """One client too many is told so under TLS, too: what is written before the handshake must not stop it."""
        served = Served(connections_count=0)
        client = TlsClient(served.site)
        self.assertIn(b"too_many_connections", client.received())
        served.clock.advance(limits.REFUSED_LINGER_SECONDS)
        self.assertTrue(client.is_closed)
        self.client.hang_up()
