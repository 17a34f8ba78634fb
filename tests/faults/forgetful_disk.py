"""A file system in memory that forgets what was not synced when the power goes: `python forgetful_disk.py MOUNTPOINT HOW SEED`.

Run as a process of its own (FUSE, by mfusepy). Making the directory `/power-cut` cuts the power: at this instant everything goes
back to what was synced, and from then on every call fails, so that nobody can save or promise anything. Removing it brings
the power back. Stricter than any real disk: data is durable after fsync or fdatasync of the file, a name only after fsync of
its directory. HOW is what becomes of the rest:

    none    nothing of it is there
    some    any write of it may be there or not, in any order, whole or torn; any change of a name likewise
"""

from __future__ import annotations

import errno
import os
import random
import stat
import sys
from dataclasses import dataclass, field
from typing import Any

import mfusepy

POWER_CUT = "/power-cut"
SECTOR_BYTES = 512


def lay(data: bytearray, offset: int, new: bytes) -> None:
    """Put bytes into a file, which grows if need be."""
    if len(data) < offset:
        data.extend(bytes(offset - len(data)))
    data[offset : offset + len(new)] = new


def resize(data: bytearray, size: int) -> None:
    """Cut a file off, or let it grow with zeros."""
    del data[size:]
    data.extend(bytes(size - len(data)))


@dataclass
class Content:
    """A file: what its readers see, what is durable of it, and the changes between, as (offset, data) or (new size, None)."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)

    def write(self, offset: int, new: bytes) -> None:
        lay(self.data, offset, new)
        self.changes.append((offset, new))

    def truncate(self, size: int) -> None:
        resize(self.data, size)
        self.changes.append((size, None))

    def sync(self) -> None:
        for offset, new in self.changes:
            if new is None:
                resize(self.durable, offset)
            else:
                lay(self.durable, offset, new)
        self.changes.clear()

    def forget(self, chance: random.Random | None) -> None:
        """Lose what was not synced; with `chance` only a part of it, sector by sector."""
        for offset, new in self.changes if chance is not None else ():
            assert chance is not None
            if new is None:
                if chance.random() < 0.5:
                    resize(self.durable, offset)
                continue
            for begin in range(0, len(new), SECTOR_BYTES):
                if chance.random() < 0.5:
                    lay(self.durable, offset + begin, new[begin : begin + SECTOR_BYTES])
        self.changes.clear()
        self.data = bytearray(self.durable)


@dataclass
class Folder:
    """A directory: its names now, those that are durable, and the names that changed since."""

    names: dict[str, Content | Folder] = field(default_factory=dict)
    durable: dict[str, Content | Folder] = field(default_factory=dict)

    def sync(self) -> None:
        self.durable = dict(self.names)

    def forget(self, chance: random.Random | None) -> None:
        """Lose what was not synced, here and below; with `chance` only a part of it."""
        for name in {*self.names, *self.durable}:
            if chance is not None and self.names.get(name) is not self.durable.get(name) and chance.random() < 0.5:
                _put(self.durable, name, self.names.get(name))
        self.names = dict(self.durable)
        for below in self.names.values():
            below.forget(chance)


def _put(names: dict[str, Content | Folder], name: str, what: Content | Folder | None) -> None:
    if what is None:
        names.pop(name, None)
    else:
        names[name] = what


class ForgetfulDisk(mfusepy.Operations):  # type: ignore[misc]
    """What the kernel asks, answered from memory. Called by one thread."""

    use_ns = True

    def __init__(self, chance: random.Random | None) -> None:
        self._chance = chance
        self._root = Folder()
        self._has_power = True
        self._open: dict[int, Content | Folder] = {}
        self._opened_count = 0

    def init_with_config(self, conn_info: Any, config_3: Any) -> None:
        """Let the kernel remember nothing, and take a removed file's handle for what it is."""
        config_3.entry_timeout = config_3.attr_timeout = config_3.negative_timeout = 0
        config_3.hard_remove = config_3.direct_io = config_3.nullpath_ok = 1

    # --- names -----------------------------------------------------------------------------------

    def _at(self, path: str | None) -> Content | Folder:
        found: Content | Folder | None = self._root
        for name in (path or "").strip("/").split("/"):
            if name:
                found = found.names.get(name) if isinstance(found, Folder) else None
        if found is None:
            raise mfusepy.FuseOSError(errno.ENOENT)
        return found

    def _folder(self, path: str) -> tuple[Folder, str]:
        self._check_power()
        above, _, name = path.rpartition("/")
        folder = self._at(above)
        assert isinstance(folder, Folder)
        return folder, name

    def _check_power(self) -> None:
        if not self._has_power:
            raise mfusepy.FuseOSError(errno.EIO)

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        if path == POWER_CUT and not self._has_power:
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        found = self._open[fh] if fh is not None and fh in self._open else self._at(path)
        if isinstance(found, Folder):
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": len(found.data)}

    def opendir(self, path: str) -> int:
        self._check_power()
        return self._handle(self._at(path))

    def readdir(self, path: str | None, fh: int) -> list[str]:
        self._check_power()
        folder = self._open[fh]
        assert isinstance(folder, Folder)
        return [".", "..", *folder.names]

    def releasedir(self, path: str | None, fh: int) -> int:
        return self.release(path, fh)

    def mkdir(self, path: str, mode: int) -> int:
        if path == POWER_CUT:
            self._has_power = False
            self._root.forget(self._chance)
            return 0
        folder, name = self._folder(path)
        folder.names[name] = Folder()
        return 0

    def rmdir(self, path: str) -> int:
        if path == POWER_CUT:
            self._has_power = True
            return 0
        folder, name = self._folder(path)
        del folder.names[name]
        return 0

    def rename(self, old: str, new: str) -> int:
        (old_folder, old_name), (new_folder, new_name) = self._folder(old), self._folder(new)
        new_folder.names[new_name] = old_folder.names.pop(old_name)
        return 0

    def unlink(self, path: str) -> int:
        folder, name = self._folder(path)
        del folder.names[name]
        return 0

    def fsyncdir(self, path: str | None, datasync: int, fh: int) -> int:
        self._check_power()
        folder = self._open[fh]
        assert isinstance(folder, Folder)
        folder.sync()
        return 0

    # --- files -----------------------------------------------------------------------------------

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        folder, name = self._folder(path)
        made = folder.names[name] = Content()
        return self._handle(made)

    def open(self, path: str, flags: int) -> int:
        self._check_power()
        found = self._at(path)
        assert isinstance(found, Content)
        if flags & os.O_TRUNC:
            found.truncate(0)
        return self._handle(found)

    def _handle(self, what: Content | Folder) -> int:
        self._opened_count += 1
        self._open[self._opened_count] = what
        return self._opened_count

    def _file(self, fh: int) -> Content:
        self._check_power()
        found = self._open[fh]
        assert isinstance(found, Content)
        return found

    def release(self, path: str | None, fh: int) -> int:
        self._open.pop(fh, None)
        return 0

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        return bytes(self._file(fh).data[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        self._file(fh).write(offset, data)
        return len(data)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        self._check_power()
        found = self._open[fh] if fh is not None and fh in self._open else self._at(path)
        assert isinstance(found, Content)
        found.truncate(length)
        return 0

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:
        self._file(fh).sync()
        return 0


if __name__ == "__main__":
    _, mountpoint, how, seed = sys.argv
    disk = ForgetfulDisk(random.Random(int(seed)) if how == "some" else None)
    mfusepy.FUSE(disk, mountpoint, foreground=True, nothreads=True, fsname="forgetful_disk")
