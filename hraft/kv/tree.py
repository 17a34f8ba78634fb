"""Packed records in the order of their keys: leaves in branches, as in a B+ tree of two levels.

    branch    first_keys  [a, f, m, ...]      to find a leaf by bisection, in C
              leaves      [..., ..., ...]     bytes of `hraft.kv.packing`, some 2 KiB each
              counts      [31, 28, 40, ...]   so that keys are counted without visiting them

A leaf is never changed but replaced, so whoever holds one holds the past: that is all there is to a snapshot. Each write copies
one leaf. Keys and records are always packed here; what is in them this module does not know.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from hraft import limits
from hraft.kv.packing import BORDER, EMPTY_LEAF, in_pieces, leaf_of, packed_key_of, records_of


@dataclass(frozen=True, slots=True)
class Sizes:
    """See `hraft.limits` for each. They decide what records cost, and never what they are. Tests have smaller ones."""

    leaf_bytes: int = limits.LEAF_BYTES
    branch_leaves_count: int = limits.BRANCH_LEAVES_COUNT
    large_value_bytes: int = limits.LARGE_VALUE_BYTES
    recent_records_count: int = limits.RECENT_RECORDS_COUNT


SIZES = Sizes()


class _Branch:
    """Some leaves in a row. A first key is where its leaf begins, whether or not there is such a key."""

    __slots__ = ("counts", "first_keys", "keys_count", "leaves")

    def __init__(self, first_keys: list[bytes], leaves: list[bytes], counts: list[int]) -> None:
        self.first_keys = first_keys
        self.leaves = leaves
        self.counts = counts
        self.keys_count = sum(counts)

    def replace(self, at: int, pieces: list[list[bytes]]) -> None:
        """Have a leaf of each of these pieces, if any, instead of one. The first begins where that one began."""
        counts = [len(piece) for piece in pieces]
        self.keys_count += sum(counts) - self.counts[at]
        self.first_keys[at + 1 : at + 1] = [packed_key_of(piece[0]) for piece in pieces[1:]]
        self.leaves[at : at + 1] = [leaf_of(piece) for piece in pieces]
        self.counts[at : at + 1] = counts
        if not pieces and self.leaves:
            # The first leaf has to begin where the branch does.
            del self.first_keys[at or 1]

    def join(self, at: int, piece_bytes: int) -> None:
        """Make one leaf of two neighbours, if there are two and they are small."""
        if 0 <= at < len(self.leaves) - 1 and len(self.leaves[at]) + len(self.leaves[at + 1]) <= piece_bytes:
            self.leaves[at : at + 2] = [self.leaves[at] + self.leaves[at + 1][1:]]
            self.counts[at : at + 2] = [self.counts[at] + self.counts[at + 1]]
            del self.first_keys[at + 1]


#: A branch, the number of a leaf there, and where in it the record of some key begins (-1: nowhere). Good until the next change.
Place: TypeAlias = tuple[_Branch, int, int]


class Tree:
    """Belongs to one thread; what `leaves` returns may be used in another."""

    def __init__(self, sizes: Sizes = SIZES) -> None:
        self._sizes = sizes
        # What is too long is not cut into halves: where keys come in order, the first piece never grows any more.
        self._piece_bytes = sizes.leaf_bytes * 2 // 3
        self._piece_leaves_count = max(1, sizes.branch_leaves_count * 2 // 3)
        self._first_keys = [b""]
        self._branches = [_Branch([b""], [EMPTY_LEAF], [0])]

    def __len__(self) -> int:
        return sum([branch.keys_count for branch in self._branches])

    # --- reading ---------------------------------------------------------------------------------

    def find(self, key: bytes) -> tuple[Place, bytes | None]:
        """Where the record of this key is, with its content; or where it would be, and None."""
        branch = self._branches[bisect_right(self._first_keys, key) - 1]
        at = bisect_right(branch.first_keys, key) - 1
        leaf = branch.leaves[at]
        border = leaf.find(BORDER + key)
        if border < 0:
            return (branch, at, border), None
        begin = border + 1 + len(key)
        return (branch, at, border), leaf[begin : leaf.index(BORDER, begin)]

    def range(self, start: bytes, end: bytes | None) -> Iterator[bytes]:
        """The records of the keys in `[start, end)`, in order; no end means up to the last. Not to be gone on with later."""
        number, at = self._at(start)
        for branch in islice(self._branches, number, None):
            for leaf in islice(branch.leaves, at, None):
                records = records_of(leaf)
                first, last = _bounds(records, start, end)
                yield from islice(records, first, last)
                if last < len(records):
                    return
            at = 0

    def rank(self, key: bytes) -> int:
        """How many keys come before this one. Visits those of one leaf only."""
        number, at = self._at(key)
        branch = self._branches[number]
        before = sum([branch.keys_count for branch in self._branches[:number]]) + sum(branch.counts[:at])
        return before + bisect_left(records_of(branch.leaves[at]), key)

    def leaves(self) -> list[bytes]:
        """All of them as they are, in order."""
        leaves: list[bytes] = []
        for branch in self._branches:
            leaves += branch.leaves
        return leaves

    def _at(self, key: bytes) -> tuple[int, int]:
        """In which branch and leaf a key is, or would be."""
        number = bisect_right(self._first_keys, key) - 1
        return number, bisect_right(self._branches[number].first_keys, key) - 1

    # --- changing --------------------------------------------------------------------------------

    def write(self, place: Place, key: bytes, content: bytes) -> None:
        """Let this be the content of this key, whose place that is."""
        branch, at, border = place
        leaf = branch.leaves[at]
        if border < 0:
            leaf = b"%b%b%b\xff" % (leaf, key, content)
            branch.counts[at] += 1
            branch.keys_count += 1
        else:
            begin = border + 1 + len(key)
            leaf = b"%b%b%b" % (leaf[:begin], content, leaf[leaf.index(BORDER, begin) :])
        if len(leaf) <= self._sizes.leaf_bytes or branch.counts[at] == 1:
            branch.leaves[at] = leaf
        else:
            branch.replace(at, list(in_pieces(records_of(leaf), self._piece_bytes)))
            if len(branch.leaves) > self._sizes.branch_leaves_count:
                self._cut(branch)

    def remove(self, start: bytes, end: bytes | None) -> list[bytes]:
        """Take the records of the keys in `[start, end)` away, leaf by leaf. Returns them, in order."""
        removed: list[bytes] = []
        number, at = self._at(start)
        while number < len(self._branches):
            branch = self._branches[number]
            while at < len(branch.leaves):
                records = records_of(branch.leaves[at])
                first, last = _bounds(records, start, end)
                kept = records[:first] + records[last:]
                if first < last:
                    removed += records[first:last]
                    branch.replace(at, [kept] if kept else [])
                if last < len(records):
                    branch.join(at, self._piece_bytes)
                    branch.join(at - 1, self._piece_bytes)
                    return removed
                if kept or not records:
                    at += 1
            at = 0
            if branch.leaves:
                number += 1
            else:
                self._have(self._branches[:number] + self._branches[number + 1 :])
        return removed

    def fill(self, records: Iterable[bytes]) -> None:
        """Have these records, which come in order, and no others."""
        pieces, branches = in_pieces(records, self._piece_bytes), []
        while some := list(islice(pieces, self._piece_leaves_count)):
            first_keys = [packed_key_of(piece[0]) for piece in some]
            branches.append(_Branch(first_keys, [leaf_of(piece) for piece in some], [len(piece) for piece in some]))
        self._have(branches)

    def _have(self, branches: list[_Branch]) -> None:
        self._branches = branches or [_Branch([b""], [EMPTY_LEAF], [0])]
        # Whatever comes before the first key belongs to the first leaf.
        self._branches[0].first_keys[0] = b""
        self._first_keys = [branch.first_keys[0] for branch in self._branches]

    def _cut(self, branch: _Branch) -> None:
        count = self._piece_leaves_count
        number = bisect_right(self._first_keys, branch.first_keys[0]) - 1
        parts = slice(count), slice(count, None)
        cut = [_Branch(branch.first_keys[part], branch.leaves[part], branch.counts[part]) for part in parts]
        self._have([*self._branches[:number], *cut, *self._branches[number + 1 :]])


def _bounds(records: list[bytes], start: bytes, end: bytes | None) -> tuple[int, int]:
    """Which of these, all in order, are in `[start, end)`."""
    first = bisect_left(records, start)
    return first, len(records) if end is None else max(first, bisect_left(records, end))
