"""A thread of a simulated process that touches the disk: one job after the other, each when the disk is done with it.

A job takes effect at one moment and its process hears of it a little later; a crash may come between the two, or in the midst
of the job. Stands for `run_in_writer`, `save_in_writer` and `run_in_background` of `NodeService`. Knows nothing of what the jobs
do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from hraft.simulation.clock import Call, Process, WorldClock


class Job(NamedTuple):
    """What the thread was given."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    result: Deferred[Any]


class DiskThread:
    """Call it with a function and its arguments; the Deferred fires with the result, or fails with what was raised."""

    def __init__(
        self, clock: WorldClock, process: Process, latency: Callable[[], float], is_quick: Callable[[], bool] = lambda: False
    ) -> None:
        self._clock = clock
        self._process = process
        #: Draws whether a job that its process waits for is done at once.
        self._is_quick = is_quick
        #: Draws how long the next job takes; asked twice for each: for the disk, and for the way back to the process.
        self._latency = latency
        self._jobs: deque[Job] = deque()
        self._next: Call | None = None
        self._is_stalled = False
        #: Jobs that took effect and that the process has not yet heard of.
        self.unheard: list[Job] = []

    def __call__(self, function: Callable[..., Any], /, *arguments: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        if not self._process.is_dead:
            self._jobs.append(Job(function, arguments, result))
            self._go_on()
        return result

    def soon(self, function: Callable[..., Any], /, *arguments: Any) -> Deferred[Any]:
        """The same for a job that its process waits for, if only for a moment: perhaps it is done when this returns."""
        if self._process.is_dead or self._jobs or self._is_stalled or not self._is_quick():
            return self(function, *arguments)
        try:
            return succeed(function(*arguments))
        except Exception:
            return fail()

    @property
    def in_progress(self) -> Job | None:
        """What the disk is at. It may have been done in part."""
        return self._jobs[0] if self._jobs else None

    def stall(self) -> None:
        """The disk does not answer until `resume`."""
        self._is_stalled = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def resume(self) -> None:
        self._is_stalled = False
        self._go_on()

    def stop(self) -> None:
        """The process was killed: what the disk has not done, nobody asks of it any more."""
        self.stall()

    def _go_on(self) -> None:
        if self._next is None and self._jobs and not self._is_stalled:
            self._next = self._clock.schedule(self._latency(), None, self._run)

    def _run(self) -> None:
        self._next = None
        job = self._jobs[0]
        outcome: Any
        try:
            outcome = job.function(*job.arguments)
        except Exception:
            outcome = Failure()
        self._jobs.popleft()
        self.unheard.append(job)
        self._process.callLater(self._latency() / 10, self._hear, job, outcome)
        self._go_on()

    def _hear(self, job: Job, outcome: Any) -> None:
        self.unheard.remove(job)
        job.result.callback(outcome)
