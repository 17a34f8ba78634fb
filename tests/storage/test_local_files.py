"""The real file system under the real storage."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from unittest import TestCase
from unittest.mock import patch

from storage_samples import CLUSTER, STORY, essence, expected, lines, snapshot

from hraft import limits
from hraft.counting import DiskTally
from hraft.storage.durable import DurableStorage
from hraft.storage.files import LocalFileSystem, disk_use


class LocalTests(TestCase):
    def setUp(self) -> None:
        self.path = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.path)

    def started(self) -> DurableStorage:
        storage = DurableStorage(LocalFileSystem(), str(self.path), CLUSTER, segment_bytes=400)
        self.addCleanup(storage.close)
        return storage

    def test_the_story(self) -> None:
        """What holds on the simulated disk holds on a real one; every file is for its owner alone."""
        storage = self.started()
        storage.recover()
        for step in STORY:
            step(storage)
        storage.close()
        self.assertEqual(expected(len(STORY)), essence(self.started().recover()))
        for path in self.path.rglob("*"):
            self.assertEqual(0o700 if path.is_dir() else 0o600, stat.S_IMODE(path.stat().st_mode), path)

    def test_padding(self) -> None:
        """While a node runs its last segment has padding; a clean stop, and the beginning of the next segment, remove it."""
        storage = self.started()
        storage.recover()
        STORY[0](storage)
        (segment,) = self.path.glob("log/*")
        self.assertGreater(segment.stat().st_size, limits.SEGMENT_PADDING_BYTES)
        storage.close()
        self.assertEqual(2, segment.read_bytes().count(b"\n"))

    def test_no_descriptor_is_left(self) -> None:
        """Each file that is opened is closed, refusals included."""
        before = len(os.listdir("/dev/fd"))
        storage = DurableStorage(LocalFileSystem(), str(self.path), CLUSTER, segment_bytes=400)
        storage.recover()
        for step in STORY:
            step(storage)
        storage.write_snapshot(snapshot(52, 6), lines(52))
        with storage.read_snapshot(snapshot(52, 6)):
            pass
        storage.open_snapshot().close()
        storage.receive_snapshot(snapshot(60, 6)).abort()
        storage.close()
        self.assertEqual(before, len(os.listdir("/dev/fd")))

    def test_what_is_on_the_disk(self) -> None:
        """Both directories' files, and the room left; a file system without a size is no full disk, but one that is silent."""
        for name, size_bytes in (("log/a", 5), ("log/b", 7), ("snapshots/c", 11)):
            (self.path / name).parent.mkdir(exist_ok=True)
            (self.path / name).write_bytes(b"x" * size_bytes)
        use = disk_use(str(self.path))
        self.assertEqual((12, 11), (use.log_bytes, use.snapshots_bytes))
        self.assertGreater(use.free_bytes, 0)
        silent = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
        with patch("os.statvfs", return_value=silent), self.assertRaisesRegex(OSError, "does not say"):
            disk_use(str(self.path))

    def test_what_is_counted(self) -> None:
        """Bytes and syncs, by the clock given; and what the system refuses."""
        now = [0.0]
        tally = DiskTally(lambda: now[0])
        file = LocalFileSystem(tally).create(f"{self.path}/file")
        file.write(0, b"12345")
        with patch("hraft.storage.files._fdatasync", lambda descriptor: now.append(now.pop() + 0.02)):
            file.fdatasync()
        self.assertEqual((5, 1, 0.02, 0), (tally.written_bytes, tally.syncs.count, tally.syncs.sum, tally.errors_count))
        with patch("os.pwrite", side_effect=OSError(28, "full")), self.assertRaises(OSError):
            file.write(5, b"6")
        self.assertEqual((5, 1), (tally.written_bytes, tally.errors_count))
        file.close()

    def test_files(self) -> None:
        """Reads stop at the end of the file, and at nothing else."""
        file_system = LocalFileSystem()
        file = file_system.create(f"{self.path}/file")
        file.write(0, b"0123456789")
        self.assertEqual((b"345", b"89", b"", 10), (file.read(3, 3), file.read(8, 9), file.read(10, 1), file.size()))
        file.fsync()
        file.truncate(4)
        file.close()
        file.close()
        file = file_system.open(f"{self.path}/file")
        self.assertEqual(b"0123", file.read(0, 100))
        file.close()
        with self.assertRaises(FileNotFoundError):
            file_system.fsync_directory(f"{self.path}/none")
