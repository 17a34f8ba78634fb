"""How long the reactor was held up: seen by a timer that comes late."""

from unittest import TestCase

import pytest
from twisted.internet.task import Clock

from hraft import limits
from hraft.reactor_stalls import ReactorStalls


class ReactorStallsTests(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.stalls = ReactorStalls(self.clock)
        self.stalls.start()

    def run_smoothly(self) -> None:
        for _ in range(20):
            self.clock.advance(limits.STALL_LOOK_SECONDS)

    @pytest.mark.scenario("X2")
    def test_the_longest_stall_is_kept(self) -> None:
        """An operator looks long after it has happened."""
        self.run_smoothly()
        self.clock.advance(0.3)
        self.run_smoothly()
        self.clock.advance(0.1)
        self.run_smoothly()
        self.assertAlmostEqual(0.3 - limits.STALL_LOOK_SECONDS, self.stalls.longest_seconds)
        self.assertEqual(2, self.stalls.stalls_count)
        self.assertAlmostEqual(0.4 - 2 * limits.STALL_LOOK_SECONDS, self.stalls.stalled_seconds)

    def test_a_smooth_reactor_has_no_stalls(self) -> None:
        """A figure that is never nought tells nothing."""
        self.run_smoothly()
        self.assertEqual(0, self.stalls.stalls_count)
        self.assertAlmostEqual(0.0, self.stalls.longest_seconds)

    def test_one_who_asks_regularly_hears_of_each_stall_once(self) -> None:
        """A gauge that stays at the worst for ever is of no use to an alert."""
        self.clock.advance(0.3)
        self.assertLess(0.2, self.stalls.take_longest_seconds())
        self.assertEqual(0.0, self.stalls.take_longest_seconds())

    def test_nothing_is_left_behind(self) -> None:
        """A timer that outlives its node would keep a stopped reactor waking up."""
        self.stalls.stop()
        self.stalls.stop()
        self.assertEqual([], self.clock.getDelayedCalls())
