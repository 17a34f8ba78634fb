"""Damaged snapshots: passed over when the log reaches back to what comes before, refused when it does not, never believed."""

from __future__ import annotations

from unittest import TestCase
from zlib import crc32

import pytest
from storage_samples import (
    CLUSTER,
    disk_with,
    durable,
    entries,
    essence,
    lines,
    receives,
    recovered,
    save,
    snapshot,
    worst_luck,
)

from hraft import limits
from hraft.errors import FormatUnknown, LogCorrupted
from hraft.raft.entry import HardState
from hraft.raft.ready import Install
from hraft.simulation.disk import SimulatedDisk
from hraft.storage.durable import DurableStorage
from hraft.storage.snapshot_file import encode

OLDER = "node/snapshots/00000000000000000004-00000000000000000001.jsonl"
NEWER = "node/snapshots/00000000000000000008-00000000000000000001.jsonl"


def built(*indexes: int, compact: bool = False) -> dict[str, bytes]:
    """A log of twelve entries with snapshots; compacted up to the newest."""
    disk = SimulatedDisk()
    storage = durable(disk, segment_bytes=1, padding_bytes=0)
    storage.recover()
    for index in range(1, 13):
        storage.save(save(HardState(1, "n1"), *entries(index, index, 1)))
    for index in indexes:
        storage.write_snapshot(snapshot(index, 1), lines(index))
    if compact:
        storage.compact(indexes[-1] + 1)
    return disk.contents()


