"""Work in the background gives way: counted in bursts and rests of a clock that the test turns."""

from threading import Thread
from unittest import TestCase

import pytest

from hraft import limits
from hraft.unhurried import BackgroundThread, unhurried

#: What each item takes of the processor.
ITEM_SECONDS = 0.00001


class Clock:
    """A thread's use of the processor, and the rests that it was told to take."""

    def __init__(self) -> None:
        self.used_seconds = 0.0
        self.rests: list[float] = []

    def items(self, count: int, other_work_seconds: float = 0.0) -> list[int]:
        """Consume so many items in this thread, unhurriedly; after half of them something else is done."""
        found = []
        for item in unhurried(range(count), lambda: self.used_seconds, self.rests.append):
            self.used_seconds += ITEM_SECONDS + (other_work_seconds if item == count // 2 else 0.0)
            found.append(item)
        return found


class UnhurriedTests(TestCase):
    def consume(self, thread: type[Thread], count: int, other_work_seconds: float = 0.0) -> Clock:
        clock = Clock()
        found: list[list[int]] = []
        worker = thread(target=lambda: found.append(clock.items(count, other_work_seconds)))
        worker.start()
        worker.join()
        self.assertEqual([list(range(count))], found)
        return clock

    @pytest.mark.scenario("X2")
    def test_long_work_rests_most_of_the_time(self) -> None:
        """Whatever a snapshot's size, the reactor waits for one burst of it, and has three quarters of the interpreter."""
        clock = self.consume(BackgroundThread, 100_000)
        used_seconds = 100_000 * ITEM_SECONDS
        longest_seconds = limits.BACKGROUND_BURST_SECONDS + 32 * ITEM_SECONDS
        self.assertLessEqual(max(clock.rests), limits.BACKGROUND_REST_RATIO * longest_seconds)
        self.assertLessEqual(used_seconds / longest_seconds - 1, len(clock.rests))
        self.assertAlmostEqual(limits.BACKGROUND_REST_RATIO * used_seconds, sum(clock.rests), delta=0.01)

    def test_no_rest_for_the_work_of_others(self) -> None:
        """A backup is made part by part in the thread that writes snapshots: after one of ten seconds it held that thread for
        half a minute more, and whatever waited for it, as a follower's restore does."""
        self.assertEqual(limits.BACKGROUND_REST_SECONDS, max(self.consume(BackgroundThread, 1_000, 10.0).rests))

    def test_short_work_is_not_held_up(self) -> None:
        """The state of a small cluster is written at once."""
        self.assertEqual([], self.consume(BackgroundThread, 20).rests)

    def test_elsewhere_nobody_waits(self) -> None:
        """A start reads its snapshot in the thread that will be the reactor's, and a command in its only one."""
        self.assertEqual([], self.consume(Thread, 100_000).rests)
