"""Keys in the order of their bytes, with their records, leases and history: everything that a revision counts.

Revisions count as etcd counts them: whatever changes at least one key makes one, however many keys it changes. Knows nothing of
commands and of who asks.
"""

from __future__ import annotations

from itertools import islice

from sortedcontainers import SortedList

from hraft.kv.bounds import DEFAULTS, StoreLimits
from hraft.kv.earlier import EarlierRecords, Looks
from hraft.kv.history import Event, History
from hraft.kv.leases import Leases
from hraft.kv.records import KeyValue, Record
from hraft.kv.transactions import TO_THE_LAST


class Keyspace:
    """Changes are made between `begin` and `commit`; those of a single key have a shorter way."""

    def __init__(self, store_limits: StoreLimits = DEFAULTS) -> None:
        self.revision = 0
        self.records: dict[bytes, Record] = {}
        self.keys: SortedList[bytes] = SortedList()
        self.leases = Leases()
        self.history = History(store_limits=store_limits)
        self._events: list[Event] = []
        self._looks = Looks()

    # --- reading ---------------------------------------------------------------------------------

    def range(self, start: bytes, end: bytes | None, limit: int | None) -> list[tuple[bytes, Record]]:
        """The keys in `[start, end)` in order, at most `limit`; no end means up to the last key."""
        keys = self.keys.irange(start, end, inclusive=(True, False))
        return [(key, self.records[key]) for key in islice(keys, limit)]

    def count(self, start: bytes, end: bytes | None) -> int:
        """How many keys are in `[start, end)`. Does not visit them."""
        first: int = self.keys.bisect_left(start)
        last: int = len(self.keys) if end is None else self.keys.bisect_left(end)
        return max(0, last - first)

    def found(self, start: bytes, end: bytes | None, limit: int | None = None) -> list[tuple[bytes, Record]]:
        """The same where no end means the one key `start`, and an empty one up to the last (`hraft.kv.transactions`)."""
        if end is None:
            record = self.records.get(start)
            return [] if record is None else [(start, record)]
        return self.range(start, end if end != TO_THE_LAST else None, limit)

    def found_count(self, start: bytes, end: bytes | None) -> int:
        """How many that would be without a limit."""
        if end is None:
            return int(start in self.records)
        return self.count(start, end if end != TO_THE_LAST else None)

    def records_as_of_now(self) -> EarlierRecords:
        """The records as they are, whatever becomes of them. Copies nothing."""
        return self._looks.begin(self.records)

    # --- changing one key ------------------------------------------------------------------------

    def set(self, key: bytes, value: bytes) -> None:
        """Give one key a value, at a revision of its own."""
        self.put(key, value, 0)
        self.commit()

    # --- changing several ------------------------------------------------------------------------

    def put(self, key: bytes, value: bytes, lease: int) -> Record:
        """Give a key a value, as part of the next revision. Returns its record."""
        revision = self.revision + 1
        previous = self.records.get(key)
        if previous is None:
            self.keys.add(key)
            record = Record(value, revision, revision, 1, lease)
        else:
            record = Record(value, previous.create_revision, revision, previous.version + 1, lease)
            if previous.lease:
                self.leases.detach(key, previous.lease)
            if self._looks:
                self._looks.put_by(key, previous)
        self.records[key] = record
        if lease:
            self.leases.attach(key, lease)
        self._events.append(Event(key, record, previous, revision))
        return record

    def put_many(self, pairs: tuple[tuple[bytes, bytes], ...]) -> None:
        """Give several keys values. One sorted merge for all new ones: adding them one by one would hold up the reactor."""
        revision = self.revision + 1
        new_keys = []
        for key, value in pairs:
            if key in self.records:
                self.put(key, value, 0)
                continue
            new_keys.append(key)
            record = self.records[key] = Record(value, revision, revision, 1)
            self._events.append(Event(key, record, None, revision))
        self.keys.update(new_keys)

    def delete(self, start: bytes, end: bytes | None) -> list[KeyValue]:
        """Take the keys of a range away, as part of the next revision. Returns what they were."""
        if end is None:
            if start not in self.records:
                return []
            self.keys.remove(start)
            return [self._taken(start)]
        first = self.keys.bisect_left(start)
        last = len(self.keys) if end == TO_THE_LAST else self.keys.bisect_left(end)
        keys = self.keys[first:last] if first < last else []
        if keys:
            del self.keys[first:last]
        return [self._taken(key) for key in keys]

    def commit(self) -> int:
        """End the revision, if anything was changed. Returns the revision of the store."""
        events = self._events
        if events:
            self.revision += 1
            if len(events) == 1:
                self.history.add(events[0])
                events.clear()
            else:
                self.history.extend(events)
                self._events = []
        return self.revision

    def _taken(self, key: bytes) -> KeyValue:
        record = self.records[key]
        if self._looks:
            self._looks.put_by(key, record)
        del self.records[key]
        if record.lease:
            self.leases.detach(key, record.lease)
        self._events.append(Event(key, None, record, self.revision + 1))
        return KeyValue(key, record)
