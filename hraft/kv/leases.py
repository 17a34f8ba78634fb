"""Leases: a name for a time, and the keys that end with it. The time itself is the leader's affair; here it is a number.

Knows nothing of revisions and values.
"""

from __future__ import annotations

from itertools import takewhile

from hraft import limits


class Lease:
    """One of them. Of `keys` only the names matter, not their order. `owner`: the user who asked for it, "" for nobody."""

    __slots__ = ("keys", "owner", "ttl_seconds")

    def __init__(self, ttl_seconds: int, owner: str = "") -> None:
        self.ttl_seconds = ttl_seconds
        self.owner = owner
        self.keys: dict[bytes, None] = {}


class Leases:
    """All that have not ended, by id. An id is the index of the entry that made it, so later ones are higher."""

    def __init__(self) -> None:
        self._leases: dict[int, Lease] = {}

    def __len__(self) -> int:
        return len(self._leases)

    @property
    def is_full(self) -> bool:
        return len(self._leases) >= limits.LEASES_COUNT

    def get(self, lease: int) -> Lease | None:
        return self._leases.get(lease)

    def after(self, lease: int) -> list[int]:
        """The ids above this one, in order. Visits no others."""
        found = list(takewhile(lambda later: later > lease, reversed(self._leases)))
        found.reverse()
        return found

    def listed(self) -> list[tuple[int, int, str]]:
        """A copy: each lease, its time and its owner, in the order of their ids."""
        return [(lease, found.ttl_seconds, found.owner) for lease, found in self._leases.items()]

    def grant(self, lease: int, ttl_seconds: int, owner: str = "") -> None:
        self._leases[lease] = Lease(ttl_seconds, owner)

    def end(self, lease: int) -> list[bytes]:
        """Forget a lease if it is there; returns the keys that end with it, in order."""
        ended = self._leases.pop(lease, None)
        return [] if ended is None else sorted(ended.keys)

    def attach(self, key: bytes, lease: int) -> None:
        """The key ends with this lease from now on. A lease that is not there is none (0)."""
        found = self._leases.get(lease)
        if found is not None:
            found.keys[key] = None

    def detach(self, key: bytes, lease: int) -> None:
        """The key has nothing to do with this lease any more."""
        found = self._leases.get(lease)
        if found is not None:
            found.keys.pop(key, None)
