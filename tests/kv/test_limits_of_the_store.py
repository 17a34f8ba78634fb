"""What the store forgets, and what it refuses: bounded by the log alone, the same on every node."""

from __future__ import annotations

from unittest import TestCase

import pytest

from hraft import limits
from hraft.kv.bounds import StoreLimits
from hraft.kv.commands import CloseSession, GrantLease, Once, OpenSession, Set, SetMany, encode_command
from hraft.kv.history import Event, History
from hraft.kv.records import Record
from hraft.kv.results import NotDone, Result, Transacted, Written
from hraft.kv.sessions import Sessions
from hraft.kv.store import UNKNOWN_COMMAND, KeyValueStore
from hraft.kv.transactions import Compare, DeleteRange, GetRange, Put, Transaction, prefix_end


def event(revision: int, size_bytes: int = 0) -> Event:
    return Event(b"k", Record(b"x" * size_bytes, revision, revision, 1), None, revision)


class HistoryTests(TestCase):
    def test_the_oldest_go_first(self) -> None:
        """A watcher that comes back too late must be told so: `oldest_revision` says from where on nothing is missing."""
        history = History(store_limits=StoreLimits(history_events_count=3))
        for revision in range(1, 6):
            history.add(event(revision))
        self.assertEqual(2, history.oldest_revision)
        self.assertEqual([3, 4, 5], [change.revision for change in history.changes_after(2)])

    def test_a_revision_is_dropped_as_a_whole(self) -> None:
        """Half of a transaction would be told as if it were all of it."""
        history = History(store_limits=StoreLimits(history_events_count=3))
        history.extend([event(1), event(1), event(1)])
        history.add(event(2))
        self.assertEqual((1, 1), (history.oldest_revision, len(history)))
        self.assertEqual([2], [change.revision for change in history.changes_after(1)])

    def test_large_values_count(self) -> None:
        """A thousand values of a megabyte are not kept in memory for the sake of watchers."""
        history = History(store_limits=StoreLimits(history_bytes=10_000))
        for revision in range(1, 50):
            history.add(event(revision, 4_000))
        self.assertEqual(2, len(history))
        self.assertEqual(47, history.oldest_revision)
        self.assertLessEqual(len(history._events), 5, "what was dropped is still held")

    def test_a_restored_store_forgets_as_early(self) -> None:
        """Limits are part of what commands mean."""
        store = KeyValueStore(StoreLimits(history_events_count=2)).restored(list(KeyValueStore().snapshot()))
        for index in range(1, 6):
            store.apply(index, encode_command(Set(b"a", b"1")))
        self.assertEqual(3, store.oldest_revision)

    def test_one_that_is_too_large_alone(self) -> None:
        """Nothing can be told then, and that is said."""
        history = History(store_limits=StoreLimits(history_bytes=100))
        history.add(event(1, 4_000))
        self.assertEqual((0, 1), (len(history), history.oldest_revision))


