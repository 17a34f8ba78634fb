"""A data directory held by a tool instead of a node, and a file system that cannot change what is in it.

Knows nothing of logs and snapshots.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from hraft.errors import DirectoryUnusable, in_words
from hraft.storage.files import File, LocalFile, LocalFileSystem


class ReadOnlyFileSystem(LocalFileSystem):
    """This machine's, for looking only: whatever would change something is an OSError. Works on media that are read-only."""

    def open(self, path: str) -> File:
        return LocalFile(path, os.O_RDONLY)

    def make_directory(self, path: str) -> NoReturn:
        raise _refused(path)

    def create(self, path: str) -> NoReturn:
        raise _refused(path)

    def rename(self, old: str, new: str) -> NoReturn:
        raise _refused(old)

    def remove(self, path: str) -> NoReturn:
        raise _refused(path)


def _refused(path: str) -> OSError:
    return OSError(errno.EROFS, "this is only looked at", path)


@contextmanager
def held(directory: str, to_change: bool = False) -> Iterator[str]:
    """Keep nodes off a directory that is there, and yield its whole path. Only what is `to_change` gets a lock file where there
    is none: without one, no node runs. Raises DirectoryUnusable.
    """
    path = os.path.abspath(os.path.expanduser(directory))
    if not os.path.isdir(path):
        raise DirectoryUnusable(f"{path} is not a directory; name a node's data directory")
    lock = _locked(path, to_change)
    try:
        yield path
    finally:
        if lock is not None:
            os.close(lock)


def _locked(path: str, to_change: bool) -> int | None:
    flags = os.O_CREAT | os.O_RDWR if to_change else os.O_RDONLY
    try:
        lock = os.open(f"{path}/lock", flags | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DirectoryUnusable(f"{path} cannot be used: {in_words(error)}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise DirectoryUnusable(f"{path} is in use by another process: stop the node that runs on it first") from error
    return lock
