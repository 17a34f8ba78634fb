"""Questions between nodes, dial-back, answers to strangers; and what a broken or hostile peer can do: nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
from fake_network import Node, PeersTestCase, Stranger, hello_bytes, stranger_at
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from hraft import limits
from hraft.errors import (
    BadCommand,
    ChangeRefused,
    HraftError,
    LeaseNotFound,
    NotLeader,
    OutcomeUnknown,
    PeerUnreachable,
    ProposalDropped,
    ReadFailed,
    WrongPeer,
)
from hraft.interfaces import PeerIdentity
from hraft.peers import questions
from hraft.peers.boxes import serialized
from hraft.peers.commands import encode_message
from hraft.questions import ForwardedResult, ForwardJoin, ForwardProposal, ForwardQuestion, ForwardReadIndex, JoinOutcome, Request
from hraft.raft.messages import AppendEntriesResponse, Envelope, TimeoutNow

PROPOSAL = ForwardProposal(b'{"op":"set"}')
READ = ForwardReadIndex()
QUESTION = ForwardQuestion(b"how are you?")
JOIN = ForwardJoin("n3", "n3:1", None)
#: What it means that the answer to each never came.
UNANSWERED: tuple[tuple[Request, type[HraftError]], ...] = (
    (PROPOSAL, OutcomeUnknown),
    (QUESTION, OutcomeUnknown),
    (READ, ReadFailed),
    (JOIN, ChangeRefused),
)


class QuestionTests(PeersTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.one, self.two = self.network.pair()

    def ask(self, request: Request) -> Deferred[Any]:
        asked = self.one.transport.call("n2", request)
        self.network.flush()
        return asked

    def answer_with(self, result: Any) -> None:
        self.two.requests[-1][2].callback(result)
        self.network.flush()

    def test_every_question_and_its_answer(self) -> None:
        """What is asked arrives, with the asker's name, and so does the answer; of any size."""
        cases: list[tuple[Request, Any]] = [
            (PROPOSAL, ForwardedResult(7, b'{"revision":1}')),
            (ForwardProposal(b'"' + b"x" * 200_000 + b'"'), ForwardedResult(8, b'"' + b"y" * 100_000 + b'"')),
            (READ, 4711),
            (QUESTION, b"all is well"),
            (ForwardQuestion(b"x" * 65_535), b""),
            (JOIN, JoinOutcome("voter")),
            (ForwardJoin("n3", "n3:1", False), JoinOutcome("learner")),
        ]
        for request, result in cases:
            asked = self.ask(request)
            self.assertEqual(("n1", request), self.two.requests[-1][:2])
            self.assertNoResult(asked)
            self.answer_with(result)
            self.assertEqual(result, self.successResultOf(asked))

    def test_errors_come_out_as_they_went_in(self) -> None:
        """With their class and their field: what the client may do next depends on both."""
        errors: list[HraftError] = [
            NotLeader("n3"),
            NotLeader(None),
            ChangeRefused("no"),
            ChangeRefused("not yet", temporary=True),
            ProposalDropped("dropped"),
            OutcomeUnknown("who knows"),
            ReadFailed("term changed"),
            BadCommand("what?"),
            LeaseNotFound("there is no lease 3 (any more)"),
            WrongPeer("who?"),
        ]
        for error in errors:
            asked = self.ask(PROPOSAL)
            self.answer_with_error(error)
            caught = self.failureResultOf(asked, type(error)).value
            self.assertIs(type(error), type(caught))
            self.assertEqual(str(error), str(caught))
            self.assertEqual(vars(error), vars(caught))
            self.network.advance(1)

    def answer_with_error(self, error: Exception) -> None:
        self.two.requests[-1][2].errback(error)
        self.network.flush()

    def test_an_error_of_any_length_fits(self) -> None:
        """A value of AMP ends at 65,535 bytes, and an error may quote what it complains of."""
        asked = self.ask(PROPOSAL)
        self.answer_with_error(ProposalDropped("\N{SNOWMAN}" * 100_000))
        self.assertTrue(str(self.failureResultOf(asked, ProposalDropped).value).startswith("\N{SNOWMAN}"))

    def test_a_failed_dial_back_at_the_leader(self) -> None:
        """The joiner's operator reads which node could not be reached."""
        asked = self.ask(JOIN)
        self.answer_with_error(PeerUnreachable("no connection to n3:1: refused"))
        self.assertIn("n3:1", str(self.failureResultOf(asked, PeerUnreachable).value))

    @pytest.mark.scenario("X4")
    def test_x4_a_defect_costs_one_answer(self) -> None:
        """It is logged where it is, the asker is told that it cannot know, and the connection goes on."""
        asked = self.ask(PROPOSAL)
        self.answer_with_error(ZeroDivisionError("a defect"))
        self.failureResultOf(asked, OutcomeUnknown)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.two.answer = _raise
        self.failureResultOf(self.ask(READ), ReadFailed)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.two.answer = lambda sender, request: succeed(5)
        self.assertEqual(5, self.successResultOf(self.ask(READ)))
        self.assertEqual(1, self.network.dialled.count("n2:1"))

    @pytest.mark.scenario("X4")
    def test_an_answer_of_the_wrong_shape_is_a_defect_of_the_answerer(self) -> None:
        """As above."""
        self.two.answer = lambda sender, request: succeed(None)
        self.failureResultOf(self.ask(PROPOSAL), OutcomeUnknown)
        self.assertEqual(1, len(self.flushLoggedErrors(AttributeError)))

    def test_a_command_is_checked_before_it_is_proposed(self) -> None:
        """What comes from a peer would otherwise be an entry that no node can read."""
        for command in (b"", b"{", b'{"a":\n1}', b"[" * 1000 + b"]" * 1000, b'"\xff"'):
            self.failureResultOf(self.ask(ForwardProposal(command)), BadCommand)
        self.assertEqual([], self.two.requests)

    def test_certainly_not_asked(self) -> None:
        """The client may repeat at once, so a proposal must not be called unknown that never left."""
        self.network.silent.add("n3:1")
        self.one.transport.set_peers({"n2": "n2:1", "n3": "n3:1", "n4": "n4:1"})
        cases: list[tuple[Request, type[HraftError]]] = [
            (PROPOSAL, ProposalDropped),
            (QUESTION, ProposalDropped),
            (READ, ReadFailed),
            (JOIN, PeerUnreachable),
        ]
        for request, error in cases:
            for peer in ("n3", "n4", "n5", "n1"):
                asked = self.one.transport.call(peer, request)
                self.network.advance(limits.PEER_DIAL_TIMEOUT_SECONDS + 0.1)
                self.failureResultOf(asked, error)

    def test_asked_and_lost(self) -> None:
        """The leader may have done it."""
        for request, error in UNANSWERED:
            asked = self.ask(request)
            for connection in self.network.connections:
                connection.cut()
            self.network.flush()
            caught = self.failureResultOf(asked, error).value
            self.assertTrue(getattr(caught, "temporary", True))
            self.network.advance(2)

    def test_an_error_without_its_text_is_the_end_of_every_question(self) -> None:
        """AMP forgets a question before it reads the answer: whoever asked would be told nothing until its time is over."""
        asked = self.ask(READ)
        for connection in self.network.connections:
            for tag in list(connection.client._dispatcher._outstandingRequests):
                connection.server.send(serialized({b"_error": tag, b"_error_code": b"NotLeader"}))
        self.network.flush()
        self.failureResultOf(asked, ReadFailed)

    def test_asked_and_never_answered(self) -> None:
        """AMP itself would wait as long as the connection lives. A late answer is nobody's."""
        for request, error in UNANSWERED:
            asked = self.ask(request)
            self.network.advance(limits.FORWARD_TIMEOUT_SECONDS - 1, 0.5)
            self.assertNoResult(asked)
            self.network.advance(1.5, 0.5)
            self.assertIn("no answer within", str(self.failureResultOf(asked, error).value))
        self.two.requests[0][2].callback(ForwardedResult(1, b"1"))
        self.network.flush()
        self.assertEqual(1, self.network.dialled.count("n2:1"))

    @pytest.mark.scenario("O15")
    def test_a_peer_of_an_older_release(self) -> None:
        """It says that it does not know the question, which was certainly not carried out; the connection goes on."""
        with mock.patch.dict("hraft.peers.questions._by_name"):
            del questions._by_name[b"ForwardQuestion"]
            error = self.failureResultOf(self.ask(QUESTION), ProposalDropped).value
        self.assertIn("release of hraft does not know this question", str(error))
        asked = self.ask(READ)
        self.answer_with(7)
        self.assertEqual(7, self.successResultOf(asked))

    def test_a_caller_that_gives_up(self) -> None:
        """Its question may still be answered: that hurts nobody."""
        asked = self.ask(PROPOSAL)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.answer_with(ForwardedResult(1, b"1"))
        self.assertEqual(1, self.network.dialled.count("n2:1"))

    def test_a_question_while_dialling_waits_for_the_connection(self) -> None:
        """A client's first write after a restart need not fail."""
        self.network.node("n3").answer = lambda sender, request: succeed(5)
        self.one.transport.set_peers({"n3": "n3:1"})
        asked = self.one.transport.call("n3", READ)
        given_up = self.one.transport.call("n3", READ)
        given_up.addErrback(lambda failure: None)
        given_up.cancel()
        self.network.flush()
        self.assertEqual(5, self.successResultOf(asked))

    @pytest.mark.scenario("O5")
    def test_questions_are_limited(self) -> None:
        """At the asker, whose memory waits for answers, and at the answerer."""
        self.patch(limits, "PEER_REQUESTS_COUNT", 20)
        asked = [self.one.transport.call("n2", READ) for _ in range(21)]
        self.failureResultOf(asked.pop(), ReadFailed)
        self.network.flush()
        self.assertEqual(20, len(self.two.requests))
        self.two.requests[0][2].callback(1)
        self.network.flush()
        self.assertEqual(1, self.successResultOf(asked[0]))
        self.network.connections[0].client._asked_count = 0
        dropped = self.ask(PROPOSAL)
        self.assertNoResult(dropped)
        self.failureResultOf(self.ask(PROPOSAL), ProposalDropped)
        for deferred in [*asked[1:], dropped]:
            deferred.addErrback(lambda failure: None)

    @pytest.mark.scenario("O5")
    def test_a_question_that_finds_no_room_was_not_asked(self) -> None:
        """Not "unknown": it never left."""
        self.network.connections[0].client_wire.is_stuck = True
        command = b'"' + b"x" * 1_000_000 + b'"'
        asked = [self.one.transport.call("n2", ForwardProposal(command)) for _ in range(20)]
        self.failureResultOf(asked[-1], ProposalDropped)
        self.assertNoResult(asked[0])
        for deferred in asked:
            deferred.addErrback(lambda failure: None)


