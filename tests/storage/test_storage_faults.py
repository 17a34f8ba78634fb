"""The file system refuses every operation in turn: a full disk is survived, a failed one stops the storage for good."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from unittest import TestCase

import pytest
from storage_samples import (
    CLUSTER,
    STORY,
    FaultAt,
    Step,
    best_luck,
    compacts,
    durable,
    entries,
    entry,
    essence,
    expected,
    lines,
    lucks,
    possible,
    receives,
    recovered,
    save,
    saves,
    snapshot,
    takes_snapshot,
    worst_luck,
)

from hraft.errors import LogCorrupted, StorageFailed, StorageFull
from hraft.raft.entry import HardState
from hraft.simulation.disk import PowerCut, SimulatedDisk, SimulatedFile
from hraft.storage.durable import DurableStorage
from hraft.storage.files import write_all


def sweep(problem: int, lasts: bool, reads_too: bool) -> list[str]:
    """Live through the story once for every operation that can fail; return what the failures were."""
    happened: list[str] = []
    number = 1
    while True:
        fault = FaultAt(number, problem, lasts, reads_too)
        disk = SimulatedDisk(fault=fault)
        storage = durable(disk)
        count = 0
        try:
            repeat_when_full(disk, 0, storage.recover)
            for count, step in enumerate(STORY):
                repeat_when_full(disk, count, partial(step, storage))
        except StorageFailed:
            stays_failed(storage)
            disk.fault = None
            for choose in (worst_luck, best_luck):
                assert essence(recovered(disk.after_crash(choose))) in possible(count), (number, fault.happened)
        else:
            disk.fault = None
            assert essence(recovered(disk.after_crash(worst_luck))) == expected(len(STORY)), (number, fault.happened)
        if not fault.happened:
            return happened
        happened += fault.happened[:1]
        number += 1


def repeat_when_full(disk: SimulatedDisk, count: int, call: Callable[[], object]) -> None:
    """What the service does: try the very same again once there is room."""
    try:
        call()
    except StorageFull:
        assert isinstance(disk.fault, FaultAt) and disk.fault.problem in (errno.ENOSPC, errno.EDQUOT), (
            "no room was not the problem"
        )
        disk.fault = None
        for choose in (worst_luck, best_luck):
            assert essence(recovered(disk.after_crash(choose))) in possible(count), count
        call()


def stays_failed(storage: DurableStorage) -> None:
    """After a failure nothing is tried any more, not even what would work."""
    calls: list[Step] = [
        lambda storage: storage.recover(),
        saves(entry(99, 9), term=9),
        takes_snapshot(9, 9),
        lambda storage: storage.open_snapshot(),
        lambda storage: storage.receive_snapshot(snapshot(9, 9)),
        lambda storage: storage.read_snapshot(snapshot(9, 9)).__enter__(),
    ]
    for call in calls:
        try:
            call(storage)
        except (StorageFailed, ValueError):
            continue
        raise AssertionError("a failed storage went on")
    storage.close()


class SweepTests(TestCase):
    @pytest.mark.scenario("D3", "D4")
    def test_no_room_once(self) -> None:
        """A disk that is full for one operation costs nothing but a repetition, unless it was an fsync that failed."""
        happened = sweep(errno.ENOSPC, lasts=False, reads_too=False)
        self.assertGreater(len(happened), 100)

    @pytest.mark.scenario("D3", "D4")
    def test_no_room_for_a_while(self) -> None:
        """A disk that is full from some operation on, the tidying up included, loses nothing."""
        self.assertGreater(len(sweep(errno.EDQUOT, lasts=True, reads_too=False)), 50)

    @pytest.mark.scenario("D1", "D2")
    def test_failure(self) -> None:
        """After an I/O error at any operation, reads too, the storage refuses all; a start finds what was acknowledged."""
        happened = sweep(errno.EIO, lasts=False, reads_too=True)
        self.assertGreater(len(happened), 100)
        operations = {text.split()[0] for text in happened}
        self.assertLessEqual({"fdatasync", "fsync_directory", "rename", "remove", "write", "read"}, operations)


class FullDiskTests(TestCase):
    def setUp(self) -> None:
        self.disk = SimulatedDisk()
        self.storage = durable(self.disk, segment_bytes=10_000, padding_bytes=100)
        self.storage.recover()
        self.storage.save(save(HardState(1, "n1"), *entries(1, 5, 1)))

    @pytest.mark.scenario("D3")
    def test_the_same_save_again(self) -> None:
        """A refused save leaves nothing behind, however far it came, and succeeds as soon as there is room."""
        before = essence(recovered(self.disk.after_crash(worst_luck)))
        used = sum(map(len, self.disk.contents().values()))
        given = save(HardState(2, "n2"), *entries(6, 20, 2))
        for room in range(0, 700, 50):
            self.disk.room_bytes = used + room
            with self.assertRaises(StorageFull):
                self.storage.save(given)
            for choose in (worst_luck, best_luck):
                self.assertEqual(before, essence(recovered(self.disk.after_crash(choose))))
        self.disk.room_bytes = None
        self.storage.save(given)
        self.assertEqual((HardState(2, "n2"), 20), essence(recovered(self.disk.after_crash(worst_luck)))[::3])

    @pytest.mark.scenario("D3")
    def test_padding_gives_way(self) -> None:
        """A batch that fits is saved, even when there is no room for padding behind it."""
        self.disk.room_bytes = sum(map(len, self.disk.contents().values())) + 200
        self.storage.save(save(HardState(2, "n2"), entry(6, 2, size=70)))
        self.assertEqual(6, essence(recovered(self.disk.after_crash(worst_luck)))[3])

    @pytest.mark.scenario("D4")
    def test_snapshot_without_room(self) -> None:
        """A snapshot that finds no room leaves no part of itself, and the one before it as well as the log in force."""
        self.storage.write_snapshot(snapshot(3, 1), lines(3))
        names = set(self.disk.contents())
        used = sum(map(len, self.disk.contents().values()))
        for room in (0, 1, 100, 250):
            self.disk.room_bytes = used + room
            with self.assertRaises(StorageFull):
                self.storage.write_snapshot(snapshot(5, 1), lines(5))
            self.assertEqual(names, set(self.disk.contents()))
            self.assertEqual(snapshot(3, 1), self.storage.open_snapshot().snapshot)
        self.disk.room_bytes = None
        self.storage.save(save(HardState(1, "n1"), entry(6, 1)))
        self.storage.write_snapshot(snapshot(5, 1), lines(5))
        self.assertEqual(snapshot(5, 1), recovered(self.disk.after_crash(worst_luck)).snapshot)

    @pytest.mark.scenario("D4")
    def test_received_part_without_room(self) -> None:
        """A part that found no room is taken the second time, and the file is whole in the end."""
        writer = self.storage.receive_snapshot(snapshot(9, 2))
        self.storage.write_snapshot(snapshot(5, 1), lines(5))
        reader = self.storage.open_snapshot()
        data = reader.read(0, reader.size_bytes)
        self.disk.room_bytes = sum(map(len, self.disk.contents().values())) + 30
        with self.assertRaises(StorageFull):
            writer.append(data)
        self.assertEqual(0, writer.size_bytes)
        self.disk.room_bytes = None
        writer.append(data[:50])
        writer.append(data[50:])
        # It is another snapshot than was announced.
        with self.assertRaisesRegex(LogCorrupted, "index=5.* not .*index=9"):
            writer.complete()
        self.assertEqual([], [path for path in self.disk.contents() if "receiving" in path])

    @pytest.mark.scenario("D3", "D13")
    def test_segment_without_room(self) -> None:
        """A segment that found no room is gone for good: even if another save comes instead, and then a crash."""
        storage = durable(self.disk, segment_bytes=1)
        storage.recover()
        self.disk.fault = FaultAt(2, problem=errno.ENOSPC)
        with self.assertRaises(StorageFull):
            storage.save(save(HardState(2, None), entry(6, 2)))
        self.disk.fault = FaultAt(5)
        with self.assertRaises(PowerCut):
            storage.save(save(HardState(3, None), entry(4, 3), truncate_from=4))
        self.assertEqual("fsync_directory node/log", self.disk.fault.happened[0])
        for choose in lucks(seeds=100):
            self.assertIn(
                essence(recovered(self.disk.after_crash(choose)))[::3], ((HardState(1, "n1"), 5), (HardState(3, None), 4))
            )

    def test_short_writes(self) -> None:
        """A write that takes less than it was given is gone on with; one that takes nothing for ever is an error."""

        class Hesitant(SimulatedFile):
            step_bytes = 3

            def write(self, offset: int, data: bytes | memoryview) -> int:
                return super().write(offset, data[: self.step_bytes]) if self.step_bytes else 0

        file = self.disk.create("node/slow")
        slow = Hesitant(self.disk, "node/slow", file._inode)
        write_all(slow, 0, b"0123456789")
        self.assertEqual(b"0123456789", slow.read(0, 99))
        slow.step_bytes = 0
        with self.assertRaisesRegex(OSError, "took none"):
            write_all(slow, 0, b"0123456789")


class FailStopTests(TestCase):
    @pytest.mark.scenario("D1")
    def test_no_second_fsync(self) -> None:
        """After a failed fsync not one more operation reaches the disk: the next fsync would say that all is well."""
        disk = SimulatedDisk()
        storage = durable(disk)
        storage.recover()
        storage.save(save(HardState(1, "n1"), entry(1, 1)))
        operations: list[str] = []

        def fails(operation: str, path: str) -> None:
            operations.append(operation)
            if operation == "fdatasync":
                raise OSError(errno.ENOSPC, "delayed allocation found no room")

        disk.fault = fails
        with self.assertRaisesRegex(StorageFailed, "log/.*fdatasync failed"):
            storage.save(save(HardState(2, None)))
        for call in (saves(term=3), compacts(1), takes_snapshot(1, 1), receives(1, 1)):
            with self.assertRaises((StorageFailed, ValueError)):
                call(storage)
        storage.close()
        self.assertEqual(["write", "fdatasync"], operations)

    def test_not_open(self) -> None:
        """A save before recover, or after close, is a mistake of the caller's."""
        disk = SimulatedDisk()
        storage = DurableStorage(disk, "node", CLUSTER)
        with self.assertRaisesRegex(ValueError, "not open"):
            storage.save(save(HardState(1, None)))
        storage.recover()
        storage.close()
        storage.close()
        with self.assertRaisesRegex(ValueError, "not open"):
            storage.compact(1)
