"""A store's snapshot: taken at once, read later, restored exactly, and refused when damaged."""

import json
from itertools import islice
from random import Random
from unittest import TestCase

import pytest

from hraft.errors import LogCorrupted
from hraft.kv.commands import Delete, Set, SetMany, encode_command
from hraft.kv.store import KeyValueStore

HEADER = b'{"store":1,"revision":3,"keys":2}'
HEADER_2 = b'{"store":2,"revision":7,"keys":2,"leases":1,"sessions":2,"events":3,"oldest_revision":4}'
LEASED = b'{"key":"a","value":"2","create_revision":1,"mod_revision":5,"version":2,"lease":4}'
LEASE = b'{"lease":4,"ttl_seconds":10}'
SESSIONS = [
    b'{"client":6,"floor":0,"answers":0}',
    b'{"client":5,"floor":2,"answers":1}',
    b'{"serial":3,"digest":"q83vEjRWeJA=","result":{"result":"written","revision":3,"changed_count":1}}',
]
EVENTS = [
    b'{"revision":5,"key":"a","record":{"value":"2","create_revision":1,"mod_revision":5,"version":2,"lease":4},'
    b'"previous":{"value":"1","create_revision":1,"mod_revision":1,"version":1}}',
    b'{"revision":7,"key_base64":"/w==","previous":{"value":"x","create_revision":6,"mod_revision":6,"version":1}}',
    b'{"revision":7,"key":"b","record":{"value":"2","create_revision":7,"mod_revision":7,"version":1}}',
]
B_7 = b'{"key":"b","value":"2","create_revision":7,"mod_revision":7,"version":1}'
WHOLE = [HEADER_2, LEASED, B_7, LEASE, *SESSIONS, *EVENTS]


def without(line: bytes) -> list[bytes]:
    return [other for other in WHOLE if other != line]


def changed(line: bytes, old: bytes, new: bytes) -> list[bytes]:
    """The whole snapshot with one line spoilt."""
    assert line.count(old) == 1, (line, old)
    return [other.replace(old, new) if other == line else other for other in WHOLE]


A = b'{"key":"a","value":"1","create_revision":1,"mod_revision":3,"version":2}'
B = b'{"key":"b","value":"2","create_revision":2,"mod_revision":2,"version":1}'

DAMAGED = {
    "no lines": [],
    "no header": [A, B],
    "a header that is no object": [b"1", A, B],
    "another format": [b'{"store":3,"revision":3,"keys":2}', A, B],
    "a negative revision": [b'{"store":1,"revision":-1,"keys":0}'],
    "another field in the header": [b'{"store":1,"revision":3,"keys":2,"x":1}', A, B],
    "a line lost": [HEADER, A],
    "a line too many": [HEADER, A, B, B.replace(b'"b"', b'"c"')],
    "a line twice": [HEADER, A, A],
    "a line twice, counted once": [HEADER.replace(b'"keys":2', b'"keys":1'), A, A],
    "out of order": [HEADER, B, A],
    "a line cut off": [HEADER, A, B[:-1]],
    "an empty line": [HEADER, A, b""],
    "not UTF-8": [HEADER, A, B.replace(b'"2"', b'"\xff"')],
    "a lone surrogate": [HEADER, A, B.replace(b'"2"', b'"\\udc00"')],
    "no key": [HEADER, A, b'{"value":"2","create_revision":2,"mod_revision":2,"version":1}'],
    "two values": [HEADER, A, B.replace(b'"value"', b'"value_base64":"","value"')],
    "no revision": [HEADER, A, b'{"key":"b","value":"2","create_revision":2,"version":1}'],
    "revision 0": [HEADER, A, B.replace(b'"create_revision":2', b'"create_revision":0')],
    "created after it was set": [HEADER, A, B.replace(b'"create_revision":2', b'"create_revision":3')],
    "set after the store's revision": [HEADER, A, B.replace(b'"mod_revision":2', b'"mod_revision":4')],
    "more versions than revisions": [HEADER, A, B.replace(b'"version":1', b'"version":2')],
    "a version that is no number": [HEADER, A, B.replace(b'"version":1', b'"version":"1"')],
    "a huge number": [HEADER, A, B.replace(b'"version":1', b'"version":' + b"9" * 5000)],
    "nested": [HEADER, A, b"[" * 100_000],
    "another field": [HEADER, A, B.replace(b'"key"', b'"x":1,"key"')],
    "a lease that is not there": [HEADER, A, B.replace(b'"key"', b'"lease":1,"key"')],
    "no line of a lease": without(LEASE),
    "a lease twice": [HEADER_2.replace(b'"leases":1', b'"leases":2'), LEASED, B_7, LEASE, LEASE, *SESSIONS, *EVENTS],
    "a lease without time": changed(LEASE, b'"ttl_seconds":10', b'"ttl_seconds":0'),
    "a session lost": without(SESSIONS[0]),
    "an answer lost": without(SESSIONS[2]),
    "an answer that is none": changed(SESSIONS[2], b'"written"', b'"writ"'),
    "an event lost": without(EVENTS[1]),
    "events out of order": [*WHOLE[:-3], EVENTS[1], EVENTS[0], EVENTS[2]],
    "an event before the history": changed(EVENTS[0], b'{"revision":5', b'{"revision":4'),
    "an event after the store's revision": changed(EVENTS[2], b'{"revision":7', b'{"revision":8'),
    "a history that begins later": changed(HEADER_2, b'"oldest_revision":4', b'"oldest_revision":8'),
}


