"""The key-value store: a state machine whose whole state is a function of the commands applied.

Revisions count as etcd counts them: a command that sets anything makes one revision, however many keys it sets; a delete of a
missing key makes none. Knows nothing of entries' terms, of clients, or of time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import islice

from sortedcontainers import SortedList

from hraft.errors import BadCommand
from hraft.kv.commands import Delete, Set, SetMany, decode_command
from hraft.kv.records import Record, decode_lines, encode_lines
from hraft.kv.results import Refused, Result, Written

#: Always the same words: a result must not depend on the version of a library that words an error.
UNKNOWN_COMMAND = Refused("this version of the store does not know this command")


class KeyValueStore:
    """Keys in the order of their bytes. Belongs to one thread; only what `snapshot` returns may be used in another."""

    def __init__(self) -> None:
        self._revision = 0
        self._records: dict[bytes, Record] = {}
        self._keys: SortedList[bytes] = SortedList()

    # --- the state machine -----------------------------------------------------------------------

    def apply(self, index: int, command: bytes) -> Result:
        """Carry out one committed command. Never raises; the index plays no part, since revisions count changes only."""
        try:
            decoded = decode_command(command)
        except BadCommand:
            return UNKNOWN_COMMAND
        if isinstance(decoded, Set):
            return self._set(decoded)
        if isinstance(decoded, Delete):
            return self._delete(decoded)
        return self._set_many(decoded)

    def snapshot(self) -> Iterable[bytes]:
        """The lines of the present state. Copies references at once; encodes each line only when it is asked for."""
        return encode_lines(self._revision, list(self._keys), self._records.copy())

    def restored(self, lines: Iterable[bytes]) -> KeyValueStore:
        """A new store with the state of these lines. Raises LogCorrupted."""
        store = KeyValueStore()
        store._revision, store._records = decode_lines(lines)
        store._keys = SortedList(store._records)
        return store

    # --- reading ---------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """How many changes this store has seen."""
        return self._revision

    def get(self, key: bytes) -> Record | None:
        return self._records.get(key)

    def range(self, start: bytes = b"", end: bytes | None = None, limit: int | None = None) -> list[tuple[bytes, Record]]:
        """The keys in `[start, end)` in order, at most `limit` of them; no end means up to the last key."""
        keys = self._keys.irange(start, end, inclusive=(True, False))
        return [(key, self._records[key]) for key in islice(keys, limit)]

    def count(self, start: bytes = b"", end: bytes | None = None) -> int:
        """How many keys are in `[start, end)`. Does not visit them."""
        first: int = self._keys.bisect_left(start)
        last: int = len(self._keys) if end is None else self._keys.bisect_left(end)
        return max(0, last - first)

    def state_hash(self) -> str:
        """Equal on any two nodes with the same state. Visits every key, so it is no work for the reactor thread."""
        digest = hashlib.blake2b(digest_size=16)
        for line in self.snapshot():
            digest.update(line)
            digest.update(b"\n")
        return digest.hexdigest()

    # --- changing --------------------------------------------------------------------------------

    def _set(self, command: Set) -> Written:
        self._revision += 1
        if self._put(command.key, command.value):
            self._keys.add(command.key)
        return Written(self._revision, 1)

    def _set_many(self, command: SetMany) -> Written:
        if command.pairs:
            self._revision += 1
            # One sorted merge for all new keys: adding them one by one would hold up the reactor for many.
            self._keys.update([key for key, value in command.pairs if self._put(key, value)])
        return Written(self._revision, len(command.pairs))

    def _delete(self, command: Delete) -> Written:
        if self._records.pop(command.key, None) is None:
            return Written(self._revision, 0)
        self._keys.remove(command.key)
        self._revision += 1
        return Written(self._revision, 1)

    def _put(self, key: bytes, value: bytes) -> bool:
        """Record a value at the present revision; true if the key is new."""
        record = self._records.get(key)
        if record is None:
            self._records[key] = Record(value, self._revision, self._revision, 1)
            return True
        self._records[key] = Record(value, record.create_revision, self._revision, record.version + 1)
        return False
