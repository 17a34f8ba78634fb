"""How long the reactor's thread was held up: what every client and every peer waits behind (X2).

A timer that should come every few milliseconds sees by how much it comes late. It cannot tell work of our own from a processor
that others had, or a process that was stopped: for whoever waits that is the same. Knows nothing of nodes.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from hraft import limits

_log = Logger(namespace="hraft.process")


class ReactorStalls:
    """For one reactor. The figures are since `start`."""

    def __init__(self, clock: IReactorTime) -> None:
        #: How late the timer was at the worst.
        self.longest_seconds = 0.0
        #: How often it was late by STALL_SECONDS or more, and by how much all those times together.
        self.stalls_count = 0
        self.stalled_seconds = 0.0
        self._clock = clock
        self._due = 0.0
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Look from now on."""
        self._wait()

    def stop(self) -> None:
        """Look no more; the figures stay."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def take_longest_seconds(self) -> float:
        """The worst since this was asked last: for somebody who asks regularly, and is the only one."""
        longest_seconds, self.longest_seconds = self.longest_seconds, 0.0
        return longest_seconds

    def _wait(self) -> None:
        self._due = self._clock.seconds() + limits.STALL_LOOK_SECONDS
        self._next = self._clock.callLater(limits.STALL_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        late_seconds = self._clock.seconds() - self._due
        if late_seconds > self.longest_seconds:
            self.longest_seconds = late_seconds
        if late_seconds >= limits.STALL_SECONDS:
            self.stalls_count += 1
            self.stalled_seconds += late_seconds
        if late_seconds >= limits.STALL_TOLD_SECONDS:
            _log.warn("the reactor was held up for {seconds:.2f} s, and with it clients and peers", seconds=late_seconds)
        self._wait()
