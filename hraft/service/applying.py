"""The state machine, and the committed entries that wait for it.

Entries are applied in order, a bounded number in each turn of the reactor, so that a long log does not delay heartbeats. A
received snapshot replaces the state machine: it is read in another thread, while what was committed after it waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import ProposalDropped
from hraft.interfaces import StateMachine, Storage
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryId, EntryKind, Snapshot
from hraft.service.events import Events
from hraft.service.proposals import Proposals
from hraft.service.surroundings import RunInThread

#: Looking at the clock costs as much as a small entry.
_ENTRIES_BETWEEN_LOOKS_COUNT = 32


class Applying:
    """Owns the state machine. `applied` hears after each turn in which something was applied."""

    def __init__(
        self,
        clock: IReactorTime,
        storage: Storage,
        state_machine: StateMachine,
        proposals: Proposals,
        run_in_background: RunInThread,
        applied: Callable[[], None],
        halt: Callable[[str], None],
        events: Events,
    ) -> None:
        self._clock = clock
        self._storage = storage
        self._proposals = proposals
        self._run_in_background = run_in_background
        self._applied = applied
        self._halt = halt
        self._events = events
        self.state_machine = state_machine
        #: The last entry applied, and the configuration as of it.
        self.applied_id = EntryId(0, 0)
        self.configuration = Configuration()
        #: Since the last snapshot, whoever made it.
        self.entries_since_snapshot_count = 0
        self.bytes_since_snapshot = 0
        #: After this entry (0: none) somebody wants to see the state, before the next one changes it.
        self._marked_index = 0
        self._at_mark: Callable[[], None] = _nobody
        self._queue: deque[Entry] = deque()
        self._next_turn: IDelayedCall | None = None
        #: The received snapshot that comes before whatever is in the queue.
        self._restore: Snapshot | None = None
        self._is_reading = False
        self._is_stopped = False

    @property
    def is_restoring(self) -> bool:
        return self._restore is not None

    @property
    def lag_count(self) -> int:
        """How many committed entries wait."""
        return len(self._queue)

    def check_lag(self) -> None:
        """Raise ProposalDropped while applying cannot keep up (L24)."""
        if len(self._queue) >= limits.APPLY_LAG_ENTRIES_COUNT:
            raise ProposalDropped(f"{len(self._queue)} committed entries wait to be applied; try again a little later")

    def mark(self, index: int, reached: Callable[[], None]) -> None:
        """Call `reached` right after that entry is applied and before another one is. It takes the place of an earlier mark."""
        self._marked_index, self._at_mark = index, reached

    # --- entries ---------------------------------------------------------------------------------

    def committed(self, entries: tuple[Entry, ...]) -> None:
        """Take these in, each exactly once and in order (L19)."""
        self._queue.extend(entries)
        if self._next_turn is None:
            self._turn()

    def _turn(self) -> None:
        self._next_turn = None
        if self._restore is not None or self._is_stopped or not self._queue:
            return
        try:
            self._apply_some()
            self._applied()
        except Exception as error:  # A state machine that raises has left its contract: its state cannot be trusted.
            self._events.broken(Failure())
            self._halt(f"applying failed after entry {self.applied_id.index}: {error!r}")

    def _apply_some(self) -> None:
        deadline = self._clock.seconds() + limits.APPLY_TURN_SECONDS
        for number in range(1, limits.APPLY_TURN_ENTRIES_COUNT + 1):
            self._apply(self._queue.popleft())
            if not self._queue or self._restore is not None or self._is_stopped:
                return
            if number % _ENTRIES_BETWEEN_LOOKS_COUNT == 0 and self._clock.seconds() >= deadline:
                break
        self._next_turn = self._clock.callLater(0, self._turn)

    def _apply(self, entry: Entry) -> None:
        assert entry.index == self.applied_id.index + 1, (self.applied_id, entry.id)
        result = self.state_machine.apply(entry.index, entry.command) if entry.kind is EntryKind.COMMAND else None
        applied_id = self.applied_id = entry.id
        self.entries_since_snapshot_count += 1
        self.bytes_since_snapshot += entry.size_bytes
        if entry.configuration is not None:
            self.configuration = entry.configuration
            self._events.configuration_committed(entry.configuration, entry.index, entry.term)
        if self._proposals:
            self._proposals.applied(applied_id, result)
        if applied_id.index == self._marked_index:
            self._at_mark()

    # --- snapshots -------------------------------------------------------------------------------

    def restore_now(self, snapshot: Snapshot) -> None:
        """At start, before anything is served (R8): blocks. Raises LogCorrupted."""
        self.state_machine = self._read(snapshot)
        self._begin_after(snapshot)

    def expect_restore(self, snapshot: Snapshot) -> None:
        """Apply no more: this snapshot takes the place of what was applied and of what waits. It is not yet durable."""
        self._restore = snapshot
        self._queue.clear()
        self._proposals.fail_until(snapshot.index, "a snapshot of another leader's took the place of the log")

    def restore(self, snapshot: Snapshot) -> None:
        """The snapshot is durable: read it in. One that is being read is not waited for, but one at a time is read (S13)."""
        if snapshot is self._restore and not self._is_reading:
            self._is_reading = True
            self._run_in_background(self._read, snapshot).addCallbacks(
                self._restored, self._not_restored, callbackArgs=(snapshot,), errbackArgs=(snapshot,)
            )

    def _read(self, snapshot: Snapshot) -> StateMachine:
        with self._storage.read_snapshot(snapshot) as lines:
            return self.state_machine.restored(lines)

    def _restored(self, state_machine: StateMachine, snapshot: Snapshot) -> None:
        self._is_reading = False
        if self._is_stopped:
            return
        if snapshot is not self._restore:
            self._read_next()
            return
        self.state_machine = state_machine
        self._begin_after(snapshot)
        self._restore = None
        self._events.snapshot_installed(snapshot)
        self._turn()
        self._applied()

    def _not_restored(self, failure: Failure, snapshot: Snapshot) -> None:
        self._is_reading = False
        if self._is_stopped:
            return
        if snapshot is not self._restore:
            self._read_next()
            return
        self._halt(f"the snapshot as of entry {snapshot.index} arrived whole but cannot be read: {failure.value!r}")

    def _read_next(self) -> None:
        """A newer one came while an older one was read, whose file may be gone by now."""
        if self._restore is not None:
            self.restore(self._restore)

    def _begin_after(self, snapshot: Snapshot) -> None:
        self.applied_id = snapshot.id
        self.configuration = snapshot.configuration
        self.snapshot_made()
        if snapshot.index == self._marked_index:
            self._at_mark()

    def snapshot_made(self) -> None:
        """Count from here for the next one."""
        self.entries_since_snapshot_count = self.bytes_since_snapshot = 0

    def stop(self) -> None:
        """Apply no more."""
        self._is_stopped = True
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None


def _nobody() -> None:
    """Who wants to see the state when nobody does."""
