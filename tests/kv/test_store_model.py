"""The store against a plain dict: whatever is done to both, both hold the same."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hraft.kv.commands import Command, Delete, Set, SetMany, encode_command
from hraft.kv.results import Written
from hraft.kv.store import KeyValueStore

KEYS = st.binary(max_size=2) | st.sampled_from([b"a", b"a/b", b"b", b"\xff\xfe"])
VALUES = st.binary(max_size=4)


class StoreModel(RuleBasedStateMachine):
    """`model` maps a key to (value, create revision, mod revision, version)."""

    def __init__(self) -> None:
        super().__init__()
        self.store = KeyValueStore()
        self.model: dict[bytes, tuple[bytes, int, int, int]] = {}
        self.revision = 0
        self.applied: list[bytes] = []

    def put(self, key: bytes, value: bytes) -> None:
        old = self.model.get(key)
        create_revision, version = (old[1], old[3] + 1) if old else (self.revision, 1)
        self.model[key] = (value, create_revision, self.revision, version)

    def apply(self, command: Command, changed_count: int) -> None:
        line = encode_command(command)
        self.applied.append(line)
        assert Written(self.revision, changed_count) == self.store.apply(len(self.applied), line)

    @rule(key=KEYS, value=VALUES)
    def set(self, key: bytes, value: bytes) -> None:
        self.revision += 1
        self.put(key, value)
        self.apply(Set(key, value), 1)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        there = self.model.pop(key, None) is not None
        self.revision += there
        self.apply(Delete(key), int(there))

    @rule(pairs=st.dictionaries(KEYS, VALUES, max_size=4))
    def set_many(self, pairs: dict[bytes, bytes]) -> None:
        self.revision += bool(pairs)
        for key, value in pairs.items():
            self.put(key, value)
        self.apply(SetMany(tuple(pairs.items())), len(pairs))

    @rule()
    def snapshot_and_restore(self) -> None:
        self.store = self.store.restored(list(self.store.snapshot()))

    @rule()
    def replay(self) -> None:
        """A node that applies the log from its beginning arrives at the same state."""
        replayed = KeyValueStore()
        for index, line in enumerate(self.applied, start=1):
            replayed.apply(index, line)
        assert self.store.state_hash() == replayed.state_hash()

    @rule(start=KEYS, end=st.none() | KEYS, limit=st.none() | st.integers(0, 3))
    def list_a_range(self, start: bytes, end: bytes | None, limit: int | None) -> None:
        expected = [key for key in sorted(self.model) if start <= key and (end is None or key < end)]
        assert len(expected) == self.store.count(start, end)
        assert expected[:limit] == [key for key, record in self.store.range(start, end, limit)]

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert self.revision == self.store.revision
        held = {
            key: (record.value, record.create_revision, record.mod_revision, record.version) for key, record in self.store.range()
        }
        assert self.model == held


StoreModel.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
StoreModelTests = StoreModel.TestCase
