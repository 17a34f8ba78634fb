"""Linearizable reads that wait: first for a leader to be confirmed, then for its read index to be applied here (Section 6.4).

The rounds themselves are the core's affair (`hraft.raft.reads`). Knows nothing of nodes, peers and state machines.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from itertools import count

from twisted.internet.defer import Deferred, succeed

from hraft import limits
from hraft.errors import HraftError, ReadFailed
from hraft.raft.ready import ReadReady


class _Read:
    """One waiting reader. `deferred` is None once it was answered, failed or has hung up."""

    __slots__ = ("deadline", "deferred", "is_local", "read_id")

    def __init__(self, read_id: int, deadline: float, is_local: bool) -> None:
        self.read_id = read_id
        self.deadline = deadline
        #: Whether the index must be applied here too; a follower that asks applies it at its own place.
        self.is_local = is_local
        self.deferred: Deferred[int] | None = Deferred(self._hung_up)

    def _hung_up(self, _: Deferred[int]) -> None:
        self.deferred = None

    def answer(self, index: int) -> None:
        deferred, self.deferred = self.deferred, None
        if deferred is not None:
            deferred.callback(index)

    def fail(self, error: HraftError) -> None:
        deferred, self.deferred = self.deferred, None
        if deferred is not None:
            deferred.errback(error)


class WaitingReads:
    """Readers, from their question to its answer; none waits longer than the timeout."""

    def __init__(
        self,
        timeout_seconds: float = limits.READ_TIMEOUT_SECONDS,
        count_limit: int = limits.WAITING_READS_COUNT,
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._count_limit = count_limit
        self._ids = count(1)
        #: All of them by deadline, with some that are done.
        self._by_deadline: deque[_Read] = deque()
        self._unconfirmed: dict[int, _Read] = {}
        #: (read index, read id, read), as a heap.
        self._unapplied: list[tuple[int, int, _Read]] = []
        #: Of a follower: those that came in this turn and go to the leader as one question.
        self._gathered: list[int] = []
        self._applied_index = 0

    def __len__(self) -> int:
        return len(self._by_deadline)

    def next_id(self) -> int:
        """A number that no read had before (R4). Raises ReadFailed when no more may wait."""
        if max(len(self._by_deadline), len(self._unapplied)) >= self._count_limit:
            raise ReadFailed(f"{self._count_limit} reads are waiting already; try again when some are done")
        return next(self._ids)

    def wait(self, read_id: int, now: float, is_local: bool = True) -> Deferred[int]:
        """Wait for `read_id` to be confirmed, and if `is_local`, for its index to be applied."""
        read = _Read(read_id, now + self._timeout_seconds, is_local)
        self._by_deadline.append(read)
        self._unconfirmed[read_id] = read
        assert read.deferred is not None
        return read.deferred

    def at(self, index: int, now: float) -> Deferred[int]:
        """(leader) A read at an index that needs no confirmation: only wait until it is applied here. Raises ReadFailed."""
        if index <= self._applied_index:
            return succeed(index)
        read_id = self.next_id()
        reading = self.wait(read_id, now)
        self.confirm(read_id, index)
        return reading

    def gather(self, now: float) -> Deferred[int]:
        """(follower) Wait for a question to the leader that leaves at the end of this turn, for all who came in it.

        A question that already left does not serve: its answer may be older than this read.
        """
        read_id = self.next_id()
        self._gathered.append(read_id)
        return self.wait(read_id, now)

    def take_gathered(self) -> list[int]:
        taken, self._gathered = self._gathered, []
        return taken

    def confirmed(self, reads: tuple[ReadReady, ...]) -> None:
        """The core's answers; None as an index means that the read must be asked again."""
        for ready in reads:
            if ready.read_index is None:
                self.fail([ready.read_id], "the leader or its term changed before the read was confirmed; repeat it")
            else:
                self.confirm(ready.read_id, ready.read_index)

    def confirm(self, read_id: int, read_index: int) -> None:
        """The leader was confirmed: answer now, or once that index is applied here."""
        read = self._unconfirmed.pop(read_id, None)
        if read is None:
            return
        if not read.is_local or read_index <= self._applied_index:
            read.answer(read_index)
        else:
            heappush(self._unapplied, (read_index, read_id, read))

    def fail(self, read_ids: list[int], reason: str) -> None:
        for read_id in read_ids:
            read = self._unconfirmed.pop(read_id, None)
            if read is not None:
                read.fail(ReadFailed(reason))

    def applied(self, index: int) -> None:
        """Everything up to `index` is applied here: answer who waited for it (R7)."""
        self._applied_index = index
        while self._unapplied and self._unapplied[0][0] <= index:
            read_index, _, read = heappop(self._unapplied)
            read.answer(read_index)

    def expire(self, now: float) -> None:
        """Fail those whose time is over, and forget those that are done."""
        while self._by_deadline and (self._by_deadline[0].deferred is None or self._by_deadline[0].deadline <= now):
            read = self._by_deadline.popleft()
            self._unconfirmed.pop(read.read_id, None)
            if read.deferred is not None:  # Of all the others, which are many, nobody is told anything any more.
                read.fail(ReadFailed(f"not confirmed within {self._timeout_seconds:g} s: no quorum, or this node lags behind"))

    def fail_all(self, reason: str) -> None:
        """This node stops."""
        waiting, self._by_deadline = self._by_deadline, deque()
        self._unconfirmed.clear()
        self._unapplied.clear()
        self._gathered.clear()
        for read in waiting:
            read.fail(ReadFailed(reason))
