"""What can be asked of the store, and its JSON in the log.

    {"op":"set","key":"foo","value":"bar"}
    {"op":"delete","key":"foo"}
    {"op":"set_many","pairs":[{"key":"a","value":"1"},{"key_base64":"/w==","value":"2"}]}
    {"op":"txn", ...}                                                       see hraft.kv.transactions
    {"op":"lease_grant","ttl_seconds":10}   {"op":"lease_revoke","lease":17}   {"op":"lease_expire","leases":[17,21]}
    {"op":"session_open"}   {"op":"session_close","client":5}        "owner":"ada" where users are known; lease_grant too
    {"op":"once","client":5,"serial":1,"command":{"op":"set", ...}}

Keys and values are bytes; `hraft.kv.texts` says how they are written. Knows nothing of the store's contents.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import UNSET

from hraft.errors import BadCommand
from hraft.kv.texts import Base64, Text, joined, split
from hraft.kv.transactions import Put, Transaction, TransactionRecord, from_record, to_record

# Structs rather than dataclasses: equally frozen, and made in a tenth of the time, once per applied entry.

_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


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


class GrantLease(
    msgspec.Struct, frozen=True, gc=False, tag_field="op", tag="lease_grant", forbid_unknown_fields=True, omit_defaults=True
):
    """Make a lease: keys attached to it go when it ends. Its id is the index of this entry, its owner the user who asked."""

    ttl_seconds: _Positive
    owner: str = ""


class RevokeLease(msgspec.Struct, frozen=True, gc=False, tag_field="op", tag="lease_revoke", forbid_unknown_fields=True):
    """End a lease, since its holder said so."""

    lease: _Positive


class ExpireLeases(msgspec.Struct, frozen=True, tag_field="op", tag="lease_expire", forbid_unknown_fields=True):
    """End leases whose time is over, as the leader says; those that have ended already do not count."""

    leases: tuple[_Positive, ...]


class OpenSession(
    msgspec.Struct, frozen=True, gc=False, tag_field="op", tag="session_open", forbid_unknown_fields=True, omit_defaults=True
):
    """Make a client known, whose writes are to be done exactly once (Section 6.3). Its id is the index of this entry."""

    owner: str = ""


class CloseSession(msgspec.Struct, frozen=True, gc=False, tag_field="op", tag="session_close", forbid_unknown_fields=True):
    """Forget a client."""

    client: _Positive


Simple: TypeAlias = Set | Delete | SetMany | Transaction | GrantLease | RevokeLease | ExpireLeases | OpenSession | CloseSession


class Once(msgspec.Struct, frozen=True):
    """Carry `command` out unless this client's write of that serial has been: then give the first answer again.

    `line` is the command as it is written in the log; a repetition must be the same, byte for byte.
    """

    client: int
    serial: int
    command: Simple
    line: bytes = b""


Command: TypeAlias = Simple | Once


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


class _Once(msgspec.Struct, tag_field="op", tag="once", forbid_unknown_fields=True):
    client: _Positive
    serial: _Positive
    command: msgspec.Raw


_Plain: TypeAlias = (
    _Set | _Delete | _SetMany | TransactionRecord | GrantLease | RevokeLease | ExpireLeases | OpenSession | CloseSession
)

_decoder: msgspec.json.Decoder[_Plain | _Once] = msgspec.json.Decoder(_Plain | _Once)
_plain_decoder: msgspec.json.Decoder[_Plain] = msgspec.json.Decoder(_Plain)
_encoder = msgspec.json.Encoder()


def encode_command(command: Command) -> bytes:
    """Return one line of JSON, without the newline. Made once per command, where the client is; it then travels as it is."""
    if isinstance(command, Set):
        return _encoder.encode(_Set(*split(command.key), *split(command.value)))
    if isinstance(command, Delete):
        return _encoder.encode(_Delete(*split(command.key)))
    if isinstance(command, SetMany):
        return _encoder.encode(_SetMany([_Pair(*split(key), *split(value)) for key, value in command.pairs]))
    if isinstance(command, Transaction):
        return _encoder.encode(to_record(command))
    if isinstance(command, Once):
        return _encoder.encode(_Once(command.client, command.serial, msgspec.Raw(encode_command(command.command))))
    return _encoder.encode(command)


def decode_command(line: bytes) -> Command:
    """Read what `encode_command` made. Raises BadCommand for anything that is no command of this version."""
    try:
        record = _decoder.decode(line)
        if type(record) is _Set:
            return Set(joined(record.key, record.key_base64), joined(record.value, record.value_base64))
        if type(record) is _Once:
            inner = bytes(record.command)
            return Once(record.client, record.serial, _simple(_plain_decoder.decode(inner)), inner)
        return _simple(record)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadCommand(f"this is not a command: {error}: {line[:80]!r}") from error


def frees_room(line: bytes) -> bool:
    """Whether a command is sure to make the store no larger, so that it may be taken where there is hardly any room."""
    try:
        command = decode_command(line)
    except BadCommand:
        return False
    simple = command.command if isinstance(command, Once) else command
    if isinstance(simple, Transaction):
        return not any(isinstance(operation, Put) for operation in (*simple.then, *simple.otherwise))
    return isinstance(simple, Delete | RevokeLease | ExpireLeases | CloseSession)


def _simple(record: _Plain | _Once) -> Simple:
    if isinstance(record, _Set):
        return Set(joined(record.key, record.key_base64), joined(record.value, record.value_base64))
    if isinstance(record, _Delete):
        return Delete(joined(record.key, record.key_base64))
    if isinstance(record, _SetMany):
        return SetMany(_pairs(record))
    if isinstance(record, TransactionRecord):
        return from_record(record)
    assert not isinstance(record, _Once)
    return record


def _pairs(record: _SetMany) -> tuple[tuple[bytes, bytes], ...]:
    pairs = tuple((joined(pair.key, pair.key_base64), joined(pair.value, pair.value_base64)) for pair in record.pairs)
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return pairs
