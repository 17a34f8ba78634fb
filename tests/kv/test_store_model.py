"""Everything that the store can do, against a model that shares no code with it: transactions, leases, sessions, history."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hraft.kv.commands import (
    Command,
    Delete,
    ExpireLeases,
    GrantLease,
    Once,
    OpenSession,
    RevokeLease,
    Set,
    SetMany,
    Simple,
    decode_command,
    encode_command,
)
from hraft.kv.results import NotDone, Result, Transacted
from hraft.kv.store import KeyValueStore
from hraft.kv.transactions import Compare, DeleteRange, GetRange, Operation, Put, Transaction

KEYS = st.sampled_from([b"a", b"a/b", b"a/c", b"b", b"\xff"])
VALUES = st.sampled_from([b"", b"1", b"2", b"\xfe"])
ENDS = st.sampled_from([None, b"", b"a/c", b"b", b"c"])
TARGETS = st.sampled_from(["version", "create_revision", "mod_revision", "lease"])
RELATIONS = st.sampled_from(["=", "!=", "<", ">"])
COMPARES = st.builds(Compare, KEYS, TARGETS, RELATIONS, st.integers(0, 12), ENDS) | st.builds(
    Compare, KEYS, st.just("value"), RELATIONS, VALUES, ENDS
)
OPERATIONS = (
    st.builds(Put, KEYS, VALUES, st.integers(0, 12), st.booleans())
    | st.builds(DeleteRange, KEYS, ENDS, st.booleans())
    | st.builds(GetRange, KEYS, ENDS, st.none() | st.integers(1, 3), st.booleans())
)


def is_allowed(transaction: Transaction) -> bool:
    try:
        transaction.check()
    except ValueError:
        return False
    return True


TRANSACTIONS = st.builds(
    Transaction,
    st.lists(COMPARES, max_size=2).map(tuple),
    st.lists(OPERATIONS, max_size=4).map(tuple),
    st.lists(OPERATIONS, max_size=3).map(tuple),
).filter(is_allowed)
WRITES = st.builds(Set, KEYS, VALUES) | st.builds(Delete, KEYS) | TRANSACTIONS

Row = dict[str, Any]


class StoreModel(RuleBasedStateMachine):
    """A key is a dict of its fields; `told` is every event ever, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.store = KeyValueStore()
        self.rows: dict[bytes, Row] = {}
        self.leases: dict[int, int] = {}
        self.answers: dict[int, dict[int, tuple[Simple, Result]]] = {}
        self.told: list[tuple[int, bytes, Row | None, Row | None]] = []
        self.revision = 0
        self.applied: list[bytes] = []

    # --- the model -------------------------------------------------------------------------------

    def find(self, start: bytes, end: bytes | None) -> list[bytes]:
        return sorted(k for k in self.rows if (k == start if end is None else k >= start and (not end or k < end)))

    def put(self, key: bytes, value: bytes, lease: int) -> None:
        old = self.rows.get(key)
        made = old["create_revision"] if old else self.revision + 1
        version = old["version"] + 1 if old else 1
        row = {"value": value, "create_revision": made, "mod_revision": self.revision + 1, "version": version, "lease": lease}
        self.rows[key] = row
        self.told.append((self.revision + 1, key, row, old))

    def take(self, key: bytes) -> None:
        self.told.append((self.revision + 1, key, None, self.rows.pop(key)))

    def commit(self) -> None:
        if self.told and self.told[-1][0] > self.revision:
            self.revision += 1

    def holds(self, compare: Compare) -> bool:
        rows = [self.rows[key] for key in self.find(compare.key, compare.end)]
        if not rows:
            if compare.target == "value":
                return False
            rows = [{"version": 0, "create_revision": 0, "mod_revision": 0, "lease": 0}]
        return all(self.relates(row[compare.target], compare) for row in rows)

    def relates(self, found: Any, compare: Compare) -> bool:
        operand: Any = compare.operand
        return bool({"=": found == operand, "!=": found != operand, "<": found < operand, ">": found > operand}[compare.relation])

    def carry_out(self, operation: Operation) -> Any:
        if isinstance(operation, Put):
            previous = self.shown(operation.key) if operation.wants_previous and operation.key in self.rows else None
            self.put(operation.key, operation.value, operation.lease)
            return previous
        keys = self.find(operation.start, operation.end)
        if isinstance(operation, DeleteRange):
            previous = [self.shown(key) for key in keys] if operation.wants_previous else []
            for key in keys:
                self.take(key)
            return len(keys), previous
        shown = [self.shown(key, operation.keys_only) for key in keys[: operation.limit]]
        return shown, len(keys)

    def shown(self, key: bytes, keys_only: bool = False) -> tuple[bytes, Row]:
        return key, {**self.rows[key], **({"value": b""} if keys_only else {})}

    def change(self, command: Simple) -> Any:
        """Do it to the model; returns what the store must answer, in the model's own terms."""
        if isinstance(command, Set):
            self.put(command.key, command.value, 0)
            return None
        if isinstance(command, Delete):
            if command.key in self.rows:
                self.take(command.key)
            return None
        assert isinstance(command, Transaction)
        succeeded = all(map(self.holds, command.compare))
        operations = command.then if succeeded else command.otherwise
        wanted = {operation.lease for operation in operations if isinstance(operation, Put)} - {0}
        if not wanted <= set(self.leases):
            return "lease_not_found"
        return succeeded, [self.carry_out(operation) for operation in operations]

    # --- both ------------------------------------------------------------------------------------

    def apply(self, command: Command) -> Result:
        line = encode_command(command)
        self.applied.append(line)
        return self.store.apply(len(self.applied), line)

    def compare(self, expected: Any, result: Result) -> None:
        if expected is None:
            return
        if isinstance(expected, str):
            assert isinstance(result, NotDone) and result.code == expected, result
            return
        assert isinstance(result, Transacted), result
        assert (expected[0], self.revision) == (result.succeeded, result.revision)
        assert expected[1] == [self.told_of(done) for done in result.results]

    def told_of(self, done: Any) -> Any:
        def pair(told: Any) -> Any:
            return None if told is None else (told.key, self.row(told.record))

        if hasattr(done, "record"):
            return pair(done.previous)
        if hasattr(done, "deleted_count"):
            return done.deleted_count, [pair(told) for told in done.previous]
        return [pair(told) for told in done.pairs], done.count

    @rule(command=WRITES)
    def any_write(self, command: Simple) -> None:
        self.write(command)

    def write(self, command: Simple) -> None:
        expected = self.change(command)
        self.commit()
        self.compare(expected, self.apply(command))

    @precondition(lambda self: self.leases)
    @rule(data=st.data(), key=KEYS, value=VALUES)
    def put_leased(self, data: st.DataObject, key: bytes, value: bytes) -> None:
        self.write(Transaction((), (Put(key, value, data.draw(st.sampled_from(sorted(self.leases)))),)))

    @rule(compare=COMPARES)
    def only_compare(self, compare: Compare) -> None:
        self.write(Transaction((compare,), (), ()))

    @rule(pairs=st.dictionaries(KEYS, VALUES, max_size=3))
    def set_many(self, pairs: dict[bytes, bytes]) -> None:
        for key, value in pairs.items():
            self.put(key, value, 0)
        self.commit()
        self.apply(SetMany(tuple(pairs.items())))

    @rule(ttl_seconds=st.integers(1, 5))
    def grant(self, ttl_seconds: int) -> None:
        self.apply(GrantLease(ttl_seconds))
        self.leases[len(self.applied)] = ttl_seconds

    @rule(data=st.data(), by_time=st.booleans())
    def end(self, data: st.DataObject, by_time: bool) -> None:
        lease = data.draw(st.sampled_from([*self.leases, 99]))
        for key in [key for key in self.find(b"", b"") if self.rows[key]["lease"] == lease and lease in self.leases]:
            self.take(key)
        was_there = self.leases.pop(lease, None) is not None
        self.commit()
        result = self.apply(ExpireLeases((lease,)) if by_time else RevokeLease(lease))
        assert by_time or isinstance(result, NotDone) != was_there, result

    @rule()
    def open_session(self) -> None:
        self.apply(OpenSession())
        self.answers[len(self.applied)] = {}

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), serial=st.integers(1, 6), command=WRITES)
    def write_once(self, data: st.DataObject, serial: int, command: Simple) -> None:
        """The first command of a serial is done; every later one is answered as the first was, or refused."""
        client = data.draw(st.sampled_from(sorted(self.answers)))
        known = self.answers[client].get(serial)
        if known is None:
            expected = self.change(command)
            self.commit()
            result = self.apply(Once(client, serial, command))
            self.compare(expected, result)
            self.answers[client][serial] = command, result
        elif known[0] == command:
            assert known[1] == self.apply(Once(client, serial, command))
        else:
            result = self.apply(Once(client, serial, command))
            assert isinstance(result, NotDone) and result.code == "serial_reused", result

    @rule(start=KEYS, end=st.none() | KEYS, limit=st.none() | st.integers(0, 3))
    def list_a_range(self, start: bytes, end: bytes | None, limit: int | None) -> None:
        expected = [key for key in sorted(self.rows) if start <= key and (end is None or key < end)]
        assert len(expected) == self.store.count(start, end)
        assert expected[:limit] == [key for key, record in self.store.range(start, end, limit)]

    @rule()
    def snapshot_and_restore(self) -> None:
        self.store = self.store.restored(list(self.store.snapshot()))

    @rule()
    def replay(self) -> None:
        """A node that applies the log from its beginning arrives at the same state."""
        replayed = KeyValueStore()
        for index, line in enumerate(self.applied, start=1):
            assert encode_command(decode_command(line)) == line
            replayed.apply(index, line)
        assert replayed.state_hash() == self.store.state_hash()

    # --- what must hold --------------------------------------------------------------------------

    @invariant()
    def keys_are_equal(self) -> None:
        found = {key: {name: getattr(record, name) for name in record.__struct_fields__} for key, record in self.store.range()}
        assert sorted(self.rows.items()) == list(found.items())
        assert (self.revision, len(self.rows)) == (self.store.revision, self.store.count())

    @invariant()
    def leases_are_equal(self) -> None:
        assert sorted(self.leases) == self.store.leases_after(0)
        for lease, ttl_seconds in self.leases.items():
            found = self.store.lease(lease)
            assert found is not None
            keys = {key for key, row in self.rows.items() if row["lease"] == lease}
            assert (ttl_seconds, keys) == (found.ttl_seconds, set(found.keys))

    @invariant()
    def history_is_equal(self) -> None:
        """From any revision on: every change once, in order, with what was before."""
        for since in {0, self.revision // 2, self.revision}:
            events = [event for change in self.store.changes_after(since) for event in change.events]
            shown = [
                (event.revision, event.key, *(self.row(record) for record in (event.record, event.previous))) for event in events
            ]
            assert [told for told in self.told if told[0] > since] == shown
            revisions = [change.revision for change in self.store.changes_after(since)]
            assert sorted(set(revisions)) == revisions

    def row(self, record: Any) -> Row | None:
        return None if record is None else {name: getattr(record, name) for name in record.__struct_fields__}


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
