"""Disks of a test's own: one that is small, one that loses its power. Both gone at the end of `with`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import wait_until


def unmount(folder: Path) -> None:
    """Lazily, since a process that was just killed may still be leaving."""
    subprocess.run(["umount", "-l", str(folder)], check=True)


@dataclass(frozen=True)
class SmallDisk:
    """A tmpfs."""

    folder: Path

    def fill(self, left_bytes: int = 0) -> None:
        """Take all the room but so much, as somebody else's file does."""
        with (self.folder / "other").open("ab") as other:
            free = os.statvfs(self.folder)
            try:
                other.write(bytes(max(0, free.f_bavail * free.f_frsize - left_bytes)))
            except OSError:
                pass

    def make_room(self) -> None:
        """Remove what `fill` wrote."""
        (self.folder / "other").unlink()


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """A disk of that size."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        unmount(folder)


@dataclass(frozen=True)
class ForgetfulMount:
    """A running `forgetful_disk`."""

    folder: Path

    def cut_power(self) -> None:
        """Forget what was not synced, and fail everything from now on."""
        (self.folder / "power-cut").mkdir()

    def bring_power_back(self) -> None:
        """Serve what was synced."""
        (self.folder / "power-cut").rmdir()


@contextmanager
def forgetful_disk(folder: Path, how: str, seed: int) -> Iterator[ForgetfulMount]:
    """A disk whose power can be cut; `how` as `forgetful_disk.py` says."""
    folder.mkdir()
    program = Path(__file__).with_name("forgetful_disk.py")
    process = subprocess.Popen([sys.executable, str(program), str(folder), how, str(seed)], stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.ismount(folder) or process.poll() is not None, "the forgetful disk is mounted")
        assert process.poll() is None, "the forgetful disk could not be mounted"
        yield ForgetfulMount(folder)
    finally:
        if os.path.ismount(folder):
            unmount(folder)
        process.kill()
        process.wait()
