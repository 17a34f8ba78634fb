"""Keys in the order of their bytes, with their records, leases and history: everything that a revision counts.

Revisions count as etcd counts them: whatever changes at least one key makes one, however many keys it changes. Knows nothing of
commands and of who asks.
"""

from __future__ import annotations

from itertools import islice

from hraft.kv.bounds import DEFAULTS, StoreLimits
from hraft.kv.history import Event, History
from hraft.kv.leases import Leases
from hraft.kv.records import KeyValue, Record
from hraft.kv.table import Table
from hraft.kv.transactions import TO_THE_LAST
from hraft.kv.tree import SIZES, Sizes


class Keyspace:
    """What is changed is a revision when `commit` ends it."""

    def __init__(self, store_limits: StoreLimits = DEFAULTS, sizes: Sizes = SIZES) -> None:
        self.revision = 0
        self.table = Table(sizes)
        self.leases = Leases()
        self.history = History(store_limits=store_limits)
        self._events: list[Event] = []

    # --- reading ---------------------------------------------------------------------------------

    def range(self, start: bytes, end: bytes | None, limit: int | None) -> list[tuple[bytes, Record]]:
        """The keys in `[start, end)` in order, at most `limit`; no end means up to the last key."""
        return list(islice(self.table.range(start, end), limit))

    def found(self, start: bytes, end: bytes | None, limit: int | None = None) -> list[tuple[bytes, Record]]:
        """The same where no end means the one key `start`, and an empty one up to the last (`hraft.kv.transactions`)."""
        if end is None:
            record = self.table.get(start)
            return [] if record is None else [(start, record)]
        return self.range(start, end if end != TO_THE_LAST else None, limit)

    def found_count(self, start: bytes, end: bytes | None) -> int:
        """How many that would be without a limit."""
        if end is None:
            return int(self.table.get(start) is not None)
        return self.table.count(start, end if end != TO_THE_LAST else None)

    # --- changing one key ------------------------------------------------------------------------

    def set(self, key: bytes, value: bytes) -> None:
        """Give one key a value, at a revision of its own."""
        self.put(key, value, 0)
        self.commit()

    # --- changing several ------------------------------------------------------------------------

    def put(self, key: bytes, value: bytes, lease: int) -> Record:
        """Give a key a value, as part of the next revision. Returns its record."""
        revision = self.revision + 1
        record, previous = self.table.put(key, value, revision, lease)
        if previous is not None and previous.lease:
            self.leases.detach(key, previous.lease)
        if lease:
            self.leases.attach(key, lease)
        self._events.append(Event(key, record, previous, revision))
        return record

    def delete(self, start: bytes, end: bytes | None) -> list[KeyValue]:
        """Take the keys of a range away, as part of the next revision. Returns what they were."""
        # Nothing comes between a key and itself with a zero byte more.
        last = start + b"\0" if end is None else None if end == TO_THE_LAST else end
        removed = self.table.remove(start, last)
        for pair in removed:
            if pair.record.lease:
                self.leases.detach(pair.key, pair.record.lease)
            self._events.append(Event(pair.key, None, pair.record, self.revision + 1))
        return removed

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
