"""A disk in memory that does what a real one may: lose, tear and reorder what was not synced, fill up, fail.

It keeps two states of every file and directory: what a process sees, and what is surely on the medium. `after_crash` makes
a disk of the latter and of as much of the rest as the caller's choice lets survive. Knows nothing of what is stored.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from posixpath import dirname
from typing import TypeAlias

#: A torn write is torn at multiples of this.
SECTOR_BYTES = 512

#: choose(low, high): a number from low to high - 1. Here 0 is always the worst luck, high - 1 the best.
Choose: TypeAlias = Callable[[int, int], int]
#: Called with the operation's name and path before it is done; raises OSError or PowerCut to have it fail.
Fault: TypeAlias = Callable[[str, str], None]


class PowerCut(Exception):
    """The power is gone: nothing is done any more, not even tidying up."""


@dataclass(slots=True)
class _Inode:
    """A file: as seen, as synced, and the changes between, oldest first: (offset, bytes), or (size, None) for a truncation."""

    seen: bytearray = field(default_factory=bytearray)
    synced: bytearray = field(default_factory=bytearray)
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)
    #: So many of the changes were to be synced when that failed: no later sync will write them, though a crash may find them.
    failed_count: int = 0

    def change(self, offset: int, data: bytes | None) -> None:
        _apply(self.seen, offset, data)
        self.changes.append((offset, data))

    def sync(self) -> None:
        for offset, data in self.changes[self.failed_count :]:
            _apply(self.synced, offset, data)
        self.changes.clear()
        self.failed_count = 0

    def sync_failed(self) -> None:
        """As a kernel does: what could not be written counts as written from now on."""
        self.failed_count = len(self.changes)

    def survivor(self, choose: Choose) -> bytearray:
        """What is found after a crash. Of each sector written, one of: lost, lost but the file grew, there."""
        found = bytearray(self.synced)
        for offset, data in self.changes:
            if data is None:
                if choose(0, 2):
                    _apply(found, offset, None)
                continue
            for start, part in _sectors(offset, data):
                luck = choose(0, 3)
                if luck == 2:
                    _apply(found, start, part)
                elif luck == 1 and start + len(part) > len(found):
                    found.extend(bytes(start + len(part) - len(found)))
        return found


@dataclass(slots=True)
class _Directory:
    """The names in a directory: as seen, as synced, and the changes between: each gives names a new meaning, None for gone."""

    seen: dict[str, _Inode] = field(default_factory=dict)
    synced: dict[str, _Inode] = field(default_factory=dict)
    changes: list[dict[str, _Inode | None]] = field(default_factory=list)
    #: Whether the parent's sync has made this directory durable.
    is_durable: bool = False

    def change(self, names: dict[str, _Inode | None]) -> None:
        _rename(self.seen, names)
        self.changes.append(names)

    def sync(self) -> None:
        for names in self.changes:
            _rename(self.synced, names)
        self.changes.clear()

    def survivor(self, choose: Choose) -> dict[str, _Inode]:
        found = dict(self.synced)
        for names in self.changes:
            if choose(0, 2):
                _rename(found, names)
        return found


class SimulatedDisk:
    """A `hraft.storage.files.FileSystem`. The directory `root` is there from the beginning."""

    def __init__(self, root: str = "node", fault: Fault | None = None) -> None:
        self.root = root
        self.fault = fault
        #: It has failed whoever uses it, who must therefore stop. What is found after that crash is a disk that is well.
        self.has_failed = False
        #: How many bytes all files together may have; None: as many as they like.
        self.room_bytes: int | None = None
        self._directories = {root: _Directory(is_durable=True)}

    # --- what storage asks for -------------------------------------------------------------------

    def make_directory(self, path: str) -> None:
        self._begin("make_directory", path)
        self._directory(dirname(path))
        self._directories.setdefault(path, _Directory())

    def listdir(self, path: str) -> list[str]:
        self._begin("listdir", path)
        return sorted(self._directory(path).seen)

    def create(self, path: str) -> SimulatedFile:
        self._begin("create", path)
        directory = self._directory(dirname(path))
        inode = directory.seen.get(path.rpartition("/")[2])
        if inode is None:
            inode = _Inode()
            directory.change({path.rpartition("/")[2]: inode})
        else:
            inode.change(0, None)
        return SimulatedFile(self, path, inode)

    def open(self, path: str) -> SimulatedFile:
        self._begin("open", path)
        return SimulatedFile(self, path, self._inode(path))

    def rename(self, old: str, new: str) -> None:
        self._begin("rename", new)
        if dirname(old) != dirname(new):
            raise OSError(errno.EXDEV, "renaming between directories is not simulated", new)
        inode = self._inode(old)
        self._directory(dirname(old)).change({old.rpartition("/")[2]: None, new.rpartition("/")[2]: inode})

    def remove(self, path: str) -> None:
        self._begin("remove", path)
        self._inode(path)
        self._directory(dirname(path)).change({path.rpartition("/")[2]: None})

    def fsync_directory(self, path: str) -> None:
        self._begin("fsync_directory", path)
        self._directory(path).sync()
        for name, directory in self._directories.items():
            if dirname(name) == path:
                directory.is_durable = True

    # --- what tests and the simulator ask for ----------------------------------------------------

    def after_crash(self, choose: Choose) -> SimulatedDisk:
        """Return the disk as it is found when the power comes back; this one stays as it was, for other luck to be tried."""
        found = SimulatedDisk(self.root)
        survivors: dict[int, _Inode] = {}
        for path, directory in sorted(self._directories.items()):
            if not directory.is_durable and not choose(0, 2):
                continue
            names = {}
            for name, inode in sorted(directory.survivor(choose).items()):
                if id(inode) not in survivors:
                    content = inode.survivor(choose)
                    survivors[id(inode)] = _Inode(bytearray(content), content)
                names[name] = survivors[id(inode)]
            found._directories[path] = _Directory(dict(names), names, is_durable=True)
        return found

    def contents(self) -> dict[str, bytes]:
        """Every file as a process sees it."""
        return {
            f"{path}/{name}": bytes(inode.seen)
            for path, directory in sorted(self._directories.items())
            for name, inode in sorted(directory.seen.items())
        }

    def put(self, path: str, data: bytes) -> None:
        """Have a file with these bytes, durably: for damage on purpose."""
        directory = self._directories.setdefault(dirname(path), _Directory(is_durable=True))
        directory.change({path.rpartition("/")[2]: _Inode(bytearray(data), bytearray(data))})
        directory.sync()

    def _begin(self, operation: str, path: str) -> None:
        if self.fault is not None:
            self.fault(operation, path)

    def _directory(self, path: str) -> _Directory:
        if path not in self._directories:
            raise FileNotFoundError(errno.ENOENT, "no such directory", path)
        return self._directories[path]

    def _inode(self, path: str) -> _Inode:
        inode = self._directory(dirname(path)).seen.get(path.rpartition("/")[2])
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", path)
        return inode

    def _room_for(self, inode: _Inode, end: int) -> int:
        """How far beyond its present size a file may grow, at most to `end`."""
        growth = max(0, end - len(inode.seen))
        if self.room_bytes is None:
            return growth
        used = sum(len(inode.seen) for directory in self._directories.values() for inode in directory.seen.values())
        return min(growth, max(0, self.room_bytes - used))


class SimulatedFile:
    """An open file of a SimulatedDisk (`hraft.storage.files.File`)."""

    def __init__(self, disk: SimulatedDisk, path: str, inode: _Inode) -> None:
        self.path = path
        self._disk = disk
        self._inode = inode

    def size(self) -> int:
        return len(self._inode.seen)

    def read(self, offset: int, length: int) -> bytes:
        self._disk._begin("read", self.path)
        return bytes(self._inode.seen[offset : offset + length])

    def write(self, offset: int, data: bytes | memoryview) -> int:
        self._disk._begin("write", self.path)
        end = min(offset + len(data), len(self._inode.seen) + self._disk._room_for(self._inode, offset + len(data)))
        if data and end <= offset:
            raise OSError(errno.ENOSPC, "no room on the simulated disk", self.path)
        self._inode.change(offset, bytes(data[: end - offset]))
        return end - offset

    def truncate(self, size: int) -> None:
        self._disk._begin("truncate", self.path)
        self._inode.change(size, None)

    def fdatasync(self) -> None:
        self._sync("fdatasync")

    def fsync(self) -> None:
        self._sync("fsync")

    def _sync(self, operation: str) -> None:
        try:
            self._disk._begin(operation, self.path)
        except OSError:
            self._inode.sync_failed()
            raise
        self._inode.sync()

    def close(self) -> None:
        """Closing makes nothing durable."""


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


def _rename(names: dict[str, _Inode], changes: dict[str, _Inode | None]) -> None:
    for name, inode in changes.items():
        if inode is None:
            names.pop(name, None)
        else:
            names[name] = inode


def _sectors(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut a write where the medium may."""
    start = offset
    while start < offset + len(data):
        end = min(offset + len(data), (start // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield start, data[start - offset : end - offset]
        start = end