class FlipTests(TestCase):
    def outcomes(self, files: dict[str, bytes], name: str) -> dict[str, int]:
        """Flip every bit of one file; count what a start makes of it."""
        counts: dict[str, int] = {}
        for bit in range(len(files[name]) * 8):
            flipped = bytearray(files[name])
            flipped[bit // 8] ^= 1 << bit % 8
            disk = disk_with({**files, name: bytes(flipped)})
            try:
                found = recovered(disk)
            except (LogCorrupted, FormatUnknown) as error:
                outcome = type(error).__name__
            else:
                outcome = f"snapshot {found.snapshot.index if found.snapshot else 0}, {len(found.notes)} notes"
                self.assertEqual(12, essence(found)[3])
                self.assertEqual(bytes(flipped), disk.contents().get(f"{name}.damaged", flipped))
            counts[outcome] = counts.get(outcome, 0) + 1
        return counts

    @pytest.mark.scenario("D8", "S1")
    def test_every_bit_of_the_newest(self) -> None:
        """A damaged newest snapshot gives way to the one before it, since the log reaches back to that; the start says so."""
        counts = self.outcomes(built(4, 8), NEWER)
        self.assertEqual({"snapshot 4, 1 notes", "FormatUnknown"}, set(counts))
        self.assertLess(counts["FormatUnknown"], 8)

    @pytest.mark.scenario("D8", "S1", "S3")
    def test_every_bit_when_the_log_is_compacted(self) -> None:
        """When the log does not reach back, damage is refused, even though an older snapshot is there."""
        self.assertEqual({"LogCorrupted", "FormatUnknown"}, set(self.outcomes(built(4, 8, compact=True), NEWER)))

    @pytest.mark.scenario("D8", "S1")
    def test_every_bit_of_the_only_one(self) -> None:
        """A whole log needs no snapshot at all."""
        self.assertEqual({"snapshot 0, 1 notes", "FormatUnknown"}, set(self.outcomes(built(8), NEWER)))

    @pytest.mark.scenario("D8")
    def test_damage_after_the_start(self) -> None:
        """The lines are verified once more as they are read, long after the start that found them sound."""
        for position in (20, 160, -5):
            disk = disk_with(built(4, 8))
            storage = durable(disk)
            storage.recover()
            data = bytearray(disk.contents()[NEWER])
            data[position] ^= 1
            disk.put(NEWER, bytes(data))
            with (
                self.subTest(position=position),
                self.assertRaises(LogCorrupted),
                storage.read_snapshot(snapshot(8, 1)) as found,
            ):
                list(found)


class ChoiceTests(TestCase):
    @pytest.mark.scenario("S1", "D4")
    def test_every_cut(self) -> None:
        """A part of a file under a snapshot's name, empty ones too, is never chosen."""
        files = built(4, 8)
        for cut in range(len(files[NEWER])):
            disk = disk_with({**files, NEWER: files[NEWER][:cut]})
            found = recovered(disk)
            self.assertEqual((snapshot(4, 1), 1), (found.snapshot, len(found.notes)), f"cut at {cut}")
            self.assertIn("the log reaches back", found.notes[0])
            # Told of once: it is out of the way now.
            self.assertEqual((snapshot(4, 1), ()), (recovered(disk).snapshot, recovered(disk).notes))

    @pytest.mark.scenario("S1")
    def test_temporaries(self) -> None:
        """What an interrupted writer left is removed at start; other files are let be."""
        files = built(4)
        left = {f"{OLDER}.writing": b"{", f"{NEWER}.receiving-3": files[OLDER], "node/snapshots/README": b"hello"}
        disk = disk_with({**files, **left})
        self.assertEqual(snapshot(4, 1), recovered(disk).snapshot)
        self.assertEqual({**files, "node/snapshots/README": b"hello"}, disk.contents())

    def test_another_name_or_cluster(self) -> None:
        """A sound file under another snapshot's name, or of another cluster, is not what it seems."""
        files = built(4)
        for data, message in (
            (files[OLDER], "holds the snapshot 0+4-0+1.jsonl"),
            (b"".join(encode(snapshot(8, 1), "cluster-b", [])), "belongs to the cluster 'cluster-b', not to 'cluster-a'"),
        ):
            found = recovered(disk_with({**files, NEWER: data}))
            self.assertEqual(snapshot(4, 1), found.snapshot)
            self.assertRegex(found.notes[0], message)

    @pytest.mark.scenario("D21")
    def test_another_format(self) -> None:
        """A newer format is refused before anything is changed, though an older snapshot would do."""
        for header in (b'{"format":2,"anything":"else"}\n', b'{"format":999999999}\n'):
            files = {**built(4), NEWER: header}
            disk = disk_with(files)
            with self.assertRaisesRegex(FormatUnknown, "this hraft reads format 1"):
                recovered(disk)
            self.assertEqual(files, disk.contents())

    @pytest.mark.scenario("D10", "X3")
    def test_hostile_files(self) -> None:
        """Whatever stands in the file, it is passed over without believing any number in it."""
        files = built(4)
        good = b"".join(encode(snapshot(8, 1), CLUSTER, []))
        for data in (
            b"\n",
            b"\0" * 100_000,
            b"[" * 100_000 + b"\n",
            good.replace(b'"index":8', b'"index":' + b"8" * 5000),
            good.replace(b'"term":1', b'"term":1,"term":1'),
            good.replace(b'"lines":0', b'"lines":9999999999999999999'),
            good.replace(b'"cluster-a"', b'"\\q"'),
            good.replace(b"n1", b"\xff"),
            good[:-1] + b"\0\n",
            summed(good[: good.rfind(b"{")] + b'{"lines":1'),
        ):
            with self.subTest(data=data[:60]):
                self.assertEqual(snapshot(4, 1), recovered(disk_with({**files, NEWER: data})).snapshot)

    @pytest.mark.scenario("S1")
    def test_how_many_are_kept(self) -> None:
        """Compaction removes all but the newest few."""
        disk = SimulatedDisk()
        storage = durable(disk)
        storage.recover()
        storage.save(save(HardState(1, "n1"), *entries(1, 30, 1)))
        for index in range(2, 20, 3):
            storage.write_snapshot(snapshot(index, 1), lines(index))
        storage.compact(1)
        kept = [name for name in disk.contents() if "/snapshots/" in name]
        self.assertEqual(limits.SNAPSHOTS_KEPT_COUNT, len(kept))
        self.assertEqual(17, recovered(disk.after_crash(worst_luck)).snapshot.index)  # type: ignore[union-attr]

    def test_damage_before_an_install(self) -> None:
        """A log that was dropped for a snapshot cannot stand in for it: damage to that snapshot is refused."""
        disk = disk_with(built(4))
        storage = durable(disk, 10_000)
        storage.recover()
        receives(50, 2)(storage)
        storage.save(save(HardState(2, None), *entries(51, 52, 2), install=Install(snapshot(50, 2), False)))
        name = next(path for path in disk.contents() if "/snapshots/00000000000000000050" in path)
        disk.put(name, disk.contents()[name][:-1])
        with self.assertRaisesRegex(LogCorrupted, "begins with entry 51.* covers the entries from 5 to 50.*not whole"):
            recovered(disk)


def summed(data: bytes) -> bytes:
    """A footer whose checksum is right, whatever it says."""
    return data + b',"crc":"%08x"}\n' % crc32(data)


class SizeTests(TestCase):
    def test_large_snapshot(self) -> None:
        """A snapshot of many parts is synced as it grows, and lines longer than a part come back."""
        syncs: list[str] = []
        disk = SimulatedDisk(fault=lambda operation, path: syncs.append(operation) if operation == "fdatasync" else None)
        storage = DurableStorage(disk, "node", CLUSTER)
        storage.recover()
        given = [b'"%b"' % (b"x" * size) for size in (700_000, 1, 3_000_000, 0, 2_000_000, 4_000_000)]
        storage.write_snapshot(snapshot(5, 1), given)
        self.assertEqual(2, len(syncs))
        with storage.read_snapshot(snapshot(5, 1)) as found:
            self.assertEqual(given, list(found))
        reader = storage.open_snapshot()
        syncs.clear()
        writer = storage.receive_snapshot(snapshot(5, 1))
        while writer.size_bytes < reader.size_bytes:
            writer.append(reader.read(writer.size_bytes, limits.SNAPSHOT_CHUNK_BYTES))
        self.assertEqual(snapshot(5, 1), writer.complete())
        self.assertEqual(3, len(syncs))

    def test_bytes(self) -> None:
        """The bytes of docs/disk-format.md, so that no change of the code changes the format unnoticed."""
        self.assertEqual(
            b'{"format":1,"cluster_id":"cluster-a","index":8,"term":1,"configuration":'
            b'{"voters":{"n1":"h:1","n2":"h:2"},"learners":{"n3":"h:3"},"removed":["n0"]}}\n'
            b'{"key":"k0","value":8}\n'
            b'{"key":"k1","value":8}\n'
            b'{"lines":2,"crc":"6b75c0b5"}\n',
            b"".join(encode(snapshot(8, 1), CLUSTER, lines(8))),
        )
