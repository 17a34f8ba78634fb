"""`BlockingClient`: the calls of HraftClient as plain functions, for scripts that run no reactor.

    with BlockingClient("http://10.0.0.1:11000,10.0.0.2:11000") as client:
        client.put("greeting", "hello")

It is the same client, in a thread with a reactor of its own: leases are kept alive and watches go on while the script does
something else, which a second client without a reactor would have to do all over again. Callbacks (`on_lost`) run in that
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar

from hraft import limits
from hraft.client.blocking_recipes import BlockingElection, BlockingLease, BlockingLock, BlockingWatch
from hraft.client.client import HraftClient
from hraft.client.errors import Closed
from hraft.client.keys import Key
from hraft.client.reactor_thread import ReactorThread
from hraft.client.results import (
    ClusterView,
    DeleteResult,
    KeyValue,
    LeaseListed,
    LeaseTimes,
    Page,
    PutResult,
    TxnResult,
)
from hraft.client.transactions import Comparison, Operation

T = TypeVar("T")


class BlockingClient:
    """What HraftClient does, call by call; may be used by several threads. Options are HraftClient's."""

    def __init__(self, endpoints: str | Iterable[str], **options: Any) -> None:
        self._thread = ReactorThread()
        try:
            self._client = HraftClient(endpoints, self._thread.reactor, **options)
        except BaseException:
            self._thread.close()
            raise

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the session, the connections and the thread."""
        try:
            self._thread.run(self._client.close)
        except Closed:
            pass
        finally:
            self._thread.close()

    def get(self, key: Key, **options: Any) -> KeyValue | None:
        """See HraftClient.get."""
        return self._thread.run(lambda: self._client.get(key, **options))

    def get_many(self, prefix: Key | None = None, **options: Any) -> Page:
        """See HraftClient.get_many."""
        return self._thread.run(lambda: self._client.get_many(prefix, **options))

    def count(self, prefix: Key | None = None, *, start: Key | None = None, end: Key | None = None) -> int:
        """See HraftClient.count."""
        return self._thread.run(lambda: self._client.count(prefix, start=start, end=end))

    def items(self, prefix: Key | None = None, **options: Any) -> Iterator[KeyValue]:
        """See HraftClient.items."""
        pairs = self._client.items(prefix, **options)

        async def following() -> KeyValue:
            return await pairs.__anext__()

        while True:
            try:
                yield self._thread.run(following)
            except StopAsyncIteration:
                return

    def put(
        self,
        key: Key,
        value: str | bytes,
        *,
        lease: int | None = None,
        if_revision: int | None = None,
        if_absent: bool = False,
        want_previous: bool = False,
    ) -> PutResult:
        """See HraftClient.put."""
        put, conditions = self._client.put, {"if_revision": if_revision, "if_absent": if_absent}
        return self._thread.run(lambda: put(key, value, lease=lease, want_previous=want_previous, **conditions))  # type: ignore[arg-type]

    def delete(self, key: Key, *, if_revision: int | None = None, want_previous: bool = False) -> DeleteResult:
        """See HraftClient.delete."""
        return self._thread.run(lambda: self._client.delete(key, if_revision=if_revision, want_previous=want_previous))

    def delete_prefix(self, prefix: Key) -> DeleteResult:
        """See HraftClient.delete_prefix."""
        return self._thread.run(lambda: self._client.delete_prefix(prefix))

    def delete_range(self, start: Key, end: Key) -> DeleteResult:
        """See HraftClient.delete_range."""
        return self._thread.run(lambda: self._client.delete_range(start, end))

    def txn(
        self, compare: Sequence[Comparison] = (), then: Sequence[Operation] = (), otherwise: Sequence[Operation] = ()
    ) -> TxnResult:
        """See HraftClient.txn."""
        return self._thread.run(lambda: self._client.txn(compare, then, otherwise))

    def watch(self, key: Key | None = None, **options: Any) -> BlockingWatch:
        """See HraftClient.watch."""
        return BlockingWatch(self._thread, self._client.watch(key, **options))

    def lease(self, ttl_seconds: int = limits.CLIENT_LEASE_TTL_SECONDS) -> BlockingLease:
        """See HraftClient.lease."""
        return BlockingLease(self._thread, self._thread.run(lambda: self._client.lease(ttl_seconds)))

    def lease_times(self, lease: int) -> LeaseTimes:
        """See HraftClient.lease_times."""
        return self._thread.run(lambda: self._client.lease_times(lease))

    def leases(self) -> tuple[LeaseListed, ...]:
        """See HraftClient.leases."""
        return self._thread.run(self._client.leases)

    def keep_alive(self, lease: int) -> LeaseTimes:
        """See HraftClient.keep_alive."""
        return self._thread.run(lambda: self._client.keep_alive(lease))

    def revoke(self, lease: int) -> DeleteResult:
        """See HraftClient.revoke."""
        return self._thread.run(lambda: self._client.revoke(lease))

    def lock(self, name: Key, *, ttl_seconds: int = limits.CLIENT_LEASE_TTL_SECONDS) -> BlockingLock:
        """See HraftClient.lock."""
        return BlockingLock(self._thread, self._client.lock(name, ttl_seconds=ttl_seconds))

    def elect(self, name: Key, *, ttl_seconds: int = limits.CLIENT_LEASE_TTL_SECONDS) -> BlockingElection:
        """See HraftClient.elect."""
        return BlockingElection(self._thread, self._client.elect(name, ttl_seconds=ttl_seconds))

    def cluster(self, endpoint: str | None = None) -> ClusterView:
        """See HraftClient.cluster."""
        return self._thread.run(lambda: self._client.cluster(endpoint))

    def add_member(self, node_id: str, raft_address: str, *, learner: bool = False) -> str:
        """See HraftClient.add_member."""
        return self._thread.run(lambda: self._client.add_member(node_id, raft_address, learner=learner))

    def remove_member(self, node_id: str) -> None:
        """See HraftClient.remove_member."""
        self._thread.run(lambda: self._client.remove_member(node_id))

    def promote_member(self, node_id: str) -> None:
        """See HraftClient.promote_member."""
        self._thread.run(lambda: self._client.promote_member(node_id))

    def transfer_leadership(self, node_id: str | None = None) -> str:
        """See HraftClient.transfer_leadership."""
        return self._thread.run(lambda: self._client.transfer_leadership(node_id))

    def snapshot(self, write: Callable[[bytes], object]) -> None:
        """See HraftClient.snapshot."""
        self._thread.run(lambda: self._client.snapshot(write))

    def status(self, endpoint: str | None = None) -> dict[str, Any]:
        """See HraftClient.status."""
        return self._thread.run(lambda: self._client.status(endpoint))
