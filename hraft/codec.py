"""Entries, configurations and snapshot descriptions as JSON lines: the only place that knows their field names.

An entry has exactly one spelling. The line that the leader makes is what travels and what lies in every log, so a line that
would not be made again byte for byte is refused, whatever it may mean. Knows nothing of sockets and files.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Any, TypeVar

import msgspec

from hraft.errors import BadCommand, BadMessage
from hraft.limits import ENTRY_BYTES, REQUEST_JSON_DEPTH
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, Snapshot

#: As a number: asked for bytes in bytes, Python first tries whether they are one, and the words of that error cost more than the
#: look, 110 ns.
_LINE_END = ord("\n")

_Position = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
_Name = Annotated[str, msgspec.Meta(min_length=1)]
_T = TypeVar("_T")


class _Configuration(msgspec.Struct, omit_defaults=True):
    voters: dict[_Name, _Name]
    learners: dict[_Name, _Name]
    removed: tuple[_Name, ...]
    #: Not there where it is empty, as in entries of before there were any.
    replicas: tuple[_Name, ...] = ()


class _Entry(msgspec.Struct):
    index: _Position
    term: _Position
    kind: EntryKind
    command: msgspec.Raw = msgspec.Raw(b"")
    configuration: _Configuration | None = None


class _Snapshot(msgspec.Struct):
    index: _Position
    term: _Position
    configuration: _Configuration


_entries = msgspec.json.Decoder(_Entry)
_configurations = msgspec.json.Decoder(_Configuration)
_snapshots = msgspec.json.Decoder(_Snapshot)


# --- entries -------------------------------------------------------------------------------------


def encode_entry(entry: Entry) -> bytes:
    """Return the entry's line, newline included. The command is spliced in as it is."""
    if entry.kind is EntryKind.COMMAND:
        return b'{"index":%d,"term":%d,"kind":"command","command":%b}\n' % (entry.index, entry.term, entry.command)
    if entry.kind is EntryKind.NOOP:
        return b'{"index":%d,"term":%d,"kind":"noop"}\n' % (entry.index, entry.term)
    assert entry.configuration is not None, entry
    configuration = encode_configuration(entry.configuration)
    return b'{"index":%d,"term":%d,"kind":"configuration","configuration":%b}\n' % (entry.index, entry.term, configuration)


def encode_entries(entries: Iterable[Entry]) -> bytes:
    return b"".join(map(encode_entry, entries))


def decode_entry(line: bytes) -> Entry:
    """Read one line, newline included. Raises BadMessage for anything that `encode_entry` would not have written."""
    if len(line) > ENTRY_BYTES:
        raise BadMessage(f"an entry of {len(line)} bytes is longer than the limit of {ENTRY_BYTES}: {_shown(line)}")
    record = _decode(_entries, line, "an entry")
    entry = Entry(
        record.index,
        record.term,
        record.kind,
        bytes(record.command),
        None if record.configuration is None else _configuration(record.configuration, line),
    )
    if entry.kind is EntryKind.CONFIGURATION and entry.configuration is None:
        raise BadMessage(f"a configuration entry without its configuration: {_shown(line)}")
    # Also catches a newline inside the command: there is one at the end and nowhere else.
    if encode_entry(entry) != line or line.find(b"\n") != len(line) - 1:
        raise BadMessage(f"an entry that is not spelled as hraft spells it, {_shown(encode_entry(entry))}: {_shown(line)}")
    return entry


def decode_entries(data: bytes) -> tuple[Entry, ...]:
    """Read any number of lines. Splits at the newline byte only: text may hold other line ends of Unicode."""
    lines = data.split(b"\n")
    if lines.pop():
        raise BadMessage(f"the last of {len(lines) + 1} entries has no newline, so it may be cut off: {_shown(data[-80:])}")
    return tuple(decode_entry(line + b"\n") for line in lines)


