"""The disk, one save at a time: what is done when one succeeds, finds no room, or fails.

Never retries what failed, for nobody knows what an fsync that failed left on disk (D1); but no room leaves nothing behind,
so that very save is tried again until there is room (D3). Knows nothing of nodes and of what a save contains.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.counting import COUNT_BOUNDS, Histogram
from hraft.errors import DiskFull, StorageFull, in_words
from hraft.interfaces import Storage
from hraft.raft.ready import Save
from hraft.service.events import Events
from hraft.service.surroundings import RunInThread


class Saves:
    """Gives each save to the writer's thread. `saved` hears of each one that is durable, `halt` of the one that failed."""

    def __init__(
        self,
        clock: IReactorTime,
        storage: Storage,
        run_in_writer: RunInThread,
        save_in_writer: RunInThread,
        saved: Callable[[Save], None],
        halt: Callable[[str], None],
        events: Events,
        full: Callable[[str | None], None],
    ) -> None:
        """`save_in_writer` runs a small save: in the same thread, but it may wait a moment for it. `full` hears why there is no
        room for a save, and of None when there was some after all.
        """
        self._clock = clock
        self._storage = storage
        self._run_in_writer = run_in_writer
        self._save_in_writer = save_in_writer
        self._saved = saved
        self._halt = halt
        self._events = events
        self._full = full
        self._retry: IDelayedCall | None = None
        #: How long saves took, from their beginning to the news that they are durable; how many entries each had; and how many
        #: times there was no room.
        self.seconds = Histogram()
        self.entries = Histogram(COUNT_BOUNDS)
        self.full_count = 0
        self._began_seconds = 0.0
        self.in_flight: Save | None = None
        #: Why nothing can be saved at present.
        self.full_reason: str | None = None

    def start(self, save: Save) -> None:
        assert self.in_flight is None, (self.in_flight, save)
        self.in_flight = save
        self._began_seconds = self._clock.seconds()
        self._write()

    def check_room(self) -> None:
        """Raise DiskFull while the disk is full: what cannot be saved should not be taken."""
        if self.full_reason is not None:
            raise DiskFull(f"nothing can be saved at present: {self.full_reason}")

    def stop(self) -> None:
        """Try no more. What is in the writer's thread goes on, and nobody hears of it."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._saved = _ignore

    def _write(self) -> None:
        self._retry = None
        assert self.in_flight is not None
        # Few entries come from few clients, so there is nothing better to do; many come while others want to be heard.
        is_small = len(self.in_flight.entries) <= limits.SMALL_SAVE_ENTRIES_COUNT
        save_in_writer = self._save_in_writer if is_small else self._run_in_writer
        save_in_writer(self._storage.save, self.in_flight).addCallbacks(self._done, self._failed)

    def _done(self, _: object) -> None:
        save, self.in_flight = self.in_flight, None
        if self.full_reason is not None:
            self.full_reason = None
            self._events.disk_has_room()
            self._full(None)
        assert save is not None
        self.seconds.observe(self._clock.seconds() - self._began_seconds)
        self.entries.observe(len(save.entries))
        self._saved(save)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(StorageFull):
            self._halt(f"a save failed: {in_words(failure.value)}")
            return
        self.full_count += 1
        if self.full_reason is None:
            self._events.disk_is_full(str(failure.value))
        self.full_reason = f"the disk is full: {failure.value}"
        self._full(self.full_reason)
        if self._saved is not _ignore:
            self._retry = self._clock.callLater(limits.STORAGE_RETRY_SECONDS, self._write)


def _ignore(_: Save) -> None:
    """What a save says after the service has stopped."""
