"""A thread for what blocks: its answers come in order, it never keeps a process from ending, and nobody waits long for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase

from hraft.one_thread import OneThread


class PatientReactor:
    """Calls from threads wait until the test takes them, as a reactor's do."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., Any], *arguments: Any) -> None:
        """In the thread."""
        self.calls.put((function, arguments))

    def take(self) -> None:
        """In the test: carry the next call out, when it is there."""
        function, arguments = self.calls.get(timeout=50)
        function(*arguments)


class OneThreadTests(SynchronousTestCase):
    """What blocks, elsewhere."""

    def setUp(self) -> None:
        """A thread that is stopped at the end."""
        self.reactor = PatientReactor()
        self.thread = OneThread(self.reactor, "writer")
        self.addCleanup(self.thread.stop)

    def test_answers_come_in_order_from_one_other_thread(self) -> None:
        """Saves depend on it."""
        answers = [self.thread(lambda number: (number, threading.current_thread().name), number) for number in range(5)]
        for number, answer in enumerate(answers):
            self.assertNoResult(answer)
            self.reactor.take()
            self.assertEqual((number, "writer"), self.successResultOf(answer))

    def test_errors_come_back(self) -> None:
        """And the thread goes on."""
        failed, worked = self.thread(int, "x"), self.thread(int, "7")
        self.reactor.take()
        self.failureResultOf(failed, ValueError)
        self.reactor.take()
        self.assertEqual(7, self.successResultOf(worked))

    def test_stopped(self) -> None:
        """What was given before is still done; what comes later fails instead of waiting for ever."""
        before = self.thread(int, "7")
        self.thread.stop()
        self.thread.stop()
        self.failureResultOf(self.thread(int, "8"), RuntimeError)
        self.reactor.take()
        self.assertEqual(7, self.successResultOf(before))

    def test_o13_a_hanging_disk_does_not_keep_the_process(self) -> None:
        """A thread that never comes back is left behind when the process ends."""
        script = (
            "import threading; from hraft.one_thread import OneThread; "
            "thread = OneThread(None, 'writer'); thread(threading.Event().wait); thread.stop()"
        )
        done = subprocess.run([sys.executable, "-c", script], timeout=120, capture_output=True)
        self.assertEqual((0, b""), (done.returncode, done.stderr))


class PatienceTests(SynchronousTestCase):
    """A moment is waited for what is done in a moment, and no longer."""

    def thread(self, patience_seconds: float, job_seconds: float) -> OneThread:
        """One that has done a job already, which took so long by its clock, as will all others."""
        clock = [0.0]

        def seconds() -> float:
            clock[0] += job_seconds
            return clock[0]

        self.reactor = PatientReactor()
        thread = OneThread(self.reactor, "writer", patience_seconds, seconds)
        self.addCleanup(thread.stop)
        first, second = thread.soon(int, "1"), thread(int, "2")
        self.assertNoResult(first)  # Nobody knows yet how fast it is.
        self.reactor.take()
        self.reactor.take()  # The first job's time was noted before the second was begun.
        self.assertEqual([1, 2], [self.successResultOf(first), self.successResultOf(second)])
        return thread

    def test_what_is_done_in_time(self) -> None:
        """Its answer is there on return, and does not come a second time."""
        thread = self.thread(60.0, 0.1)
        answer = thread.soon(lambda: threading.current_thread().name)
        self.assertEqual("writer", self.successResultOf(answer))
        self.assertTrue(self.reactor.calls.empty())

    def test_what_fails_in_time(self) -> None:
        """A disk that failed is known at once, too."""
        self.failureResultOf(self.thread(60.0, 0.1).soon(int, "x"), ValueError)

    @pytest.mark.scenario("X2")
    def test_what_takes_longer(self) -> None:
        """A disk that hangs does not hold the reactor up: the answer comes through it, later, and once."""
        thread, resumed = self.thread(0.001, 0.0), threading.Event()
        answer = thread.soon(resumed.wait)
        self.assertNoResult(answer)
        resumed.set()
        self.reactor.take()
        self.assertTrue(self.successResultOf(answer))
        self.assertTrue(self.reactor.calls.empty())

    @pytest.mark.scenario("X2")
    def test_a_slow_disk_is_not_waited_for(self) -> None:
        """Not even for a moment: each save would take one away from everybody else."""
        thread, resumed = self.thread(60.0, 61.0), threading.Event()
        answer = thread.soon(resumed.wait, 10.0)
        resumed.set()
        self.reactor.take()
        self.assertTrue(self.successResultOf(answer), "it was waited for")

    def test_stopped(self) -> None:
        """Nothing is waited for that will never be done."""
        thread = self.thread(60.0, 0.0)
        thread.stop()
        self.failureResultOf(thread.soon(int, "7"), RuntimeError)
