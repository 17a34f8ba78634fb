"""The power fails at every operation on the file system in turn; nothing that was acknowledged may be lost."""

from __future__ import annotations

from unittest import TestCase

import pytest
from storage_samples import (
    STORY,
    FaultAt,
    best_luck,
    check_shape,
    durable,
    entry,
    essence,
    expected,
    lucks,
    possible,
    recovered,
    save,
    worst_luck,
)

from hraft.raft.entry import HardState
from hraft.simulation.disk import PowerCut, SimulatedDisk


def run_until_power_cut(number: int) -> tuple[SimulatedDisk, int] | None:
    """Live through the story until the n-th operation; return the disk and how many steps were acknowledged, -1 before any."""
    disk = SimulatedDisk(fault=FaultAt(number))
    count = -1
    try:
        storage = durable(disk)
        storage.recover()
        count = 0
        for step in STORY:
            step(storage)
            count += 1
        storage.close()
    except PowerCut:
        return disk, count
    return None


def cuts() -> list[tuple[int, SimulatedDisk, int]]:
    found = []
    number = 1
    while (cut := run_until_power_cut(number)) is not None:
        found.append((number, *cut))
        number += 1
    return found


class CrashTests(TestCase):
    """D13 in the way of ALICE: what was not synced is lost, kept, torn and mixed."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.cuts = cuts()

    @pytest.mark.scenario("D1", "D11", "D13", "D14", "D18", "E10", "M5", "S1", "S2", "S4")
    def test_every_operation_of_the_story(self) -> None:
        """Wherever the power fails, a start finds all acknowledged steps, and of the one under way all or nothing."""
        self.assertGreater(len(self.cuts), 100)
        for number, disk, count in self.cuts:
            for luck, choose in enumerate(lucks(seeds=8)):
                found = recovered(disk.after_crash(choose))
                check_shape(found)
                self.assertIn(essence(found), possible(max(count, 0)), f"operation {number}, luck {luck}, step {count}")

    @pytest.mark.scenario("D13", "D5")
    def test_every_operation_of_the_recovery(self) -> None:
        """A start that is itself cut short at any operation leaves what the next one can recover."""
        for number, disk, count in self.cuts:
            for luck, choose in enumerate(lucks(seeds=1)):
                crashed = disk.after_crash(choose)
                wanted = essence(recovered(crashed.after_crash(best_luck)))
                for again in range(1, 20):
                    second = crashed.after_crash(best_luck)
                    second.fault = FaultAt(again)
                    try:
                        durable(second).recover()
                    except PowerCut:
                        for choose_again in lucks(seeds=1):
                            found = essence(recovered(second.after_crash(choose_again)))
                            self.assertEqual(wanted, found, f"operation {number}, luck {luck}, step {count}, then {again}")
                    else:
                        break
                else:
                    self.fail("a recovery of this many operations is not swept to its end")

    @pytest.mark.scenario("D13", "D5", "D6")
    def test_life_goes_on(self) -> None:
        """After a crash and a start, new saves are as durable as ever: nothing of the torn one comes back."""
        for number, disk, count in self.cuts:
            for luck, choose in enumerate(lucks(seeds=2)):
                where = f"operation {number}, luck {luck}, step {count}"
                second = disk.after_crash(choose)
                storage = durable(second)
                found = storage.recover()
                last_index = essence(found)[3]
                term = found.hard_state.term + 1
                storage.save(save(HardState(term, "n1"), entry(last_index + 1, term)))
                storage.save(save(HardState(term, "n1"), entry(last_index + 2, term), entry(last_index + 3, term)))
                again = recovered(second.after_crash(worst_luck))
                self.assertEqual(HardState(term, "n1"), again.hard_state, where)
                self.assertEqual(found.snapshot, again.snapshot, where)
                kept = [item for item in found.entries if item.index > again.base.index]
                new = [entry(last_index + ahead, term) for ahead in (1, 2, 3)]
                self.assertEqual([*kept, *new], list(again.entries), where)

    def test_the_story_tells_what_it_should(self) -> None:
        """The story goes through rotation, truncation into an earlier segment, compaction and both kinds of install."""
        disk = SimulatedDisk()
        storage = durable(disk)
        storage.recover()
        segments = []
        for count, step in enumerate(STORY):
            step(storage)
            segments.append({path for path in disk.contents() if "/log/" in path})
            with self.subTest(step=count):
                self.assertEqual(expected(count + 1), essence(recovered(disk.after_crash(worst_luck))))
        # Rotated; removed by compaction; all replaced by one at a reset.
        self.assertGreater(len(segments[7]), 1)
        self.assertGreater(len(segments[12] - segments[13]), 1)
        self.assertEqual(1, len(segments[17]))
        self.assertEqual(set(), segments[17] & segments[16])