class SessionTests(TestCase):
    def done(self, sessions: Sessions, client: int, serial: int, result: Result | None = None) -> None:
        self.assertIsNone(sessions.answer(client, serial, b"line"))
        sessions.done(client, serial, b"line", result or Written(serial, 1))

    def code(self, sessions: Sessions, client: int, serial: int, line: bytes = b"line") -> str | None:
        answer = sessions.answer(client, serial, line)
        return answer.code if isinstance(answer, NotDone) else None

    @pytest.mark.scenario("C1", "C2", "C3")
    def test_an_expired_answer_is_refused(self) -> None:
        """Never done again in silence: what is not known any more is said to be so."""
        sessions = Sessions(StoreLimits(session_answers_count=2))
        sessions.open(1)
        for serial in (1, 3, 2, 7):
            self.done(sessions, 1, serial)
        self.assertEqual(["serial_expired", "serial_expired"], [self.code(sessions, 1, serial) for serial in (1, 2)])
        self.assertEqual([Written(3, 1), Written(7, 1)], [sessions.answer(1, serial, b"line") for serial in (3, 7)])
        self.done(sessions, 1, 5)

    @pytest.mark.scenario("C2")
    def test_the_longest_unused_client_goes_first(self) -> None:
        """And is refused from then on, whatever serial it says."""
        sessions = Sessions(StoreLimits(sessions_count=2))
        sessions.open(1)
        sessions.open(2)
        self.done(sessions, 1, 1)
        sessions.open(3)
        self.assertEqual("session_expired", self.code(sessions, 2, 1))
        self.assertEqual(Written(1, 1), sessions.answer(1, 1, b"line"))
        sessions.open(4)
        self.assertEqual("session_expired", self.code(sessions, 3, 1))

    def test_bytes_are_bounded(self) -> None:
        """Answers may be long: other clients go first, then the older answers of the one that is left."""
        sessions = Sessions(StoreLimits(sessions_bytes=1_000))
        sessions.open(1)
        self.done(sessions, 1, 1)
        sessions.open(2)
        for serial in range(1, 9):
            self.done(sessions, 2, serial, NotDone("too_many_keys", "x" * 200))
        self.assertEqual("session_expired", self.code(sessions, 1, 1))
        self.assertEqual("serial_expired", self.code(sessions, 2, 1))
        self.assertIsInstance(sessions.answer(2, 8, b"line"), NotDone)
        self.assertLessEqual(sessions._size_bytes, 1_000)
        sessions.close(2)
        self.assertEqual((0, 0), (len(sessions), sessions._size_bytes))

    def test_a_session_may_end_by_its_own_write(self) -> None:
        """By closing itself, or by opening another where there is room for one: nobody's command may stop every node."""
        for command, limits_of_it in ((CloseSession(1), StoreLimits()), (OpenSession(), StoreLimits(sessions_count=1))):
            store = KeyValueStore(limits_of_it)
            store.apply(1, encode_command(OpenSession()))
            line = encode_command(Once(1, 1, command))
            self.assertNotIsInstance(store.apply(2, line), NotDone)
            again = store.apply(3, line)
            assert isinstance(again, NotDone)
            self.assertEqual("session_expired", again.code)

    def test_another_command_under_the_same_serial(self) -> None:
        """A mistake of the client's: neither is the first answer its answer, nor may it be done."""
        sessions = Sessions()
        sessions.open(1)
        self.done(sessions, 1, 1)
        self.assertEqual("serial_reused", self.code(sessions, 1, 1, b"other"))

    @pytest.mark.scenario("C3", "S14")
    def test_what_is_left_out_of_memory_is_left_out_after_a_restore(self) -> None:
        """The order in which clients go is part of the state: two nodes must refuse the same ones."""
        store = KeyValueStore()
        for index in (1, 2):
            store.apply(index, encode_command(OpenSession()))
        store.apply(3, encode_command(Once(1, 1, Set(b"a", b"1"))))
        restored = store.restored(list(store.snapshot()))
        self.assertEqual(list(store._sessions._sessions), list(restored._sessions._sessions))
        self.assertEqual(store._sessions._size_bytes, restored._sessions._size_bytes)
        again = encode_command(Once(1, 1, Set(b"a", b"1")))
        self.assertEqual((Written(1, 1), 1), (restored.apply(4, again), restored.revision))
        closed = restored.apply(5, encode_command(CloseSession(1)))
        self.assertNotIsInstance(closed, NotDone)
        refused = restored.apply(6, again)
        self.assertIsInstance(refused, NotDone)
        self.assertEqual(1, restored.revision)


