"""Targets that take what comes over the raft port: boxes, the arguments of every command, whole connections at either end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.protocols import amp
from twisted.python.failure import Failure

from fuzz.target import Target, expect, same
from fuzz.values import value_of
from hraft import limits
from hraft.errors import BadMessage, HraftError, NotLeader, OutcomeUnknown, PeerUnreachable, WrongPeer
from hraft.interfaces import PeerIdentity, Receivers
from hraft.peers import commands, questions
from hraft.peers.accepted import AcceptedConnections
from hraft.peers.boxes import BoxParser, serialized
from hraft.peers.commands import Shape, decode_message, encode_message
from hraft.peers.dialled import HELLO_ANSWER, HELLO_SAID, DialledConnection, connect
from hraft.peers.hello import Purpose, hello_of
from hraft.questions import (
    ChangeOutcome,
    ClusterView,
    CompareState,
    ForwardChange,
    ForwardedResult,
    ForwardJoin,
    ForwardProposal,
    ForwardQuestion,
    ForwardReadIndex,
    JoinOutcome,
    ShareView,
    StateHash,
)

ME = PeerIdentity("c1", "n1", "n1:80")
OTHER = PeerIdentity("c1", "n2", "n2:80")
HELLO = serialized({b"_ask": b"1", b"_command": b"Hello", **HELLO_SAID.strings(hello_of(OTHER, "n1", Purpose.MESSAGES))})
ANSWER = serialized({b"_answer": b"1", **HELLO_ANSWER.strings(OTHER)})
_REQUESTS = (ForwardProposal(b"{}"), ForwardReadIndex(), ForwardJoin("n9", "n9:1", True))
_SHORT_BYTES = 4096


# --- boxes ----------------------------------------------------------------------------------------


def boxes_in(data: bytes, step: int = 0) -> tuple[list[dict[bytes, bytes]], str]:
    """The boxes that come out, and why no more do; fed at once or in steps."""
    parser, found = BoxParser(limits.PEER_HELLO_BYTES), list[dict[bytes, bytes]]()
    try:
        for start in range(0, len(data), step or len(data) or 1):
            found.extend(parser.feed(data[start : start + (step or len(data))]))
    except BadMessage as error:
        return found, str(error).partition(", got")[0]
    return found, ""


def _boxes(data: bytes) -> None:
    found, reason = boxes_in(data)
    # A box without keys, and keys in any number, are AMP; what was taken is what stands there.
    same(data[: sum(len(serialized(box)) for box in found)], b"".join(map(serialized, found)), "the boxes' own bytes")
    for step in (1, 7):
        if len(data) <= _SHORT_BYTES:
            same((found, reason), boxes_in(data, step), f"the same in steps of {step}")


# --- the arguments of every command ---------------------------------------------------------------


@cache
def shapes() -> tuple[tuple[str, Shape[Any]], ...]:
    """Every layout of a box that there is, by whom it belongs to."""
    asked = [questions.question_named(name.encode()) for name, kind in vars(commands).items() if _is_command(kind)]
    return (
        *((f"{name.decode()}", shape) for name, shape in commands._shape_by_name.items()),
        *((f"{each.command.__name__}, asked", each.asked) for each in asked if each is not None),
        *((f"{each.command.__name__}, answered", each.answered) for each in asked if each is not None),
        *(("Hello, asked", HELLO_SAID), ("Hello, answered", HELLO_ANSWER)),
    )


def _is_command(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, amp.Command)


def _arguments(data: bytes) -> None:
    for box in boxes_in(data)[0]:
        for name, shape in shapes():
            try:
                value = shape.value(box)
            except BadMessage:
                continue
            own = shape.strings(value)
            same(value, shape.value(own), f"{name}: its own strings, read")
        try:
            message = decode_message(box)
        except BadMessage:
            continue
        same(message, decode_message(boxes_in(encode_message(message))[0][0]), "a message's own bytes, read")


# --- whole connections ----------------------------------------------------------------------------


class _Wire(StringTransport):
    """Closes when it is told, and remembers that it did."""

    def abortConnection(self) -> None:
        self.disconnecting = True


class _Node:
    """Who is behind a connection, and answers every question by itself, some with an error."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.receivers = Receivers(message=self._take, chunk=self._take, request=self._ask)

    def _take(self, envelope: Any) -> None:
        same(("n2", "n1"), (envelope.sender, envelope.to), "who sent a message to whom")
        self.heard.append(envelope)

    def _ask(self, sender: str, request: Any) -> Deferred[Any]:
        same("n2", sender, "who asked")
        self.heard.append(request)
        if len(self.heard) % 3 == 0:
            return fail(NotLeader("n3"))
        if isinstance(request, ForwardProposal):
            return succeed(ForwardedResult(7, request.command))
        if isinstance(request, ForwardQuestion):
            return succeed(b"answer")
        if isinstance(request, ForwardChange):
            return succeed(ChangeOutcome(7, "n2"))
        if isinstance(request, CompareState):
            return succeed(StateHash("done", "1", "ab"))
        if isinstance(request, ShareView):
            return succeed(ClusterView(b"{}"))
        return succeed(9 if isinstance(request, ForwardReadIndex) else JoinOutcome("voter"))


