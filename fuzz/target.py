"""One fuzz target, and one run of it: what is promised, and how a broken promise is told.

Knows no target, and nothing of where inputs come from.
"""

from __future__ import annotations

import resource
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

#: Of processor time, so that a busy machine makes no findings.
RUN_SECONDS = 1.0
RUN_BYTES = 64 * 1024 * 1024


class Broken(Exception):
    """A promise was broken. The message ends with the command that repeats it."""


@dataclass(frozen=True, slots=True)
class Target:
    """`run` is given any bytes, and raises whatever it likes where they break a promise. `samples` are valid inputs."""

    name: str
    fed: str
    run: Callable[[bytes], None]
    samples: Callable[[], list[bytes]]

    def check(self, data: bytes) -> float:
        """One run; returns its seconds. Raises Broken. Where tracemalloc is on, it tells what memory was used."""
        is_traced = tracemalloc.is_tracing()
        if is_traced:
            tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0] if is_traced else _peak_bytes()
        begun = time.process_time()
        try:
            self.run(data)
        except Exception as error:
            raise self._broken(data, f"{type(error).__name__}: {error}") from error
        seconds = time.process_time() - begun
        grown = (tracemalloc.get_traced_memory()[1] if is_traced else _peak_bytes()) - before
        if seconds > RUN_SECONDS:
            raise self._broken(data, f"took {seconds:.2f} s of processor time, and may take {RUN_SECONDS:g}")
        if grown > RUN_BYTES:
            raise self._broken(data, f"took {grown >> 20} MiB, and may take {RUN_BYTES >> 20}")
        return seconds

    def _broken(self, data: bytes, reason: str) -> Broken:
        return Broken(f"{self.name}: {reason:.2000}\npython -m fuzz --target {self.name} --input {data.hex() or '-'}")


def expect(holds: object, promise: str) -> None:
    """Raise AssertionError, also where Python runs without assertions."""
    if not holds:
        raise AssertionError(promise)


def same(expected: object, actual: object, what: str) -> None:
    """Raise AssertionError unless both are equal."""
    if expected != actual:
        raise AssertionError(f"{what}: expected {expected!r:.500}, got {actual!r:.500}")


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
