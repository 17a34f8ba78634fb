"""Who is interested in a key: found at the cost of those who are, however many others there are.

Single keys are looked up. The bounds of all ranges cut the keys into segments, each with those whose range covers it. Pure;
knows nothing of what is found.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar

from hraft.kv.transactions import TO_THE_LAST

Found = TypeVar("Found")


class Interests(Generic[Found]):
    """Things, each under one key or one range. They are found in the order in which they were added."""

    def __init__(self) -> None:
        self._keys: dict[bytes, dict[Found, None]] = {}
        #: Segment i begins at bound i, and ends where the next one begins; the first begins before all keys.
        self._bounds: list[bytes] = [b""]
        self._covering: list[dict[Found, None]] = [{}]
        self._uses: Counter[bytes] = Counter()

    def add(self, start: bytes, end: bytes | None, found: Found) -> None:
        """`end` as in `hraft.kv.transactions`: None for the one key `start`, empty for all keys from there on."""
        if end is None:
            self._keys.setdefault(start, {})[found] = None
            return
        for bound in (start, end):
            self._split(bound)
        for covering in self._segments(start, end):
            covering[found] = None

    def remove(self, start: bytes, end: bytes | None, found: Found) -> None:
        """Take away what was added with these arguments."""
        if end is None:
            interested = self._keys[start]
            del interested[found]
            if not interested:
                del self._keys[start]
            return
        for covering in self._segments(start, end):
            del covering[found]
        for bound in (start, end):
            self._merge(bound)

    def at(self, key: bytes) -> Iterator[Found]:
        """All whose key or range this is in."""
        yield from self._keys.get(key, ())
        yield from self._covering[bisect_right(self._bounds, key) - 1]

    def _segments(self, start: bytes, end: bytes) -> list[dict[Found, None]]:
        first = bisect_left(self._bounds, start)
        return self._covering[first:] if end == TO_THE_LAST else self._covering[first : bisect_left(self._bounds, end)]

    def _split(self, bound: bytes) -> None:
        self._uses[bound] += 1
        place = bisect_left(self._bounds, bound)
        if place == len(self._bounds) or self._bounds[place] != bound:
            self._bounds.insert(place, bound)
            self._covering.insert(place, dict(self._covering[place - 1]))

    def _merge(self, bound: bytes) -> None:
        """A bound that nobody needs any more has the same on both sides."""
        self._uses[bound] -= 1
        if not self._uses[bound]:
            del self._uses[bound]
            if bound:
                place = bisect_left(self._bounds, bound)
                del self._bounds[place], self._covering[place]
