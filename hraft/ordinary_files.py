"""Reading a small file that an operator has named: whole, bounded, and without waiting for anybody to write it.

Knows nothing of what is in it.
"""

from __future__ import annotations

import errno
import os
import stat


def read_ordinary(path: str, most_bytes: int) -> tuple[bytes, os.stat_result]:
    """At most so many bytes and one, by which a caller sees that there are more; and whose file it is. Raises OSError, also for
    what is no ordinary file: a pipe would hold up the node until somebody writes it, and could not be read again."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", closefd=True) as file:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is a pipe, a socket or a device, and must be an ordinary file")
        return file.read(most_bytes + 1), found


def is_anothers(owner: int) -> bool:
    """Whether a file's owner is neither root nor whoever this process runs as: then that user may change it at any time."""
    return owner not in (0, os.geteuid())
