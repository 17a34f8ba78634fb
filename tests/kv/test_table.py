"""The table of records against a dictionary that is sorted anew each time, in leaves and branches of very few."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random
from unittest import TestCase

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hraft.kv.records import KeyValue, Record
from hraft.kv.table import Table, _records_of_all
from hraft.kv.tree import Sizes

SMALL = Sizes(leaf_bytes=60, branch_leaves_count=3, large_value_bytes=8, recent_records_count=5)
KEYS = st.lists(st.sampled_from([b"a", b"b", b"c", b"\0", b"\xfe", b"\xff"]), max_size=4).map(b"".join)
#: Some are large, some have what is escaped, some are like keys.
VALUES = st.sampled_from([b"", b"1", b"a", b"\xff\xfe", b"\0", b"12345678", b"123456789", b"x" * 50])
ENDS = st.none() | KEYS
Pair = tuple[bytes, Record]


class TableModel(RuleBasedStateMachine):
    """`looks` are tables as they were at some moment: what was expected of each, and what can still be read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table(SMALL)
        self.records: dict[bytes, Record] = {}
        self.looks: list[tuple[list[Pair], Iterator[Pair]]] = []
        self.revision = 0

    def within(self, start: bytes, end: bytes | None) -> list[bytes]:
        return sorted(key for key in self.records if key >= start and (end is None or key < end))

    @initialize(keys=st.sets(KEYS, max_size=30), value=VALUES)
    def filled(self, keys: set[bytes], value: bytes) -> None:
        self.records = {key: Record(value, 1, 1, 1) for key in sorted(keys)}
        self.table.fill(iter(self.records.items()))

    @rule(key=KEYS, value=VALUES, lease=st.integers(0, 1))
    def put(self, key: bytes, value: bytes, lease: int) -> None:
        self.revision += 1
        previous = self.records.get(key)
        made, version = (previous.create_revision, previous.version + 1) if previous else (self.revision, 1)
        self.records[key] = Record(value, made, self.revision, version, lease)
        assert (self.records[key], previous) == self.table.put(key, value, self.revision, lease)

    @rule(count=st.integers(1, 40), value=VALUES, prefix=KEYS)
    def put_in_order(self, count: int, value: bytes, prefix: bytes) -> None:
        for number in range(count):
            self.put(prefix + b"%03d" % number, value, 0)

    @rule(start=KEYS, end=ENDS)
    def remove(self, start: bytes, end: bytes | None) -> None:
        expected = [KeyValue(key, self.records.pop(key)) for key in self.within(start, end)]
        assert expected == self.table.remove(start, end)

    @rule(key=KEYS)
    def remove_one(self, key: bytes) -> None:
        self.remove(key, key + b"\0")

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        assert self.records.get(key) == self.table.get(key)

    @rule(start=KEYS, end=ENDS, limit=st.integers(0, 5))
    def range(self, start: bytes, end: bytes | None, limit: int) -> None:
        keys = self.within(start, end)
        assert len(keys) == self.table.count(start, end)
        assert [(key, self.records[key]) for key in keys[:limit]] == list(islice(self.table.range(start, end), limit))

    @rule()
    def look(self) -> None:
        self.looks.append((sorted(self.records.items()), self.table.as_of_now()))

    @rule(count=st.integers(1, 20), data=st.data())
    def look_on(self, count: int, data: st.DataObject) -> None:
        if self.looks:
            expected, seen = self.looks[data.draw(st.integers(0, len(self.looks) - 1))]
            assert expected[:count] == list(islice(seen, count))
            del expected[:count]

    @invariant()
    def all_is_there_in_order(self) -> None:
        assert sorted(self.records.items()) == list(self.table.range(b"", None)) == list(self.table.as_of_now())
        assert len(self.records) == len(self.table) == self.table.count(b"", None)

    @invariant()
    def nothing_grows_for_ever(self) -> None:
        table = self.table
        assert len(table._recent) <= SMALL.recent_records_count
        assert table._changed.keys() <= table._recent.keys()
        assert {key for key, record in self.records.items() if len(record.value) > 8} == table._large.keys()
        for branch in table._tree._branches:
            assert len(branch.leaves) <= SMALL.branch_leaves_count
            for leaf, count in zip(branch.leaves, branch.counts, strict=True):
                assert len(leaf) <= SMALL.leaf_bytes or count == 1, leaf

    def teardown(self) -> None:
        for expected, seen in self.looks:
            assert expected == list(seen)


class TestTableModel(TableModel.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=60, stateful_step_count=40)


class TableTests(TestCase):
    def leaves(self, table: Table) -> list[bytes]:
        return table._tree.leaves()

    def test_keys_in_order_fill_their_leaves(self) -> None:
        """As most are that carry a time or a number. Half-empty leaves would be the double of them."""
        table = Table()
        for number in range(2_000):
            table.put(b"%09d" % number, b"x" * 20, 1, 0)
        sizes = [len(leaf) for leaf in self.leaves(table)[:-1]]
        self.assertGreater(min(sizes), 2048 * 0.6)

    def test_leaves_of_which_little_is_left_are_joined(self) -> None:
        """Or what was once a large store would keep its leaves for ever."""
        table, keys = Table(), [b"%09d" % number for number in range(5_000)]
        table.fill((key, Record(b"x" * 20, 1, 1, 1)) for key in keys)
        before = len(self.leaves(table))
        left = set(Random(1).sample(keys, 500))
        for key in keys:
            if key not in left:
                table.remove(key, key + b"\0")
        self.assertLess(len(self.leaves(table)), before / 4)
        self.assertEqual(sorted(left), [key for key, _ in table.range(b"", None)])

    def test_a_large_value_is_not_copied(self) -> None:
        """Neither by a write to its neighbour, nor by a look, nor twice for the history after a restart."""
        table, value = Table(), b"x" * 100_000
        record, _ = table.put(b"a", value, 1, 0)
        table.put(b"b", b"1", 2, 0)
        self.assertIs(value, record.value)
        self.assertIs(record, table.get(b"a"))
        self.assertIs(record, next(table.as_of_now())[1])
        self.assertIs(record, table.kept(b"a", Record(value + b"", 1, 1, 1)))
        other = Record(value, 2, 2, 1)
        self.assertIs(other, table.kept(b"a", other))

    def test_a_look_lets_go_of_what_was_read(self) -> None:
        """While the rest is read, which takes seconds, writes replace nearly all leaves."""
        leaves = [b"\xffa\0\0\xffb\0\0\xff", b"\xffc\0\0\xff"]
        records = _records_of_all(leaves)
        next(records)
        self.assertEqual([b"\xffc\0\0\xff"], leaves)

    def test_what_is_in_use_is_at_hand(self) -> None:
        """Unpacking each time would show where few keys are written and read all the time."""
        table = Table()
        table.put(b"a", b"1", 1, 0)
        leaves = self.leaves(table)
        record, _ = table.put(b"a", b"2", 2, 0)
        self.assertIs(record, table.get(b"a"))
        self.assertEqual(leaves, self.leaves(table), "the tree is written when it is used no more")
