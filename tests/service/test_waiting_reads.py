"""Readers between their question and its answer."""

from __future__ import annotations

import pytest
from clusters import Outcome
from twisted.trial.unittest import SynchronousTestCase

from hraft.errors import ReadFailed
from hraft.raft.ready import ReadReady
from hraft.service.reads import WaitingReads


class WaitingReadsTests(SynchronousTestCase):
    """A read is served at an index that was confirmed after it came, and is applied here."""

    def setUp(self) -> None:
        self.reads = WaitingReads(timeout_seconds=5.0, count_limit=3)

    def wait(self, read_id: int, is_local: bool = True) -> Outcome:
        return Outcome(self.reads.wait(read_id, 0.0, is_local))

    @pytest.mark.scenario("R7")
    def test_waits_until_applied(self) -> None:
        """A confirmed leader that has not applied the read index would answer from the past."""
        self.reads.applied(4)
        read = self.wait(1)
        self.reads.confirmed((ReadReady(1, 5),))
        self.assertFalse(read.is_over)
        self.reads.applied(5)
        self.assertEqual(5, read.value)

    def test_a_followers_question_needs_only_the_index(self) -> None:
        """The follower applies it at its own place."""
        read = self.wait(1, is_local=False)
        self.reads.confirmed((ReadReady(1, 5),))
        self.assertEqual(5, read.value)

    @pytest.mark.scenario("R5")
    def test_unconfirmed_is_failed(self) -> None:
        """The leader or its term changed: the index may be old, so the client has to ask again."""
        read = self.wait(1)
        self.reads.confirmed((ReadReady(1, None),))
        self.assertIsInstance(read.error, ReadFailed)

    @pytest.mark.scenario("R4")
    def test_ids_are_never_used_again(self) -> None:
        """A late confirmation of an earlier read must not confirm a later one."""
        self.assertEqual([1, 2], [self.reads.next_id(), self.reads.next_id()])

    def test_time_is_over(self) -> None:
        """No quorum, no answer; but the client gets one."""
        unconfirmed, unapplied = self.wait(1), self.wait(2)
        self.reads.confirmed((ReadReady(2, 9),))
        self.reads.expire(5.0)
        self.assertIsInstance(unconfirmed.error, ReadFailed)
        self.assertIsInstance(unapplied.error, ReadFailed)
        self.reads.confirmed((ReadReady(1, 9),))
        self.reads.applied(9)
        self.assertEqual((1, 1, 0), (unconfirmed.count, unapplied.count, len(self.reads)))

    def test_bounded(self) -> None:
        """Memory must not grow with readers that nobody can confirm."""
        for read_id in range(1, 4):
            self.wait(read_id)
        self.assertRaises(ReadFailed, self.reads.next_id)
        self.reads.expire(5.0)
        self.reads.next_id()

    @pytest.mark.scenario("C7")
    def test_a_reader_that_hangs_up_is_forgotten(self) -> None:
        """Confirmations for it change nothing."""
        read = self.wait(1)
        read.deferred.cancel()
        self.reads.confirmed((ReadReady(1, 0),))
        self.reads.expire(0.0)
        self.assertEqual((1, 0), (read.count, len(self.reads)))
