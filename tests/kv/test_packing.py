"""Records as bytes: any key and any value comes back, and packed keys are in the order of the keys."""

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from hraft.kv.packing import (
    BORDER,
    EMPTY_LEAF,
    in_pieces,
    key_and_content,
    leaf_of,
    packed_content,
    packed_key,
    packed_key_of,
    records_of,
    unpacked_content,
)
from hraft.kv.records import Record

#: Those that are escaped, those that they are escaped with, and their neighbours.
_MARKS = [b"\0", b"\1", b"\2", b"\3", b"a", b";", b",", b"\xfd", b"\xfe", b"\xff"]
BYTES = st.lists(st.sampled_from(_MARKS), max_size=6).map(b"".join)
NUMBERS = st.integers(1, 3) | st.integers(1, 2**63 - 1)
RECORDS = st.builds(Record, BYTES, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 2) | NUMBERS)


class PackingTests(TestCase):
    @given(BYTES, RECORDS)
    def test_a_record_comes_back(self, key: bytes, record: Record) -> None:
        """Keys and values are any bytes, those that mark something here among them."""
        packed = packed_key(key) + packed_content(record)
        unpacked, content = key_and_content(packed)
        self.assertEqual((key, record), (unpacked, unpacked_content(content)))
        self.assertEqual(packed_key(key), packed_key_of(packed))
        self.assertNotIn(BORDER, packed, "it would be taken for two")

    @given(BYTES, BYTES, RECORDS, RECORDS)
    def test_records_are_in_the_order_of_their_keys(self, key: bytes, other: bytes, record: Record, another: Record) -> None:
        """Whatever they say: a leaf is sorted, and searched, without unpacking a key."""
        packed, after = packed_key(key) + packed_content(record), packed_key(other) + packed_content(another)
        if key != other:
            self.assertEqual(key < other, packed < after)
            self.assertEqual(key < other, packed_key(key) < after, "as the bounds of ranges are compared")
            self.assertFalse(after.startswith(packed_key(key)), "or a key is found in another's place")

    @given(st.dictionaries(BYTES, RECORDS))
    def test_a_leaf_has_each_record_once(self, records: dict[bytes, Record]) -> None:
        """In whatever order they came."""
        packed = [packed_key(key) + packed_content(record) for key, record in records.items()]
        leaf = leaf_of(packed) if packed else EMPTY_LEAF
        self.assertEqual(sorted(packed), records_of(leaf))

    def test_most_records_take_few_bytes(self) -> None:
        """What a million of them take is why they are packed at all."""
        self.assertEqual(b"key\0\0f4240;value", packed_key(b"key") + packed_content(Record(b"value", 1_000_000, 1_000_000, 1)))

    def test_pieces_are_of_the_size_that_was_asked_for(self) -> None:
        """None is empty, none is too long, and one record that is too long has its own."""
        pieces = list(in_pieces([b"aaa", b"bbb", b"c" * 20, b"dddd", b"ee", b"f"], 8))
        self.assertEqual([[b"aaa", b"bbb"], [b"c" * 20], [b"dddd", b"ee"], [b"f"]], pieces)
        self.assertEqual([], list(in_pieces([], 8)))
