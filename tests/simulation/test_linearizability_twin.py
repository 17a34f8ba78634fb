"""The checker against a twin without its short cuts, and what it may cost where the twin would never end."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from unittest import TestCase

from hypothesis import given, settings
from hypothesis import strategies as st
from linearizability_twin import Store, Worlds, is_linearizable, known_bad, spoilt

from hraft.simulation.history import MISSING, Kind, Operation, Outcome, Seen, Written
from hraft.simulation.linearizability import Verdict, check


@st.composite
def histories(draw: st.DrawFn, *, may_be_unknown: bool, tells: str) -> list[Operation]:
    """A few operations on two keys, in an order that a store could answer; the answers are mostly what it would say."""
    store, history = Store(), []
    for point in range(draw(st.integers(2, 6))):
        keys = draw(st.sampled_from(["a", "a", "b", "ab"]))
        kind = draw(st.sampled_from([Kind.GET, Kind.GET, Kind.SET, Kind.SET, Kind.DELETE, Kind.COMPARE_AND_SET]))
        values = tuple(draw(st.sampled_from("xyz")) for _ in keys)
        demands = st.sampled_from([MISSING, Seen("x"), Seen("y"), Seen(), *([Seen(None, None, 2)] if tells != "values" else [])])
        operation = Operation(
            client=f"c{point}",
            kind=kind,
            keys=tuple(keys),
            values={Kind.GET: (), Kind.DELETE: (None,) * len(keys)}.get(kind, values),
            expected=tuple(draw(demands) for _ in keys) if kind is Kind.COMPARE_AND_SET else (),
            invoked_at=2 * point - draw(st.integers(0, 6)),
            returned_at=None,
            outcome=Outcome.UNKNOWN,
            result=None,
        )
        fate = draw(st.sampled_from(["ok"] * 6 + ["not done"] + ["unknown", "late"] * may_be_unknown))
        truth = store.copy().carry_out(operation) if fate in ("not done", "late") else store.carry_out(operation)
        returned_at = 2 * point + draw(st.integers(0, 6))
        if fate == "ok":
            told = limited(truth, tells) if draw(st.integers(0, 5)) else draw(lies(operation, tells))
            operation = replace(operation, returned_at=returned_at, outcome=Outcome.OK, result=told)
        elif fate == "not done":
            operation = replace(operation, returned_at=returned_at, outcome=Outcome.NOT_DONE)
        history.append(operation)
    return history


def limited(truth: tuple[Seen, ...] | Written, tells: str) -> tuple[Seen, ...] | Written:
    """As much of the truth as is told: values only, also how many, or all."""
    if tells == "revisions":
        return truth
    if isinstance(truth, Written):
        return Written(truth.succeeded, None, truth.changed_count if tells == "counts" else None)
    versions = [answer.version if tells == "counts" or answer == MISSING else None for answer in truth]
    return tuple(replace(answer, revision=None, version=version) for answer, version in zip(truth, versions, strict=True))


def lies(operation: Operation, tells: str) -> st.SearchStrategy[tuple[Seen, ...] | Written]:
    """Any answer that would look right."""
    counts = st.none() if tells == "values" else st.none() | st.integers(1, 3)
    revisions = counts if tells == "revisions" else st.none()
    if operation.kind is Kind.GET:
        answer = st.just(MISSING) | st.builds(Seen, st.sampled_from("xyz"), revisions, counts)
        return st.tuples(*(answer for _ in operation.keys))
    succeeded = st.booleans() if operation.kind is Kind.COMPARE_AND_SET else st.just(True)
    return st.builds(Written, succeeded, revisions, counts)


class TwinTests(TestCase):
    """Against a twin without any of the short cuts."""

    @settings(max_examples=300)
    @given(histories(may_be_unknown=True, tells="values"))
    def test_values_and_unknown_outcomes(self, history: list[Operation]) -> None:
        """Leaving out what cannot matter, and all the rest that makes the search fast, changes no verdict."""
        self.assertEqual(is_linearizable(history), check(history).verdict is Verdict.LEGAL)

    @settings(max_examples=200)
    @given(histories(may_be_unknown=False, tells="counts"))
    def test_versions_and_counts(self, history: list[Operation]) -> None:
        """Where every outcome is known, versions and counts are judged to the last one."""
        self.assertEqual(is_linearizable(history), check(history).verdict is Verdict.LEGAL)

    @settings(max_examples=300)
    @given(histories(may_be_unknown=True, tells="counts") | histories(may_be_unknown=True, tells="revisions"))
    def test_no_false_alarm(self, history: list[Operation]) -> None:
        """Where the checker does not know all, it may be lenient, but what it calls wrong is wrong."""
        if is_linearizable(history):
            self.assertEqual(Verdict.LEGAL, check(history).verdict)

    @settings(max_examples=150)
    @given(histories(may_be_unknown=True, tells="values"), histories(may_be_unknown=True, tells="values"))
    def test_unknown_operations_excuse_but_never_accuse(self, history: list[Operation], others: list[Operation]) -> None:
        """Something more that may have happened, or not, makes no legal history illegal."""
        maybe = [replace(other, client="u", returned_at=None, outcome=Outcome.UNKNOWN, result=None) for other in others]
        if check(history).verdict is Verdict.LEGAL:
            self.assertEqual(Verdict.LEGAL, check([*history, *maybe]).verdict)

    def test_spoilt_histories(self) -> None:
        """At least 200 histories that the twin finds wrong, made from good ones by changing one answer."""
        verdicts = {Verdict.LEGAL: 0, Verdict.ILLEGAL: 0}
        weights = {"get": 40, "set": 30, "delete": 10, "set_many": 10, "swap": 10}
        for seed in range(500):
            good = Worlds(seed, keys_count=2, clients_count=3, unknown_share=0.2, weights=weights).history(seed % 8 + 5)
            self.assertEqual(Verdict.LEGAL, check(good).verdict)
            bad = spoilt(good, Random(seed))
            verdict = check(bad).verdict
            self.assertEqual(is_linearizable(bad), verdict is Verdict.LEGAL, f"seed {seed}")
            verdicts[verdict] += 1
        self.assertGreater(verdicts[Verdict.ILLEGAL], 200)
        self.assertGreater(verdicts[Verdict.LEGAL], 20)


class LargeHistoriesTests(TestCase):
    """What a simulated or real run leaves behind. The guard is the number of steps: it is the same on every machine."""

    def cost(self, operations_count: int, seed: int = 1, **world: object) -> float:
        judgement = check(Worlds(seed, **world).history(operations_count))
        self.assertEqual(Verdict.LEGAL, judgement.verdict, f"seed {seed}")
        return judgement.steps_count / operations_count

    def test_cost_of_common_histories(self) -> None:
        """Ten clients, five keys, some of them written together: a handful of steps per operation."""
        self.assertLess(self.cost(3000, weights={"get": 50, "set": 45, "delete": 5}), 4)
        self.assertLess(self.cost(3000), 10)
        self.assertLess(self.cost(1000, keys_count=1, weights={"get": 50, "set": 45, "delete": 5}), 8)

    def test_cost_of_unknown_outcomes(self) -> None:
        """Half of all requests cut off must not make the search explode."""
        self.assertLess(self.cost(2000, unknown_share=0.5, weights={"get": 50, "set": 45, "delete": 5}), 5)
        self.assertLess(self.cost(1000, unknown_share=0.3, weights={"get": 50, "set": 25, "delete": 25}), 10)
        self.assertLess(self.cost(1000, unknown_share=0.3), 20)

    def test_cost_of_versions_and_revisions(self) -> None:
        """What more clients are told must help, not hinder."""
        self.assertLess(self.cost(1000, unknown_share=0.2, tells="counts"), 20)
        self.assertLess(self.cost(1000, unknown_share=0.2, tells="revisions"), 20)
        self.assertLess(self.cost(500, unknown_share=0.2, tells="revisions", weights={"get": 4, "set": 2, "swap": 4}), 20)

    def test_repeated_values(self) -> None:
        """Values that are written many times take some short cuts away, and the verdict still comes."""
        self.assertLess(self.cost(500, values_count=5, unknown_share=0.1), 50)

    def test_known_bad(self) -> None:
        """A stale, a phantom and an aborted read in each of many histories are all found."""
        found = 0
        for seed in range(25):
            history = Worlds(seed, unknown_share=0.2).history(100)
            for bad in known_bad(history, Random(seed)):
                judgement = check(bad)
                self.assertEqual(Verdict.ILLEGAL, judgement.verdict, f"seed {seed}")
                found += 1
        self.assertGreater(found, 60)

    def test_the_same_steps_every_time(self) -> None:
        """A history that is undecided here is undecided everywhere."""
        history = Worlds(3).history(300)
        self.assertEqual(check(history), check(history))
