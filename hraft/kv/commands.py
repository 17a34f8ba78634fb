"""What can be asked of the store, and its JSON in the log.

    {"op":"set","key":"foo","value":"bar"}
    {"op":"delete","key":"foo"}
    {"op":"set_many","pairs":[{"key":"a","value":"1"},{"key_base64":"/w==","value":"2"}]}

Keys and values are bytes; `hraft.kv.texts` says how they are written. Knows nothing of the store's contents.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import UNSET

from hraft.errors import BadCommand
from hraft.kv.texts import Base64, Text, joined, split

# Structs rather than dataclasses: equally frozen, and made in a tenth of the time, once per applied entry.


class Set(msgspec.Struct, frozen=True, gc=False):
    """Give `key` this value, whether or not it is there."""

    key: bytes
    value: bytes


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Take `key` away; a key that is not there is no error."""

    key: bytes


class SetMany(msgspec.Struct, frozen=True):
    """Set several keys at one revision, all or none. No key stands twice."""

    pairs: tuple[tuple[bytes, bytes], ...]


Command: TypeAlias = Set | Delete | SetMany


class _Pair(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    key: Text = UNSET
    key_base64: Base64 = UNSET
    value: Text = UNSET
    value_base64: Base64 = UNSET


class _Set(_Pair, tag_field="op", tag="set", forbid_unknown_fields=True, gc=False):
    pass


class _Delete(msgspec.Struct, tag_field="op", tag="delete", forbid_unknown_fields=True, gc=False):
    key: Text = UNSET
    key_base64: Base64 = UNSET


class _SetMany(msgspec.Struct, tag_field="op", tag="set_many", forbid_unknown_fields=True):
    pairs: list[_Pair]


_decoder = msgspec.json.Decoder(_Set | _Delete | _SetMany)
_encoder = msgspec.json.Encoder()


def encode_command(command: Command) -> bytes:
    """Return one line of JSON, without the newline. Made once per command, where the client is; it then travels as it is."""
    if isinstance(command, Set):
        return _encoder.encode(_Set(*split(command.key), *split(command.value)))
    if isinstance(command, Delete):
        return _encoder.encode(_Delete(*split(command.key)))
    return _encoder.encode(_SetMany([_Pair(*split(key), *split(value)) for key, value in command.pairs]))


def decode_command(line: bytes) -> Command:
    """Read what `encode_command` made. Raises BadCommand for anything that is no command of this version."""
    try:
        record = _decoder.decode(line)
        if type(record) is _Set:
            return Set(joined(record.key, record.key_base64), joined(record.value, record.value_base64))
        if type(record) is _Delete:
            return Delete(joined(record.key, record.key_base64))
        return SetMany(_pairs(record))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadCommand(f"this is not a command: {error}: {line[:80]!r}") from error


def _pairs(record: _SetMany) -> tuple[tuple[bytes, bytes], ...]:
    pairs = tuple((joined(pair.key, pair.key_base64), joined(pair.value, pair.value_base64)) for pair in record.pairs)
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return pairs
