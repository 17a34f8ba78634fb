"""Reads plain requests from a client's bytes with llhttp, a parser in C, and says which are not plain.

Plain is what nearly every client sends: HTTP/1.1, a path, a body whose length is told. Whatever else HTTP allows, and all that
it forbids, is somebody else's to understand; so this must never accept what `hraft.web.channel` would refuse or read otherwise.
Pure: bytes in, requests out. Knows nothing of sockets, and of what is asked.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from hraft import limits
from hraft.web.asked import MEANINGFUL, Asked

#: A longer head, or one with more headers, is not plain. Well below what Twisted refuses.
_HEAD_BYTES: Final = 8192
_HEADERS_COUNT: Final = 100

#: Method, path and query. llhttp alone would forgive blanks here that Twisted does not. To it these methods are all alike, and
#: whatever may stand in a path is; so what headers mean does not depend on the line before them.
_REQUEST_LINE = re.compile(rb"(GET|POST|PUT|DELETE|HEAD) (/[!->@-~]*)(?:\?([!-~]*))? HTTP/1\.1\r\n")
#: A Host at which Klein does not take offence.
_HOST = re.compile(rb"(?:[\w-]{1,50}(?:\.[\w-]{1,50})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
#: Headers that change how a request is read or answered, or, in the eyes of llhttp, the next one.
_NEVER_PLAIN = frozenset({b"expect", b"transfer-encoding", b"upgrade", b"proxy-connection"})

#: The length of the body, those headers that are MEANINGFUL, and the host.
_Meaning: TypeAlias = tuple[int, tuple[tuple[bytes, bytes], ...], bytes]


class NotPlain(Exception):
    """The connection's next request is one for somebody else."""


class PlainRequests:
    """What one client has sent and nobody has taken yet, from the first byte of a request on.

    A client says nearly the same headers with each request. Those that llhttp has found to be plain are remembered byte for byte,
    together with the empty line that ends them, and not shown to it again.
    """

    def __init__(self) -> None:
        #: The client's address, which is said of each of its requests.
        self.peer = ""
        #: All of it. Only `add` and `take` change it.
        self.unread = bytearray()
        self._known: dict[bytes, _Meaning] = {}
        self._parser = HttpRequestParser(self)
        #: Of the next request: its first line, how much of its head was looked at, and what its headers mean once all are there.
        self._line: re.Match[bytes] | None = None
        self._head_bytes = 0
        self._meaning: _Meaning | None = None
        #: The parser is in the middle of it.
        self._is_parsing = False

    def add(self, data: bytes) -> None:
        self.unread += data

    def next(self) -> Asked | None:
        """The next request if it is whole. Stays the next one until it is taken. Raises NotPlain as soon as that is certain."""
        meaning = self._meaning or self._read_head()
        if meaning is None:
            return None
        body_bytes, headers, host = meaning
        body = b""
        if body_bytes:
            begin = self._head_bytes
            if len(self.unread) < begin + body_bytes:
                return None
            body = bytes(self.unread[begin : begin + body_bytes])
        assert self._line is not None
        method, path, query = self._line.groups(b"")
        return Asked(method, path, query, body, headers, host, self.peer)

    def take(self) -> None:
        """Forget the request that `next` returned."""
        assert self._meaning is not None
        end = self._head_bytes + self._meaning[0]
        if self._is_parsing:
            self._parser.feed_data(self.unread[self._head_bytes : end])
            self._is_parsing = False
        del self.unread[:end]
        self._line = self._meaning = None
        self._head_bytes = 0

    def _read_head(self) -> _Meaning | None:
        """What the next request's headers mean, if all are there."""
        unread, line = self.unread, self._line
        if line is None:
            line = self._line = _REQUEST_LINE.match(unread)
        if line is None:
            if b"\r\n" in unread or len(unread) > _HEAD_BYTES:
                raise NotPlain
            return None
        end_of_line = line.end()
        found = unread.find(b"\r\n\r\n", end_of_line - 2)
        end = len(unread) if found < 0 else found + 4
        if end > _HEAD_BYTES:
            raise NotPlain
        begin, self._head_bytes = self._head_bytes, end
        if found < 0:
            self._parse(unread[begin:end], False)
            return None
        headers = bytes(unread[end_of_line:end])
        self._meaning = None if self._is_parsing else self._known.get(headers)
        if self._meaning is None:
            self._parse(unread[begin:end], True)
            self._meaning = (self._body_bytes, self._meaningful, self._host)
            self._remember(headers, self._meaning)
        return self._meaning

    def _remember(self, headers: bytes, meaning: _Meaning) -> None:
        if len(headers) > limits.HEADERS_KEPT_BYTES:
            return
        if len(self._known) == limits.HEADERS_KEPT_COUNT:
            del self._known[next(iter(self._known))]
        self._known[headers] = meaning

    def _parse(self, data: bytearray, is_end: bool) -> None:
        """Show the parser more of a head; `is_end`: all that was left."""
        if not self._is_parsing:
            self._is_parsing = True
            self._headers_count = 0
            self._is_complete = False
            self._body_bytes = 0
            self._meaningful: tuple[tuple[bytes, bytes], ...] = ()
            self._host = b""
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            raise NotPlain from error
        if self._is_complete != is_end:
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
        self._is_complete = True
