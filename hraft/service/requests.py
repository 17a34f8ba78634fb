"""What a peer asks of this node, mostly as the leader: answered here or not at all, never passed on (C6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed

from hraft import limits
from hraft.errors import BadCommand, NotLeader
from hraft.questions import (
    CompareState,
    ForwardChange,
    ForwardedResult,
    ForwardProposal,
    ForwardQuestion,
    ForwardReadIndex,
    Request,
    ShareView,
)
from hraft.raft.ready import Role
from hraft.service.proposals import Applied
from hraft.service.running import Running


class Requests:
    """Who answers what."""

    def __init__(self, encode_result: Callable[[Any], bytes]) -> None:
        self._encode_result = encode_result
        #: The application's, see `NodeService.answer_questions`.
        self.answer_questions: Callable[[bytes], Deferred[bytes]] | None = None

    def answer(self, running: Running, sender: str, request: Request) -> Deferred[Any]:
        """Raises NotLeader, and what the answer can fail with."""
        if isinstance(request, CompareState):
            return succeed(running.comparing.answer(request))
        if running.node.role is not Role.LEADER:
            raise NotLeader(running.leader_id)
        if isinstance(request, ForwardProposal):
            return running.propose(request.command).addCallback(self._forwarded)
        if isinstance(request, ForwardReadIndex):
            return running.read_index(is_local=False)
        if isinstance(request, ForwardQuestion):
            return self.question(request.question)
        if isinstance(request, ShareView):
            return succeed(running.shared_view.answer(sender, request))
        if isinstance(request, ForwardChange):
            return Deferred.fromCoroutine(running.changing.change(request))
        return running.joining.join(request)

    def question(self, question: bytes) -> Deferred[bytes]:
        """(leader) Have the application answer. Raises BadCommand where it does not."""
        if self.answer_questions is None:
            raise BadCommand("the leader's application answers no questions")
        check_question(question)
        return maybeDeferred(self.answer_questions, question)

    def _forwarded(self, applied: Applied) -> ForwardedResult:
        return ForwardedResult(applied.index, self._encode_result(applied.result))


def check_question(question: bytes) -> None:
    """Raises BadCommand for one that no peer takes."""
    if len(question) > limits.QUESTION_BYTES:
        raise BadCommand(f"a question of {len(question)} bytes is too long: {limits.QUESTION_BYTES} are the most")
