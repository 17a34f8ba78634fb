"""The last things that happened to a node, for people who look at it: elections, members, snapshots, alarms.

Beside the log, which has all of it for good; this is kept in memory, and begins with the process. Decides nothing: what a node
does never depends on it, so its times may be the wall clock's.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hraft import limits

ELECTION: Final = "election"
MEMBERS: Final = "members"
SNAPSHOT: Final = "snapshot"
ALARM: Final = "alarm"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing. `number` counts them from 1; `at_seconds` is the wall clock's, since 1970; `words` are for people."""

    number: int
    at_seconds: float
    kind: str
    words: str


class Chronicle:
    """Of one node. The oldest are forgotten when there are too many."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._happenings: deque[Happening] = deque(maxlen=limits.HAPPENINGS_COUNT)
        #: Of the last one; 0 before there was any.
        self.number = 0

    def add(self, kind: str, words: str) -> None:
        self.number += 1
        self._happenings.append(Happening(self.number, self._now(), kind, words))

    def after(self, number: int) -> tuple[Happening, ...]:
        """Those that came later, and are not forgotten."""
        return tuple(each for each in self._happenings if each.number > number)
