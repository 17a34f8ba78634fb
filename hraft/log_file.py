"""The file of a log that nobody may be reading: a pipe that is full, a terminal that somebody has stopped.

Knows neither nodes nor what is logged.
"""

from __future__ import annotations

import io
import os
import select
from collections import deque
from threading import RLock
from typing import Any

from hraft.limits import LOG_BACKLOG_LINES_COUNT


class UnhurriedFile(io.TextIOBase):
    """A text file that never waits for its reader (O7): Twisted writes its log in the reactor's thread, where it would stop Raft.

    Lines that find no room are kept, up to a limit, until a later line finds some; what comes above it is lost and counted.
    """

    def __init__(self, file: Any) -> None:
        self._descriptor: int = file.fileno()
        self._kept: deque[bytes] = deque()
        self._lost_count = 0
        self._lock = RLock()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, text: str) -> int:
        """Takes all of it, at once."""
        with self._lock:
            if len(self._kept) < LOG_BACKLOG_LINES_COUNT:
                self._kept.append(text.encode("utf-8", "backslashreplace"))
            else:
                self._lost_count += 1
            self._write_what_has_room()
        return len(text)

    def _write_what_has_room(self) -> None:
        while self._kept and has_room(self._descriptor):
            line = self._kept.popleft()
            written_count = os.write(self._descriptor, line[: select.PIPE_BUF])
            if written_count < len(line):
                self._kept.appendleft(line[written_count:])
            elif not self._kept and self._lost_count:
                self._kept.append(b"hraft: %d lines of this log are lost, since nobody read it\n" % self._lost_count)
                self._lost_count = 0


def has_room(descriptor: int) -> bool:
    """Whether PIPE_BUF bytes can be written there without waiting. A reader that is gone counts: the write then says so."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))
