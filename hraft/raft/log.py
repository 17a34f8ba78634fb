"""The log in memory: the entries that a snapshot has not replaced.

    base          first_index                    last
    (term, idx)   idx + 1, ............., idx + n

`base` is the entry just before the first one kept: its term is known, its content is not. Knows nothing of disks, votes
or commit; `hraft.raft.saving` knows what of it is persisted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import attrgetter

from hraft.errors import Compacted
from hraft.raft.entry import ORIGIN, Entry, EntryId, size_of
from hraft.raft.invariants import InvariantBroken, require

_term = attrgetter("term")


class Log:
    """Contiguous entries after `base`, terms never falling."""

    def __init__(self, base: EntryId = ORIGIN, entries: Sequence[Entry] = ()) -> None:
        self.base = base
        self._entries: list[Entry] = []
        for entry in entries:
            self.append(entry)

    @property
    def first_index(self) -> int:
        return self.base.index + 1

    @property
    def last(self) -> EntryId:
        return self._entries[-1].id if self._entries else self.base

    @property
    def last_index(self) -> int:
        return self.base.index + len(self._entries)

    def term_at(self, index: int) -> int:
        """The term of an entry. Raises Compacted below `base`, IndexError past the end."""
        if index == self.base.index:
            return self.base.term
        return self.entry_at(index).term

    def entry_at(self, index: int) -> Entry:
        """One entry. Raises Compacted at or below `base`, IndexError past the end."""
        if index <= self.base.index:
            raise Compacted(f"entry {index} is no longer in the log, which begins at {self.first_index}")
        if index > self.last_index:
            raise IndexError(f"entry {index} is past the end of the log, {self.last_index}")
        return self._entries[index - self.base.index - 1]

    def holds(self, entry_id: EntryId) -> bool:
        """Whether this log has, or its base stands for, exactly that entry (the test of Log Matching)."""
        if not self.base.index <= entry_id.index <= self.last_index:
            return False
        return self.term_at(entry_id.index) == entry_id.term

    def append(self, entry: Entry) -> None:
        previous = self._entries[-1] if self._entries else self.base
        if entry.index != previous.index + 1 or entry.term < previous.term:
            raise InvariantBroken(f"entry {entry.index}, term {entry.term}, cannot follow {previous.index}, term {previous.term}")
        self._entries.append(entry)

    def truncate_from(self, index: int) -> None:
        """Drop a conflicting suffix, `index` and all after it."""
        require(self.base.index < index <= self.last_index, f"cannot truncate {self.first_index}..{self.last_index} from {index}")
        del self._entries[index - self.base.index - 1 :]

    def compact(self, first_index: int) -> None:
        """Drop the prefix before `first_index`; does nothing when that is already gone."""
        if first_index <= self.first_index:
            return
        base = EntryId(self.term_at(first_index - 1), first_index - 1)
        del self._entries[: first_index - self.first_index]
        self.base = base

    def reset(self, base: EntryId) -> None:
        """Drop everything: a snapshot stands for all up to `base`."""
        self._entries.clear()
        self.base = base

    def slice(self, first_index: int, entries_count: int, size_bytes: int) -> tuple[Entry, ...]:
        """Entries from `first_index` on, contiguous, within both limits, but always at least one if there is one (L15)."""
        start = first_index - self.first_index
        require(start >= 0, f"entry {first_index} is before the first, {self.first_index}")
        taken = self._entries[start : start + entries_count]
        if size_of(taken) > size_bytes:
            room = size_bytes
            for count, entry in enumerate(taken):
                room -= entry.size_bytes
                if room < 0 and count > 0:
                    return tuple(taken[:count])
        return tuple(taken)

    def between(self, first_index: int, last_index: int) -> tuple[Entry, ...]:
        """The entries `first_index` to `last_index`, both included."""
        start = first_index - self.first_index
        require(start >= 0, "entries that are compacted away were asked for")
        return tuple(self._entries[start : start + last_index - first_index + 1])

    def first_index_of_term_at(self, index: int) -> int:
        """Where the term of the entry at `index` begins in this log: the follower's conflict hint."""
        term = self.term_at(index)
        if index == self.base.index:
            return index
        return self.first_index + bisect_left(self._entries, term, hi=index - self.base.index, key=_term)

    def last_index_of_term(self, term: int, at_most: int) -> int | None:
        """The last entry of a term, no further than `at_most`; None if the log has none: the leader's use of the hint."""
        end = bisect_right(self._entries, term, hi=max(0, min(at_most, self.last_index) - self.base.index), key=_term)
        index = self.base.index + end
        return index if self.term_at(index) == term else None

    def first_index_to_keep(self, snapshot_index: int, entries_count: int, size_bytes: int) -> int:
        """Where to compact to behind a snapshot, so that a follower a little behind needs none (Section 5.1.3)."""
        index = min(snapshot_index, self.last_index)
        lowest = max(self.base.index, index - entries_count)
        room = size_bytes
        while index > lowest:
            room -= self.entry_at(index).size_bytes
            if room < 0:
                break
            index -= 1
        return index + 1
