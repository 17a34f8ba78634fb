"""The store: revisions, versions, ranges, and results, as functions of the commands applied."""

from unittest import TestCase

import pytest

from hraft.interfaces import StateMachine
from hraft.kv.commands import Command, Delete, Set, SetMany, encode_command
from hraft.kv.records import Record
from hraft.kv.results import Refused, Result, Written
from hraft.kv.store import KeyValueStore


class StoreTests(TestCase):
    def setUp(self) -> None:
        self.store = KeyValueStore()
        self.index = 0

    def apply(self, command: Command) -> Result:
        self.index += 1
        return self.store.apply(self.index, encode_command(command))

    def test_is_a_state_machine(self) -> None:
        """The service knows only the protocol; mypy checks this assignment."""
        machine: StateMachine = self.store
        self.assertIs(machine, self.store)

    def test_an_empty_store(self) -> None:
        """A new node starts at revision 0 with no keys."""
        self.assertEqual(0, self.store.revision)
        self.assertEqual(0, self.store.count())
        self.assertIsNone(self.store.get(b"a"))
        self.assertEqual([], self.store.range())

    def test_a_set_makes_a_revision(self) -> None:
        """As in etcd, a put is a change even when the value stays the same."""
        self.assertEqual(Written(1, 1), self.apply(Set(b"a", b"x")))
        self.assertEqual(Record(b"x", 1, 1, 1), self.store.get(b"a"))
        self.assertEqual(Written(2, 1), self.apply(Set(b"a", b"x")))
        self.assertEqual(Record(b"x", 1, 2, 2), self.store.get(b"a"))
        self.assertEqual(2, self.store.revision)

    @pytest.mark.scenario("C8")
    def test_a_delete_of_a_missing_key_makes_no_revision(self) -> None:
        """Whether a delete changes anything depends on the log alone, so every node counts alike."""
        self.assertEqual(Written(0, 0), self.apply(Delete(b"a")))
        self.apply(Set(b"a", b"x"))
        self.assertEqual(Written(2, 1), self.apply(Delete(b"a")))
        self.assertIsNone(self.store.get(b"a"))
        self.assertEqual(Written(2, 0), self.apply(Delete(b"a")))

    def test_a_key_that_comes_back_begins_again(self) -> None:
        """`create_revision` and `version` count from the last creation: compare-and-set on them sees a deletion between."""
        self.apply(Set(b"a", b"1"))
        self.apply(Set(b"a", b"2"))
        self.apply(Delete(b"a"))
        self.apply(Set(b"a", b"3"))
        self.assertEqual(Record(b"3", 4, 4, 1), self.store.get(b"a"))

    def test_many_keys_make_one_revision(self) -> None:
        """An atomic write is one change: nobody can name a revision between its keys."""
        self.apply(Set(b"b", b"0"))
        self.assertEqual(Written(2, 3), self.apply(SetMany(((b"c", b"1"), (b"b", b"2"), (b"a", b"3")))))
        self.assertEqual(
            [(b"a", Record(b"3", 2, 2, 1)), (b"b", Record(b"2", 1, 2, 2)), (b"c", Record(b"1", 2, 2, 1))], self.store.range()
        )

    def test_no_keys_make_no_revision(self) -> None:
        """Nothing changed."""
        self.assertEqual(Written(0, 0), self.apply(SetMany(())))

    def test_ranges_are_ordered_by_bytes(self) -> None:
        """The order is that of bytes, the same on every node and in every locale."""
        keys = [b"", b"a", b"a\x00", b"a/b", b"b", "é".encode(), b"\xff"]
        for key in reversed(keys):
            self.apply(Set(key, key))
        self.assertEqual(keys, [key for key, record in self.store.range()])
        self.assertEqual([b"a", b"a\x00", b"a/b"], [key for key, record in self.store.range(b"a", b"b")])
        self.assertEqual([b"a", b"a\x00"], [key for key, record in self.store.range(b"a", b"b", limit=2)])
        self.assertEqual([b"b", "é".encode(), b"\xff"], [key for key, record in self.store.range(b"b")])
        self.assertEqual([], self.store.range(b"b", b"a"))
        self.assertEqual(
            [7, 3, 3, 0], [self.store.count(), self.store.count(b"a", b"b"), self.store.count(b"b"), self.store.count(b"b", b"a")]
        )

    def test_a_deleted_key_is_in_no_range(self) -> None:
        """The index of keys follows the records."""
        self.apply(SetMany(((b"a", b""), (b"b", b""))))
        self.apply(Delete(b"a"))
        self.assertEqual([b"b"], [key for key, record in self.store.range()])

    @pytest.mark.scenario("L20")
    def test_a_bad_command_is_a_result(self) -> None:
        """What is committed must be applied: it can neither raise nor be tried again, and it changes nothing."""
        self.apply(Set(b"a", b"x"))
        before = self.store.state_hash()
        for command in (b"", b"{}", b"\xff", b'{"op":"set","key":"a"}', b"[" * 100_000, b'{"op":"later"}'):
            result = self.store.apply(2, command)
            self.assertIsInstance(result, Refused)
            self.assertEqual(self.store.apply(2, b"nonsense"), result)
        self.assertEqual(before, self.store.state_hash())

    def test_the_hash_tells_states_apart(self) -> None:
        """It is compared between nodes at one index, so it must see values, revisions and versions, not only keys."""
        one, other, third = KeyValueStore(), KeyValueStore(), KeyValueStore()
        one.apply(1, encode_command(Set(b"a", b"1")))
        other.apply(1, encode_command(Set(b"a", b"2")))
        third.apply(1, encode_command(Set(b"a", b"1")))
        third.apply(2, encode_command(Set(b"a", b"1")))
        self.assertEqual(3, len({one.state_hash(), other.state_hash(), third.state_hash()}))
