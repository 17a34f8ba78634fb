"""Watches, leases, locks and elections as plain objects: each passes its calls to the thread in which the real one lives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from hraft.client.elections import Incumbent, LeaderElection
from hraft.client.keys import Key
from hraft.client.leases import Lease
from hraft.client.locks import Lock
from hraft.client.reactor_thread import ReactorThread
from hraft.client.results import Change, TxnResult
from hraft.client.transactions import Comparison, Fence, Operation
from hraft.client.watches import Watch


class BlockingWatch(Iterator[Change]):
    """A Watch, for `with` and `for`."""

    def __init__(self, thread: ReactorThread, watch: Watch) -> None:
        self._thread = thread
        self._watch = watch

    @property
    def revision(self) -> int | None:
        return self._watch.revision

    def __enter__(self) -> BlockingWatch:
        self._thread.run(self._watch.begin)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __next__(self) -> Change:
        try:
            return self._thread.run(self._watch.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """See Watch.close; from any thread."""
        self._thread.run(lambda: _plainly(self._watch.close))


class BlockingLease:
    """A Lease, for `with`."""

    def __init__(self, thread: ReactorThread, lease: Lease) -> None:
        self._thread = thread
        self._lease = lease
        self.id = lease.id

    @property
    def is_held(self) -> bool:
        return self._lease.is_held

    @property
    def remaining_seconds(self) -> float:
        return self._lease.remaining_seconds

    def on_lost(self, callback: Callable[[], object]) -> None:
        """See Lease.on_lost. The callback runs in the client's thread: let it set a threading.Event."""
        self._thread.run(lambda: _plainly(lambda: self._lease.on_lost(callback)))

    def keep(self) -> BlockingLease:
        """See Lease.keep."""
        self._thread.run(lambda: _plainly(self._lease.keep))
        return self

    def keep_alive(self) -> None:
        """See Lease.keep_alive."""
        self._thread.run(self._lease.keep_alive)

    def revoke(self) -> None:
        """See Lease.revoke."""
        self._thread.run(self._lease.revoke)

    def __enter__(self) -> BlockingLease:
        return self.keep()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.revoke()


class BlockingLock:
    """A Lock, for `with`."""

    def __init__(self, thread: ReactorThread, lock: Lock) -> None:
        self._thread = thread
        self._lock = lock

    @property
    def is_held(self) -> bool:
        return self._lock.is_held

    @property
    def fence(self) -> Fence:
        return self._lock.fence

    def on_lost(self, callback: Callable[[], object]) -> None:
        """See Lock.on_lost. The callback runs in the client's thread: let it set a threading.Event."""
        self._thread.run(lambda: _plainly(lambda: self._lock.on_lost(callback)))

    def acquire(self, timeout_seconds: float | None = None) -> Fence:
        """See Lock.acquire."""
        return self._thread.run(lambda: self._lock.acquire(timeout_seconds))

    def release(self) -> None:
        """See Lock.release."""
        self._thread.run(self._lock.release)

    def txn(
        self, then: Sequence[Operation], compare: Sequence[Comparison] = (), otherwise: Sequence[Operation] = ()
    ) -> TxnResult:
        """See Lock.txn."""
        return self._thread.run(lambda: self._lock.txn(then, compare, otherwise))

    def put(self, key: Key, value: str | bytes) -> TxnResult:
        """See Lock.put."""
        return self._thread.run(lambda: self._lock.put(key, value))

    def __enter__(self) -> Fence:
        return self.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


class BlockingElection:
    """A LeaderElection."""

    def __init__(self, thread: ReactorThread, election: LeaderElection) -> None:
        self._thread = thread
        self._election = election

    @property
    def is_leader(self) -> bool:
        return self._election.is_leader

    @property
    def fence(self) -> Fence:
        return self._election.fence

    def campaign(self, value: str | bytes, timeout_seconds: float | None = None) -> Fence:
        """See LeaderElection.campaign."""
        return self._thread.run(lambda: self._election.campaign(value, timeout_seconds))

    def proclaim(self, value: str | bytes) -> None:
        """See LeaderElection.proclaim."""
        self._thread.run(lambda: self._election.proclaim(value))

    def txn(self, then: Sequence[Operation], compare: Sequence[Comparison] = ()) -> TxnResult:
        """See LeaderElection.txn."""
        return self._thread.run(lambda: self._election.txn(then, compare))

    def resign(self) -> None:
        """See LeaderElection.resign."""
        self._thread.run(self._election.resign)

    def leader(self) -> Incumbent | None:
        """See LeaderElection.leader."""
        return self._thread.run(self._election.leader)

    def observe(self) -> Iterator[Incumbent | None]:
        """See LeaderElection.observe."""
        observation = self._election.observe()
        try:
            while True:
                try:
                    yield self._thread.run(observation.__anext__)
                except StopAsyncIteration:
                    return
        finally:
            self._thread.run(lambda: _plainly(observation.close))


async def _plainly(call: Callable[[], object]) -> None:
    call()
