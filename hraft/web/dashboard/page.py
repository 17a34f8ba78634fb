"""The files of the page, as they are on disk: read once, served with an ETag, and under a policy that lets nothing else in.

Knows nothing of what the page shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from typing import Final

from hraft.web.answers import Answer, headers_of
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.permissions import ANY_USER

_CSP: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HTML: Final = b"text/html; charset=utf-8"
_SCRIPT: Final = b"text/javascript; charset=utf-8"
#: Where each file is served.
FILES: Final = {
    b"/": ("index.html", _HTML),
    b"/dashboard/dashboard.css": ("dashboard.css", b"text/css; charset=utf-8"),
    b"/dashboard/icon.svg": ("icon.svg", b"image/svg+xml"),
    b"/dashboard/main.js": ("main.js", _SCRIPT),
    b"/dashboard/connection.js": ("connection.js", _SCRIPT),
    b"/dashboard/overview.js": ("overview.js", _SCRIPT),
    b"/dashboard/sparkline.js": ("sparkline.js", _SCRIPT),
    b"/dashboard/keys.js": ("keys.js", _SCRIPT),
    b"/dashboard/rights.js": ("rights.js", _SCRIPT),
    b"/dashboard/values.js": ("values.js", _SCRIPT),
    b"/dashboard/elements.js": ("elements.js", _SCRIPT),
}


class PageApi:
    """Nothing in the files is secret; but who is asked for a password with the page is not asked again for what it fetches."""

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        for path, (name, content_type) in FILES.items():
            yield Route(b"GET", path, _File(name, content_type).get, f"The dashboard's {name}", needs=ANY_USER)


class _File:
    def __init__(self, name: str, content_type: bytes) -> None:
        self._body = files("hraft.web.dashboard").joinpath(name).read_bytes()
        self._etag = f'"{sha256(self._body).hexdigest()[:16]}"'.encode()
        self._headers = headers_of(
            content_type,
            (b"ETag", self._etag),
            # A node of another version may answer next: ask each time, which costs a few bytes.
            (b"Cache-Control", b"no-cache"),
            (b"Content-Security-Policy", _CSP),
            (b"X-Frame-Options", b"DENY"),
            (b"Referrer-Policy", b"no-referrer"),
            (b"Cross-Origin-Opener-Policy", b"same-origin"),
            (b"Cross-Origin-Resource-Policy", b"same-origin"),
        )

    def get(self, asked: Asked) -> Answer:
        """The file, or that the browser has it already."""
        known = (asked.header(b"if-none-match") or b"").split(b",")
        if self._etag in [each.strip().removeprefix(b"W/") for each in known]:
            return Answer(304, self._headers)
        return Answer(200, self._headers, self._body)
