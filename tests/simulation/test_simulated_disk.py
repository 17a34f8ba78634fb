"""The simulated disk: it must lose what a real one may, or all that is proved on it is worth nothing."""

from __future__ import annotations

import errno
from random import Random
from unittest import TestCase

from hraft.simulation.disk import Choose, SimulatedDisk


def worst_luck(low: int, high: int) -> int:
    return low


def best_luck(low: int, high: int) -> int:
    return high - 1


def middling_luck(low: int, high: int) -> int:
    return 1


class CrashTests(TestCase):
    def setUp(self) -> None:
        self.disk = SimulatedDisk("d")
        self.file = self.disk.create("d/file")
        self.file.write(0, b"old")
        self.file.fdatasync()

    def found(self, choose: Choose) -> dict[str, bytes]:
        return self.disk.after_crash(choose).contents()

    def test_names_need_a_directory_sync(self) -> None:
        """A synced file in an unsynced directory may have no name."""
        self.assertEqual({}, self.found(worst_luck))
        self.assertEqual({"d/file": b"old"}, self.found(best_luck))
        self.disk.fsync_directory("d")
        self.assertEqual({"d/file": b"old"}, self.found(worst_luck))

    def test_renames_and_removals(self) -> None:
        """A rename and a removal happen wholly or not at all, and surely only after the directory's sync."""
        self.disk.fsync_directory("d")
        self.disk.rename("d/file", "d/name")
        self.assertEqual({"d/file": b"old"}, self.found(worst_luck))
        self.assertEqual({"d/name": b"old"}, self.found(best_luck))
        self.disk.fsync_directory("d")
        self.disk.remove("d/name")
        self.assertEqual({"d/name": b"old"}, self.found(worst_luck))
        self.assertEqual({}, self.found(best_luck))
        self.disk.fsync_directory("d")
        self.assertEqual({}, self.found(worst_luck))

    def test_directories(self) -> None:
        """A directory is lost with all that is in it, until its parent is synced."""
        self.disk.make_directory("d/log")
        self.disk.make_directory("d/log")
        self.disk.create("d/log/a").fsync()
        self.disk.fsync_directory("d/log")
        self.assertEqual({}, self.found(worst_luck))
        self.disk.fsync_directory("d")
        self.assertEqual(["d/file", "d/log/a"], sorted(self.found(worst_luck)))

    def test_writes(self) -> None:
        """An unsynced write is lost, leaves zeros where the file grew, or is there; a synced one is there."""
        self.disk.fsync_directory("d")
        self.file.write(1, b"new!")
        self.assertEqual({"d/file": b"onew!"}, self.disk.contents())
        self.assertEqual(b"old", self.found(worst_luck)["d/file"])
        self.assertEqual(b"old\0\0", self.found(middling_luck)["d/file"])
        self.assertEqual(b"onew!", self.found(best_luck)["d/file"])
        self.file.fsync()
        self.assertEqual(b"onew!", self.found(worst_luck)["d/file"])

    def test_a_sync_that_failed(self) -> None:
        """A kernel drops what it could not write: the next sync succeeds, and has not written it (D1)."""
        self.disk.fsync_directory("d")
        self.file.write(0, b"new")

        def fault(operation: str, path: str) -> None:
            raise OSError(errno.EIO, "it failed")

        self.disk.fault = fault
        self.assertRaises(OSError, self.file.fdatasync)
        self.disk.fault = None
        self.assertEqual((b"old", b"new"), (self.found(worst_luck)["d/file"], self.found(best_luck)["d/file"]))
        self.file.write(3, b"er")
        self.file.fdatasync()
        self.assertEqual(b"newer", self.disk.contents()["d/file"])
        self.assertEqual(b"older", self.found(worst_luck)["d/file"])

    def test_sectors(self) -> None:
        """A large write is torn anywhere between sectors, in any order."""
        self.disk.fsync_directory("d")
        self.file.write(500, b"x" * 1500)
        seen = set()
        for seed in range(200):
            data = self.found(Random(seed).randrange)["d/file"]
            parts = data[500:512], data[512:1024], data[1024:1536], data[1536:2000]
            self.assertTrue(all(len(set(part)) <= 1 for part in parts), data)
            seen.add(tuple(b"x" in part for part in parts))
        self.assertEqual(16, len(seen))

    def test_truncations(self) -> None:
        """A truncation is a change like any other: it may be lost while a later write is not."""
        self.disk.fsync_directory("d")
        self.file.truncate(1)
        self.file.truncate(2)
        self.assertEqual((b"old", b"o\0"), (self.found(worst_luck)["d/file"], self.found(best_luck)["d/file"]))
        self.assertEqual(b"o\0", self.disk.contents()["d/file"])
        self.disk.create("d/file").write(0, b"N")
        self.assertEqual((b"old", b"N"), (self.found(worst_luck)["d/file"], self.found(best_luck)["d/file"]))

    def test_the_disk_before_the_crash_is_untouched(self) -> None:
        """Many outcomes can be tried from one crash, and life on one does not change another."""
        self.disk.fsync_directory("d")
        self.file.write(0, b"new")
        first = self.disk.after_crash(best_luck)
        first.open("d/file").write(0, b"1st")
        self.assertEqual(b"new", self.found(best_luck)["d/file"])
        self.assertEqual(b"new", first.after_crash(worst_luck).contents()["d/file"])


class RefusalTests(TestCase):
    def test_room(self) -> None:
        """A full disk takes what fits, then nothing; overwriting needs no room."""
        disk = SimulatedDisk("d")
        file = disk.create("d/file")
        disk.room_bytes = 5
        self.assertEqual(3, file.write(0, b"123"))
        self.assertEqual(2, file.write(3, b"456"))
        with self.assertRaises(OSError) as caught:
            file.write(5, b"6")
        self.assertEqual(errno.ENOSPC, caught.exception.errno)
        self.assertEqual(5, file.write(0, b"abcdef"))
        self.assertEqual({"d/file": b"abcde"}, disk.contents())

    def test_what_is_not_there(self) -> None:
        """Missing files and directories are refused as by the system."""
        disk = SimulatedDisk("d")
        for call in (
            lambda: disk.open("d/none"),
            lambda: disk.remove("d/none"),
            lambda: disk.rename("d/none", "d/some"),
            lambda: disk.listdir("e"),
            lambda: disk.create("e/file"),
        ):
            with self.assertRaises(FileNotFoundError):
                call()
        disk.make_directory("d/e")
        disk.create("d/file")
        with self.assertRaises(OSError):
            disk.rename("d/file", "d/e/file")