@contextmanager
def no_defects() -> Iterator[None]:
    """Raise AssertionError for every failure that is logged: none of them may be a peer's or a client's doing."""
    logged: list[str] = []

    def observe(event: Any) -> None:
        if "log_failure" in event:
            logged.append(event["log_failure"].getTraceback())

    globalLogPublisher.addObserver(observe)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observe)
    expect(not logged, "a defect was logged: " + "\n".join(logged)[-1500:])


def _accepted(data: bytes) -> None:
    """As it is; and after a hello, in one piece and in small ones."""
    for before, step in ((b"", len(data)), (HELLO, len(data)), (HELLO, 11)):
        clock, node, wire = Clock(), _Node(), _Wire()
        factory = AcceptedConnections(clock, ME, lambda connection: None)
        factory.start(node.receivers)
        with no_defects():
            connection: Any = factory.buildProtocol(None)
            connection.makeConnection(wire)
            _feed(connection, wire, before, step or 1)
            was_greeted = connection.peer is not None
            _feed(connection, wire, data[: 300 * (step or 1)], step or 1)
            clock.advance(limits.PEER_HELLO_TIMEOUT_SECONDS)
            expect(connection.peer is not None or not node.heard, f"heard before the hello: {node.heard!r:.300}")
            same(bool(before), was_greeted, "whether the hello was taken")
            _end(connection, clock)
        expect(not factory.connections, f"connections left: {factory.connections!r:.300}")


def _dialled(data: bytes) -> None:
    """What the node that was dialled says, before and after the answer to the hello."""
    for before in (b"", ANSWER):
        clock, node, wire = Clock(), _Node(), _Wire()
        connection = DialledConnection(clock, ME, node.receivers)
        outcomes: list[Any] = []
        with no_defects():
            connect(_Endpoint(wire), connection, "n2", Purpose.MESSAGES).addBoth(outcomes.append)  # type: ignore[arg-type]
            _feed(connection, wire, before, len(before))
            answered = _asked(connection) if before else []
            _feed(connection, wire, data, len(data))
            clock.advance(limits.PEER_DIAL_TIMEOUT_SECONDS)
            _end(connection, clock)
            for question, outcome in answered:
                _check_answer(question, outcome)
        same(len(_REQUESTS) if before else 0, len(answered), "how many questions had an end")
        same(1, len(outcomes), "how many outcomes a dial has")
        if isinstance(outcomes[0], Failure):
            expect(outcomes[0].check(PeerUnreachable, WrongPeer), f"an untyped failure: {outcomes[0]!r}")
            outcomes.clear()


def _asked(connection: DialledConnection) -> list[tuple[Any, Any]]:
    """Ask one of everything; returns where each question will stand with its outcome."""
    answered: list[tuple[Any, Any]] = []
    for request in _REQUESTS:
        question = questions.question_for(request)
        asked = connection.ask(question.command.commandName, question.asked.strings(request))
        asked.addBoth(lambda outcome, question=question: answered.append((question, outcome)))
    return answered


def _check_answer(question: Any, outcome: Any) -> None:
    try:
        value = question.result(outcome) if isinstance(outcome, dict) else question.error(outcome.value)
        expect(value is not None, "neither a result nor an error")
    except HraftError:
        pass


def _feed(connection: Any, wire: _Wire, data: bytes, step: int) -> None:
    for start in range(0, len(data), max(1, step)):
        if not wire.disconnecting:
            connection.dataReceived(data[start : start + step])


def _end(connection: Any, clock: Clock) -> None:
    connection.connectionLost(Failure(OutcomeUnknown("the fuzzer hangs up")))
    same([], clock.getDelayedCalls(), "timers left after the end of a connection")


class _Endpoint:
    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def connect(self, factory: Any) -> Deferred[Any]:
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(self._wire)
        return succeed(protocol)


# --- samples --------------------------------------------------------------------------------------


def message_samples() -> list[bytes]:
    """Every message and chunk, twice."""
    random = Random("messages")
    kinds = [shape._subject for shape in commands._shape_by_name.values()]
    return [encode_message(value_of(kind, random)) for kind in kinds for _ in range(3)]


def _box_samples() -> list[bytes]:
    random = Random("boxes")
    asked, answers = [], []
    for number, (name, shape) in enumerate(shapes(), 2):
        command, _, part = name.partition(", ")
        strings = shape.strings(value_of(shape._subject, random))
        if part == "asked":
            asked.append(serialized({b"_ask": b"%d" % number, b"_command": command.encode(), **strings}))
        elif part == "answered":
            answers.append(serialized({b"_answer": b"%d" % (2 + number % 3), **strings}))
    codes = (b"NotLeader", b"ChangeRefused.temporary", b"UNKNOWN", b"UNHANDLED", b"WrongPeer")
    errors = [serialized({b"_error": b"2", b"_error_code": code, b"_error_description": b"why"}) for code in codes]
    single = [HELLO, ANSWER, *message_samples(), *asked, *answers, *errors]
    return [*single, *(b"".join(random.choices(single, k=4)) for _ in range(10)), b"".join(answers), b"GET / HTTP/1.1\r\n\r\n"]


TARGETS = (
    Target("boxes", "a stream of AMP boxes, whole and in parts", _boxes, _box_samples),
    Target("arguments", "boxes, read as every command's question and answer", _arguments, _box_samples),
    Target("accepted", "what a peer says that dialled this node", _accepted, _box_samples),
    Target("dialled", "what a peer answers that this node dialled", _dialled, _box_samples),
)
