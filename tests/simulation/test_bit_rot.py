"""The judge of damaged disks: it finds storage that takes damage for good data, and nothing in storage that does not."""

from __future__ import annotations

from random import Random
from unittest import TestCase
from unittest.mock import patch

from hraft.raft.entry import Entry, EntryKind, HardState
from hraft.raft.ready import Save
from hraft.simulation.bit_rot import look_at_damage
from hraft.simulation.disk import SimulatedDisk
from hraft.simulation.story import Violation
from hraft.storage.durable import DurableStorage

SEEDS_COUNT = 60


def written() -> SimulatedDisk:
    """A disk with a log of many batches and of some segments."""
    disk = SimulatedDisk("d")
    storage = DurableStorage(disk, "d", "c", segment_bytes=500, padding_bytes=0)
    storage.recover()
    for index in range(1, 25):
        storage.save(Save(index, HardState(1, "a"), entries=(Entry(index, 1, EntryKind.COMMAND, b'"%080d"' % index),)))
    storage.close()
    return disk


class BitRotTests(TestCase):
    def setUp(self) -> None:
        self.disk = written()

    def look(self) -> None:
        for seed in range(SEEDS_COUNT):
            look_at_damage(self.disk, "c", Random(seed))

    def test_an_empty_disk(self) -> None:
        """Of a node that was never fed: there is nothing to damage."""
        self.disk = SimulatedDisk("d")
        self.look()

    def test_hraft_refuses_damage(self) -> None:
        """Any bit flipped, any file of the log gone; and the disk itself is not touched."""
        before = self.disk.contents()
        self.look()
        self.assertEqual(before, self.disk.contents())

    def test_a_checksum_that_is_not_looked_at(self) -> None:
        """A flipped bit that passes for data is noticed, since a sound start has other entries."""
        with patch("hraft.storage.batch.crc32", return_value=0):
            self.disk = written()
            self.assertRaisesRegex(Violation, "damage is never taken for good data", self.look)

    def test_damage_that_is_cut_off(self) -> None:
        """What was acknowledged is gone without a word."""
        with patch("hraft.storage.log_reader.find_other_header", return_value=None):
            self.assertRaisesRegex(Violation, "damage is never taken for good data", self.look)

    def test_a_disk_that_cannot_be_read(self) -> None:
        """A log that is refused though nothing was done to it."""
        path = next(path for path in self.disk.contents() if "/log/" in path)
        self.disk.put(path, b"junk")
        self.assertRaisesRegex(Violation, "what a crash leaves can be read", self.look)
