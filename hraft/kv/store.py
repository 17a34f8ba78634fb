"""The key-value store: a state machine whose whole state is a function of the commands applied.

Knows nothing of entries' terms, of clients' connections, or of time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from hraft import limits
from hraft.errors import BadCommand
from hraft.kv.bounds import DEFAULTS, StoreLimits
from hraft.kv.commands import (
    CloseSession,
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
)
from hraft.kv.history import Change, History
from hraft.kv.keyspace import Keyspace
from hraft.kv.leases import Lease
from hraft.kv.records import Record
from hraft.kv.results import (
    LeaseEnded,
    LeaseGranted,
    NotDone,
    Refused,
    Result,
    SessionClosed,
    SessionOpened,
    Written,
)
from hraft.kv.sessions import Sessions
from hraft.kv.snapshot_lines import State, decode_lines, encode_lines
from hraft.kv.transacting import transact
from hraft.kv.transactions import Transaction
from hraft.kv.tree import SIZES, Sizes

#: Always the same words: a result must not depend on the version of a library that words an error.
UNKNOWN_COMMAND = Refused("this version of the store does not know this command")


class KeyValueStore:
    """Keys in the order of their bytes. Belongs to one thread; only what `snapshot` returns may be used in another."""

    def __init__(self, store_limits: StoreLimits = DEFAULTS, sizes: Sizes = SIZES) -> None:
        self._limits = store_limits
        self._sizes = sizes
        self._keyspace = Keyspace(store_limits, sizes)
        self._sessions = Sessions(store_limits)

    # --- the state machine -----------------------------------------------------------------------

    def apply(self, index: int, command: bytes) -> Result:
        """Carry out one committed command. Never raises; the index names what the command makes (leases, sessions)."""
        try:
            decoded = decode_command(command)
        except BadCommand:
            return UNKNOWN_COMMAND
        if isinstance(decoded, Once):
            return self._once(index, decoded)
        return self._apply(index, decoded)

    def snapshot(self) -> Iterable[bytes]:
        """The lines of the present state. Takes hold of it at once; encodes each line only when it is asked for."""
        return encode_lines(State(self._keyspace, self._sessions))

    def canonical_lines(self) -> Iterable[bytes]:
        """The lines in which members are compared: all but the history. It begins where each read in a snapshot of format 1,
        which had none, and tells nothing that the keys do not."""
        return encode_lines(State(self._keyspace, self._sessions, has_history=False))

    def restored(self, lines: Iterable[bytes]) -> KeyValueStore:
        """A new store with the state of these lines. Raises LogCorrupted."""
        store = KeyValueStore(self._limits, self._sizes)
        store._keyspace, store._sessions = decode_lines(lines, self._limits, self._sizes)
        return store

    def goes_on_anew(self, gap_count: int) -> None:
        """Become the beginning of a new cluster: keys and leases stay, revisions go on so much later.

        What the cluster before has done since may be unknown here. So its sessions are forgotten, lest they answer for writes
        that this state does not have, and so is the history, lest a watcher take what comes for what it missed.
        """
        self._keyspace.revision += gap_count
        self._keyspace.history = History((), self._keyspace.revision, self._limits)
        self._sessions = Sessions(self._limits)

    # --- reading ---------------------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """How many changes this store has seen."""
        return self._keyspace.revision

    def get(self, key: bytes) -> Record | None:
        return self._keyspace.table.get(key)

    def range(self, start: bytes = b"", end: bytes | None = None, limit: int | None = None) -> list[tuple[bytes, Record]]:
        """The keys in `[start, end)` in order, at most `limit` of them; no end means up to the last key."""
        return self._keyspace.range(start, end, limit)

    def count(self, start: bytes = b"", end: bytes | None = None) -> int:
        """How many keys are in `[start, end)`. Does not visit them."""
        return self._keyspace.table.count(start, end)

    @property
    def oldest_revision(self) -> int:
        """All changes after this revision can still be told."""
        return self._keyspace.history.oldest_revision

    def changes_after(self, revision: int) -> Iterator[Change]:
        """The changes after this revision, in order. Never ask below `oldest_revision`, nor go on after the next `apply`."""
        return self._keyspace.history.changes_after(revision)

    def lease(self, lease: int) -> Lease | None:
        """A lease that has not ended; not to be changed."""
        return self._keyspace.leases.get(lease)

    def leases_after(self, lease: int) -> list[int]:
        """The ids of leases above this one, in order. Visits no others, so what is new is found at its own cost."""
        return self._keyspace.leases.after(lease)

    def session_owner(self, client: int) -> str | None:
        """Whose a client of exactly-once writes is, for good; None where there is no such client (any more)."""
        return self._sessions.owner(client)

    @property
    def leases_count(self) -> int:
        return len(self._keyspace.leases)

    @property
    def sessions_count(self) -> int:
        return len(self._sessions)

    @property
    def history_events_count(self) -> int:
        return len(self._keyspace.history)

    @property
    def history_bytes(self) -> int:
        return self._keyspace.history.size_bytes

    def state_hash(self) -> str:
        """Equal on any two nodes with the same state. Visits every key, so it is no work for the reactor thread."""
        digest = hashlib.blake2b(digest_size=16)
        for line in self.snapshot():
            digest.update(line)
            digest.update(b"\n")
        return digest.hexdigest()

    # --- changing --------------------------------------------------------------------------------

    def _once(self, index: int, command: Once) -> Result:
        """Nothing is done twice under one serial, and nothing that may have been done is done again."""
        sessions = self._sessions
        known = sessions.answer(command.client, command.serial, command.line)
        if known is not None:
            return known
        result = self._apply(index, command.command)
        sessions.done(command.client, command.serial, command.line, result)
        return result

    def _apply(self, index: int, command: Simple) -> Result:
        keyspace = self._keyspace
        if isinstance(command, Set):
            keyspace.set(command.key, command.value)
            return Written(keyspace.revision, 1)
        if isinstance(command, Transaction):
            return transact(keyspace, command)
        if isinstance(command, SetMany):
            for key, value in command.pairs:
                keyspace.put(key, value, 0)
            return Written(keyspace.commit(), len(command.pairs))
        if isinstance(command, Delete):
            deleted = keyspace.delete(command.key, None)
            return Written(keyspace.commit(), len(deleted))
        if isinstance(command, GrantLease):
            return self._grant(index, command)
        if isinstance(command, RevokeLease):
            if keyspace.leases.get(command.lease) is None:
                return NotDone("lease_not_found", f"there is no lease {command.lease} (any more)")
            return self._end((command.lease,))
        if isinstance(command, ExpireLeases):
            return self._end(command.leases)
        if isinstance(command, OpenSession):
            self._sessions.open(index, command.owner)
            return SessionOpened(index)
        return self._close(command)

    def _grant(self, index: int, command: GrantLease) -> Result:
        if self._keyspace.leases.is_full:
            return NotDone("too_many_leases", f"there are {limits.LEASES_COUNT} leases already, and that is the limit")
        self._keyspace.leases.grant(index, command.ttl_seconds, command.owner)
        return LeaseGranted(index, command.ttl_seconds)

    def _end(self, leases: tuple[int, ...]) -> LeaseEnded:
        keys = {key for lease in leases for key in self._keyspace.leases.end(lease)}
        for key in sorted(keys):
            self._keyspace.delete(key, None)
        return LeaseEnded(self._keyspace.commit(), len(keys))

    def _close(self, command: CloseSession) -> Result:
        if not self._sessions.close(command.client):
            return NotDone("session_expired", f"client {command.client} is not known (any more)")
        return SessionClosed()
