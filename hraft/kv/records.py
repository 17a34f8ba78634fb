"""One key's record, and the lines of a snapshot: a header, then one line per key in the order of the keys.

    {"store":1,"revision":12,"keys":2}
    {"key":"a","value":"1","create_revision":3,"mod_revision":12,"version":2}
    {"key_base64":"/w==","value":"2","create_revision":5,"mod_revision":5,"version":1}

The same state gives the same lines on every node. Knows nothing of files; checksums are the storage's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET

from hraft.errors import LogCorrupted
from hraft.kv.texts import Base64, Text, joined, split

STORE_FORMAT = 1

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class Record(msgspec.Struct, frozen=True, gc=False):
    """What the store knows of one key.

    The revisions at which it was created (after its last deletion) and last set, and how often it was set since it was created.
    """

    value: bytes
    create_revision: int
    mod_revision: int
    version: int


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    store: _Positive
    revision: _Count
    keys: _Count


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False, kw_only=True):
    key: Text = UNSET
    key_base64: Base64 = UNSET
    value: Text = UNSET
    value_base64: Base64 = UNSET
    create_revision: _Positive
    mod_revision: _Positive
    version: _Positive


_headers = msgspec.json.Decoder(_Header)
_lines = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


def encode_lines(revision: int, keys: Sequence[bytes], records: Mapping[bytes, Record]) -> Iterator[bytes]:
    """The lines of a state whose keys are given in order. Lazy, so the caller must own what it passes."""
    yield _encoder.encode(_Header(store=STORE_FORMAT, revision=revision, keys=len(keys)))
    for key in keys:
        record = records[key]
        key_text, key_base64 = split(key)
        value_text, value_base64 = split(record.value)
        yield _encoder.encode(
            _Line(
                key=key_text,
                key_base64=key_base64,
                value=value_text,
                value_base64=value_base64,
                create_revision=record.create_revision,
                mod_revision=record.mod_revision,
                version=record.version,
            )
        )


def decode_lines(lines: Iterable[bytes]) -> tuple[int, dict[bytes, Record]]:
    """The revision, and the records in the order of their keys. Raises LogCorrupted for what `encode_lines` cannot make."""
    remaining = iter(lines)
    header = _header(next(remaining, b""))
    records: dict[bytes, Record] = {}
    previous: bytes | None = None
    for number, line in enumerate(remaining, start=2):
        try:
            key, record = _record(line, header.revision)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _corrupted(f"line {number}: {error}", line) from error
        if previous is not None and key <= previous:
            raise _corrupted(f"line {number}: its key does not come after {previous!r}", line)
        records[key] = record
        previous = key
    if len(records) != header.keys:
        raise LogCorrupted(f"the snapshot of the store says that it holds {header.keys} keys, but holds {len(records)}")
    return header.revision, records


def _header(line: bytes) -> _Header:
    try:
        header = _headers.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _corrupted(f"line 1: {error}", line) from error
    if header.store != STORE_FORMAT:
        raise _corrupted(f"line 1: the format must be {STORE_FORMAT}", line)
    return header


def _record(line: bytes, revision: int) -> tuple[bytes, Record]:
    fields = _lines.decode(line)
    if not fields.create_revision <= fields.mod_revision <= revision:
        raise ValueError(f"the revisions must not fall: created, set, store's {revision}")
    if fields.version > fields.mod_revision - fields.create_revision + 1:
        raise ValueError("the version is higher than the revisions allow")
    record = Record(joined(fields.value, fields.value_base64), fields.create_revision, fields.mod_revision, fields.version)
    return joined(fields.key, fields.key_base64), record


def _corrupted(reason: str, line: bytes) -> LogCorrupted:
    return LogCorrupted(f"the snapshot of the store cannot be read, {reason}: {line[:80]!r}")
