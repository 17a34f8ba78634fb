"""Transports over mutual TLS: what peers say arrives as without it, and strangers get nowhere and leave nothing."""

from __future__ import annotations

from typing import Any

import certificates
import pytest
from fake_network import Connection, Host, Network, Node, PeersTestCase, Stranger, hello_bytes

from hraft import limits
from hraft.errors import PeerUnreachable
from hraft.interfaces import ChunkEnvelope, SnapshotChunk
from hraft.questions import ForwardedResult, ForwardProposal
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, Snapshot
from hraft.raft.messages import AppendEntries, Envelope, TimeoutNow
from hraft.tls.connections import Secured, SecuredEndpoint


class SecuredNetwork(Network):
    """Every node `n` has a certificate for the host `n`, and trusts those of one authority."""

    def __init__(self) -> None:
        super().__init__()
        #: By node, where it is not the usual one.
        self.shown: dict[str, Any] = {}

    def node(self, node_id: str, *arguments: Any, **options: Any) -> Node:
        node = super().node(node_id, *arguments, **options)
        made = self.shown.get(node_id) or certificates.node(node_id)
        self.listening[f"{node_id}:1"] = Secured(
            node.transport.factory, certificates.server(made, certificates.ca()), self.clock
        )
        dial = self.dial
        node.transport._endpoint = lambda address: SecuredEndpoint(
            dial(address), certificates.dialler(None, made), address.partition(":")[0], self.clock
        )
        return node

    def strangers(self, node: Node) -> tuple[Stranger, Connection]:
        """Somebody who dials without TLS."""
        server = self.listening[f"{node.transport.identity.node_id}:1"].buildProtocol(Host("10.6.6.6"))
        stranger = Stranger()
        connection = Connection(stranger, server, self.clock)
        self.connections.append(connection)
        return stranger, connection


class SecuredPeersTests(PeersTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.network = self.secured = SecuredNetwork()
        self.addCleanup(self.network.stop)

    @pytest.mark.scenario("O2", "O5")
    def test_large_and_small_arrive_whole_and_in_order(self) -> None:
        """On both connections, through TLS' records and its own flow control."""
        one, two = self.network.pair()
        sent = []
        for number, size in enumerate((10, limits.REQUEST_BODY_BYTES, 70_000, 3 * limits.REQUEST_BODY_BYTES, 1), 1):
            entry = Entry(number, 1, EntryKind.COMMAND, b'"' + b"x" * size + b'"')
            sent.append(Envelope("n1", "n2", AppendEntries(1, number - 1, 1, (entry,), 0)))
        for envelope in sent:
            one.transport.send(envelope)
        chunk = SnapshotChunk(1, Snapshot(1, 1, Configuration({"n1": "n1:1"}, {})), 0, 9, b"y" * limits.SNAPSHOT_CHUNK_BYTES)
        one.transport.send_chunk(ChunkEnvelope("n1", "n2", chunk))
        self.network.advance(1.0)
        self.assertEqual((sent, [chunk]), (two.messages, [envelope.message for envelope in two.chunks]))

    def test_questions_and_dial_back(self) -> None:
        """The hello is what it was."""
        one, two = self.network.pair()
        answer = one.transport.call("n2", ForwardProposal(b"1"))
        self.network.flush()
        [(sender, request, waiting)] = two.requests
        self.assertEqual(("n1", ForwardProposal(b"1")), (sender, request))
        waiting.callback(ForwardedResult(7, b'"done"'))
        self.network.advance(0.2)
        self.assertEqual(ForwardedResult(7, b'"done"'), self.successResultOf(answer))
        found = one.transport.dial_back("n2:1")
        self.network.advance(0.2)
        self.assertEqual("n2", self.successResultOf(found).node_id)

    def test_another_nodes_certificate(self) -> None:
        """A node that shows what is another's is not talked to, and the log says why."""
        self.secured.shown["n2"] = certificates.node("n3")
        lines = self.logged()
        one, two = self.node_pair()
        self.assertTrue(any("the certificate is for n3, and not for n2" in line for line in lines), lines)
        one.transport.send(Envelope("n1", "n2", TimeoutNow(1)))
        self.network.advance(1.0)
        self.assertEqual([], two.messages)
        found = one.transport.dial_back("n2:1")
        self.network.advance(0.2)
        self.assertIn("not for n2", self.failureResultOf(found, PeerUnreachable).getErrorMessage())

    def test_a_node_of_another_authority(self) -> None:
        """In neither direction."""
        self.secured.shown["n2"] = certificates.node("n2", by="other")
        lines = self.logged()
        one, two = self.node_pair()
        two.transport.send(Envelope("n2", "n1", TimeoutNow(1)))
        self.network.advance(2.0)
        self.assertEqual(([], []), (one.messages, two.messages))
        self.assertTrue(any("not among those that are trusted here" in line for line in lines), lines)
        self.assertTrue(any("does not know the authority of our certificate" in line for line in lines), lines)

    def node_pair(self) -> tuple[Node, Node]:
        one, two = self.network.node("n1"), self.network.node("n2")
        one.transport.set_peers({"n2": "n2:1"})
        two.transport.set_peers({"n1": "n1:1"})
        self.network.advance(1.0)
        return one, two

    def test_a_peer_without_tls(self) -> None:
        """Its hello is not read, and its connection is closed at once."""
        node = self.network.node("n1")
        lines = self.logged()
        stranger, connection = self.secured.strangers(node)
        stranger.write(hello_bytes())
        self.network.flush()
        self.assertEqual((b"", True, {}), (stranger.received, connection.is_over, node.transport._accepted.connections))
        self.assertEqual(["n1: refused a connection from 10.6.6.6: what came is not TLS"], lines)

    def test_a_handshake_that_stalls(self) -> None:
        """It has as long as a hello has, and no longer."""
        node = self.network.node("n1")
        stranger, connection = self.secured.strangers(node)
        stranger.write(b"\x16\x03\x01\x02\x00")
        self.network.advance(limits.PEER_HELLO_TIMEOUT_SECONDS + 0.1)
        self.assertEqual((True, {}), (connection.is_over, node.transport._accepted.connections))

    def test_tls_where_there_is_none(self) -> None:
        """A node that was started without it tells one that was started with it by hanging up."""
        plain = Network.node(self.network, "n2")
        one = self.network.node("n1")
        one.transport.set_peers({"n2": "n2:1"})
        lines = self.logged()
        self.network.advance(1.0)
        self.assertTrue(any("the other end does not speak TLS here" in line for line in lines), lines)
        self.assertEqual({}, plain.transport._accepted.connections)

    def test_a_peer_that_stops_reading(self) -> None:
        """Under TLS, too, what it does not take is bounded, and it is given up after a silence."""
        one, _ = self.network.pair()
        for connection in self.network.connections:
            connection.vanish()
        entry = Entry(1, 1, EntryKind.COMMAND, b'"' + b"x" * limits.REQUEST_BODY_BYTES + b'"')
        for _ in range(40):
            one.transport.send(Envelope("n1", "n2", AppendEntries(1, 0, 1, (entry,), 0)))
        held = max(connection.client_wire.held_bytes for connection in self.network.connections)
        self.assertLess(held, 512 * 1024)
        self.network.advance(limits.PEER_SILENCE_SECONDS + 1.0)
        for connection in list(self.network.connections):
            if connection.client_wire.is_stuck:
                self.assertTrue(connection.client_wire.was_aborted or connection.client_wire.disconnecting)
                connection.client_wire.is_stuck = connection.server_wire.is_stuck = False
        self.network.flush()
