"""Clients waiting for their entry to be applied: each is answered or failed exactly once.

One queue, in order of index and therefore of deadline too: a leader's proposals only ever get later ones, and all that
could be overtaken are failed when it stops leading. Knows nothing of nodes and state machines.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from hraft import limits
from hraft.errors import HraftError, OutcomeUnknown, ProposalDropped
from hraft.raft.entry import EntryId


class Applied(msgspec.Struct, frozen=True, gc=False):
    """What the state machine answered to a command, and the index it was applied at."""

    index: int
    result: Any


class _Proposal:
    """One waiting client. `deferred` is None once it was answered, failed or has hung up."""

    __slots__ = ("deadline", "deferred", "entry_id")

    def __init__(self, entry_id: EntryId, deadline: float) -> None:
        self.entry_id = entry_id
        self.deadline = deadline
        self.deferred: Deferred[Applied] | None = Deferred(self._hung_up)

    def _hung_up(self, _: Deferred[Applied]) -> None:
        """The client is gone; its entry takes its course (C7)."""
        self.deferred = None

    def answer(self, applied: Applied) -> None:
        deferred, self.deferred = self.deferred, None
        if deferred is not None:
            deferred.callback(applied)

    def fail(self, error: HraftError) -> None:
        deferred, self.deferred = self.deferred, None
        if deferred is not None:
            deferred.errback(error)


class Proposals:
    """The waiting line."""

    def __init__(
        self,
        timeout_seconds: float = limits.PROPOSE_TIMEOUT_SECONDS,
        count_limit: int = limits.WAITING_PROPOSALS_COUNT,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._count_limit = count_limit
        self._waiting: deque[_Proposal] = deque()
        #: What clients were told, since the start.
        self.applied_count = self.dropped_count = self.unknown_count = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first_index(self) -> int | None:
        """The index that the first one waits for."""
        return self._waiting[0].entry_id.index if self._waiting else None

    def check_room(self) -> None:
        """Raise ProposalDropped when no more may wait. To be asked before the entry is proposed, since then it is too late."""
        if len(self._waiting) >= self._count_limit:
            raise ProposalDropped(f"{self._count_limit} proposals are waiting already; try again when some are done")

    def wait(self, entry_id: EntryId, now: float) -> Deferred[Applied]:
        """Wait for an entry just proposed. Cancelling the Deferred detaches the client, never the entry."""
        assert not self._waiting or self._waiting[-1].entry_id.index < entry_id.index, (self._waiting[-1].entry_id, entry_id)
        proposal = _Proposal(entry_id, now + self._timeout_seconds)
        self._waiting.append(proposal)
        assert proposal.deferred is not None
        return proposal.deferred

    def applied(self, entry_id: EntryId, result: Any) -> None:
        """An entry was applied: answer who waited for it; whoever waited for another one at its index lost to it (C4)."""
        waiting = self._waiting
        while waiting and waiting[0].entry_id.index <= entry_id.index:
            proposal = waiting.popleft()
            if proposal.entry_id == entry_id:
                self.applied_count += 1
                proposal.answer(Applied(entry_id.index, result))
            elif proposal.entry_id.index == entry_id.index:
                self.dropped_count += 1
                proposal.fail(
                    ProposalDropped(
                        f"entry {entry_id.index} of term {proposal.entry_id.term} was replaced by one of term {entry_id.term}; "
                        "it is safe to propose it again"
                    )
                )
            else:
                self.unknown_count += 1
                proposal.fail(OutcomeUnknown(f"entry {proposal.entry_id.index} arrived here within a snapshot"))

    def expire(self, now: float) -> None:
        """Fail those whose time is over."""
        while self._waiting and (self._waiting[0].deferred is None or self._waiting[0].deadline <= now):
            self.unknown_count += self._waiting[0].deferred is not None
            self._waiting.popleft().fail(
                OutcomeUnknown(f"not applied within {self._timeout_seconds:g} s; it may still be, or may never be")
            )

    def fail_after(self, index: int, reason: str) -> None:
        """Fail those who wait for an entry past `index`: nobody here can tell any more what becomes of it (C5)."""
        overtaken = []
        while self._waiting and self._waiting[-1].entry_id.index > index:
            overtaken.append(self._waiting.pop())
        self.unknown_count += len(overtaken)
        for proposal in reversed(overtaken):
            proposal.fail(OutcomeUnknown(reason))

    def fail_until(self, index: int, reason: str) -> None:
        """Fail those who wait for `index` or one before it: it will not be applied one by one here."""
        while self._waiting and self._waiting[0].entry_id.index <= index:
            self.unknown_count += 1
            self._waiting.popleft().fail(OutcomeUnknown(reason))