class TransactionLimitTests(TestCase):
    def store(self, keys_count: int, value: bytes = b"") -> KeyValueStore:
        store = KeyValueStore()
        pairs = tuple((b"%08d" % number, value) for number in range(keys_count))
        store.apply(1, encode_command(SetMany(pairs)))
        return store

    def transact(self, store: KeyValueStore, *operations: Put | DeleteRange | GetRange) -> Result:
        return store.apply(2, encode_command(Transaction((), operations)))

    def test_too_many_keys_to_delete(self) -> None:
        """An entry is carried out in one go, while everybody waits: what would take too long is refused, all of it."""
        store = self.store(limits.DELETE_KEYS_COUNT + 1)
        refused = self.transact(store, Put(b"!", b"1"), DeleteRange(b"0", b""))
        self.assertEqual("too_many_keys", getattr(refused, "code", refused))
        self.assertEqual((1, None), (store.revision, store.get(b"!")))
        done = self.transact(store, DeleteRange(b"00000001", b""))
        self.assertIsInstance(done, Transacted)
        self.assertEqual(1, store.count())

    def test_too_much_to_read(self) -> None:
        """An answer must fit into a message between two nodes, and into memory."""
        store = self.store(limits.TRANSACTION_KEYS_COUNT + 1)
        self.assertEqual("result_too_large", getattr(self.transact(store, GetRange(b"0", b"")), "code", ""))
        self.assertEqual("result_too_large", getattr(self.transact(store, DeleteRange(b"0", b"", True)), "code", ""))
        self.assertIsInstance(self.transact(store, GetRange(b"0", b"", 10_000)), Transacted)
        store = self.store(5, b"x" * (limits.TRANSACTION_BYTES // 4))
        self.assertEqual("result_too_large", getattr(self.transact(store, GetRange(b"0", b"")), "code", ""))
        self.assertEqual(1, store.revision)

    def test_what_was_just_put_is_read_as_well(self) -> None:
        """A megabyte that is put once and read a hundred times would be an answer of a hundred megabytes, on every node."""
        store = KeyValueStore()
        put, get = Put(b"a", b"x" * (limits.TRANSACTION_BYTES // 4)), GetRange(b"", b"")
        self.assertEqual("result_too_large", getattr(self.transact(store, put, *[get] * 5), "code", ""))
        self.assertEqual(0, store.revision)
        names = GetRange(b"", b"", keys_only=True)
        self.assertIsInstance(self.transact(store, put, *[get] * 3, *[names] * 5), Transacted)
        self.assertIsInstance(self.transact(store, put, *[get] * 3), Transacted, "its old value is not read")

    def test_too_many_keys_to_compare(self) -> None:
        """A comparison visits its whole range, and everybody waits for it; nobody is told what it would have found."""
        store = self.store(limits.TRANSACTION_KEYS_COUNT // 2)
        everything = Compare(b"", "version", ">", 0, b"")
        for count, code in ((2, None), (3, "too_many_keys")):
            result = store.apply(2, encode_command(Transaction((everything,) * count, (Put(b"a", b"1"),) * (count == 3))))
            self.assertEqual(code, getattr(result, "code", None))
        self.assertEqual(1, store.revision)

    def test_too_many_keys_of_a_lease(self) -> None:
        """They end as one entry, which everybody waits for; a key that is attached already is not one more."""
        store = KeyValueStore()
        store.apply(1, encode_command(GrantLease(10)))
        full = limits.DELETE_KEYS_COUNT
        self.transact(store, *[Put(b"%d" % number, b"", 1) for number in range(full - 1)])
        for keys, code in (("xy", "too_many_keys"), ("x0", None), ("y", "too_many_keys"), ("x1", None)):
            result = self.transact(store, *[Put(key.encode(), b"", 1) for key in keys])
            self.assertEqual(code, getattr(result, "code", None), keys)

    def test_a_key_is_written_once_in_a_branch(self) -> None:
        """Of two events of one key at one revision, which is the later? etcd refuses it too."""
        for operations in ((Put(b"a", b"1"), Put(b"a", b"2")), (DeleteRange(b"", b"b"), Put(b"a", b"1"))):
            self.assertEqual(UNKNOWN_COMMAND, self.transact(KeyValueStore(), *operations))
        self.assertIsInstance(self.transact(KeyValueStore(), Put(b"a", b"1"), DeleteRange(b"b", b"")), Transacted)

    def test_ends_of_prefixes(self) -> None:
        """The first key that comes after all keys with the prefix; there may be none."""
        self.assertEqual([b"b", b"a0", b"\x01", b"", b""], [prefix_end(p) for p in (b"a", b"a/", b"\x00\xff", b"\xff\xff", b"")])
