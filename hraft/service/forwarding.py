"""Asking the leader on a client's behalf, over the peer connection; and answering a peer that asks.

One hop, never more: a node that is asked answers as the leader, or says that it is not (C6). Time is limited by the
transport, which also fails what is on its way when it stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.python.failure import Failure

from hraft.errors import BadMessage, ChangeRefused, HraftError, NotLeader, OutcomeUnknown, PeerUnreachable, ProposalDropped
from hraft.interfaces import Transport
from hraft.questions import (
    ChangeOutcome,
    ForwardChange,
    ForwardedResult,
    ForwardJoin,
    ForwardProposal,
    ForwardQuestion,
    ForwardReadIndex,
    JoinOutcome,
    Request,
)
from hraft.service.proposals import Applied


class Forwarding:
    """The questions of this node to its leader."""

    def __init__(
        self, leader_id: Callable[[], str | None], node_id: str, transport: Transport, decode_result: Callable[[bytes], Any]
    ) -> None:
        self._leader_id = leader_id
        self._node_id = node_id
        self._transport = transport
        self._decode_result = decode_result

    def propose(self, command: bytes) -> Deferred[Applied]:
        """Have the leader propose it. Fails with NotLeader, ProposalDropped or OutcomeUnknown."""
        asking = self._ask(ForwardProposal(command))
        return asking.addCallbacks(self._applied, _not_asked)

    def read_index(self) -> Deferred[int]:
        """Have the leader confirm a read index. Fails with any error of hraft's."""
        return self._ask(ForwardReadIndex())

    def question(self, question: bytes) -> Deferred[bytes]:
        """Have the leader's application answer. Fails with NotLeader, ProposalDropped, OutcomeUnknown, or what it says."""
        return self._ask(ForwardQuestion(question)).addErrback(_not_asked)

    def join(self, request: ForwardJoin) -> Deferred[JoinOutcome]:
        """Have the leader take a node in."""
        return self._ask(request).addErrback(_not_joined)

    def change(self, request: ForwardChange) -> Deferred[ChangeOutcome]:
        """Have the leader change something about a member. Fails with NotLeader, PeerUnreachable (certainly
        not asked), ChangeRefused or OutcomeUnknown."""
        return self._ask(request)

    def _ask(self, request: Request) -> Deferred[Any]:
        leader_id = self._leader_id()
        if leader_id is None or leader_id == self._node_id:
            return fail(NotLeader(None))
        return maybeDeferred(self._transport.call, leader_id, request)

    def _applied(self, result: ForwardedResult) -> Applied:
        try:
            return Applied(result.index, self._decode_result(result.result))
        except (BadMessage, ValueError) as error:
            raise OutcomeUnknown(f"done at entry {result.index}, but the leader's answer cannot be read: {error}") from error


def _not_asked(failure: Failure) -> NoReturn:
    if failure.check(PeerUnreachable):
        raise ProposalDropped(f"the leader cannot be reached: {failure.value}")
    failure.raiseException()


def _not_joined(failure: Failure) -> NoReturn:
    if failure.check(OutcomeUnknown, ProposalDropped):
        raise ChangeRefused(f"no answer of the leader; joining again is harmless: {failure.value}", temporary=True)
    failure.raiseException()


def as_read_failure(failure: Failure) -> str:
    """Why a follower's reads were not confirmed, in words."""
    if failure.check(NotLeader):
        return "the leader changed before the read was confirmed; repeat it"
    return str(failure.value) if failure.check(HraftError) else f"the leader could not be asked: {failure.value!r}"
