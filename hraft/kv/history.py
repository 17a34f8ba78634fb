"""The last changes, for those who watch: each event with what was there before, by revision.

Part of the state, and of the snapshot: what can still be told is the same on every node, and after every restart. Bounded;
the oldest changes go first, whole revisions at a time. Knows nothing of watchers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter

import msgspec

from hraft.kv.bounds import DEFAULTS, StoreLimits
from hraft.kv.records import Record

#: What an event is counted for beside its key and values.
_EVENT_BYTES = 256
_revision_of = attrgetter("revision")


class Event(msgspec.Struct, frozen=True, gc=False):
    """What became of one key at one revision: its new record, None where it was deleted; and the one before, if there was one."""

    key: bytes
    record: Record | None
    previous: Record | None
    revision: int

    @property
    def size_bytes(self) -> int:
        size_bytes = _EVENT_BYTES + len(self.key)
        for record in (self.record, self.previous):
            size_bytes += 0 if record is None else len(record.value)
        return size_bytes


class Change(msgspec.Struct, frozen=True):
    """All that happened at one revision, in the order in which it happened."""

    revision: int
    events: tuple[Event, ...]


class History:
    """Grows at one end and is cut at the other."""

    def __init__(
        self,
        events: Iterable[Event] = (),
        oldest_revision: int = 0,
        store_limits: StoreLimits = DEFAULTS,
    ) -> None:
        #: All changes after this revision are here.
        self.oldest_revision = oldest_revision
        self._events = list(events)
        #: What comes before this place was dropped, and is removed when it is worth the copying.
        self._first = 0
        self.size_bytes = sum(event.size_bytes for event in self._events)
        self._limits = store_limits

    def __len__(self) -> int:
        return len(self._events) - self._first

    def add(self, event: Event) -> None:
        """The only event of its revision."""
        self._events.append(event)
        self.size_bytes += event.size_bytes
        if len(self._events) - self._first > self._limits.history_events_count or self.size_bytes > self._limits.history_bytes:
            self._drop()

    def extend(self, events: Sequence[Event]) -> None:
        """All events of one revision."""
        self._events.extend(events)
        self.size_bytes += sum(event.size_bytes for event in events)
        self._drop()

    def changes_after(self, revision: int) -> Iterator[Change]:
        """In order. To be consumed before anything else is added; asks for nothing older than `oldest_revision`."""
        place = bisect_right(self._events, revision, lo=self._first, key=_revision_of)
        for found, events in groupby(self._from(place), key=_revision_of):
            yield Change(found, tuple(events))

    def events(self) -> list[Event]:
        """A copy of them all, oldest first."""
        return self._events[self._first :]

    def _from(self, place: int) -> Iterator[Event]:
        for number in range(place, len(self._events)):
            yield self._events[number]

    def _is_too_long(self) -> bool:
        return len(self) > self._limits.history_events_count or self.size_bytes > self._limits.history_bytes

    def _drop(self) -> None:
        events = self._events
        while self._first < len(events) and self._is_too_long():
            # A revision is dropped as a whole: half of one would be told as if it were all.
            self.oldest_revision = events[self._first].revision
            while self._first < len(events) and events[self._first].revision == self.oldest_revision:
                self.size_bytes -= events[self._first].size_bytes
                self._first += 1
        if self._first * 2 > len(events):
            del events[: self._first]
            self._first = 0
