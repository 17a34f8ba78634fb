"""What the store answers to a command, and its JSON, for an answer that travels from the leader to the node that was asked.

Knows nothing of HTTP or of who asked.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from hraft.errors import BadMessage


class Written(msgspec.Struct, tag_field="result", tag="written", frozen=True, gc=False):
    """The command was carried out: the store's revision after it, and how many keys it changed (0: a delete of a missing key)."""

    revision: int
    changed_count: int


class Refused(msgspec.Struct, tag_field="result", tag="refused", frozen=True, gc=False):
    """The command means nothing to this version of the store, and changed nothing."""

    reason: str


Result: TypeAlias = Written | Refused

_decoder: msgspec.json.Decoder[Result] = msgspec.json.Decoder(Written | Refused)


def encode_result(result: Result) -> bytes:
    return msgspec.json.encode(result)


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
    if isinstance(value, Written | Refused):
        return value
    if isinstance(value, bytes):
        return decode_result(value)
    try:
        return msgspec.convert(value, Written | Refused)
    except msgspec.ValidationError as error:
        raise BadMessage(f"this is not the result of a command: {error}: {str(value)[:80]}") from error
