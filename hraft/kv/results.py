"""What the store answers to a command, and its JSON, for an answer that travels from the leader to the node that was asked.

Knows nothing of HTTP or of who asked.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hraft.errors import BadMessage
from hraft.kv.records import KeyValue, Record


class Written(msgspec.Struct, tag_field="result", tag="written", frozen=True, gc=False):
    """The command was carried out: the store's revision after it, and how many keys it changed (0: a delete of a missing key)."""

    revision: int
    changed_count: int


class Refused(msgspec.Struct, tag_field="result", tag="refused", frozen=True, gc=False):
    """The command means nothing to this version of the store, and changed nothing."""

    reason: str


#: Why something that this version understands was not done.
Code: TypeAlias = Literal[
    "lease_not_found",
    "too_many_leases",
    "too_many_keys",
    "result_too_large",
    "session_expired",
    "serial_expired",
    "serial_reused",
]


class NotDone(msgspec.Struct, tag_field="result", tag="not_done", frozen=True, gc=False):
    """The command was understood, and nothing of it was done.

    `detail` is for people, and yet part of the state: sessions keep it. In other words it is another version of the store.
    """

    code: Code
    detail: str


class PutDone(msgspec.Struct, tag_field="op", tag="put", frozen=True):
    """The key's record is this now. `previous` is what it was, if that was wanted and there was one."""

    record: Record
    previous: KeyValue | None = None


class DeleteDone(msgspec.Struct, tag_field="op", tag="delete", frozen=True):
    """So many keys are gone; `previous` is what they were, if that was wanted."""

    deleted_count: int
    previous: tuple[KeyValue, ...] = ()


class GetDone(msgspec.Struct, tag_field="op", tag="get", frozen=True):
    """The first keys of the range, in order, and how many it has. A read of keys only has empty values."""

    pairs: tuple[KeyValue, ...]
    count: int


OperationDone: TypeAlias = PutDone | DeleteDone | GetDone


class Transacted(msgspec.Struct, tag_field="result", tag="transacted", frozen=True):
    """Which branch was taken, the store's revision after it, and what each of its operations gave."""

    succeeded: bool
    revision: int
    results: tuple[OperationDone, ...]


class LeaseGranted(msgspec.Struct, tag_field="result", tag="lease_granted", frozen=True, gc=False):
    """There is a new lease."""

    lease: int
    ttl_seconds: int


class LeaseEnded(msgspec.Struct, tag_field="result", tag="lease_ended", frozen=True, gc=False):
    """Leases are gone, and so many keys with them."""

    revision: int
    deleted_count: int


class SessionOpened(msgspec.Struct, tag_field="result", tag="session_opened", frozen=True, gc=False):
    """There is a new client."""

    client: int


class SessionClosed(msgspec.Struct, tag_field="result", tag="session_closed", frozen=True, gc=False):
    """That client is known no more."""


Result: TypeAlias = Written | Refused | NotDone | Transacted | LeaseGranted | LeaseEnded | SessionOpened | SessionClosed

_decoder: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Result)
_encoder = msgspec.json.Encoder()


def encode_result(result: Result) -> bytes:
    """One line of JSON, without the newline; bytes in it are base64."""
    return _encoder.encode(result)


def decode_result(data: bytes) -> Result:
    """Raises BadMessage for anything that `encode_result` did not make."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadMessage(f"this is not the result of a command: {error}: {data[:80]!r}") from error


def result_of(value: object) -> Result:
    """The result that a node hands over: the store's own, or what became of its JSON on the way from another node.

    Raises BadMessage where it is neither.
    """
    if isinstance(value, Result):
        return value
    if isinstance(value, bytes):
        return decode_result(value)
    try:
        result: Result = msgspec.convert(value, Result)
    except msgspec.ValidationError as error:
        raise BadMessage(f"this is not the result of a command: {error}: {str(value)[:80]}") from error
    return result
