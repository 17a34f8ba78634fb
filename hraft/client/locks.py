"""`Lock`: one holder at a time, in the order of asking, with a fencing token.

A lease can end while its owner is busy, paused or cut off, and then somebody else has the lock: no lock over a network can do
better. Hence the fence. Writes that are made through the lock are refused by the cluster itself once it is lost; for other
systems, `fence` has a number that only rises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from hraft.client.errors import LeaseLost, LockLost, LockTimeout
from hraft.client.leases import Lease
from hraft.client.queues import Place, turn_of
from hraft.client.results import GetDone, TxnResult
from hraft.client.timing import TimedOut, within
from hraft.client.transactions import Comparison, Fence, Get, Operation, Put

if TYPE_CHECKING:
    from hraft.client.client import HraftClient


class Lock:
    """One lock, of one who wants it. `async with client.lock("name") as fence:` holds it in between."""

    def __init__(self, client: HraftClient, name: str | bytes, ttl_seconds: int, value: str | bytes = b"") -> None:
        self._client = client
        self._name = name
        self._ttl_seconds = ttl_seconds
        self._value = value
        self._place: Place | None = None
        self._fence: Fence | None = None

    @property
    def _shown(self) -> str:
        """Its name for people."""
        return repr(self._name if isinstance(self._name, str) else self._name.decode("utf-8", "backslashreplace"))

    @property
    def is_held(self) -> bool:
        """Whether it is held, for all that is known here. Only a guarded write is sure of it."""
        return self._fence is not None and self._place is not None and self._place.lease.is_held

    @property
    def fence(self) -> Fence:
        """The proof of having the lock. Raises LockLost without it."""
        if self._fence is None or not self.is_held:
            raise LockLost(f"the lock {self._shown} is not held")
        return self._fence

    @property
    def lease(self) -> Lease:
        """The lease on which it hangs; `lease.on_lost` tells when that ends. Raises LockLost without one."""
        if self._place is None:
            raise LockLost(f"the lock {self._shown} is not held")
        return self._place.lease

    def on_lost(self, callback: Callable[[], object]) -> None:
        """Call this when the lock that is held now is lost, rather than released."""
        self.lease.on_lost(callback)

    async def acquire(self, timeout_seconds: float | None = None) -> Fence:
        """Wait for the lock, for ever by default; 0: take it only if it is free. Raises LockTimeout, LockLost, Unavailable."""
        if self._place is not None:
            if self.is_held:
                raise RuntimeError(f"the lock {self._shown} is held already")
            await self.release()
        lease = await self._client.lease(self._ttl_seconds)
        place = self._place = Place(self._client, self._name, lease.keep(), self._value)
        try:
            fence = await place.enter()
            if timeout_seconds is None:
                await place.turn(fence)
            elif timeout_seconds > 0:
                await within(self._client.caller.clock, timeout_seconds, turn_of(place, fence))
            elif (await place.before(fence))[0] is not None:
                raise TimedOut("it is not free")
            if not lease.is_held:
                raise LeaseLost("the lease was lost in the meantime")
        except TimedOut as error:
            await self.release()
            raise LockTimeout(f"others hold the lock {self._shown}: {error}") from error
        except LeaseLost as error:
            await self.release()
            raise LockLost(f"the place in the queue for the lock {self._shown} was lost: {error}") from error
        except BaseException:
            # Whoever cancels this does not wait for the cluster; without anybody who keeps it alive the lease ends by itself.
            await self.release()
            raise
        self._fence = fence
        return fence

    async def release(self) -> None:
        """Give it up; no error if it is not held."""
        place, self._place, self._fence = self._place, None, None
        if place is not None:
            place.close()
            await place.lease.revoke()

    async def txn(
        self, then: Sequence[Operation], compare: Sequence[Comparison] = (), otherwise: Sequence[Operation] = ()
    ) -> TxnResult:
        """A transaction that is done only while the cluster itself says that the lock is held. Raises LockLost: not done."""
        fence = self.fence
        done = await self._client.txn([fence.holds, *compare], then, [Get(fence.key), *otherwise])
        if done.succeeded:
            return done
        own = done.results[0] if done.results else None
        if not (isinstance(own, GetDone) and own.pairs and own.pairs[0].create_revision == fence.revision):
            raise LockLost(f"the lock {self._shown} was lost, and nothing was done")
        return TxnResult(False, done.revision, done.results[1:])

    async def put(self, key: str | bytes, value: str | bytes) -> TxnResult:
        """Set a key, only while the lock is held. Raises LockLost: it was not set."""
        return await self.txn([Put(key, value)])

    async def __aenter__(self) -> Fence:
        return await self.acquire()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.release()
