"""What somebody waits for a node to become: looked at after each turn and tick, with no timer for anybody.

Knows nothing of what is waited for.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


class Milestones:
    """Of one node. `is_stopped` says whether it will become nothing any more."""

    def __init__(self, clock: IReactorTime, is_stopped: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_stopped = is_stopped
        self._waiting: list[tuple[Callable[[], bool], float, Deferred[bool]]] = []

    def until(self, holds: Callable[[], bool], timeout_seconds: float = float("inf")) -> Deferred[bool]:
        """Fires with True once `holds`, with False when the time is over or the node has stopped."""
        waiter: Deferred[bool] = Deferred()
        self._waiting.append((holds, self._clock.seconds() + timeout_seconds, waiter))
        self.look()
        return waiter

    def look(self) -> None:
        """Something may have changed."""
        if not self._waiting:
            return
        now, waiting, self._waiting = self._clock.seconds(), self._waiting, []
        for holds, deadline, waiter in waiting:
            if holds():
                waiter.callback(True)
            elif self._is_stopped() or now >= deadline:
                waiter.callback(False)
            else:
                self._waiting.append((holds, deadline, waiter))
