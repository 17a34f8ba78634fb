"""Request bodies: from bytes to what they ask for, or to a Problem that says what is wrong and where.

Nothing is half accepted. Knows nothing of requests, routes and the node.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from hraft import limits
from hraft.kv.commands import Set, SetMany
from hraft.web.problems import NOT_DONE, Problem

T = TypeVar("T")

_Text = Annotated[str, msgspec.Meta(min_length=1)]


class Join(msgspec.Struct, forbid_unknown_fields=True):
    """Who wants to be a member. Without an id (as in 2016) the address is the id; `empty_log` and `learner` are
    hraft's own additions."""

    addr: _Text
    id: _Text | None = None
    empty_log: bool | None = None
    learner: bool | None = None


_pairs: msgspec.json.Decoder[dict[str, str | None] | None] = msgspec.json.Decoder(dict[str, str | None] | None)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_joins = msgspec.json.Decoder(Join)

_KINDS = {b"{": "an object", b"[": "an array", b"t": "a boolean", b"f": "a boolean"}


def parse_pairs(body: bytes) -> Set | SetMany | None:
    """The write that a body like `{"key":"value", ...}` asks for; None for `{}` and `null`, which ask for nothing.

    A null value stands for the empty text and a key that stands twice has its last value, as in Go's encoding/json.
    """
    try:
        pairs = _pairs.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise bad_body(_what_is_wrong(body, error)) from error
    if not pairs:
        return None
    encoded = tuple((_key(key), (value or "").encode()) for key, value in pairs.items())
    if len(encoded) == 1:
        return Set(*encoded[0])
    return SetMany(encoded)


def parse_join(body: bytes) -> Join:
    """Raises Problem for anything but `{"addr":"host:port","id":"node1"}`, of which all but `addr` may be missing."""
    return decoded(_joins, body, 'JSON like {"addr":"host:port","id":"node1"}')


def decoded(decoder: msgspec.json.Decoder[T], body: bytes, expected: str) -> T:
    """What a body of JSON says; `expected` says in a Problem what it should be like."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise bad_body(f"the body must be {expected}: {_reason(body, error)}") from error


def too_large(said_bytes: int | None) -> Problem:
    """The answer to a body over the limit; `said_bytes` is its length if the client has told it."""
    said = "" if said_bytes is None else f" and not {said_bytes}"
    return Problem(413, "body_too_large", f"a body may have {limits.REQUEST_BODY_BYTES} bytes{said}", outcome=NOT_DONE)


def _key(key: str) -> bytes:
    encoded = key.encode()
    if not encoded:
        raise bad_body("a key must have at least one byte: nobody could ask for this one")
    if len(encoded) > limits.KEY_BYTES:
        raise bad_body(f"a key may have {limits.KEY_BYTES} bytes and not {len(encoded)}: {key[:40]!r}...")
    return encoded


def _what_is_wrong(body: bytes, error: Exception) -> str:
    """Name the first key whose value is no text. Decodes a second time, but only where something is wrong."""
    expected = 'the body must be a JSON object of texts, like {"key":"value"}'
    if isinstance(error, msgspec.ValidationError):
        try:
            members = _members.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as other:
            return f"{expected}: {_reason(body, other)}"
        for key, value in members.items():
            first = bytes(value)[:1]
            if first not in (b'"', b"n"):
                return f"{expected}: the value of {key[:80]!r} must be a text and not {_KINDS.get(first, 'a number')}"
    return f"{expected}: {_reason(body, error)}"


def _reason(body: bytes, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it nests too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if not body.strip():
        return "it is empty"
    hint = " (a \\ud800 to \\udfff must be one of a pair)" if b"\\ud" in body.lower() else ""
    return f"{error}{hint}"


def bad_body(detail: str) -> Problem:
    """Nothing of the body is done."""
    return Problem(400, "bad_body", f"{detail}; nothing was stored", outcome=NOT_DONE)
