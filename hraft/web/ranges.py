"""Which keys a request means: those that begin with a prefix, or those from a start on and before an end.

Knows nothing of the store's contents.
"""

from __future__ import annotations

from typing import Final

from hraft.kv.transactions import TO_THE_LAST, prefix_end
from hraft.web.parameters import Bytes, Given, bad, shown

PREFIX: Final = Bytes("prefix", "all keys that begin so")
START: Final = Bytes("start", "all keys from this on")
END: Final = Bytes("end", "all keys before this; without it, or empty, up to the last")
RANGE: Final = (PREFIX, START, END)


def range_of(given: Given, may_be_all: bool) -> tuple[bytes, bytes]:
    """The two ends, as in `hraft.kv.transactions`. Without any, all keys if that is allowed. Raises Problem."""
    if not given.keys() & {"prefix", "start", "end"} and not may_be_all:
        raise bad("say which keys: prefix=..., or start=... and end=...; prefix= means all")
    return ends(PREFIX.of(given), START.of(given), END.of(given))


def ends(prefix: bytes | None, start: bytes | None, end: bytes | None) -> tuple[bytes, bytes]:
    """The same for what was said in whatever way."""
    if prefix is not None:
        if start is not None or end is not None:
            raise bad("say prefix, or start and end, and not both")
        return prefix, prefix_end(prefix)
    start, end = start or b"", end or TO_THE_LAST
    if end != TO_THE_LAST and end <= start:
        raise bad(f"no key comes from {shown(start)} on and before {shown(end)}")
    return start, end
