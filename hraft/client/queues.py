"""A place in a queue of the cluster's: one key for each who waits, and whose key is the oldest, it is their turn.

The keys are `name/<lease>`, so each goes with the lease of its owner; create_revision gives the order (etcd's recipe). Each
watches the one before them only, so that one departure wakes one. Knows nothing of what the queue is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from hraft.client.errors import Compacted, LeaseLost
from hraft.client.leases import Lease
from hraft.client.results import KeyValue
from hraft.client.transactions import Fence, to_bytes

if TYPE_CHECKING:
    from hraft.client.client import HraftClient
    from hraft.client.watches import Watch


def queue_prefix(name: str | bytes) -> bytes:
    """What the keys of a queue begin with."""
    return to_bytes(name) + b"/"


class Place:
    """Somebody's place. It is theirs for as long as their lease lives."""

    def __init__(self, client: HraftClient, name: str | bytes, lease: Lease, value: str | bytes) -> None:
        self._client = client
        self._prefix = queue_prefix(name)
        self._value = to_bytes(value)
        self.lease = lease
        self.key = self._prefix + f"{lease.id:016x}".encode()
        self._watch: Watch | None = None

    async def enter(self) -> Fence:
        """Be the last of the queue."""
        put = await self._client.put(self.key, self._value, lease=self.lease.id)
        return Fence(self.key, put.create_revision)

    async def before(self, fence: Fence) -> tuple[KeyValue | None, int]:
        """Who is next before this place (None: nobody, it is our turn), and the revision at which that was so."""
        earlier: KeyValue | None = None
        after, revision = None, 0
        while True:
            page = await self._client.get_many(self._prefix, after=after, keys_only=True)
            revision = revision or page.revision
            for pair in page.pairs:
                if pair.create_revision < fence.revision and (earlier is None or pair.create_revision > earlier.create_revision):
                    earlier = pair
            if page.next is None:
                return earlier, revision
            after = page.next

    async def turn(self, fence: Fence) -> None:
        """Wait until it is our turn. Raises LeaseLost; whatever the client's calls raise."""
        self.lease.on_lost(self.close)
        while True:
            earlier, revision = await self.before(fence)
            if not self.lease.is_held:
                raise LeaseLost("the lease was lost while its owner waited")
            if earlier is None:
                return
            await self._gone(earlier.key, revision)

    async def _gone(self, key: bytes, revision: int) -> None:
        """Wait until this key is gone; or may be, where the cluster does not know any more."""
        watch = self._watch = self._client.watch(key, since=revision)
        try:
            async for change in watch:
                if any(event.kind == "delete" for event in change.events):
                    return
        except Compacted:
            return
        finally:
            watch.close()
            self._watch = None

    def close(self) -> None:
        """Wait no longer."""
        if self._watch is not None:
            self._watch.close()


def turn_of(place: Place, fence: Fence) -> Deferred[None]:
    """The wait, under way."""
    return Deferred.fromCoroutine(place.turn(fence))