def _raise(sender: str, request: Request) -> Deferred[Any]:
    raise ZeroDivisionError("a defect")


class DialBackTests(PeersTestCase):
    def dial_back(self, address: str) -> Deferred[PeerIdentity]:
        asked = self.network.nodes[0].transport.dial_back(address)
        self.network.flush()
        return asked

    def test_says_who_is_there(self) -> None:
        """Before a node is taken in, it is seen that its address leads to it; no connection remains."""
        self.network.node("n1")
        joiner = self.network.node("n9")
        lines = self.logged()
        self.assertEqual(PeerIdentity("c1", "n9", "n9:80"), self.successResultOf(self.dial_back("n9:1")))
        self.assertEqual([], self.network.connections)
        self.assertIsNone(joiner.transport.http_address("n1"))
        self.assertEqual([], lines)

    def test_says_who_is_not(self) -> None:
        """The joiner's operator has to read why."""
        self.network.node("n1")
        self.network.node("n8", cluster_id="c8")
        self.network.node("n7", version=7)
        self.network.silent.add("n6:1")
        for address, words in (("n8:1", "'c8'"), ("n7:1", "version 7"), ("n1:1", "own address")):
            self.assertIn(words, str(self.failureResultOf(self.dial_back(address), WrongPeer).value))
        self.assertRegex(str(self.failureResultOf(self.dial_back("nowhere:1"), PeerUnreachable).value), "nowhere:1.*refused")
        asked = self.dial_back("n6:1")
        self.network.advance(limits.PEER_DIAL_TIMEOUT_SECONDS + 0.1)
        self.assertIn("2.0 s", str(self.failureResultOf(asked, PeerUnreachable).value))
        self.assertEqual([], self.network.connections)

    def test_before_the_start(self) -> None:
        """There is nobody yet who could want to know."""
        self.network.node("n1", starts=False)
        self.failureResultOf(self.dial_back("n9:1"), PeerUnreachable)


