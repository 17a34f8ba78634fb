"""Time in a simulated world: one heap of calls, and for every life of a node a clock of its own that may run fast or slow.

A process that is paused keeps its calls until it is resumed, one that is dead forgets them. Faster than
`twisted.internet.task.Clock`, which sorts all calls at every one. Knows nothing of what the calls do.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

_SHORTEST_SECONDS = 1e-9


@implementer(IDelayedCall)
class Call:
    """One call to come. `owner` is the process that makes it; None: the world itself."""

    __slots__ = ("_clock", "arguments", "function", "is_cancelled", "is_over", "keywords", "owner", "time")

    def __init__(
        self,
        clock: WorldClock,
        time: float,
        owner: Process | None,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
    ) -> None:
        self._clock = clock
        self.time = time
        self.owner = owner
        self.function = function
        self.arguments = arguments
        self.keywords = keywords
        self.is_over = False
        self.is_cancelled = False

    def getTime(self) -> float:
        return self.time

    def cancel(self) -> None:
        if self.is_over:
            raise AlreadyCancelled if self.is_cancelled else AlreadyCalled
        self.is_over = self.is_cancelled = True

    def active(self) -> bool:
        return not self.is_over

    def delay(self, secondsLater: float) -> None:
        self.time += secondsLater
        self._clock.again(self)

    def reset(self, secondsFromNow: float) -> None:
        self.time = self._clock.now + secondsFromNow
        self._clock.again(self)


@implementer(IReactorTime)
class WorldClock:
    """What time it really is, and all that is to happen. Calls of one moment are made in the order they were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._number = 0
        self._heap: list[tuple[float, int, Call]] = []

    def seconds(self) -> float:
        return self.now

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> Call:  # noqa: A002
        return self.schedule(delay, None, callable, args, kwargs)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        return [call for _, _, call in sorted(self._heap) if not call.is_over]

    def schedule(
        self,
        delay_seconds: float,
        owner: Process | None,
        function: Callable[..., Any],
        arguments: tuple[Any, ...] = (),
        keywords: dict[str, Any] = {},  # noqa: B006 - never changed
    ) -> Call:
        """Have `owner` make a call after so many seconds of real time."""
        call = Call(self, self.now + delay_seconds, owner, function, arguments, keywords)
        self._number += 1
        heappush(self._heap, (call.time, self._number, call))
        return call

    def again(self, call: Call) -> None:
        """Put a call back that was not made, at its time or now."""
        self._number += 1
        heappush(self._heap, (max(call.time, self.now), self._number, call))

    def next_call(self, until: float) -> Call | None:
        """The next call up to that time, with the clock set to it; None, with the clock set to `until`, when there is none."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            time, _, call = heappop(heap)
            if call.is_over or time < call.time:
                continue
            owner = call.owner
            if owner is not None:
                if owner.is_dead:
                    continue
                if owner.is_paused:
                    owner.backlog.append(call)
                    continue
            self.now = time
            call.is_over = True
            return call
        self.now = max(self.now, until)
        return None


@implementer(IReactorTime)
class Process:
    """One life of a node, and the clock it looks at: `rate` seconds of its own go by in one real second."""

    def __init__(self, clock: WorldClock, node_id: str, rate: float = 1.0) -> None:
        self.node_id = node_id
        self.rate = rate
        self.is_dead = False
        self.is_paused = False
        #: What was to happen while paused.
        self.backlog: list[Call] = []
        self._clock = clock

    def seconds(self) -> float:
        return self._clock.now * self.rate

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any, **kwargs: Any) -> Call:  # noqa: A002
        # A delay too short for the world's clock to move would come again and again at one moment.
        delay_seconds = max(delay / self.rate, _SHORTEST_SECONDS) if delay > 0 else 0.0
        return self._clock.schedule(delay_seconds, self, callable, args, kwargs)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        return [call for call in self._clock.getDelayedCalls() if isinstance(call, Call) and call.owner is self]

    def pause(self) -> None:
        """Stop in the middle of everything (SIGSTOP). Time goes on."""
        self.is_paused = True

    def resume(self) -> None:
        """Go on: all that became due meanwhile happens at once, in order."""
        self.is_paused = False
        backlog, self.backlog = self.backlog, []
        for call in backlog:
            self._clock.again(call)

    def kill(self) -> None:
        """Never do anything again."""
        self.is_dead = True
        self.backlog.clear()
