"""The line of clients that wait for their entry."""

from __future__ import annotations

import pytest
from clusters import Outcome
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from hraft.errors import OutcomeUnknown, ProposalDropped
from hraft.raft.entry import EntryId
from hraft.service.proposals import Applied, Proposals


class ProposalsTests(SynchronousTestCase):
    """Each is answered or failed exactly once, and told what it may do next."""

    def setUp(self) -> None:
        self.proposals = Proposals(timeout_seconds=10.0, count_limit=4)

    def wait(self, term: int, index: int, now: float = 0.0) -> Outcome:
        return Outcome(self.proposals.wait(EntryId(term, index), now))

    def test_answered_when_applied(self) -> None:
        """The answer is the state machine's, for that very entry."""
        first, second = self.wait(1, 5), self.wait(1, 6)
        self.proposals.applied(EntryId(1, 5), "five")
        self.assertEqual(Applied(5, "five"), first.value)
        self.assertFalse(second.is_over)

    @pytest.mark.scenario("C4")
    def test_another_term_at_its_index_means_certainly_not_done(self) -> None:
        """Committed entries never change: who sees another one committed in its place has lost for ever."""
        lost, other = self.wait(1, 5), self.wait(1, 6)
        self.proposals.applied(EntryId(2, 5), None)
        self.assertIsInstance(lost.error, ProposalDropped)
        self.assertFalse(other.is_over)

    @pytest.mark.scenario("C5")
    def test_leadership_lost_fails_only_what_is_not_committed(self) -> None:
        """What is committed will be applied here and now, so it gets its true answer; of the rest nobody can know."""
        committed, open_one, open_two = self.wait(1, 5), self.wait(1, 6), self.wait(1, 7)
        self.proposals.fail_after(5, "stopped leading")
        self.assertFalse(committed.is_over)
        self.assertIsInstance(open_one.error, OutcomeUnknown)
        self.assertIsInstance(open_two.error, OutcomeUnknown)
        self.proposals.applied(EntryId(1, 5), "five")
        self.assertEqual(Applied(5, "five"), committed.value)
        self.assertEqual([1, 1, 1], [outcome.count for outcome in (committed, open_one, open_two)])

    def test_swallowed_by_a_snapshot(self) -> None:
        """A snapshot does not say which entries it is made of."""
        waiting = self.wait(1, 5)
        self.proposals.fail_until(5, "a snapshot")
        self.assertIsInstance(waiting.error, OutcomeUnknown)

    def test_time_is_over(self) -> None:
        """One sweep ends all whose deadline has passed and no other."""
        early, late = self.wait(1, 5, now=0.0), self.wait(1, 6, now=1.0)
        self.proposals.expire(10.5)
        self.assertIsInstance(early.error, OutcomeUnknown)
        self.assertFalse(late.is_over)
        self.proposals.applied(EntryId(1, 5), "five")
        self.proposals.applied(EntryId(1, 6), "six")
        self.assertEqual((1, Applied(6, "six")), (early.count, late.value))

    @pytest.mark.scenario("C7")
    def test_hanging_up_detaches_and_leaks_nothing(self) -> None:
        """The entry takes its course; nobody is called back twice, and the place in the line is free again."""
        gone = self.wait(1, 5)
        gone.deferred.cancel()
        self.assertIsInstance(gone.error, CancelledError)
        self.proposals.applied(EntryId(1, 5), "five")
        self.assertEqual((1, 0), (gone.count, len(self.proposals)))

    def test_the_line_is_bounded(self) -> None:
        """Memory must not grow with clients that nobody can serve; what is refused was certainly not done."""
        for index in range(1, 5):
            self.proposals.check_room()
            self.wait(1, index)
        self.assertRaises(ProposalDropped, self.proposals.check_room)
        self.proposals.applied(EntryId(1, 1), None)
        self.proposals.check_room()

    def test_a_client_may_call_back_in(self) -> None:
        """An answer that proposes the next command at once must not upset the line."""
        first = self.proposals.wait(EntryId(1, 1), 0.0)
        inner: list[Outcome] = []
        first.addCallback(lambda _: inner.append(self.wait(1, 3)))
        second = self.wait(1, 2)
        self.proposals.applied(EntryId(1, 1), None)
        self.proposals.applied(EntryId(1, 2), None)
        self.proposals.applied(EntryId(1, 3), "three")
        self.assertTrue(second.is_over)
        self.assertEqual(Applied(3, "three"), inner[0].value)
