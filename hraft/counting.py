"""Counts of what happens, kept where it happens and read when somebody asks: plain numbers, cheap enough for every write.

Knows nothing of what is counted, and of who reads it. Each object belongs to one thread, but for `DiskTally`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final

#: From a write on a fast disk to one that a client has given up.
SECONDS_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COUNT_BOUNDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0)


class Histogram:
    """How many values fell between which bounds. A value at a bound belongs below it; the last count is of all above."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float] = SECONDS_BOUNDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        return sum(self.counts)


class DiskTally:
    """What one node asked of its disk, in whatever thread."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        #: How long each sync took that succeeded.
        self.syncs = Histogram()
        self.written_bytes = 0
        #: Calls that the system refused, want of room included.
        self.errors_count = 0
        self._lock = Lock()

    def wrote(self, size_bytes: int) -> None:
        with self._lock:
            self.written_bytes += size_bytes

    def synced(self, since_seconds: float) -> None:
        seconds = self.seconds() - since_seconds
        with self._lock:
            self.syncs.observe(seconds)

    def failed(self) -> None:
        with self._lock:
            self.errors_count += 1


class Traffic:
    """What went to and came from one peer, on all connections there ever were."""

    __slots__ = ("connections_count", "received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.sent_bytes = self.received_bytes = self.connections_count = 0

    def add(self, other: Traffic) -> None:
        """Take over what was counted before it was known whose it is."""
        self.sent_bytes += other.sent_bytes
        self.received_bytes += other.received_bytes
        self.connections_count += other.connections_count
