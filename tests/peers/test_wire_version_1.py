"""A node of the release before works beside one of this release: what it says is frozen, as bytes, in wire_version_1.json.

The file was written by that release and is never made anew. A later protocol version gets a file of its own beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import TestCase

import pytest
from fake_network import PeersTestCase, Stranger, stranger_at
from twisted.protocols.amp import UnhandledCommand

from hraft import codec, errors, limits
from hraft.interfaces import PeerIdentity, SnapshotChunk, SnapshotChunkResponse
from hraft.peers import questions
from hraft.peers.boxes import BoxParser, serialized
from hraft.peers.commands import decode_message, encode_message
from hraft.peers.dialled import HELLO_ANSWER, HELLO_SAID
from hraft.peers.failures import as_amp_error
from hraft.peers.hello import Purpose, hello_of
from hraft.questions import (
    Change,
    ForwardChange,
    ForwardedResult,
    ForwardJoin,
    ForwardProposal,
    ForwardQuestion,
    ForwardReadIndex,
    JoinOutcome,
)
from hraft.raft import messages
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, Snapshot

FROZEN = json.loads((Path(__file__).parent / "wire_version_1.json").read_text("utf-8"))
MEMBERS = Configuration({"n1": "h1:1", "n2": "h2:1"}, {"n3": "h3:1"}, ("n0",))
COMMAND = b'{"set":{"key":"a","value":"1"}}'
ENTRIES = (
    Entry(8, 3, EntryKind.NOOP),
    Entry(9, 3, EntryKind.COMMAND, COMMAND),
    Entry(10, 3, EntryKind.CONFIGURATION, configuration=MEMBERS),
)
SNAPSHOT = Snapshot(7, 2, MEMBERS)
OLD = PeerIdentity("c1", "n2", "n2:11000")
#: What each frozen box says, by its name.
MESSAGES: tuple[Any, ...] = (
    messages.PreVote(4, 10, 3),
    messages.PreVoteResponse(4, True),
    messages.RequestVote(4, 10, 3, False),
    messages.RequestVoteResponse(4, False),
    messages.AppendEntries(3, 7, 2, ENTRIES, 7, 5),
    messages.AppendEntriesResponse(3, True, 7, 10, 0, 0, 10, 5),
    messages.InstallSnapshotResponse(3, 7),
    messages.TimeoutNow(3),
    SnapshotChunk(3, SNAPSHOT, 0, 11, b"hello world"),
    SnapshotChunkResponse(3, 7, 11, ""),
)
QUESTIONS: tuple[Any, ...] = (
    ForwardProposal(COMMAND),
    ForwardReadIndex(),
    ForwardJoin("n4", "h4:1", True),
    ForwardJoin("n4", "h4:1"),
    ForwardQuestion(b'{"lease":3}'),
)
ANSWERS: tuple[Any, ...] = (ForwardedResult(9, b"{}"), 9, JoinOutcome("voter"), JoinOutcome("learner"), b'{"ttl":5}')


def box(data: str) -> dict[bytes, bytes]:
    """The one box in these bytes."""
    (found,) = BoxParser(limits.PEER_FRAME_BYTES).feed(bytes.fromhex(data))
    return found


class FrozenTests(TestCase):
    """What the release before says is understood, and what it is told it understands: it skips keys that it does not know."""

    @pytest.mark.scenario("O15")
    def test_messages(self) -> None:
        """Each way; and every message of that release is still sent by the same name."""
        self.assertEqual({type(message).__name__ for message in MESSAGES}, set(FROZEN["messages"]))
        for message in MESSAGES:
            with self.subTest(type(message).__name__):
                frozen = box(FROZEN["messages"][type(message).__name__])
                self.assertEqual(message, decode_message(frozen))
                self.assertEqual(message, decode_message({**frozen, b"a_later_argument": b"1"}))
                told = box(encode_message(message).hex())
                self.assertEqual(frozen, {key: told.get(key) for key in frozen})

    @pytest.mark.scenario("O15")
    def test_questions_and_answers(self) -> None:
        """Each way, with what their answers mean."""
        asked = list(FROZEN["questions"].items())
        answered = list(FROZEN["answers"].values())
        for (name, data), answer_data, request, answer in zip(asked, answered, QUESTIONS, ANSWERS, strict=True):
            with self.subTest(name):
                question, frozen = questions.question_for(request), box(data)
                self.assertEqual(frozen[b"_command"], question.command.commandName)
                if not isinstance(request, ForwardReadIndex):
                    self.assertEqual(request, question.asked.value(frozen))
                told = question.asked.strings(request)
                self.assertEqual(frozen, {**told, b"_ask": b"3", b"_command": frozen[b"_command"]})
                self.assertEqual(answer, question.result(box(answer_data)))

    @pytest.mark.scenario("O15")
    def test_hello(self) -> None:
        """Word for word; a later one may say more."""
        frozen = box(FROZEN["hello"])
        said = HELLO_SAID.strings(hello_of(OLD, "n1", Purpose.MESSAGES))
        self.assertEqual({key: said.get(key) for key in frozen if not key.startswith(b"_")}, {
            key: value for key, value in frozen.items() if not key.startswith(b"_")
        })  # fmt: skip
        self.assertEqual(OLD, HELLO_ANSWER.value({**box(FROZEN["hello_answer"]), b"a_later_argument": b"1"}))

    @pytest.mark.scenario("O15")
    def test_errors_and_lines(self) -> None:
        """The codes of refusals; and entries and snapshots to the byte, since they are compared with what lies on disks."""
        raised = (errors.NotLeader("n1"), errors.ChangeRefused("no"), errors.ChangeRefused("no", temporary=True))
        others = (errors.ProposalDropped("no"), errors.OutcomeUnknown("no"), errors.WrongPeer("no"))
        for error, frozen in zip((*raised, *others), FROZEN["errors"].values(), strict=True):
            told = as_amp_error(error)
            self.assertEqual(frozen, [told.errorCode.decode(), told.description])
        for entry in ENTRIES:
            line = FROZEN["lines"][entry.kind.value].encode()
            self.assertEqual((entry, line), (codec.decode_entry(line), codec.encode_entry(entry)))
        line = FROZEN["lines"]["snapshot"].encode()
        self.assertEqual((SNAPSHOT, line), (codec.decode_snapshot(line), codec.encode_snapshot(SNAPSHOT)))


class BesideTests(PeersTestCase):
    """A connection with such a node, which says what is frozen."""

    def old_node(self) -> Stranger:
        node = self.network.node("n1")
        stranger, _ = stranger_at(self.network, node)
        stranger.write(bytes.fromhex(FROZEN["hello"]))
        self.network.flush()
        self.heard = node.messages
        return stranger

    @pytest.mark.scenario("O15")
    def test_it_says_hello_and_is_heard(self) -> None:
        """Its hello is answered with all that it looks for, its ping too, and its messages arrive."""
        stranger = self.old_node()
        [answer] = stranger.boxes
        self.assertEqual(set(box(FROZEN["hello_answer"])), set(answer))
        stranger.write(bytes.fromhex(FROZEN["ping"]) + bytes.fromhex(FROZEN["messages"]["AppendEntries"]))
        self.network.flush()
        self.assertEqual({b"_answer": b"2"}, stranger.boxes[-1])
        self.assertEqual([MESSAGES[4]], [envelope.message for envelope in self.heard])
        self.assertFalse(stranger.is_lost)

    @pytest.mark.scenario("O15")
    def test_what_it_does_not_know_is_not_done(self) -> None:
        """A question of this release to a leader of that one: it says so, and whoever asked knows that nothing was done."""
        question = questions.question_for(ForwardChange(Change.REMOVE.value, "n3"))
        told = serialized({b"_ask": b"9", b"_command": b"ForwardAnythingNew", **question.asked.strings(ForwardChange("x", "n3"))})
        stranger = self.old_node()
        stranger.write(told)
        self.network.flush()
        self.assertEqual(b"UNHANDLED", stranger.boxes[-1][b"_error_code"])
        self.assertIsInstance(question.error(UnhandledCommand()), errors.PeerUnreachable)
