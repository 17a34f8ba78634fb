"""Reads plain requests from a client's bytes with llhttp, a parser in C, and says which are not plain.

Plain is what nearly every client sends: HTTP/1.1, a path, a body whose length is told. Whatever else HTTP allows, and all that
it forbids, is somebody else's to understand; so this must never accept what `hraft.web.channel` would refuse or read otherwise.
Pure: bytes in, requests out. Knows nothing of sockets, and of what is asked.
"""

from __future__ import annotations

import re
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from hraft import limits
from hraft.web.asked import MEANINGFUL, Asked

#: A longer head, or one with more headers, is not plain. Well below what Twisted refuses.
_HEAD_BYTES: Final = 8192
_HEADERS_COUNT: Final = 100

#: Method, path and query. llhttp alone would forgive blanks here that Twisted does not.
_REQUEST_LINE = re.compile(rb"([A-Z]+) (/[!->@-~]*)(?:\?([!-~]*))? HTTP/1\.1\r\n")
#: A Host at which Klein does not take offence.
_HOST = re.compile(rb"(?:[\w-]{1,50}(?:\.[\w-]{1,50})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
#: Headers that change how a request is read or answered.
_NEVER_PLAIN = frozenset({b"expect", b"transfer-encoding", b"upgrade"})


class NotPlain(Exception):
    """The connection's next request is one for somebody else."""


class PlainRequests:
    """What one client has sent and nobody has taken yet, from the first byte of a request on."""

    def __init__(self) -> None:
        #: The client's address, which is said of each of its requests.
        self.peer = ""
        #: All of it. Only `add` and `take` change it.
        self.unread = bytearray()
        self._parser = HttpRequestParser(self)
        self._begin()

    def _begin(self) -> None:
        self._line: re.Match[bytes] | None = None
        self._headers_count = 0
        #: So many bytes the parser has seen. They end with the head if that is complete.
        self._parsed_bytes = 0
        self._is_head_complete = False
        self._body_bytes = 0
        self._meaningful: tuple[tuple[bytes, bytes], ...] = ()
        self._host = b""

    def add(self, data: bytes) -> None:
        self.unread += data

    def next(self) -> Asked | None:
        """The next request if it is whole. Stays the next one until it is taken. Raises NotPlain as soon as that is certain."""
        if not self._is_head_complete:
            self._read_head()
        end = self._parsed_bytes + self._body_bytes
        if not self._is_head_complete or len(self.unread) < end:
            return None
        assert self._line is not None
        method, path, query = self._line.groups(b"")
        body = bytes(self.unread[self._parsed_bytes : end]) if self._body_bytes else b""
        return Asked(method, path, query, body, self._meaningful, self._host, self.peer)

    def take(self) -> None:
        """Forget the request that `next` returned."""
        end = self._parsed_bytes + self._body_bytes
        if self._body_bytes:
            self._parser.feed_data(self.unread[self._parsed_bytes : end])
        del self.unread[:end]
        self._begin()

    def _read_head(self) -> None:
        unread = self.unread
        if self._line is None:
            self._line = _REQUEST_LINE.match(unread)
        if self._line is None:
            if b"\r\n" in unread or len(unread) > _HEAD_BYTES:
                raise NotPlain
            return
        found = unread.find(b"\r\n\r\n", max(0, self._parsed_bytes - 3))
        end = len(unread) if found < 0 else found + 4
        if end > _HEAD_BYTES:
            raise NotPlain
        try:
            self._parser.feed_data(unread[self._parsed_bytes : end])
        except (HttpParserError, HttpParserUpgrade) as error:
            raise NotPlain from error
        self._parsed_bytes = end
        if self._is_head_complete != (found >= 0):
            raise NotPlain

    # --- what the parser calls; an error raised here comes out of `feed_data` as an HttpParserError ----------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers_count += 1
        name = name.lower()
        if name == b"content-length":
            self._body_bytes = int(value)
            is_plain = self._body_bytes <= limits.REQUEST_BODY_BYTES
        elif name == b"host":
            is_plain = not self._host and _HOST.fullmatch(value) is not None
            self._host = value
        elif name == b"connection":
            is_plain = value.lower() == b"keep-alive"
        else:
            is_plain = name not in _NEVER_PLAIN
            if name in MEANINGFUL:
                self._meaningful += ((name, value.strip(b" \t")),)
        if not is_plain or self._headers_count > _HEADERS_COUNT:
            raise NotPlain

    def on_headers_complete(self) -> None:
        self._is_head_complete = True