class StrangerTests(PeersTestCase):
    """A node that is just taken in knows nobody: it answers where it is asked."""

    def test_an_answer_goes_back_where_the_message_came_from(self) -> None:
        """The joiner's log is empty, so it has no configuration and no address of its leader."""
        leader, joiner = self.network.node("n1"), self.network.node("n9")
        leader.transport.set_peers({"n9": "n9:1"})
        self.network.flush()
        answer = Envelope("n9", "n1", AppendEntriesResponse(1, True, 1))
        joiner.transport.send(answer)
        self.network.flush()
        self.assertEqual([answer], leader.messages)
        self.assertEqual("n1:80", joiner.transport.http_address("n1"))

    def test_a_question_too(self) -> None:
        """The joiner may have clients already, and its leader is known by its messages alone."""
        leader, joiner = self.network.node("n1"), self.network.node("n9")
        leader.transport.set_peers({"n9": "n9:1"})
        leader.answer = lambda sender, request: fail(NotLeader("n2"))
        self.network.flush()
        asked = joiner.transport.call("n1", READ)
        self.network.flush()
        self.assertEqual("n2", self.failureResultOf(asked, NotLeader).value.leader_id)

    def test_a_peer_is_only_answered_at_its_address(self) -> None:
        """What the configuration says counts, once there is one."""
        leader, joiner = self.network.node("n1"), self.network.node("n9")
        leader.transport.set_peers({"n9": "n9:1"})
        self.network.silent.add("n1:1")
        joiner.transport.set_peers({"n1": "n1:1"})
        self.network.flush()
        joiner.transport.send(Envelope("n9", "n1", TimeoutNow(1)))
        self.network.flush()
        self.assertEqual([], leader.messages)

    def test_whom_nobody_knows_nothing_is_sent(self) -> None:
        """And nothing raises."""
        node = self.network.node("n1")
        node.transport.send(Envelope("n1", "n5", TimeoutNow(1)))
        self.assertIsNone(node.transport.http_address("n5"))


