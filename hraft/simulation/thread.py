"""A thread that is none: runs what it is given one after the other, each after a delay on a clock that is told the time.

Stands for the writer's thread and the one for snapshots (`NodeService`'s `run_in_writer`, `run_in_background`). Can hang, as
a disk does, and can die with its process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock


class SimulatedThread:
    """Call it with a function and its arguments; the Deferred fires with the result, or fails with what was raised."""

    def __init__(self, clock: Clock, delay_seconds: float = 0.0005) -> None:
        self._clock = clock
        self._delay_seconds = delay_seconds
        self._jobs: deque[tuple[Callable[..., Any], tuple[Any, ...], Deferred[Any]]] = deque()
        self._next: IDelayedCall | None = None
        self._is_hung = False
        self._is_dead = False

    def __call__(self, function: Callable[..., Any], /, *arguments: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        if not self._is_dead:
            self._jobs.append((function, arguments, result))
            self._go_on()
        return result

    def hang(self) -> None:
        """Do nothing until `resume`: the disk does not answer."""
        self._is_hung = True
        self._pause()

    def resume(self) -> None:
        self._is_hung = False
        self._go_on()

    def die(self) -> None:
        """The process was killed: what has not begun never does."""
        self._is_dead = True
        self._jobs.clear()
        self._pause()

    def _go_on(self) -> None:
        if self._next is None and self._jobs and not self._is_hung:
            self._next = self._clock.callLater(self._delay_seconds, self._run)

    def _pause(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _run(self) -> None:
        self._next = None
        function, arguments, result = self._jobs.popleft()
        try:
            value = function(*arguments)
        except Exception:
            result.errback()
        else:
            result.callback(value)
        self._go_on()
