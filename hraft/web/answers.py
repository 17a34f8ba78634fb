"""Answers: a status, headers and a body, written so that hraftd's clients find the bytes they know.

Knows nothing of routes and the node.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hraft.web.problems import CONTENT_TYPE, NOT_DONE, Problem

#: What Go's net/http makes of hraftd's JSON when it has to guess; a client may have learned to expect it.
TEXT: Final = b"text/plain; charset=utf-8"
JSON: Final = b"application/json"

#: encoding/json spells these so, lest they mean something in HTML or JavaScript.
_ESCAPES: Final = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)

_encoder = msgspec.json.Encoder()


def go_json(value: object) -> bytes:
    """Encode as Go's encoding/json does, byte for byte. None of the escaped bytes occurs outside of texts."""
    encoded = _encoder.encode(value)
    for plain, escaped in _ESCAPES:
        if plain in encoded:
            encoded = encoded.replace(plain, escaped)
    return encoded


def answer(request: Any, body: bytes = b"", content_type: bytes = TEXT, status: int = 200) -> bytes:
    """Set status and headers; return the body for Klein to write. An empty one has no type, as with hraftd."""
    request.setResponseCode(status)
    headers = request.responseHeaders
    headers.setRawHeaders(b"Content-Length", [b"%d" % len(body)])
    if body:
        headers.setRawHeaders(b"Content-Type", [content_type])
        headers.setRawHeaders(b"X-Content-Type-Options", [b"nosniff"])
    return body


def answer_problem(request: Any, problem: Problem) -> bytes:
    """The same for a request that was refused or failed."""
    if request.method in (b"GET", b"HEAD") and problem.members.get("outcome") == NOT_DONE:
        # A read has no outcome that a client could wonder about.
        del problem.members["outcome"]
    body = answer(request, problem.body(), CONTENT_TYPE.encode(), problem.status)
    request.setResponseCode(problem.status, problem.title.encode())
    for name, value in problem.headers.items():
        request.setHeader(name, value)
    return body
