"""A new node asking its way in: patient where patience may help, and final where it cannot."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hraft.addresses import Address
from hraft.admission import LONGEST_PAUSE_SECONDS, SECONDS_BETWEEN_WORDS, Admission, Answer, Target
from hraft.errors import ChangeRefused, WrongPeer

N0, N1 = Address("n0", 11000), Address("n1", 11000)
REFUSED = ConnectionRefusedError("Connection was refused by other side.")


class AdmissionTests(SynchronousTestCase):
    """With members that answer as the test says, the last answer again and again."""

    def setUp(self) -> None:
        """Begin without answers and with an empty log."""
        self.clock = Clock()
        self.answers: dict[tuple[Target, str], list[Answer | Exception]] = {}
        self.asked: list[tuple[Target, str, dict[str, Any] | None]] = []
        self.words: list[str] = []
        globalLogPublisher.addObserver(self.hear)
        self.addCleanup(globalLogPublisher.removeObserver, self.hear)
        self.admission = Admission(self.clock, self.ask, (N0, N1), "node9", "n9:12000")

    def hear(self, event: Any) -> None:
        """Keep what admission logs."""
        if event.get("log_namespace") == "hraft.admission":
            self.words.append(event["reasons"])

    def ask(self, target: Target, path: str, request: dict[str, Any] | None) -> Awaitable[Answer]:
        """Answer from the table."""
        self.asked.append((target, path, request))
        answers = self.answers.get((target, path), [REFUSED])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)

    def test_first_target_that_answers(self) -> None:
        """A dead first target costs nothing but a try."""
        self.answers[N1, "/status"] = [Answer(200, {"cluster_id": "c"})]
        self.assertEqual("c", self.successResultOf(Deferred.fromCoroutine(self.admission.cluster_id())))
        self.assertEqual([(N0, "/status", None), (N1, "/status", None)], self.asked)

    @pytest.mark.scenario("M20")
    def test_waits_for_a_target_that_is_not_up_yet(self) -> None:
        """Nodes are started in any order."""
        found_later = Answer(200, {"cluster_id": "c"})
        self.answers[N0, "/status"] = [REFUSED, Answer(503, {}), Answer(200, {}), Answer(404, {}), found_later]
        found = Deferred.fromCoroutine(self.admission.cluster_id())
        self.assertNoResult(found)
        self.clock.pump([0.1] * 50)
        self.assertEqual("c", self.successResultOf(found))

    def test_says_so_now_and_then(self) -> None:
        """At the first failure and every ten seconds: a log of a node that waits a week is not a gigabyte."""
        found = Deferred.fromCoroutine(self.admission.cluster_id())
        self.assertEqual(1, len(self.words))
        self.assertIn("n0:11000: Connection was refused", self.words[0])
        self.assertIn("n1:11000: Connection was refused", self.words[0])
        self.clock.pump([0.5] * 120)
        self.assertIn(len(self.words), range(5, 2 + int(60 / SECONDS_BETWEEN_WORDS)))
        found.addErrback(lambda _: None)
        found.cancel()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_tries_often_enough(self) -> None:
        """The back-off is capped: a cluster that comes up is joined within seconds."""
        found = Deferred.fromCoroutine(self.admission.cluster_id())
        self.clock.pump([0.1] * 600)
        before = len(self.asked)
        self.clock.pump([LONGEST_PAUSE_SECONDS])
        self.assertEqual(before + 2, len(self.asked))
        found.addErrback(lambda _: None)
        found.cancel()

    def test_joins_with_its_address_and_id(self) -> None:
        """And says that its log is empty, so that a wiped disk under an old id can be told (D19)."""
        self.answers[N0, "/join"] = [Answer(200, {})]
        self.successResultOf(Deferred.fromCoroutine(self.admission.ask_to_join(lambda: True)))
        self.assertEqual([(N0, "/join", {"addr": "n9:12000", "id": "node9", "empty_log": True})], self.asked)

    def test_a_learner_says_so(self) -> None:
        """And nobody else does: a member of an earlier release does not know the word."""
        self.answers[N0, "/join"] = [Answer(200, {})]
        admission = Admission(self.clock, self.ask, (N0,), "node9", "n9:12000", is_learner=True)
        self.successResultOf(Deferred.fromCoroutine(admission.ask_to_join(lambda: True)))
        self.assertEqual({"addr": "n9:12000", "id": "node9", "empty_log": True, "learner": True}, self.asked[-1][2])

    def test_no_leader_now(self) -> None:
        """503 is a matter of time."""
        self.answers[N0, "/join"] = [Answer(503, {"detail": "no leader is known"}), Answer(202, {})]
        joined = Deferred.fromCoroutine(self.admission.ask_to_join(lambda: True))
        self.assertIn("503 no leader is known", self.words[0])
        self.clock.pump([0.1] * 5)
        self.successResultOf(joined)

    @pytest.mark.scenario("D19", "M20")
    def test_no_longer_empty(self) -> None:
        """A try that was lost on the way back made it a member, and it is fed. It must not go on saying that its log is empty,
        nor is it the wiped voter that it is taken for, for what it said before: it gave up, and a voter was missing."""
        is_empty = [True, True, True, False]  # Said to n0, to n1, and to n0 again, which answers too late.
        self.answers[N0, "/join"] = [Answer(503, {}), Answer(409, {"detail": "its log is empty"}), Answer(200, {})]
        joined = Deferred.fromCoroutine(self.admission.ask_to_join(lambda: is_empty.pop(0) if len(is_empty) > 1 else is_empty[0]))
        self.clock.pump([0.1] * 5)
        self.successResultOf(joined)
        said = [request["empty_log"] for target, _, request in self.asked if target == N0 and request]
        self.assertEqual([True, True, False], said)

    @pytest.mark.scenario("D19")
    def test_refused_for_good(self) -> None:
        """What no repetition can change ends the start, in the member's words."""
        for code in (400, 403, 409):
            self.answers[N0, "/join"] = [Answer(code, {"detail": "node9 was removed; use a new id"})]
            joined = Deferred.fromCoroutine(self.admission.ask_to_join(lambda: True))
            refusal = self.failureResultOf(joined, ChangeRefused)
            self.assertIn("n0:11000 refused to take node9 in", str(refusal.value))
            self.assertIn("use a new id", str(refusal.value))

    def test_another_cluster(self) -> None:
        """A directory of one cluster never goes into another."""
        self.answers[N0, "/status"] = [Answer(200, {"cluster_id": "theirs"})]
        checked = Deferred.fromCoroutine(self.admission.check_cluster("ours"))
        self.assertIn("theirs", str(self.failureResultOf(checked, WrongPeer).value))
