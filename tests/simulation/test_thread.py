"""The thread that is none."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hraft.simulation.thread import SimulatedThread


class SimulatedThreadTests(SynchronousTestCase):
    """In order, each after its delay, and with the faults of a disk."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.thread = SimulatedThread(self.clock, 1.0)
        self.done: list[str] = []

    def test_one_after_the_other(self) -> None:
        """As one thread does: the second begins when the first has ended."""
        first, second = self.thread(self.done.append, "a"), self.thread(len, "four")
        self.clock.advance(1.0)
        self.assertEqual((["a"], None), (self.done, self.successResultOf(first)))
        self.assertNoResult(second)
        self.clock.advance(1.0)
        self.assertEqual(4, self.successResultOf(second))

    def test_what_is_raised_arrives(self) -> None:
        """And does not end the thread."""
        failing, next_one = self.thread(int, "no number"), self.thread(int, "7")
        self.clock.pump([1.0, 1.0])
        self.failureResultOf(failing, ValueError)
        self.assertEqual(7, self.successResultOf(next_one))

    def test_hang_and_resume(self) -> None:
        """A disk that does not answer, and then does."""
        self.thread(self.done.append, "a")
        self.thread.hang()
        self.thread(self.done.append, "b")
        self.clock.pump([1.0] * 5)
        self.assertEqual(([], []), (self.done, self.clock.getDelayedCalls()))
        self.thread.resume()
        self.clock.pump([1.0] * 2)
        self.assertEqual(["a", "b"], self.done)

    def test_die(self) -> None:
        """Killed: what had not begun never does, and nobody is told."""
        waiting = self.thread(self.done.append, "a")
        self.thread.die()
        later = self.thread(self.done.append, "b")
        self.clock.pump([1.0] * 3)
        self.assertEqual(([], []), (self.done, self.clock.getDelayedCalls()))
        self.assertNoResult(waiting)
        self.assertNoResult(later)