def check_command(command: bytes) -> None:
    """Raise BadCommand unless this may be the command of an entry: one JSON text on one line, not too long, not too deep.

    For commands that come from outside. What passes here is decoded by every node that meets it later, however deep in
    its stack it then is; so nesting is counted, not left to the recursion limit.
    """
    if len(command) > ENTRY_BYTES - 128:
        raise BadCommand(f"a command of {len(command)} bytes is longer than the limit of {ENTRY_BYTES - 128}")
    if _LINE_END in command:
        raise BadCommand(f"a command must be one line: {_shown(command)}")
    try:
        command.decode()
        value = msgspec.json.decode(command)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadCommand(f"a command must be one JSON text: {error}: {_shown(command)}") from error
    if command != command.strip(b" \t\r"):
        raise BadCommand(f"a command must begin and end without blanks: {_shown(command)}")
    # A text with few brackets need not be walked through.
    if command.count(b"{") + command.count(b"[") > REQUEST_JSON_DEPTH and _is_deeper_than(value, REQUEST_JSON_DEPTH):
        raise BadCommand(f"a command must not nest deeper than {REQUEST_JSON_DEPTH}: {_shown(command)}")


def _is_deeper_than(value: object, depth: int) -> bool:
    """Level by level, not part by part: a command may have thousands of parts."""
    level: list[Any] = [value] if isinstance(value, (dict, list)) else []
    while level and depth:
        parts = chain.from_iterable(each.values() if isinstance(each, dict) else each for each in level)
        level = [part for part in parts if isinstance(part, (dict, list))]
        depth -= 1
    return bool(level)


# --- configurations and snapshots ----------------------------------------------------------------


def encode_configuration(configuration: Configuration) -> bytes:
    """Return one JSON object without a newline. Members stay in their order, which is the order in which they joined."""
    return msgspec.json.encode(
        _Configuration(
            dict(configuration.voters), dict(configuration.learners), tuple(configuration.removed), configuration.replicas
        )
    )


def decode_configuration(data: bytes) -> Configuration:
    """Raises BadMessage for anything that `encode_configuration` would not have written."""
    configuration = _configuration(_decode(_configurations, data, "a configuration"), data)
    return _checked(configuration, encode_configuration(configuration), data)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return what a snapshot says of itself, one JSON object without a newline."""
    configuration = encode_configuration(snapshot.configuration)
    return b'{"index":%d,"term":%d,"configuration":%b}' % (snapshot.index, snapshot.term, configuration)


def decode_snapshot(data: bytes) -> Snapshot:
    """Raises BadMessage for anything that `encode_snapshot` would not have written."""
    record = _decode(_snapshots, data, "a snapshot's description")
    snapshot = Snapshot(record.index, record.term, _configuration(record.configuration, data))
    return _checked(snapshot, encode_snapshot(snapshot), data)


def _configuration(record: _Configuration, data: bytes) -> Configuration:
    configuration = Configuration(record.voters, record.learners, record.removed, record.replicas)
    try:
        configuration.check()
    except ValueError as error:
        raise BadMessage(f"a configuration that cannot be: {error}: {_shown(data)}") from error
    return configuration


# --- what all of them need -----------------------------------------------------------------------


def _decode(decoder: msgspec.json.Decoder[_T], data: bytes, noun: str) -> _T:
    try:
        # Parts that msgspec skips over, it does not check for being UTF-8.
        if not data.isascii():
            data.decode()
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage(f"this does not read as {noun}: {error}: {_shown(data)}") from error


def _checked(value: _T, canonical: bytes, data: bytes) -> _T:
    """Unknown and repeated fields, another order, blanks, other escapes: all show in the bytes that would be made again."""
    if canonical != data:
        raise BadMessage(f"not spelled as hraft spells it, {_shown(canonical)}: {_shown(data)}")
    return value


def _shown(data: bytes) -> str:
    return repr(data if len(data) <= 80 else data[:77] + b"...")
