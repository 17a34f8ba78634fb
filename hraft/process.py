"""The process that a node lives in: monotonic time, files, signals, memory, and an end at once.

Knows nothing of nodes.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from twisted.internet.selectreactor import SelectReactor
from twisted.python.runtime import seconds as wall_clock_seconds

from hraft.log_file import has_room

#: What select(2) can look at, whatever the process may open: FD_SETSIZE.
_SELECT_FILES_COUNT = 1024
#: How many objects more than were freed until the collector looks at the young ones. Python's 700 are fewer than the clients.
_YOUNG_OBJECTS_COUNT = 10_000
#: Of glibc's mallopt(3). What is larger gets pages of its own, which go back when it is freed; so much may stay free at the end.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_OWN_PAGES_BYTES, _FREE_BYTES = 128 * 1024, 4 * 1024 * 1024


def use_monotonic_time(reactor: Any) -> None:
    """Have a reactor's timers follow a clock that nobody sets, before there is any timer (X1).

    Twisted's follow the wall clock: a step of it would start elections everywhere, or stop heartbeats. A reactor with a clock of
    its own, as tests have, is left alone. Raises RuntimeError where it is too late.
    """
    if reactor.seconds is not wall_clock_seconds:
        return
    waiting = reactor.getDelayedCalls()
    if waiting:
        raise RuntimeError(f"hraft must put the reactor on monotonic time before anything is timed by it, but there is {waiting}")
    reactor.seconds = time.monotonic
    if reactor.seconds() > time.monotonic():
        raise RuntimeError("this reactor cannot be put on monotonic time")


def files_count(reactor: Any) -> int:
    """How many files this process may have open, and this reactor can look at."""
    try:
        import resource
    except ImportError:  # No POSIX, no such limit.
        return _SELECT_FILES_COUNT
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _SELECT_FILES_COUNT if isinstance(reactor, SelectReactor) else sys.maxsize
    return most if soft == resource.RLIM_INFINITY else min(soft, most)


def allow_files(wanted_count: int) -> None:
    """Raise the limit on this process's open files to `wanted_count`, or as far as it may be raised."""
    try:
        import resource
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted_count if hard == resource.RLIM_INFINITY else min(hard, wanted_count)
    if resource.RLIM_INFINITY != soft < most:
        # Whoever forbids it has a reason, and the number of clients will follow the limit.
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def reload_on_hangup(reactor: Any, reload: Callable[[], object]) -> None:
    """Have SIGHUP call this, in the reactor's thread, from when the reactor runs."""
    number = getattr(signal, "SIGHUP", None)
    if number is not None:
        reactor.callWhenRunning(signal.signal, number, lambda *_: reactor.callFromThread(reload))


def settle_memory() -> None:
    """Have the garbage collector leave alone what is there when a process has started, and look less often at the rest.

    A full collection visits every object that can be part of a cycle, and nothing else happens meanwhile. Modules and classes
    alone are a quarter of a million of them, of which none ever goes; while what a request leaves behind is freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS_COUNT, *gc.get_threshold()[1:])


def return_memory() -> None:
    """Have the memory of large messages and entries go back to the system when they are freed, where the C library is glibc.

    It begins so. But once one of them is freed it takes what is as large for ordinary, and puts it in between what stays: holes
    remain where the log has been.
    """
    if sys.platform.startswith("linux"):
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(_MMAP_THRESHOLD, _OWN_PAGES_BYTES)
            set_option(_TRIM_THRESHOLD, _FREE_BYTES)


def end_at_once(reason: str) -> NoReturn:
    """One line on stderr, if anybody reads it, and no more of this process: no handler, no flush, no other thread gets to run."""
    # twist puts its log in the place of sys.stderr, and the log has the reason already.
    stderr = sys.__stderr__
    if stderr is not None and has_room(stderr.fileno()):
        stderr.write(f"hraft: {reason}\n")
        stderr.flush()
    os._exit(1)
