"""The few things that storage asks of a file system, and the real one.

All the rest of storage goes through `FileSystem`, so that tests and the simulator can put a disk in its place that loses,
tears and refuses what a real one may. Knows nothing of logs and snapshots. Everything raises OSError, as the system does.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import Protocol

from hraft.counting import DiskTally
from hraft.errors import StorageFailed
from hraft.interfaces import DiskUse


class File(Protocol):
    """An open file, read and written at given offsets."""

    @property
    def path(self) -> str: ...

    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes, or fewer at the end of the file only."""

    def write(self, offset: int, data: bytes | memoryview) -> int:
        """Write some of `data`, at least one byte, and return how many."""

    def truncate(self, size: int) -> None: ...

    def fdatasync(self) -> None: ...

    def fsync(self) -> None: ...

    def close(self) -> None: ...


class FileSystem(Protocol):
    """What storage needs of a file system. A name in a directory is durable only after `fsync_directory`."""

    def make_directory(self, path: str) -> None:
        """Make a directory for this user alone, unless it is there."""

    def listdir(self, path: str) -> list[str]: ...

    def create(self, path: str) -> File:
        """Open an empty file for this user alone, in place of one that may be there."""

    def open(self, path: str) -> File:
        """Open a file that is there."""

    def rename(self, old: str, new: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def fsync_directory(self, path: str) -> None: ...


class LocalFile:
    """A file of this machine."""

    def __init__(self, path: str, flags: int, tally: DiskTally | None = None) -> None:
        self.path = path
        self._tally = tally
        self._descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        # One read returns 2 GiB at most, and a file system may return less than it has.
        parts = []
        while length > 0 and (part := os.pread(self._descriptor, min(length, 1 << 30), offset)):
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, data: bytes | memoryview) -> int:
        if self._tally is None:
            return os.pwrite(self._descriptor, data, offset)
        try:
            count = os.pwrite(self._descriptor, data, offset)
        except OSError:
            self._tally.failed()
            raise
        self._tally.wrote(count)
        return count

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def fdatasync(self) -> None:
        if self._tally is None:
            _fdatasync(self._descriptor)
            return
        began_seconds = self._tally.seconds()
        try:
            _fdatasync(self._descriptor)
        except OSError:
            self._tally.failed()
            raise
        self._tally.synced(began_seconds)

    def fsync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        # Nothing rests on close: what matters was fsynced, and after an error the descriptor is gone all the same.
        with suppress(OSError):
            os.close(self._descriptor)
        self._descriptor = -1


#: macOS has none.
_fdatasync = getattr(os, "fdatasync", os.fsync)


class LocalFileSystem:
    """The file system of this machine. With a tally, what is written and synced is counted."""

    def __init__(self, tally: DiskTally | None = None) -> None:
        self._tally = tally

    def make_directory(self, path: str) -> None:
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)

    def listdir(self, path: str) -> list[str]:
        return sorted(os.listdir(path))

    def create(self, path: str) -> File:
        return LocalFile(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, self._tally)

    def open(self, path: str) -> File:
        return LocalFile(path, os.O_RDWR, self._tally)

    def rename(self, old: str, new: str) -> None:
        os.rename(old, new)

    def remove(self, path: str) -> None:
        os.remove(path)

    def fsync_directory(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_all(file: File, offset: int, data: bytes) -> None:
    """Write all of `data`, going on where a write was short."""
    written = file.write(offset, data)
    while written < len(data):
        count = file.write(offset + written, memoryview(data)[written:])
        if count <= 0:
            raise OSError(errno.EIO, "a write took none of its bytes", file.path)
        written += count


def sync(file: File) -> None:
    """Make a file's data durable. Raises StorageFailed for any error, a full disk among them: after a failed fsync the
    system may drop the pages and call the next one a success, so there is no second try."""
    try:
        file.fdatasync()
    except OSError as error:
        raise StorageFailed(f"{file.path}: fdatasync failed: {error}; what is on disk is unknown") from error


def sync_directory(file_system: FileSystem, path: str) -> None:
    """Make a directory's names durable. Raises StorageFailed as `sync` does."""
    try:
        file_system.fsync_directory(path)
    except OSError as error:
        raise StorageFailed(f"{path}: fsync of the directory failed: {error}; what is on disk is unknown") from error


def replace_file(file_system: FileSystem, directory: str, name: str, data: bytes) -> None:
    """Write a small file so that a crash leaves the old one or the new one, never none and never a part."""
    temporary = f"{directory}/{name}.writing"
    file = file_system.create(temporary)
    try:
        write_all(file, 0, data)
        sync(file)
    finally:
        file.close()
    file_system.rename(temporary, f"{directory}/{name}")
    sync_directory(file_system, directory)


def disk_use(path: str) -> DiskUse:
    """What the data directory `path` takes, and how much more this user may write there.

    Raises OSError where the file system does not say, as some in user space do not: no size at all is not a full disk.
    """
    found = os.statvfs(path)
    if found.f_blocks == 0:
        raise OSError(errno.ENOTSUP, "the file system does not say how large it is", path)
    log_bytes, snapshots_bytes = (_size_bytes(f"{path}/{name}") for name in ("log", "snapshots"))
    return DiskUse(found.f_bavail * found.f_frsize, log_bytes, snapshots_bytes)


def _size_bytes(directory: str) -> int:
    """Of all files. One may go while they are counted."""
    size_bytes = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                size_bytes += entry.stat().st_size
    return size_bytes


def is_full(error: OSError) -> bool:
    """Whether there was merely no room: the disk is sound, and the same call may succeed later."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
