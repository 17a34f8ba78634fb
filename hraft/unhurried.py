"""Long work in the background that leaves the interpreter to the reactor's thread (X2).

Only one thread of a process runs Python at a time. One that has much to do gives way only after some milliseconds, each time that
the reactor's comes back from reading or writing a socket: a snapshot of many keys would slow the node down by ten times and more.
So such work is done in short bursts with pauses between them, a quarter of the time at most. Knows nothing of what is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Thread, current_thread
from typing import TypeVar

from hraft import limits

_T = TypeVar("_T")
#: Looking at the clock costs as much as a small item.
_ITEMS_BETWEEN_LOOKS_COUNT = 32


class BackgroundThread(Thread):
    """A thread beside the reactor's. In any other nobody waits for the interpreter, and `unhurried` does not hold up."""


def unhurried(
    items: Iterable[_T],
    used_seconds: Callable[[], float] = time.thread_time,
    rest: Callable[[float], object] = time.sleep,
) -> Iterator[_T]:
    """The same items, with a rest now and then while this is consumed in a BackgroundThread.

    `used_seconds` is what this thread has had of the processor, `rest` lets others have it for so many seconds.
    """
    if not isinstance(current_thread(), BackgroundThread):
        yield from items
        return
    began = used_seconds()
    for number, item in enumerate(items):
        yield item
        if number % _ITEMS_BETWEEN_LOOKS_COUNT == 0:
            burst_seconds = used_seconds() - began
            if burst_seconds >= limits.BACKGROUND_BURST_SECONDS:
                rest(min(burst_seconds * limits.BACKGROUND_REST_RATIO, limits.BACKGROUND_REST_SECONDS))
                began = used_seconds()
