"""`LeaderElection`: an office that one candidate at a time has, and that anybody can watch.

It is a lock whose key has the value that the winner proclaims; each campaign has a lease of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from hraft.client.errors import Compacted
from hraft.client.locks import Lock
from hraft.client.queues import queue_prefix
from hraft.client.results import Change, KeyValue, TxnResult
from hraft.client.transactions import Comparison, Fence, Operation, Put

if TYPE_CHECKING:
    from hraft.client.client import HraftClient
    from hraft.client.watches import Watch


@dataclass(frozen=True, slots=True)
class Incumbent:
    """Who has the office: what they proclaim, and the fence of their reign."""

    value: bytes
    fence: Fence


class LeaderElection:
    """One candidate's view of an office, or that of somebody who only watches."""

    def __init__(self, client: HraftClient, name: str | bytes, ttl_seconds: int) -> None:
        self._client = client
        self._name = name
        self._ttl_seconds = ttl_seconds
        self._lock = Lock(client, name, ttl_seconds)

    @property
    def is_leader(self) -> bool:
        """Whether the office is held here, for all that is known."""
        return self._lock.is_held

    @property
    def fence(self) -> Fence:
        """The proof of having the office. Raises LockLost without it."""
        return self._lock.fence

    def on_lost(self, callback: Callable[[], object]) -> None:
        """Call this when the office is lost, rather than resigned."""
        self._lock.on_lost(callback)

    async def campaign(self, value: str | bytes, timeout_seconds: float | None = None) -> Fence:
        """Wait for the office, and proclaim `value`. Raises as `Lock.acquire` does."""
        if not self._lock.is_held:
            await self._lock.release()
            self._lock = Lock(self._client, self._name, self._ttl_seconds, value)
        return await self._lock.acquire(timeout_seconds)

    async def proclaim(self, value: str | bytes) -> None:
        """Tell another value, in the same reign. Raises LockLost."""
        await self._lock.txn([Put(self.fence.key, value, self._lock.lease.id)])

    async def txn(self, then: Sequence[Operation], compare: Sequence[Comparison] = ()) -> TxnResult:
        """A transaction that only who has the office can make. Raises LockLost: nothing was done."""
        return await self._lock.txn(then, compare)

    async def resign(self) -> None:
        """Give the office up, or the candidacy."""
        await self._lock.release()

    async def leader(self) -> Incumbent | None:
        """Who has the office now."""
        return _incumbent(await _candidates(self._client, self._name))

    def observe(self) -> Observation:
        """Who has the office, from now on: `async with election.observe() as seen: async for incumbent in seen:`."""
        return Observation(self._client, self._name)


class Observation(AsyncIterator["Incumbent | None"]):
    """Each who has the office, and each value they proclaim; None while nobody has it. The first is who has it now."""

    def __init__(self, client: HraftClient, name: str | bytes) -> None:
        self._client = client
        self._name = name
        self._watch: Watch | None = None
        self._candidates: dict[bytes, KeyValue] = {}
        self._told: Incumbent | None = None
        self._is_closed = False

    def close(self) -> None:
        """End it."""
        self._is_closed = True
        if self._watch is not None:
            self._watch.close()

    async def __aenter__(self) -> Observation:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __anext__(self) -> Incumbent | None:
        while True:
            if self._is_closed:
                raise StopAsyncIteration
            if self._watch is None:
                is_first = not self._candidates and self._told is None
                await self._look()
                if is_first or _incumbent(self._candidates) != self._told:
                    break
                continue
            try:
                self._take(await self._watch.__anext__())
            except Compacted:
                self._watch = None
                continue
            if _incumbent(self._candidates) != self._told:
                break
        self._told = _incumbent(self._candidates)
        return self._told

    async def _look(self) -> None:
        prefix = queue_prefix(self._name)
        page = await self._client.get_many(prefix, limit=1, keys_only=True)
        # What changes while the pages are read is told again by the watch: it begins before them.
        self._candidates = await _candidates(self._client, self._name)
        self._watch = self._client.watch(prefix=prefix, since=page.revision)

    def _take(self, change: Change) -> None:
        for event in change.events:
            if event.record is None:
                self._candidates.pop(event.key, None)
            else:
                self._candidates[event.key] = event.record


async def _candidates(client: HraftClient, name: str | bytes) -> dict[bytes, KeyValue]:
    return {pair.key: pair async for pair in client.items(queue_prefix(name))}


def _incumbent(candidates: dict[bytes, KeyValue]) -> Incumbent | None:
    first = min(candidates.values(), key=lambda pair: pair.create_revision, default=None)
    return None if first is None else Incumbent(first.value, Fence(first.key, first.create_revision))
