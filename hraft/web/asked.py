"""One request, as the functions that answer it see it: whichever protocol read it, and whatever else it brought.

Knows nothing of sockets, of Klein and of what can be asked.
"""

from __future__ import annotations

from typing import Final

import msgspec

#: Headers that mean something to a function that answers, in small letters. All others are the protocol's affair, or nobody's.
MEANINGFUL: Final = frozenset(
    {
        *(b"if-match", b"if-none-match", b"idempotency-key", b"accept", b"last-event-id"),
        # These mean something to `hraft.web.guard` alone, and go no further.
        *(b"authorization", b"origin", b"sec-fetch-site"),
    }
)

#: Begins an escape in a path. A number: see `hraft.codec`.
PERCENT: Final = ord("%")


def address_of(peer: object) -> str:
    """Whose connection this is, by what its transport says of the other end: an IP address, "" for a socket of this machine."""
    return str(getattr(peer, "host", None) or "")


class Asked(msgspec.Struct, frozen=True, gc=False):
    """`path` and `query` are as they were sent, percent-encoded, without the question mark between them.

    `headers` are those of MEANINGFUL that came, in their order. `host` is that header's value, `peer` the client's address,
    and `user` who asks, where users are known: the guard has found that out.
    """

    method: bytes
    path: bytes
    query: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    host: bytes = b""
    peer: str = ""
    user: str = ""

    def header(self, name: bytes) -> bytes | None:
        """The value of one of MEANINGFUL; what came several times is a list (RFC 9110, Section 5.3). None: it did not come."""
        values = [value for found, value in self.headers if found == name]
        return b", ".join(values) if values else None