class HostilePeerTests(PeersTestCase):
    """A peer that said a proper hello, and then goes mad."""

    def setUp(self) -> None:
        super().setUp()
        self.node: Node = self.network.node("n1")
        self.lines = self.logged()
        self.stranger, self.connection = self.greeted()

    def greeted(self) -> tuple[Stranger, Any]:
        stranger, connection = stranger_at(self.network, self.node)
        stranger.write(hello_bytes())
        self.network.flush()
        return stranger, connection

    def write(self, data: bytes) -> None:
        self.stranger.write(data)
        self.network.flush()

    def test_the_sender_is_who_said_hello(self) -> None:
        """It is no argument of the message, so it cannot be another."""
        self.write(encode_message(TimeoutNow(3)))
        self.assertEqual([Envelope("n9", "n1", TimeoutNow(3))], self.node.messages)

    @pytest.mark.scenario("L16", "O10")
    def test_a_malformed_message_ends_the_connection_with_its_reason(self) -> None:
        """What follows cannot be trusted either. What came before it counts."""
        bad = {
            "missing": serialized({b"_command": b"TimeoutNow"}),
            "'term' is wrong": serialized({b"_command": b"TimeoutNow", b"term": b"-1"}),
            "no message": serialized({b"_command": b"InstallSnapshot", b"term": b"1"}),
            "not AMP": b"\xff\xff",
            "twice": b"\0\1k\0\0" * 2,
            "answer to nothing": serialized({b"_answer": b"77"}) * 2,
            "without its text": serialized({b"_error": b"77"}),
            "NoEmptyBoxes": b"\0\0",
        }
        for words, data in bad.items():
            self.stranger, _ = self.greeted()
            self.node.messages.clear()
            self.write(encode_message(TimeoutNow(3)) + data + encode_message(TimeoutNow(4)))
            self.assertEqual([Envelope("n9", "n1", TimeoutNow(3))], self.node.messages)
            self.assertTrue(self.stranger.is_lost)
            self.assertIn(words, self.lines[-1])

    @pytest.mark.scenario("O10")
    def test_o10_a_box_without_end(self) -> None:
        """The connection is closed before the box fills our memory."""
        self.write(b"\0\x08_command\0\x0dAppendEntries\0\4term\0\0011")
        value, sent_bytes = b"x" * 65_535, 0
        for number in range(1000):
            name = b"entries.%d" % number
            self.write(len(name).to_bytes(2, "big") + name + b"\xff\xff" + value)
            sent_bytes += len(value)
            if self.stranger.is_lost:
                break
        self.assertLessEqual(sent_bytes, limits.PEER_FRAME_BYTES + len(value))
        self.assertIn("longer than the limit", self.lines[-1])
        server = self.connection.server
        self.assertEqual({}, server._parser._box, "what came of it does not wait for the collector of garbage")

    def test_a_node_that_stops_hears_nothing_more(self) -> None:
        """Not even what had arrived together with the message at which it stopped."""

        def stop(envelope: Envelope) -> None:
            self.node.messages.append(envelope)
            self.node.transport.stop()

        self.connection.server.receivers = replace(self.node.receivers, message=stop)
        self.write(encode_message(TimeoutNow(3)) + encode_message(TimeoutNow(4)))
        self.assertEqual([Envelope("n9", "n1", TimeoutNow(3))], self.node.messages)

    def test_a_truncated_message_is_no_message(self) -> None:
        """A connection that is lost in the middle of a box loses that box."""
        data = encode_message(TimeoutNow(3))
        for length in range(len(data)):
            self.stranger, connection = self.greeted()
            self.write(data[:length])
            connection.cut()
            self.network.flush()
        self.assertEqual([], self.node.messages)

    def test_an_unknown_question_is_answered_so(self) -> None:
        """A later version may ask what this one does not know; it is told, and goes on."""
        self.write(serialized({b"_command": b"Gossip", b"_ask": b"2"}))
        self.assertEqual(b"UNHANDLED", self.stranger.boxes[-1][b"_error_code"])
        self.write(encode_message(TimeoutNow(3)))
        self.assertEqual(1, len(self.node.messages))

    def test_a_malformed_question_is_answered_so(self) -> None:
        """And is not asked."""
        self.write(serialized({b"_command": b"ForwardJoin", b"_ask": b"2", b"node_id": b"\xff"}))
        self.assertEqual(b"BadMessage", self.stranger.boxes[-1][b"_error_code"])
        self.assertEqual([], self.node.requests)

    @pytest.mark.scenario("O10")
    def test_garbage_of_all_kinds(self) -> None:
        """Bytes of chance, and good messages with bytes of chance in them: nothing escapes, nothing stays open for ever."""
        chance = random.Random(7)
        good = [encode_message(TimeoutNow(3)), encode_message(AppendEntriesResponse(1, True, 2)), hello_bytes()]
        good.append(serialized({b"_command": b"ForwardReadIndex", b"_ask": b"5"}))
        for _ in range(300):
            stranger, connection = stranger_at(self.network, self.node) if chance.random() < 0.3 else self.greeted()
            data = bytearray(b"".join(chance.choices(good, k=3)))
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            stranger.write(bytes(data))
            self.network.flush()
            connection.cut()
            self.network.flush()
        self.assertEqual([], self.flushLoggedErrors())
        for _, _, deferred in self.node.requests:
            deferred.callback(1)

    @pytest.mark.scenario("O5")
    def test_answers_to_a_peer_that_does_not_read_are_bounded(self) -> None:
        """It may ask as fast as it likes."""
        self.node.answer = lambda sender, request: succeed(ForwardedResult(1, b'"' + b"x" * 1_000_000 + b'"'))
        self.connection.server_wire.is_stuck = True
        ask = serialized({b"_command": b"ForwardProposal", b"_ask": b"2", b"command": b"1"})
        for _ in range(100):
            self.write(ask)
        held_bytes = self.connection.server_wire.held_bytes + self.connection.server._outbox.waiting_bytes
        self.assertLessEqual(held_bytes, limits.PEER_QUEUE_BYTES + 200_000)
        self.connection.server_wire.is_stuck = False


class HttpAddressTests(PeersTestCase):
    def test_known_from_either_hello_and_the_newest_counts(self) -> None:
        """A leader is named to clients by where it serves HTTP, which may change with a restart."""
        one, two = self.network.pair()
        self.assertEqual("n2:80", one.transport.http_address("n2"))
        two.transport.stop()
        self.network.advance(1)
        self.assertEqual("n2:80", one.transport.http_address("n2"))
        again = Node(self.network, PeerIdentity("c1", "n2", "n2:8080"))
        self.network.nodes.append(again)
        self.network.listening["n2:1"] = again.transport.factory
        again.transport.start(again.receivers)
        again.transport.set_peers({"n1": "n1:1"})
        self.network.flush()
        self.assertEqual("n2:8080", one.transport.http_address("n2"))

    @pytest.mark.scenario("C6")
    def test_c6_a_removed_node_is_forgotten(self) -> None:
        """A hint must never name it."""
        one, two = self.network.pair()
        two.transport.stop()
        self.network.flush()
        one.transport.set_peers({})
        self.network.flush()
        self.assertIsNone(one.transport.http_address("n2"))
