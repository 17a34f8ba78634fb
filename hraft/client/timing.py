"""Waiting for something no longer than so long, on a clock that a test can turn."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")


class TimedOut(Exception):
    """What was awaited was cancelled for lack of time. Its `__cause__` is what it failed with then."""


async def within(clock: IReactorTime, seconds: float, awaited: Deferred[T]) -> T:
    """Its value. Raises TimedOut; CancelledError where others cancel this, whatever it makes of that; else what it fails with."""
    has_expired = was_cancelled = False

    def expire() -> None:
        nonlocal has_expired
        has_expired = True
        awaited.cancel()

    def cancelled(_: Deferred[T]) -> None:
        nonlocal was_cancelled
        was_cancelled = True
        awaited.cancel()

    result: Deferred[T] = Deferred(cancelled)
    awaited.addCallbacks(result.callback, result.errback)
    timer = clock.callLater(max(0.0, seconds), expire)
    try:
        return await result
    except Exception as error:
        if has_expired:
            raise TimedOut(f"not within {seconds:.3g} s") from error
        if was_cancelled:
            raise CancelledError() from error
        raise
    finally:
        if timer.active():
            timer.cancel()
