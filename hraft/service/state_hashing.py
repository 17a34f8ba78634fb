"""The hash of this node's state as it is after one entry, when somebody asks: copied in one go, hashed bit by bit elsewhere.

A state is the same on every member after the same entry, whoever leads; so hashes of one index may be compared whatever happened
between. Knows nothing of who asks and why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hraft import limits
from hraft.questions import StateHash
from hraft.service.applying import Applying
from hraft.service.surroundings import RunInThread

DONE, PENDING, PASSED, NEVER = "done", "pending", "passed", "never"
#: What is hashed of a state, as a part of the release by which members are compared: 2 is without the store's history.
_LINES = "2"


class StateHashing:
    """One index at a time: a new one takes the place of the one before."""

    def __init__(self, clock: IReactorTime, applying: Applying, run_in_background: RunInThread, release: str) -> None:
        self._clock = clock
        self._next_slice: IDelayedCall | None = None
        self._applying = applying
        self._run_in_background = run_in_background
        self._release = f"{release}/{_LINES}"
        self._index = 0
        self._is_taken = False
        self._status = NEVER
        self._digest = ""

    def ask(self, index: int) -> StateHash:
        """The hash after that entry, or whether there will be one. To be asked again while it is pending."""
        if index != self._index:
            self._begin(index)
        if self._status == PENDING and not self._is_taken and self._applying.applied_id.index > index:
            self._status = PASSED  # A snapshot took this node past it.
        return StateHash(self._status, self._release, self._digest)

    def stop(self) -> None:
        """Hash no more."""
        self._begin(0)

    def _begin(self, index: int) -> None:
        if self._next_slice is not None:
            self._next_slice.cancel()
            self._next_slice = None
        self._index, self._is_taken, self._digest = index, False, ""
        applying = self._applying
        applied_index = applying.applied_id.index
        if not index or getattr(applying.state_machine, "canonical_lines", None) is None:
            self._status = NEVER
        elif applied_index > index:
            self._status = PASSED
        else:
            self._status = PENDING
            if applied_index == index:
                self._take()
        applying.mark(index if self._status == PENDING and not self._is_taken else 0, self._take)

    def _take(self) -> None:
        """The state is the one wanted, at this moment."""
        self._is_taken = True
        lines_of = getattr(self._applying.state_machine, "canonical_lines", None)
        assert lines_of is not None
        self._go_on(self._index, iter(lines_of()), hashlib.blake2b(digest_size=16))

    def _go_on(self, index: int, lines: Iterator[bytes], digest: Any) -> None:
        """A slice at a time, with rests: neither a snapshot that is due nor the reactor's thread waits for all of it."""
        self._next_slice = None

        def hashed(is_over: bool) -> None:
            if index != self._index:
                return
            if is_over:
                self._status, self._digest = DONE, digest.hexdigest()
            else:
                self._next_slice = self._clock.callLater(limits.CHECK_REST_SECONDS, self._go_on, index, lines, digest)

        self._run_in_background(_hash_some, lines, digest).addCallback(hashed)


def _hash_some(lines: Iterator[bytes], digest: Any) -> bool:
    """Whether those were the last."""
    count = 0
    for line in islice(lines, limits.CHECK_LINES_COUNT):
        digest.update(line)
        digest.update(b"\n")
        count += 1
    return count < limits.CHECK_LINES_COUNT
