"""Targets that take what the log and its entries hold: lines of entries, commands of the store, their results, its snapshot.

Kinds of commands and results are read off their types, so a new one is fed, too.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from fuzz.target import Target, expect, same
from fuzz.values import CONFIGURATIONS, entry, value_of, variants
from hraft.codec import (
    check_command,
    decode_configuration,
    decode_entries,
    decode_entry,
    decode_snapshot,
    encode_configuration,
    encode_entries,
    encode_entry,
    encode_snapshot,
)
from hraft.errors import BadCommand, BadMessage, HraftError, LogCorrupted
from hraft.kv.bounds import StoreLimits
from hraft.kv.commands import Command, decode_command, encode_command
from hraft.kv.results import Result, decode_result, encode_result, result_of
from hraft.kv.store import KeyValueStore
from hraft.kv.tree import Sizes
from hraft.raft.entry import Entry, EntryKind, Snapshot

#: It forgets soon, so that forgetting is fed as well.
_SMALL = StoreLimits(history_events_count=8, history_bytes=2000, sessions_count=3, session_answers_count=3, sessions_bytes=2000)
#: So small that few keys are several leaves.
_SIZES = Sizes(leaf_bytes=60, branch_leaves_count=3, large_value_bytes=20, recent_records_count=4)


# --- entries --------------------------------------------------------------------------------------


def _exactly(
    decode: Callable[[bytes], Any], encode: Callable[[Any], bytes], error: type[HraftError] = BadMessage
) -> Callable[[bytes], None]:
    """What decodes must be encoded by the same bytes: there is one spelling."""

    def run(data: bytes) -> None:
        try:
            value = decode(data)
        except error:
            return
        same(data, encode(value), "the bytes of what was decoded")

    return run


def _settled(decode: Callable[[bytes], Any], encode: Callable[[Any], bytes], data: bytes, error: type[HraftError]) -> Any:
    """The value, whose own bytes must be a fixed point; None where there is none. Other spellings may mean the same."""
    try:
        value = decode(data)
    except error:
        return None
    own = encode(value)
    same(own, encode(decode(own)), "what was decoded, encoded and decoded again")
    return value


def _proposal(data: bytes) -> None:
    """A command that a node takes from another must be an entry that every node reads."""
    try:
        check_command(data)
    except BadCommand:
        return
    made = Entry(7, 3, EntryKind.COMMAND, data)
    same(made, decode_entry(encode_entry(made)), "an entry with a command that was let in")


def _entry_samples() -> list[bytes]:
    random = Random("entries")
    return [encode_entry(entry(random.choice((1, 5, 2**63 - 1)), random.choice((1, 9)), random)) for _ in range(20)]


def _entries_samples() -> list[bytes]:
    random = Random("several entries")
    return [encode_entries(entry(5 + number, 2, random) for number in range(count)) for count in (0, 1, 2, 3, 5)]


# --- the store ------------------------------------------------------------------------------------


def _command(data: bytes) -> None:
    _settled(decode_command, encode_command, data, BadCommand)


def _result(data: bytes) -> None:
    value = _settled(decode_result, encode_result, data, BadMessage)
    if value is not None:
        same(value, result_of(encode_result(value)), "a result from another node")


def _store(data: bytes) -> None:
    """Lines are applied one after the other, as entries of the log are, whatever they are."""
    store = KeyValueStore(_SMALL, _SIZES)
    for index, line in enumerate(data.split(b"\n")[:200], 1):
        result = store.apply(index, line)
        same(result, decode_result(encode_result(result)), f"the result of line {index}")
    _check_snapshot(store)


def _snapshot(data: bytes) -> None:
    try:
        store = KeyValueStore(_SMALL, _SIZES).restored(data.split(b"\n"))
    except LogCorrupted:
        return
    _check_snapshot(store)
    store.apply(2**62, b'{"op":"set","key":"a","value":"b"}')
    expect(store.get(b"a") is not None, "a restored store takes no more writes")


def _check_snapshot(store: KeyValueStore) -> None:
    lines = list(store.snapshot())
    expect(not any(b"\n" in line for line in lines), "a line of a snapshot has a newline")
    same(lines, list(store.restored(lines).snapshot()), "the snapshot of what was restored")


def samples_of(kind: Any, encode: Callable[[Any], bytes], count: int = 4) -> list[bytes]:
    """Some of each variant of a union. What its encoder refuses is left out."""
    random = Random(str(kind))
    return [encode(value_of(variant, random)) for variant in variants(kind) for _ in range(count)]


def command_samples() -> list[bytes]:
    return samples_of(Command, encode_command)


def _store_samples() -> list[bytes]:
    """Stories of a few commands, with ids that exist: an index is what leases and sessions are named by."""
    commands = command_samples()
    random = Random("stories")
    stories = [b"\n".join(random.choices(commands, k=count)) for count in (3, 10, 30, 30)]
    session = b'{"op":"session_open"}\n{"op":"once","client":1,"serial":1,"command":{"op":"set","key":"a","value":"1"}}'
    lease = b'{"op":"lease_grant","ttl_seconds":9}\n{"op":"txn","then":[{"op":"put","key":"a","value":"1","lease":1}]}'
    return [*commands, *stories, session, lease, lease + b'\n{"op":"lease_expire","leases":[1,2]}']


def _snapshot_samples() -> list[bytes]:
    made = [b'{"store":1,"revision":3,"keys":1}\n{"key":"a","value":"1","create_revision":1,"mod_revision":3,"version":2}']
    for story in _store_samples():
        store = KeyValueStore(_SMALL, _SIZES)
        for index, line in enumerate(story.split(b"\n"), 1):
            store.apply(index, line)
        made.append(b"\n".join(store.snapshot()))
    return sorted(set(made))


TARGETS = (
    Target("entry", "one line of the log", _exactly(decode_entry, encode_entry), _entry_samples),
    Target("entries", "lines of the log", _exactly(decode_entries, encode_entries), _entries_samples),
    Target(
        "configuration",
        "a configuration",
        _exactly(decode_configuration, encode_configuration),
        lambda: [encode_configuration(each) for each in CONFIGURATIONS],
    ),
    Target(
        "snapshot-description",
        "what a snapshot says of itself",
        _exactly(decode_snapshot, encode_snapshot),
        lambda: [encode_snapshot(Snapshot(2**63 - 1, 3, each)) for each in CONFIGURATIONS],
    ),
    Target("proposal", "a command that another node passes on", _proposal, command_samples),
    Target("command", "a command of the store", _command, command_samples),
    Target("result", "a result of the store", _result, lambda: samples_of(Result, encode_result)),
    Target("store", "commands, applied one after the other", _store, _store_samples),
    Target("store-snapshot", "the lines of the store's snapshot", _snapshot, _snapshot_samples),
)
