"""The records of all keys: packed, but for those in use and those with large values.

    tree       all keys in order, and their records, packed (`hraft.kv.tree`)
    recent     the last records that were read or set, as they are: a key in use costs no more than a place in a dictionary
    changed    those of them that the tree has as they were before: a record is packed when it is recent no more
    large      the records whose values are large: a leaf with them would be too much to copy; the tree has only their keys

Knows nothing of leases, of history, and of what makes a revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from hraft import limits
from hraft.kv.packing import ELSEWHERE, key_and_content, packed_content, packed_key, records_of, unpacked_content
from hraft.kv.records import KeyValue, Record
from hraft.kv.tree import SIZES, Sizes, Tree


class Table:
    """Belongs to one thread; what `as_of_now` returns may be read in another."""

    def __init__(self, sizes: Sizes = SIZES) -> None:
        self._sizes = sizes
        self._tree = Tree(sizes)
        self._recent: dict[bytes, Record] = {}
        self._changed: dict[bytes, Record] = {}
        self._large: dict[bytes, Record] = {}

    def __len__(self) -> int:
        return len(self._tree)

    # --- reading ---------------------------------------------------------------------------------

    def get(self, key: bytes) -> Record | None:
        """The record of one key, if there is such a key."""
        record = self._recent.get(key)
        if record is None:
            _, content = self._tree.find(packed_key(key))
            if content is None:
                return None
            if content == ELSEWHERE:
                return self._large[key]
            record = unpacked_content(content)
            self._remember(key, record)
        return record

    def range(self, start: bytes, end: bytes | None) -> Iterator[tuple[bytes, Record]]:
        """The keys in `[start, end)` in order; no end means up to the last. Not to be gone on with after a change."""
        records = self._tree.range(packed_key(start), None if end is None else packed_key(end))
        return _unpacked(records, self._changed, self._large)

    def count(self, start: bytes, end: bytes | None) -> int:
        """How many keys are in `[start, end)`. Does not visit them."""
        first = self._tree.rank(packed_key(start))
        last = len(self._tree) if end is None else self._tree.rank(packed_key(end))
        return max(0, last - first)

    def as_of_now(self) -> Iterator[tuple[bytes, Record]]:
        """All keys in order as they are now, whatever becomes of them. Copies references of leaves, but of no keys in them."""
        leaves = self._tree.leaves()
        return _unpacked(_records_of_all(leaves), self._changed.copy(), self._large.copy())

    def kept(self, key: bytes, record: Record) -> Record:
        """This record; where it is kept here as it is, that very one, so that nobody else has its large value once more."""
        kept = self._large.get(key)
        return kept if kept == record and kept is not None else record

    # --- changing --------------------------------------------------------------------------------

    def put(self, key: bytes, value: bytes, revision: int, lease: int) -> tuple[Record, Record | None]:
        """Give a key a value at a revision. Returns its record and the one before, None where it was not there."""
        previous = self._recent.get(key)
        if previous is not None and len(value) <= self._sizes.large_value_bytes:
            record = Record(value, previous.create_revision, revision, previous.version + 1, lease)
            self._recent[key] = self._changed[key] = record
            return record, previous
        packed = packed_key(key)
        place, content = self._tree.find(packed)
        if previous is None and content is not None:
            previous = self._large.pop(key) if content == ELSEWHERE else unpacked_content(content)
        if previous is None:
            record = Record(value, revision, revision, 1, lease)
        else:
            record = Record(value, previous.create_revision, revision, previous.version + 1, lease)
        self._tree.write(place, packed, self._content(key, record))
        if key in self._large:
            self._recent.pop(key, None)
            self._changed.pop(key, None)
        else:
            self._remember(key, record)
        return record, previous

    def remove(self, start: bytes, end: bytes | None) -> list[KeyValue]:
        """Take the keys in `[start, end)` away. Returns them in order."""
        records = self._tree.remove(packed_key(start), None if end is None else packed_key(end))
        removed = [KeyValue(key, record) for key, record in _unpacked(records, self._changed, self._large)]
        for pair in removed:
            self._recent.pop(pair.key, None)
            self._changed.pop(pair.key, None)
            self._large.pop(pair.key, None)
        return removed

    def fill(self, pairs: Iterable[tuple[bytes, Record]]) -> None:
        """Begin with these keys, which come in order; there must be none yet."""
        self._tree.fill(packed_key(key) + self._content(key, record) for key, record in pairs)

    def _content(self, key: bytes, record: Record) -> bytes:
        if len(record.value) <= self._sizes.large_value_bytes:
            return packed_content(record)
        self._large[key] = record
        return ELSEWHERE

    def _remember(self, key: bytes, record: Record) -> None:
        """Have the record at hand. Where there are too many, those that came first are put away."""
        self._recent[key] = record
        if len(self._recent) > self._sizes.recent_records_count:
            for oldest in list(islice(self._recent, limits.RECENT_RECORDS_PUT_AWAY_COUNT)):
                del self._recent[oldest]
                changed = self._changed.pop(oldest, None)
                if changed is not None:
                    packed = packed_key(oldest)
                    place, _ = self._tree.find(packed)
                    self._tree.write(place, packed, packed_content(changed))


def _records_of_all(leaves: list[bytes]) -> Iterator[bytes]:
    """Lets go of each leaf when it has been read: there may be none such in the tree any more."""
    leaves.reverse()
    while leaves:
        yield from records_of(leaves.pop())


def _unpacked(
    records: Iterable[bytes], changed: Mapping[bytes, Record], large: Mapping[bytes, Record]
) -> Iterator[tuple[bytes, Record]]:
    """Each key with the record that is in force."""
    for packed in records:
        key, content = key_and_content(packed)
        record = changed.get(key)
        if record is None:
            record = large[key] if content == ELSEWHERE else unpacked_content(content)
        yield key, record
