"""Who may speak: another cluster, version or node is refused, in words, once."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase

import pytest
from fake_network import PeersTestCase, Stranger, hello_bytes, stranger_at

from hraft import limits
from hraft.errors import BadMessage
from hraft.interfaces import PeerIdentity
from hraft.peers.boxes import serialized
from hraft.peers.commands import encode_message
from hraft.peers.hello import Purpose, hello_of, objection_to_answer, objection_to_hello, purpose_of
from hraft.raft.messages import Envelope, TimeoutNow

ME = PeerIdentity("c1", "n1", "n1:80")


class ObjectionTests(TestCase):
    def test_a_peer_as_expected_is_taken(self) -> None:
        """Also by a node that cannot know in advance whom it dials."""
        other = PeerIdentity("c1", "n2", "n2:80")
        for expected in ("n1", ""):
            self.assertIsNone(objection_to_hello(ME, hello_of(other, expected, Purpose.MESSAGES)))
        for expected in ("n2", ""):
            self.assertIsNone(objection_to_answer(ME, other, expected))

    @pytest.mark.scenario("M15", "O10", "M14")
    def test_every_objection_names_both_sides(self) -> None:
        """The operator reads it at either node, and has to know which of them is wrong."""
        cases = {
            "cluster": (PeerIdentity("c2", "n2", ""), "n1", ("'c2'", "'c1'", "'n2'", "'n1'")),
            "version": (PeerIdentity("c1", "n2", "", 2), "n1", ("version 2", "version 1", "'n2'", "'n1'")),
            "one id": (PeerIdentity("c1", "n1", ""), "n1", ("'n1'", "own address")),
            "no id": (PeerIdentity("c1", "", ""), "n1", ("without an id",)),
            "another node": (PeerIdentity("c1", "n2", ""), "n3", ("'n2'", "'n3'", "'n1'")),
        }
        for name, (other, to, words) in cases.items():
            with self.subTest(name):
                objection = objection_to_hello(ME, hello_of(other, to, Purpose.MESSAGES)) or ""
                for word in words:
                    self.assertIn(word, objection)

    def test_purposes(self) -> None:
        """What is not known is refused by name, since a later version may have another."""
        for purpose in Purpose:
            self.assertIs(purpose, purpose_of(hello_of(ME, "", purpose)))
        with self.assertRaises(BadMessage) as caught:
            purpose_of(replace(hello_of(ME, "", Purpose.BULK), purpose="gossip"))
        self.assertIn("bulk", str(caught.exception))


class RefusalTests(PeersTestCase):
    def refused(self, *words: str) -> None:
        """Node n1 dials n2, and both say why not; once, however often it is tried."""
        lines = self.logged()
        self.network.advance(5)
        self.assertGreater(len(self.network.dialled), 4)
        for log in ("n1: cannot reach n2", ": refused a connection"):
            matching = [line for line in lines if log in line]
            self.assertEqual(1, len(matching), lines)
            for word in words:
                self.assertIn(word, matching[0])

    @pytest.mark.scenario("M15")
    def test_m15_another_cluster(self) -> None:
        """A node with the directory of another cluster must not vote in this one."""
        one, two = self.network.node("n1"), self.network.node("n2", cluster_id="c2")
        one.transport.set_peers({"n2": "n2:1"})
        self.refused("'c1'", "'c2'")
        one.transport.send(Envelope("n1", "n2", TimeoutNow(1)))
        self.network.flush()
        self.assertEqual([], two.messages)

    @pytest.mark.scenario("M15")
    def test_another_protocol_version(self) -> None:
        """It may mean something else by the same words."""
        one = self.network.node("n1")
        self.network.node("n2", version=2)
        one.transport.set_peers({"n2": "n2:1"})
        self.refused("version 2", "version 1", "releases")

    @pytest.mark.scenario("M14")
    def test_another_node_at_that_address(self) -> None:
        """An old member's address may belong to a new node: it must not get the old one's messages."""
        one = self.network.node("n1")
        self.network.listening["n2:1"] = self.network.node("n3").transport.factory
        one.transport.set_peers({"n2": "n2:1"})
        self.refused("'n2'", "'n3'")

    @pytest.mark.scenario("M14")
    def test_m14_this_node_at_that_address(self) -> None:
        """A node never sends to itself, although an old member had its address."""
        one = self.network.node("n1")
        self.network.listening["n2:1"] = one.transport.factory
        one.transport.set_peers({"n2": "n2:1", "n1": "n1:1"})
        self.assertNotIn("n1:1", self.network.dialled)
        self.network.advance(1)
        one.transport.send(Envelope("n1", "n2", TimeoutNow(1)))
        self.network.flush()
        self.assertEqual([], one.messages)

    def test_a_refusal_that_is_mended_is_over(self) -> None:
        """Links try for ever, so that nothing has to be restarted."""
        one = self.network.node("n1")
        self.network.node("n2", cluster_id="c2")
        one.transport.set_peers({"n2": "n2:1"})
        self.network.advance(2)
        two = self.network.node("n2")
        self.network.advance(2)
        one.transport.send(Envelope("n1", "n2", TimeoutNow(1)))
        self.network.flush()
        self.assertEqual([Envelope("n1", "n2", TimeoutNow(1))], two.messages)

    def test_an_answer_is_judged_too(self) -> None:
        """An acceptor that takes anybody is still not whom we looked for."""
        one = self.network.node("n1")
        lines = self.logged()
        self.network.listening["n3:1"] = Liar()
        one.transport.set_peers({"n3": "n3:1"})
        self.network.flush()
        self.assertEqual([], self.network.connections)
        self.network.advance(1)
        self.assertEqual(1, len([line for line in lines if "'n7' answers at the address of node 'n3'" in line]), lines)


class Liar:
    """A listener that answers every hello as node n7."""

    def buildProtocol(self, address: object) -> object:
        return LiarsEnd()


class LiarsEnd(Stranger):
    """See above."""

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        answer = {b"protocol_version": b"1", b"cluster_id": b"c1", b"node_id": b"n7", b"http_address": b""}
        self.write(serialized({b"_answer": self.boxes[0][b"_ask"], **answer}))


class StrangerTests(PeersTestCase):
    """What somebody may do who only knows the port."""

    def setUp(self) -> None:
        super().setUp()
        self.node = self.network.node("n1")
        self.lines = self.logged()
        self.stranger, self.connection = stranger_at(self.network, self.node)

    def write(self, data: bytes) -> None:
        self.stranger.write(data)
        self.network.flush()

    def test_a_hello_is_answered_by_the_same(self) -> None:
        """Both sides know whom they talk to, and where it serves HTTP."""
        self.write(hello_bytes())
        self.assertEqual(
            [{b"_answer": b"1", b"protocol_version": b"1", b"cluster_id": b"c1", b"node_id": b"n1", b"http_address": b"n1:80"}],
            self.stranger.boxes,
        )
        self.assertEqual("n9:80", self.node.transport.http_address("n9"))

    @pytest.mark.scenario("O10")
    def test_o10_nothing_is_heard_before_the_hello(self) -> None:
        """The sender of a message is who said hello; there is none yet."""
        self.write(encode_message(TimeoutNow(99)))
        self.assertEqual([], self.node.messages)
        self.assertTrue(self.stranger.is_lost)

    def test_no_question_is_answered_before_the_hello(self) -> None:
        """Not even whether somebody is there."""
        self.write(serialized({b"_command": b"ForwardReadIndex", b"_ask": b"1"}))
        self.assertEqual(b"UNHANDLED", self.stranger.boxes[0][b"_error_code"])
        self.assertEqual([], self.node.requests)

    def test_a_missing_hello_is_not_waited_for(self) -> None:
        """Connections are limited in number: one that says nothing must not keep its place. A trickle is nothing."""
        for byte in hello_bytes()[:11]:
            self.write(bytes([byte]))
            self.network.advance(limits.PEER_HELLO_TIMEOUT_SECONDS / 10)
        self.assertTrue(self.stranger.is_lost)
        self.assertEqual(1, len([line for line in self.lines if "no hello within" in line]), self.lines)

    def test_little_is_taken_before_the_hello(self) -> None:
        """Whoever has not said who it is may not fill our memory."""
        self.write(serialized({b"_command": b"Hello", b"x": b"x" * limits.PEER_HELLO_BYTES}))
        self.assertTrue(self.stranger.is_lost)

    def test_a_second_hello_is_refused(self) -> None:
        """The sender of a connection's messages does not change."""
        self.write(hello_bytes())
        self.write(hello_bytes(node_id="n8"))
        self.assertEqual(b"BadMessage", self.stranger.boxes[1][b"_error_code"])
        self.write(encode_message(TimeoutNow(3)))
        self.assertEqual([Envelope("n9", "n1", TimeoutNow(3))], self.node.messages)

    def test_a_bad_hello_is_refused(self) -> None:
        """Every argument may be missing or be anything."""
        for changes in ({"node_id": None}, {"protocol_version": "x"}, {"purpose": "gossip"}, {"cluster_id": None}):
            stranger, _ = stranger_at(self.network, self.node)
            stranger.write(hello_bytes(**changes))
            self.network.flush()
            self.assertEqual(b"BadMessage", stranger.boxes[0][b"_error_code"])
            self.assertEqual([], self.node.messages)

    @pytest.mark.scenario("O10")
    def test_http_is_answered_with_a_hint(self) -> None:
        """A person who asks the wrong port is told which is the right one."""
        self.write(b"GET /key/foo HTTP/1.1\r\nHost: n1:1\r\n\r\n")
        self.assertTrue(self.stranger.received.startswith(b"HTTP/1.1 400 Bad Request\r\n"))
        self.assertIn(b"for HTTP ask http://n1:80/\n", self.stranger.received)
        self.assertTrue(self.stranger.is_lost)
        self.assertEqual(1, len([line for line in self.lines if "not AMP" in line]), self.lines)

    @pytest.mark.scenario("O10", "O6")
    def test_connections_are_limited(self) -> None:
        """And a peer always finds a place among any number of strangers: it says hello at once, and they never do."""
        said = self.network.node("n2")
        said.transport.set_peers({"n1": "n1:1"})
        self.network.flush()
        accepted = self.node.transport._accepted
        peer = accepted.connection_from("n2", Purpose.MESSAGES)
        assert peer is not None
        for _ in range(3 * limits.PEER_CONNECTIONS_COUNT):
            stranger_at(self.network, self.node)
        self.network.flush()
        self.assertEqual((limits.PEER_CONNECTIONS_COUNT, True), (len(accepted.connections), peer.is_open))
        self.assertTrue(self.stranger.is_lost)
        self.assertEqual(1, len([line for line in self.lines if "which is the limit" in line]), self.lines)
        self.assertEqual(1, len([line for line in self.lines if "its place is needed" in line]), self.lines)
        late, _ = stranger_at(self.network, self.node)
        late.write(hello_bytes(node_id="n3"))
        self.network.flush()
        self.assertEqual("n1", late.boxes[0][b"node_id"].decode())
        self.network.advance(limits.PEER_HELLO_TIMEOUT_SECONDS + 0.1, 0.5)
        self.assertGreater(3, len(accepted.connections), "the limit gives places back")

    @pytest.mark.scenario("O10")
    def test_repeated_hellos_do_not_fill_the_port(self) -> None:
        """Of a peer's connections all but the newest and the liveliest give way; not to an endless row of peers, though."""
        accepted = self.node.transport._accepted
        peer, _ = stranger_at(self.network, self.node)
        peer.write(hello_bytes(node_id="n2"))
        for _ in range(2 * limits.PEER_CONNECTIONS_COUNT):
            stranger, _ = stranger_at(self.network, self.node)
            stranger.write(hello_bytes(node_id="n2"))
            self.network.advance(0.01, 0.01)
            peer.write(serialized({b"_command": b"Ping", b"_ask": b"1"}))
            self.network.flush()
        self.assertEqual((limits.PEER_CONNECTIONS_COUNT, False), (len(accepted.connections), peer.is_lost))
        for number in range(2 * limits.PEER_CONNECTIONS_COUNT):
            stranger, _ = stranger_at(self.network, self.node)
            stranger.write(hello_bytes(node_id=f"x{number}"))
            self.network.flush()
            if len(accepted.connections) == limits.PEER_CONNECTIONS_COUNT == len(accepted._by_peer):
                break
        self.assertIsNone(self.node.transport.factory.buildProtocol(None))

    def test_complaints_are_limited(self) -> None:
        """Made-up names must not fill our memory by way of what was logged about them, nor our disk by way of the log."""
        for number in range(3 * limits.PEER_COMPLAINTS_COUNT):
            stranger, _ = stranger_at(self.network, self.node)
            stranger.write(hello_bytes(node_id=f"x{number}", cluster_id="c2"))
            self.network.flush()
        self.assertLessEqual(len(self.node.transport._accepted._complaints), limits.PEER_COMPLAINTS_COUNT)
        self.assertLessEqual(len(self.lines), limits.PEER_COMPLAINTS_COUNT)
        before = len(self.lines)
        self.network.advance(limits.PEER_COMPLAINTS_SECONDS + 1, 1)
        stranger, _ = stranger_at(self.network, self.node)
        stranger.write(hello_bytes(node_id="other", cluster_id="c2"))
        self.network.flush()
        self.assertEqual(before + 1, len(self.lines), "another minute, another word")

    def test_before_the_start_nobody_is_heard(self) -> None:
        """The port may be open before the node can answer."""
        self.assertIsNone(self.network.node("n5", starts=False).transport.factory.buildProtocol(None))


class RemovedTests(PeersTestCase):
    @pytest.mark.scenario("M12")
    def test_who_was_removed_is_told_at_the_hello(self) -> None:
        """And at the next one, where it was connected already; by a peer of its own cluster alone."""
        told: list[int] = []
        n1, n2 = self.network.node("n1", starts=False), self.network.node("n2", starts=False)
        removed: set[str] = set()
        n1.transport.start(replace(n1.receivers, removal_of=lambda node_id: 17 if node_id in removed else None))
        n2.transport.start(replace(n2.receivers, removed=told.append))
        n2.transport.set_peers({"n1": "n1:1"})
        self.network.advance(1)
        self.assertEqual([], told)
        removed.add("n2")
        n1.transport.hang_up("n2")
        lines = self.logged()
        self.network.advance(3)
        self.assertEqual({17}, set(told))
        self.assertEqual(1, sum("was removed from the cluster at index 17" in line for line in lines if "refused" in line), lines)