class SnapshotTests(TestCase):
    def test_canonical_lines_are_without_the_history(self) -> None:
        """It begins where a node read a snapshot of format 1: members that did so at different entries have equal keys only."""
        store = KeyValueStore()
        store.apply(1, encode_command(Set(b"a", b"1")))
        old = [b'{"store":1,"revision":1,"keys":1}', *list(store.snapshot())[1:2]]
        late = KeyValueStore().restored(old)
        self.assertNotEqual(list(store.snapshot()), list(late.snapshot()))
        self.assertEqual(list(store.canonical_lines()), list(late.canonical_lines()))
        late.apply(2, encode_command(Set(b"a", b"2")))
        self.assertNotEqual(list(store.canonical_lines()), list(late.canonical_lines()))

    def test_the_lines_of_a_snapshot(self) -> None:
        """They lie on disk and are documented: the spelling may not drift."""
        self.assertEqual(WHOLE, list(KeyValueStore().restored(WHOLE).snapshot()))

    def test_the_former_format_is_read(self) -> None:
        """A node goes on from what an older version wrote; of changes before that it can tell nothing."""
        store = KeyValueStore().restored([HEADER, A, B])
        header = b'{"store":2,"revision":3,"keys":2,"leases":0,"sessions":0,"events":0,"oldest_revision":3}'
        self.assertEqual([header, A, B], list(store.snapshot()))

    def test_a_snapshot_is_the_state_at_its_moment(self) -> None:
        """The lines are encoded in another thread while commands go on being applied."""
        store = KeyValueStore()
        store.apply(1, encode_command(Set(b"a", b"then")))
        store.apply(2, encode_command(Set(b"b", b"then")))
        expected = list(store.snapshot())
        lines = iter(store.snapshot())
        first = next(lines)
        store.apply(3, encode_command(Set(b"a", b"now")))
        store.apply(4, encode_command(Delete(b"b")))
        store.apply(5, encode_command(Set(b"c", b"now")))
        self.assertEqual(expected, [first, *lines])

    def test_a_snapshot_is_the_state_at_its_moment_wherever_it_is_read(self) -> None:
        """Records are not copied, but their leaves never change: between any two lines, and for several snapshots."""
        for seed in range(40):
            chance, store = Random(seed), KeyValueStore()

            def change(chance: Random = chance, store: KeyValueStore = store) -> None:
                key = b"%d" % chance.randrange(12)
                pairs = ((key, chance.randbytes(2)), (key + b"x", b"b"))
                command = chance.choice([Set(key, chance.randbytes(3)), Delete(key), SetMany(pairs)])
                store.apply(1, encode_command(command))

            for _ in range(20):
                change()
            snapshots = []
            for _ in range(3):
                expected = list(store.snapshot())
                snapshots.append((expected, iter(store.snapshot()), []))
                change()
            while any(len(got) < len(expected) for expected, _, got in snapshots):
                _, lines, got = chance.choice(snapshots)
                got.extend(islice(lines, 1))
                change()
            for expected, _, got in snapshots:
                self.assertEqual(expected, got, seed)

    def test_nothing_is_encoded_before_it_is_asked_for(self) -> None:
        """`snapshot` is called in the reactor thread, which may not be held up by a million keys."""
        lines = KeyValueStore().snapshot()
        self.assertIs(lines, iter(lines))

    @pytest.mark.scenario("S14")
    def test_the_snapshot_carries_all_that_decides_later_results(self) -> None:
        """A node restored from a snapshot must give the same results as one that applied everything."""
        store = KeyValueStore()
        for command in (Set(b"a", b"1"), Set(b"a", b"2"), Set(b"\xff", b"\x00\xfe"), Delete(b"a"), Set(b"a", b"3")):
            store.apply(1, encode_command(command))
        restored = store.restored([bytes(line) for line in store.snapshot()])
        self.assertIsNot(store, restored)
        for command in (Set(b"a", b"4"), Delete(b"b"), Delete(b"\xff")):
            line = encode_command(command)
            self.assertEqual(store.apply(9, line), restored.apply(9, line))
        self.assertEqual(store.range(), restored.range())
        self.assertEqual(store.state_hash(), restored.state_hash())

    def test_restoring_leaves_the_old_store_alone(self) -> None:
        """Reads go on from the old state until the new one is whole."""
        store = KeyValueStore()
        store.apply(1, encode_command(Set(b"z", b"old")))
        before = store.state_hash()
        store.restored([HEADER, A, B])
        self.assertEqual(before, store.state_hash())

    def test_damaged_lines_are_refused(self) -> None:
        """A snapshot that cannot be right must stop the node, not become its state."""
        for name, lines in DAMAGED.items():
            with self.subTest(name), self.assertRaises(LogCorrupted):
                KeyValueStore().restored(lines)

    def test_the_error_names_the_line(self) -> None:
        """An operator has to look at it."""
        with self.assertRaisesRegex(LogCorrupted, "line 3: .*version"):
            KeyValueStore().restored([HEADER, A, B.replace(b'"version":1', b'"version":2')])

    def test_every_line_is_one_json_text(self) -> None:
        """The storage adds newlines and checksums and knows nothing else of the lines."""
        store = KeyValueStore()
        store.apply(1, encode_command(Set(b"\n", "\n\r\u2028\x85".encode())))
        for line in store.snapshot():
            self.assertNotIn(b"\n", line)
            json.loads(line)
