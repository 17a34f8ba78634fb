"""The questions that a node passes to its leader: how each is asked, answered, and how it fails.

What matters is what the asker may do next, so for every question it is said what it means that nothing was asked, and
what it means that the answer never came. Knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet import defer
from twisted.protocols import amp

from hraft.codec import check_command
from hraft.errors import BadMessage, ChangeRefused, HraftError, OutcomeUnknown, PeerUnreachable, ProposalDropped, ReadFailed
from hraft.interfaces import Receivers
from hraft.limits import FORWARD_TIMEOUT_SECONDS
from hraft.peers import commands
from hraft.peers.commands import Shape
from hraft.peers.failures import as_hraft_error
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
    Request,
    ShareView,
    StateHash,
)


@dataclass(frozen=True, slots=True)
class Nothing:
    """What a question without arguments or an answer without content carries."""


@dataclass(frozen=True, slots=True)
class ReadIndexAnswer:
    read_index: int


@dataclass(frozen=True, slots=True)
class QuestionAnswer:
    answer: bytes


#: Answers that are one value: what carries it in the box.
_CARRIERS: dict[type[Any], Callable[[Any], Any]] = {ForwardReadIndex: ReadIndexAnswer, ForwardQuestion: QuestionAnswer}


@dataclass(frozen=True, slots=True)
class Question:
    """One kind of question. `not_asked` and `unanswered` make an error of a reason."""

    command: type[amp.Command]
    asked: Shape[Any]
    answered: Shape[Any]
    not_asked: Callable[[str], HraftError]
    unanswered: Callable[[str], HraftError]

    async def answer(self, receivers: Receivers, sender: str, box: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Answer what a peer asked. Raises BadMessage, BadCommand, or what the receiver fails with."""
        request = self.asked.value(box)
        if isinstance(request, Nothing):
            return {}
        if isinstance(request, ForwardProposal):
            check_command(request.command)
        result = await receivers.request(sender, request)
        carrier = _CARRIERS.get(type(request))
        return self.answered.strings(result if carrier is None else carrier(result))

    def result(self, box: dict[bytes, bytes]) -> Any:
        """What the asker is told when the peer answered."""
        try:
            answer = self.answered.value(box)
        except BadMessage as error:
            raise self.unanswered(f"the answer does not read: {error}") from error
        if isinstance(answer, QuestionAnswer):
            return answer.answer
        return answer.read_index if isinstance(answer, ReadIndexAnswer) else answer

    def error(self, error: Exception) -> HraftError:
        """What the asker is told when the question failed with `error`, here or at the peer."""
        if isinstance(error, amp.UnhandledCommand):
            return self.not_asked("the peer's release of hraft does not know this question")
        if isinstance(error, amp.RemoteAmpError):
            peers_error = as_hraft_error(error)
            if peers_error is None:
                return self.unanswered(f"the peer did not know how to answer: {error.description}")
            error = peers_error
        if isinstance(error, PeerUnreachable):
            return self.not_asked(str(error))
        if isinstance(error, defer.TimeoutError):
            return self.unanswered(f"no answer within {FORWARD_TIMEOUT_SECONDS} s")
        return error if isinstance(error, HraftError) else self.unanswered(str(error) or type(error).__name__)


def _join_unanswered(reason: str) -> HraftError:
    """Joining twice is harmless, so whoever does not know may simply join again."""
    return ChangeRefused(f"the leader did not answer in time, join again: {reason}", temporary=True)


def _proposal_dropped(reason: str) -> HraftError:
    return ProposalDropped(f"the leader was not asked: {reason}")


def _outcome_unknown(reason: str) -> HraftError:
    return OutcomeUnknown(f"the leader was asked and did not answer: {reason}")


def _read_failed(reason: str) -> HraftError:
    return ReadFailed(f"the leader did not confirm the read: {reason}")


def _question(
    command: type[amp.Command], asked: type[Any], answered: type[Any], not_asked: type[HraftError] | Callable[[str], HraftError],
    unanswered: Callable[[str], HraftError],
) -> Question:  # fmt: skip
    return Question(command, Shape(asked, command.arguments), Shape(answered, command.response), not_asked, unanswered)


PING = _question(commands.Ping, Nothing, Nothing, PeerUnreachable, PeerUnreachable)

_questions: dict[type[Any], Question] = {
    ForwardProposal: _question(commands.ForwardProposal, ForwardProposal, ForwardedResult, _proposal_dropped, _outcome_unknown),
    ForwardReadIndex: _question(commands.ForwardReadIndex, ForwardReadIndex, ReadIndexAnswer, _read_failed, _read_failed),
    ForwardQuestion: _question(commands.ForwardQuestion, ForwardQuestion, QuestionAnswer, _proposal_dropped, _outcome_unknown),
    ForwardChange: _question(commands.ForwardChange, ForwardChange, ChangeOutcome, PeerUnreachable, _outcome_unknown),
    ForwardJoin: _question(commands.ForwardJoin, ForwardJoin, JoinOutcome, PeerUnreachable, _join_unanswered),
}
_questions[CompareState] = _question(commands.CompareState, CompareState, StateHash, PeerUnreachable, PeerUnreachable)
_questions[ShareView] = _question(commands.ShareView, ShareView, ClusterView, PeerUnreachable, PeerUnreachable)
_by_name = {question.command.commandName: question for question in (PING, *_questions.values())}


def question_for(request: Request) -> Question:
    return _questions[type(request)]


def question_named(name: bytes) -> Question | None:
    return _by_name.get(name)
