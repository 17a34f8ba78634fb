"""Taking snapshots, so that the log need not grow for ever (Section 5.1).

The state machine makes a shallow copy at once; a thread writes it out while the loop goes on. Entries go only when the
snapshot is durable (S2), and some are kept behind it for followers that are a little slow.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.counting import Histogram
from hraft.errors import StorageFull, in_words
from hraft.interfaces import SnapshotPolicy, Storage
from hraft.raft.entry import Snapshot
from hraft.raft.node import RaftNode
from hraft.service.applying import Applying
from hraft.service.events import Events
from hraft.service.surroundings import RunInThread


class Compaction:
    """Decides when a snapshot is due and sees it through. One at a time."""

    def __init__(
        self,
        clock: IReactorTime,
        node: RaftNode,
        storage: Storage,
        applying: Applying,
        policy: SnapshotPolicy,
        run_in_background: RunInThread,
        run_in_writer: RunInThread,
        halt: Callable[[str], None],
        events: Events,
    ) -> None:
        self._clock = clock
        self._node = node
        self._storage = storage
        self._applying = applying
        self._policy = policy
        self._run_in_background = run_in_background
        self._run_in_writer = run_in_writer
        self._halt = halt
        self._events = events
        self._is_busy = False
        self._is_stopped = False
        self._not_before = 0.0
        #: How long it took to write each snapshot.
        self.seconds = Histogram()
        self._began_seconds = 0.0

    def consider(self) -> None:
        """Take a snapshot if enough was applied since the last one."""
        applying, policy = self._applying, self._policy
        if applying.entries_since_snapshot_count < policy.entries_count and applying.bytes_since_snapshot < policy.log_bytes:
            return
        if self._is_busy or self._is_stopped or applying.is_restoring or self._clock.seconds() < self._not_before:
            return
        snapshot = Snapshot(applying.applied_id.index, applying.applied_id.term, applying.configuration)
        lines = applying.state_machine.snapshot()
        applying.snapshot_made()
        self._is_busy = True
        self._began_seconds = self._clock.seconds()
        writing = self._run_in_background(self._storage.write_snapshot, snapshot, lines)
        writing.addCallback(self._written, snapshot)
        writing.addErrback(self._failed)
        writing.addCallback(self._ended)

    def _written(self, _: object, snapshot: Snapshot) -> object:
        """The snapshot is durable. It counts for nothing if a received one went past it meanwhile (S15)."""
        self.seconds.observe(self._clock.seconds() - self._began_seconds)
        node = self._node
        if self._is_stopped or snapshot.index <= node.status().snapshot_index:
            return None
        first_index = node.first_index_to_keep(self._policy.kept_entries_count, self._policy.kept_bytes, snapshot.index)
        node.compacted(snapshot, first_index)
        self._events.snapshot_taken(snapshot)
        # The core keeps more than that where its own disk lags behind.
        return self._run_in_writer(self._storage.compact, node.status().first_index)

    def _failed(self, failure: Failure) -> None:
        if self._is_stopped:
            return
        if not failure.check(StorageFull):
            self._halt(f"taking a snapshot failed: {in_words(failure.value)}")
            return
        self._not_before = self._clock.seconds() + limits.SNAPSHOT_RETRY_SECONDS
        self._applying.entries_since_snapshot_count += self._policy.entries_count
        self._events.snapshot_not_taken(str(failure.value))

    def _ended(self, _: object) -> None:
        self._is_busy = False

    def stop(self) -> None:
        """Take no more; what a thread is writing is let go."""
        self._is_stopped = True
