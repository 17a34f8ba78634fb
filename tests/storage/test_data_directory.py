"""The data directory: made, locked, and marked with whose it is."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import TestCase
from zlib import crc32

import pytest
from storage_samples import FaultAt, disk_with, lucks

from hraft.errors import DirectoryUnusable, FormatUnknown, LogCorrupted, StorageFailed
from hraft.simulation.disk import PowerCut, SimulatedDisk
from hraft.storage.directory import DataDirectory, Identity, read_identity, write_identity

WHO = Identity("cluster-a", 'node"0')


class DirectoryTests(TestCase):
    def setUp(self) -> None:
        parent = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, parent)
        self.path = Path(parent) / "data"

    def opened(self, node_id: str | None = None) -> DataDirectory:
        directory = DataDirectory(str(self.path))
        directory.open(node_id)
        self.addCleanup(directory.close)
        return directory

    def mode(self, *names: str) -> int:
        return stat.S_IMODE(os.stat(self.path.joinpath(*names)).st_mode)

    @pytest.mark.scenario("M12")
    def test_that_it_was_removed_is_remembered(self) -> None:
        """In the next life, too; and a file that does not read is as none, since the others will tell again."""
        directory = self.opened()
        self.assertIsNone(directory.removed_index)
        directory.remember(WHO)
        directory.remember_removal(17)
        directory.close()
        self.assertEqual(17, self.opened().removed_index)
        (self.path / "removed.json").write_bytes(b'{"removed_index":')
        self.assertIsNone(directory.removed_index)

    def test_made_and_remembered(self) -> None:
        """The directory is for its owner alone, and a restart finds whose it is."""
        directory = self.opened("anybody")
        self.assertEqual((None, 0o700, 0o600), (directory.identity, self.mode(), self.mode("lock")))
        directory.remember(WHO)
        directory.remember(WHO)
        self.assertEqual((WHO, 0o600), (directory.identity, self.mode("node.json")))
        directory.close()
        directory.close()
        self.assertEqual(WHO, self.opened(WHO.node_id).identity)

    def test_another_node(self) -> None:
        """Data of one node are never used under another's id; the message names both."""
        directory = self.opened()
        directory.remember(WHO)
        with self.assertRaisesRegex(DirectoryUnusable, "node\"0.*cannot become.*'node1'"):
            directory.remember(Identity("cluster-a", "node1"))
        directory.close()
        with self.assertRaisesRegex(DirectoryUnusable, "holds the data of node 'node\"0', not of 'node1'"):
            self.opened("node1")
        # Refused is not held.
        self.opened(WHO.node_id)

    @pytest.mark.scenario("D22")
    def test_two_at_once(self) -> None:
        """A second user of the directory is refused with its path; it is free when the first is gone, also by kill -9."""
        first = self.opened()
        with self.assertRaisesRegex(DirectoryUnusable, f"{self.path} is in use by another process"):
            self.opened()
        first.close()
        program = (
            "import sys; from hraft.storage.directory import DataDirectory\n"
            "directory = DataDirectory(sys.argv[1]); directory.open(); print('open', flush=True); sys.stdin.read()"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
        )
        with process:
            self.assertEqual(b"open\n", process.stdout.readline())  # type: ignore[union-attr]
            with self.assertRaisesRegex(DirectoryUnusable, "in use"):
                self.opened()
            process.kill()
        self.opened()

    def test_unusable(self) -> None:
        """What cannot be a data directory is refused in words that name it."""
        self.path.write_text("")
        with self.assertRaisesRegex(DirectoryUnusable, f"{self.path} is not a directory"):
            self.opened()
        self.path.unlink()
        self.path.mkdir()
        (self.path / "lock").mkdir()
        with self.assertRaisesRegex(DirectoryUnusable, f"{self.path} cannot be used as a data directory"):
            self.opened()

    @pytest.mark.scenario("D19")
    def test_log_without_identity(self) -> None:
        """A log that belongs to nobody known is not adopted."""
        (self.path / "log").mkdir(parents=True)
        self.opened().close()
        (self.path / "log" / "1.jsonl").write_text("")
        with self.assertRaisesRegex(DirectoryUnusable, r"has a log, but no node\.json"):
            self.opened()

    def test_damaged_identity(self) -> None:
        """A damaged node.json is refused, and the lock given back."""
        directory = self.opened()
        directory.remember(WHO)
        directory.close()
        (self.path / "node.json").write_bytes(b"{}")
        for _ in range(2):
            with self.assertRaisesRegex(LogCorrupted, r"node\.json is damaged"):
                self.opened()


class IdentityTests(TestCase):
    def file(self) -> bytes:
        disk = SimulatedDisk()
        write_identity(disk, "node", WHO)
        return disk.contents()["node/node.json"]

    def test_bytes(self) -> None:
        """The bytes of docs/disk-format.md, so that no change of the code changes the format unnoticed."""
        self.assertEqual(b'{"format":1,"cluster_id":"cluster-a","node_id":"node\\"0","crc":"f7133038"}\n', self.file())

    @pytest.mark.scenario("D8", "D21")
    def test_every_bit_and_cut(self) -> None:
        """No flipped bit, and no cut, makes another identity of it."""
        data = self.file()
        flips = []
        for bit in range(len(data) * 8):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            flips.append(bytes(flipped))
        for damaged in (*flips, *(data[:cut] for cut in range(len(data))), data + b"\n", data + data):
            with self.assertRaises((LogCorrupted, FormatUnknown), msg=repr(damaged)):
                read_identity(disk_with({"node/node.json": damaged}), "node")

    def test_a_name_that_cannot_be_read(self) -> None:
        """Edited by somebody who knew how to make the checksum: refused like any other damage, and not by a traceback."""
        for name in (rb"\u12", rb"\x", b"\xff", rb"\ud800", b"\x01"):
            head = b'{"format":1,"cluster_id":"c","node_id":"%b"' % name
            with self.assertRaisesRegex(LogCorrupted, r"node\.json", msg=repr(name)):
                read_identity(disk_with({"node/node.json": b'%b,"crc":"%08x"}\n' % (head, crc32(head))}), "node")

    @pytest.mark.scenario("D21")
    def test_another_format(self) -> None:
        """A directory of a newer hraft is refused with both formats."""
        with self.assertRaisesRegex(FormatUnknown, "of format 2, this hraft reads format 1"):
            read_identity(disk_with({"node/node.json": b'{"format":2,"name":"new"}\n'}), "node")

    @pytest.mark.scenario("D12")
    def test_every_crash(self) -> None:
        """A crash at any operation leaves the old identity, none if there was none, or the new: never a part."""
        old = Identity("cluster-a", "old")
        for before in (None, old):
            acknowledged = False
            number = 0
            while not acknowledged:
                number += 1
                disk = SimulatedDisk()
                if before is not None:
                    write_identity(disk, "node", before)
                disk.fault = FaultAt(number)
                try:
                    write_identity(disk, "node", WHO)
                    acknowledged = True
                except PowerCut:
                    pass
                for choose in lucks(seeds=10):
                    found = read_identity(disk.after_crash(choose), "node")
                    self.assertIn(found, (WHO,) if acknowledged else (before, WHO))
            self.assertEqual(6, number)

    @pytest.mark.scenario("D1")
    def test_failed_sync(self) -> None:
        """A directory that cannot be synced is a failure, not an identity."""
        disk = SimulatedDisk(fault=FaultAt(5, problem=5))
        with self.assertRaisesRegex(StorageFailed, "fsync of the directory"):
            write_identity(disk, "node", WHO)
