"""The lines of a store's snapshot: a header, then keys, leases, sessions with their answers, and the history, each in its order.

    {"store":2,"revision":12,"keys":2,"leases":1,"sessions":1,"events":1,"oldest_revision":11}
    {"key":"a","value":"1","create_revision":3,"mod_revision":12,"version":2,"lease":7}
    {"key_base64":"/w==","value":"2","create_revision":5,"mod_revision":5,"version":1}
    {"lease":7,"ttl_seconds":10}
    {"client":5,"floor":0,"answers":1}
    {"serial":1,"digest":"q83vEjRWeJA=","result":{"result":"written","revision":12,"changed_count":1}}
    {"revision":12,"key":"a","record":{...},"previous":{...}}

The same state gives the same lines on every node. Knows nothing of files; checksums are the storage's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, TypeVar

import msgspec
from msgspec import UNSET

from hraft.errors import LogCorrupted
from hraft.kv.bounds import DEFAULTS, StoreLimits
from hraft.kv.history import Event, History
from hraft.kv.keyspace import Keyspace
from hraft.kv.leases import Leases
from hraft.kv.records import Record
from hraft.kv.results import Result
from hraft.kv.sessions import Sessions
from hraft.kv.table import Table
from hraft.kv.texts import Base64, Text, joined, split
from hraft.kv.tree import SIZES, Sizes

#: What is written. Format 1 had keys only, and is read still.
STORE_FORMAT = 2

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
_T = TypeVar("_T")


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    store: _Positive
    revision: _Count
    keys: _Count
    leases: _Count = 0
    sessions: _Count = 0
    events: _Count = 0
    oldest_revision: _Count | None = None


class _Record(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True, omit_defaults=True):
    value: Text = UNSET
    value_base64: Base64 = UNSET
    create_revision: _Positive
    mod_revision: _Positive
    version: _Positive
    lease: _Count = 0


class _Key(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True, omit_defaults=True):
    # The fields of a record again: an inherited one would come before the key.
    key: Text = UNSET
    key_base64: Base64 = UNSET
    value: Text = UNSET
    value_base64: Base64 = UNSET
    create_revision: _Positive
    mod_revision: _Positive
    version: _Positive
    lease: _Count = 0


class _Lease(msgspec.Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    lease: _Positive
    ttl_seconds: _Positive
    owner: str = ""


class _Session(msgspec.Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    client: _Positive
    floor: _Count
    answers: _Count
    owner: str = ""


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    serial: _Positive
    digest: bytes
    result: Result


class _Event(msgspec.Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    revision: _Positive
    key: Text = UNSET
    key_base64: Base64 = UNSET
    record: _Record | None = None
    previous: _Record | None = None


_encoder = msgspec.json.Encoder()


class State:
    """All that a snapshot holds, as it was when this was made: whoever reads it later, elsewhere, owns what is in it.

    Without `has_history` it is that of a store that began with the present keys.
    """

    def __init__(self, keyspace: Keyspace, sessions: Sessions, has_history: bool = True) -> None:
        self.revision = keyspace.revision
        self.keys_count = len(keyspace.table)
        self.records = keyspace.table.as_of_now()
        self.leases = keyspace.leases.listed()
        self.sessions = sessions.listed()
        self.events = keyspace.history.events() if has_history else []
        self.oldest_revision = keyspace.history.oldest_revision if has_history else keyspace.revision


def encode_lines(state: State) -> Iterator[bytes]:
    """The lines, made one by one as they are asked for."""
    counts = state.keys_count, len(state.leases), len(state.sessions), len(state.events)
    yield _encoder.encode(_Header(STORE_FORMAT, state.revision, *counts, state.oldest_revision))
    for key, record in state.records:
        yield _encoder.encode(_key_line(key, record))
    for lease in state.leases:
        yield _encoder.encode(_Lease(*lease))
    for client, floor, owner, answers in state.sessions:
        yield _encoder.encode(_Session(client, floor, len(answers), owner))
        for serial, answer in answers.items():
            yield _encoder.encode(_Answer(serial, answer.digest, answer.result))
    for event in state.events:
        key_text, key_base64 = split(event.key)
        line = _Event(event.revision, key_text, key_base64, _record_line(event.record), _record_line(event.previous))
        yield _encoder.encode(line)


def decode_lines(
    lines: Iterable[bytes], store_limits: StoreLimits = DEFAULTS, sizes: Sizes = SIZES
) -> tuple[Keyspace, Sessions]:
    """The state that `encode_lines` was given. Raises LogCorrupted for what it cannot make."""
    reading = _Reading(lines)
    header = reading.next(_headers)
    if header.store not in (1, STORE_FORMAT):
        raise reading.corrupted(f"the format must be {STORE_FORMAT} or 1")
    keyspace, sessions = Keyspace(store_limits, sizes), Sessions(store_limits)
    keyspace.revision = header.revision
    leased: list[tuple[bytes, int]] = []
    keyspace.table.fill(_read_keys(reading, header, leased))
    _read_leases(reading, header, keyspace, leased)
    for _ in range(header.sessions):
        _read_session(reading, sessions)
    oldest_revision = header.revision if header.oldest_revision is None else header.oldest_revision
    events = _read_events(reading, header, oldest_revision, keyspace.table)
    keyspace.history = History(events, oldest_revision, store_limits)
    reading.end()
    return keyspace, sessions


class _Reading:
    """Takes one line after the other, and knows which one it is for whoever has to look at it."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._number = 0
        self._line = b""

    def next(self, decoder: msgspec.json.Decoder[_T]) -> _T:
        """The next line. Raises LogCorrupted where there is none, or it is not what it should be."""
        self._number += 1
        try:
            self._line = next(self._lines)
        except StopIteration:
            raise LogCorrupted(f"the snapshot of the store ends before line {self._number}, but says that it has more") from None
        try:
            return decoder.decode(self._line)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise self.corrupted(str(error)) from error

    def check(self, holds: bool, rule: str) -> None:
        if not holds:
            raise self.corrupted(rule)

    def bytes(self, text: Text, base64: Base64) -> bytes:
        try:
            return joined(text, base64)
        except ValueError as error:
            raise self.corrupted(str(error)) from error

    def corrupted(self, reason: str) -> LogCorrupted:
        return LogCorrupted(f"the snapshot of the store cannot be read, line {self._number}: {reason}: {self._line[:80]!r}")

    def end(self) -> None:
        for line in self._lines:
            raise LogCorrupted(f"the snapshot of the store has more lines than it says, after line {self._number}: {line[:80]!r}")


