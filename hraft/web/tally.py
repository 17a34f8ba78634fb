"""Answers counted by route and class of status, and how long reads and writes took. A label is a route, never a path.

Knows nothing of routes but their names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from hraft.counting import Histogram
from hraft.web.answers import Answer

_CLASSES_COUNT: Final = 6
#: What found no route.
NOWHERE: Final = "none"


class RouteTally:
    """Of one row of the table."""

    __slots__ = ("_durations", "_seconds", "counts", "method", "path")

    def __init__(self, path: str, method: str, durations: Histogram, seconds: Callable[[], float]) -> None:
        self.path = path
        self.method = method
        #: By the first digit of the status.
        self.counts = [0] * _CLASSES_COUNT
        self._durations = durations
        self._seconds = seconds

    def answered(self, began_seconds: float, answer: Answer) -> Answer:
        """Count an answer to a request that came in then; returns it."""
        self.counts[answer.status // 100] += 1
        # What `observe` does, without its call.
        durations, seconds = self._durations, self._seconds() - began_seconds
        durations.counts[bisect_left(durations.bounds, seconds)] += 1
        durations.sum += seconds
        return answer


class HttpTally:
    """Of one node."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.reads, self.writes = Histogram(), Histogram()
        self.routes: list[RouteTally] = []
        self.nowhere = RouteTally(NOWHERE, "", Histogram(), seconds)
        self.routes.append(self.nowhere)

    def route(self, path: str, method: str) -> RouteTally:
        """One more row. Writes are all that is not asked with GET."""
        tally = RouteTally(path, method, self.reads if method == "GET" else self.writes, self.seconds)
        self.routes.append(tally)
        return tally
