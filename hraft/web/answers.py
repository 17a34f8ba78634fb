"""Answers: a status, headers and a body, written so that hraftd's clients find the bytes they know.

Knows nothing of routes and the node, and of what protocol an answer leaves by.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

Header: TypeAlias = tuple[bytes, bytes]

#: What Go's net/http makes of hraftd's JSON when it has to guess; a client may have learned to expect it.
TEXT: Final = b"text/plain; charset=utf-8"
JSON: Final = b"application/json"

#: Ours rather than a library's, whose words differ between versions.
REASONS: Final = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    304: "Not Modified",
    307: "Temporary Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    412: "Precondition Failed",
    413: "Content Too Large",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}

#: encoding/json spells these so, lest they mean something in HTML or JavaScript.
_ESCAPES: Final = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
#: With what they begin, as numbers: see `hraft.codec`.
_BEGINS: Final = tuple({plain[0] for plain, _ in _ESCAPES})

_encoder = msgspec.json.Encoder()


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What a client is told. `headers` are those that say something of it, and not those of its way (Content-Length, Date).

    Those whose values hardly ever repeat are `varying`: the others are written once and remembered.
    """

    status: int = 200
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    varying: tuple[Header, ...] = ()

    @property
    def has_length(self) -> bool:
        """Not Modified tells no length: it would be that of what the client has already."""
        return self.status != 304


#: The answer to a write: hraftd's is empty. An empty one has no type.
DONE: Final = Answer()


def headers_of(content_type: bytes, *more: Header) -> tuple[Header, ...]:
    """The headers of an answer that has a body."""
    return ((b"Content-Type", content_type), (b"X-Content-Type-Options", b"nosniff"), *more)


def header(name: bytes, value: str) -> Header:
    """A header whose value comes from elsewhere, for instance from who joined: no line end in it may begin another header."""
    return name, b" ".join(value.encode("utf-8", "replace").splitlines()).strip()


def go_json(value: object) -> bytes:
    """Encode as Go's encoding/json does, byte for byte. None of the escaped bytes occurs outside of texts."""
    encoded = _encoder.encode(value)
    for begin in _BEGINS:
        if begin in encoded:
            return _escaped(encoded)
    return encoded


def _escaped(encoded: bytes) -> bytes:
    for plain, escaped in _ESCAPES:
        encoded = encoded.replace(plain, escaped)
    return encoded


def response(answer: Answer, more_lines: bytes, is_head: bool = False) -> bytes:
    """The bytes of an HTTP response. `more_lines` are headers too; `is_head`: all but the body was asked for."""
    return b"%b%b%b%b\r\n%b" % (
        _first_lines(answer.status, answer.headers),
        _written(answer.varying) if answer.varying else b"",
        more_lines,
        b"Content-Length: %d\r\n" % len(answer.body) if answer.has_length else b"",
        b"" if is_head else answer.body,
    )


@lru_cache(maxsize=64)
def _first_lines(status: int, headers: tuple[Header, ...]) -> bytes:
    """Cached, since nearly all answers have one of a few sets of headers."""
    return f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\n".encode() + _written(headers)


def _written(headers: tuple[Header, ...]) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])