_headers = msgspec.json.Decoder(_Header)
_keys = msgspec.json.Decoder(_Key)
_leases = msgspec.json.Decoder(_Lease)
_sessions = msgspec.json.Decoder(_Session)
_answers = msgspec.json.Decoder(_Answer)
_events = msgspec.json.Decoder(_Event)


# --- keys and leases ------------------------------------------------------------------------------


def _key_line(key: bytes, record: Record) -> _Key:
    key_text, key_base64 = split(key)
    value_text, value_base64 = split(record.value)
    return _Key(
        key=key_text,
        key_base64=key_base64,
        value=value_text,
        value_base64=value_base64,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        version=record.version,
        lease=record.lease,
    )


def _read_keys(reading: _Reading, header: _Header, leased: list[tuple[bytes, int]]) -> Iterator[tuple[bytes, Record]]:
    """The keys in order; puts into `leased` which are attached to which leases."""
    previous: bytes | None = None
    for _ in range(header.keys):
        line = reading.next(_keys)
        key = reading.bytes(line.key, line.key_base64)
        if previous is not None and key <= previous:
            raise reading.corrupted(f"its key does not come after {previous!r}")
        previous = key
        if line.lease:
            leased.append((key, line.lease))
        yield key, _record(reading, line, header.revision)


def _read_leases(reading: _Reading, header: _Header, keyspace: Keyspace, leased: list[tuple[bytes, int]]) -> None:
    leases, last = Leases(), 0
    for _ in range(header.leases):
        line = reading.next(_leases)
        reading.check(line.lease > last, f"its lease does not come after {last}")
        last = line.lease
        leases.grant(last, line.ttl_seconds, line.owner)
    for key, lease in leased:
        reading.check(leases.get(lease) is not None, f"the key {key!r} has the lease {lease}, which is not there")
        leases.attach(key, lease)
    keyspace.leases = leases


def _record_line(record: Record | None) -> _Record | None:
    if record is None:
        return None
    value_text, value_base64 = split(record.value)
    return _Record(
        value=value_text,
        value_base64=value_base64,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        version=record.version,
        lease=record.lease,
    )


def _record(reading: _Reading, line: _Record | _Key, revision: int) -> Record:
    create_revision, mod_revision, version = line.create_revision, line.mod_revision, line.version
    if not create_revision <= mod_revision <= revision:
        raise reading.corrupted(f"the revisions must not fall: created, set, store's {revision}")
    if version > mod_revision - create_revision + 1:
        raise reading.corrupted("the version is higher than the revisions allow")
    return Record(reading.bytes(line.value, line.value_base64), create_revision, mod_revision, version, line.lease)


# --- sessions -------------------------------------------------------------------------------------


def _read_session(reading: _Reading, sessions: Sessions) -> None:
    session = reading.next(_sessions)
    sessions.restore(session.client, session.floor, session.owner)
    for _ in range(session.answers):
        answer = reading.next(_answers)
        sessions.restore_answer(session.client, answer.serial, answer.digest, answer.result)


# --- history --------------------------------------------------------------------------------------


def _read_events(reading: _Reading, header: _Header, oldest_revision: int, table: Table) -> list[Event]:
    reading.check(oldest_revision <= header.revision, "the history ends after the store's revision")
    events: list[Event] = []
    last_revision = oldest_revision + 1
    for _ in range(header.events):
        line = reading.next(_events)
        reading.check(last_revision <= line.revision <= header.revision, "the events of the history must be in order")
        last_revision = line.revision
        record, previous = (
            None if part is None else _record(reading, part, header.revision) for part in (line.record, line.previous)
        )
        key = reading.bytes(line.key, line.key_base64)
        events.append(Event(key, record and table.kept(key, record), previous, line.revision))
    return events
