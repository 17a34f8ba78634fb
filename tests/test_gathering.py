"""Asking all addresses of a cluster to be, round after round: what counts as an answer, and when it ends."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hraft.addresses import Address
from hraft.admission import Admission, Answer, Ask, Target, ask_while
from hraft.founding import Founding, Verdict
from hraft.gathering import SECONDS_BETWEEN_ROUNDS, gather

TARGETS = Address("a", 1), Address("b", 1)


def _not_connected(deferred: Deferred[Answer]) -> None:
    """What Twisted says of a connection that is cancelled while it is made."""
    deferred.errback(ConnectingCancelledError(("b", 1)))


class GatheringTests(SynchronousTestCase):
    """Node a of two; b answers what the test says, or nothing."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.founding = Founding("a", "1", 2)
        self.answer: Answer | None = None
        self.asked_count = 0
        self.is_wanted = True

    def ask(self, target: Target, path: str, request: dict[str, Any] | None) -> Awaitable[Answer]:
        self.asked_count += 1
        return Deferred(_not_connected) if self.answer is None else succeed(self.answer)

    def gathered(self, ask: Ask) -> Deferred[Verdict]:
        return Deferred.fromCoroutine(gather(self.clock, ask, TARGETS, self.founding))

    def test_a_member_of_an_earlier_release_has_a_cluster(self) -> None:
        """It does not know the question, and says so as hraft says it."""
        self.answer = Answer(404, {"code": "not_found", "detail": "nothing is served at this path"})
        self.assertIs(Verdict.JOIN, self.successResultOf(self.gathered(self.ask)))

    def test_a_member_that_is_not_known_by_that_name_has_a_cluster(self) -> None:
        """Asked to take this node in it says why not, which ends the start; here it was asked for ever, without a word."""
        self.answer = Answer(403, {"code": "host_not_allowed", "detail": "this node is not known as 'b'"})
        self.assertIs(Verdict.JOIN, self.successResultOf(self.gathered(self.ask)))

    @pytest.mark.scenario("M20")
    def test_a_proxy_before_a_node_that_is_not_up_has_none(self) -> None:
        """It was taken for a member: this node asked to be taken in for ever, and the others waited for its word for ever."""
        self.answer = Answer(404, {})
        verdict = self.gathered(self.ask)
        self.assertNoResult(verdict)
        self.answer = Answer(200, {"node_id": "b", "life": "", "is_member": True})
        self.clock.advance(SECONDS_BETWEEN_ROUNDS)
        self.assertIs(Verdict.JOIN, self.successResultOf(verdict))

    def test_it_ends_in_the_middle_of_a_question(self) -> None:
        """A service that is stopped must ask nobody any more, and least of all found a cluster in a directory it gave back."""
        ask = ask_while(lambda: self.is_wanted, self.ask)
        admission = Admission(self.clock, ask, TARGETS, "a", "a:2")
        for going_on in (self.gathered(ask), Deferred.fromCoroutine(admission.cluster_id())):
            self.is_wanted = False
            going_on.cancel()
            self.failureResultOf(going_on, CancelledError)
            asked_count, self.is_wanted = self.asked_count, True
            self.clock.pump([1.0] * 5)
            self.assertEqual(asked_count, self.asked_count)
