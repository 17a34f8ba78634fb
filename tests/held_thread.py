"""A double of a thread that works only when the test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred


class HeldThread:
    """Does what it was given when it is told to."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Callable[..., Any], tuple[Any, ...], Deferred[Any]]] = []

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.jobs.append((function, arguments, answer))
        return answer

    def work(self) -> int:
        """How many jobs there were."""
        jobs, self.jobs = self.jobs, []
        for function, arguments, answer in jobs:
            maybeDeferred(function, *arguments).chainDeferred(answer)
        return len(jobs)
