"""One request, as the functions that answer it see it: whichever protocol read it, and whatever else it brought.

Knows nothing of sockets, of Klein and of what can be asked.
"""

from __future__ import annotations

import msgspec


class Asked(msgspec.Struct, frozen=True, gc=False):
    """`path` and `query` are as they were sent, percent-encoded, without the question mark between them."""

    method: bytes
    path: bytes
    query: bytes
    body: bytes
