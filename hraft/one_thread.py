"""A thread for what blocks: one job after the other, and each answer back in the thread of the reactor.

The way back leads through the reactor's waker, and costs about as much as a fast disk takes for a small save. So there is a
shorter one: the reactor's thread waits for what is done in a moment, and never longer, whatever the disk does (X2).
Knows nothing of what the jobs do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hraft import limits
from hraft.unhurried import BackgroundThread


class _Job:
    """What is to be called, and how it ended: who comes first, the job's end or whoever gives up waiting for it, says which way
    the answer goes."""

    __slots__ = ("answer", "arguments", "done", "firsts", "function")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], is_waited_for: bool) -> None:
        self.function = function
        self.arguments = arguments
        self.answer: Deferred[Any] = Deferred()
        #: Held until the job is done, where somebody waits for it.
        self.done: Lock | None = None
        #: The first in it came first; appending is atomic. None is whoever gave up.
        self.firsts: list[Any] = []
        if is_waited_for:
            self.done = Lock()
            self.done.acquire()

    def run(self, reactor: Any) -> None:
        """In the thread: call it, and bring the outcome back unless it is fetched."""
        outcome: Any
        try:
            outcome = self.function(*self.arguments)
        except BaseException:  # whatever it was, it belongs to whoever asked
            outcome = Failure()
        self.firsts.append((outcome,))
        if self.done is not None and self.firsts[0] is not None:
            self.done.release()
        else:
            reactor.callFromThread(self.end, outcome)

    def wait(self, patience_seconds: float) -> None:
        """In the reactor's thread: fetch the outcome if it is there in time."""
        assert self.done is not None
        if not self.done.acquire(timeout=patience_seconds):
            self.firsts.append(None)
            if self.firsts[0] is None:
                return
        [outcome] = self.firsts[0]
        self.end(outcome)

    def end(self, outcome: Any) -> None:
        if isinstance(outcome, Failure):
            self.answer.errback(outcome)
        else:
            self.answer.callback(outcome)


class OneThread:
    """Runs functions in a thread of its own, in order.

    Unlike with Twisted's ThreadPool nobody ever waits for the thread to end: a disk that hangs must not keep a process from
    stopping (O13).
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        patience_seconds: float = limits.THREAD_PATIENCE_SECONDS,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`soon` waits for `patience_seconds` at most; `seconds` is a clock that says how long jobs take."""
        self._reactor = reactor
        self._name = name
        self._patience_seconds = patience_seconds
        self._seconds = seconds
        self._thread: BackgroundThread | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._is_stopped = False
        #: How long the last job took. The first of all is not waited for.
        self._last_seconds = float("inf")

    def __call__(self, function: Callable[..., Any], /, *arguments: Any) -> Deferred[Any]:
        """Call a function there. Fires with its result, or fails with what it raised."""
        return self._do(_Job(function, arguments, False)).answer

    def soon(self, function: Callable[..., Any], /, *arguments: Any) -> Deferred[Any]:
        """The same; but wait a moment for it, if the last job was done within one. Then the Deferred has fired on return."""
        job = _Job(function, arguments, self._last_seconds < self._patience_seconds and not self._is_stopped)
        self._do(job)
        if job.done is not None:
            job.wait(self._patience_seconds)
        return job.answer

    def _do(self, job: _Job) -> _Job:
        if self._is_stopped:
            job.answer.errback(RuntimeError(f"the thread {self._name!r} was stopped"))
            return job
        if self._thread is None:
            self._thread = BackgroundThread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)
        return job

    def stop(self) -> None:
        """Take no more; what is under way goes on for as long as the process does."""
        if not self._is_stopped:
            self._is_stopped = True
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            began_seconds = self._seconds()
            job.run(self._reactor)
            self._last_seconds = self._seconds() - began_seconds
