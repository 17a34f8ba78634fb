"""The order in which a cluster's log says that operations took effect: a witness, who is judged like anybody else.

The search for an order takes too long for a few histories in a thousand. There a witness helps: an order that keeps to what
clients saw of time, made a history in which nothing overlaps, leaves the checker no choice. If that is legal, so is what it
came from; if it is not, nothing was shown. Knows nothing of clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hraft.simulation.history import Operation, Outcome
from hraft.simulation.linearizability import Judgement, Verdict, check

#: What the search may cost, in calls of `Model.step`, before the witness is asked: some seconds.
SEARCH_STEPS_COUNT = 1_000_000


class Witness:
    """Hears where in the log operations took effect, by their tokens in the history."""

    def __init__(self) -> None:
        #: The index, and 1 for what came between it and the next.
        self._places: dict[int, tuple[int, int]] = {}

    def took_effect(self, token: int, index: int) -> None:
        """A write, or whatever else was an entry of the log."""
        self._places[token] = index, 0

    def saw(self, token: int, index: int) -> None:
        """A read saw the state after this entry, and before the next."""
        self._places[token] = index, 1

    def order(self, operations: Sequence[Operation]) -> list[Operation] | None:
        """The history as it is told here, one operation after the other; None where that is no whole and possible tale."""
        told = []
        for token, operation in enumerate(operations):
            if token in self._places and operation.outcome is not Outcome.NOT_DONE:
                told.append((self._places[token], operation.invoked_at, operation))
            elif operation.outcome is Outcome.OK:
                return None
        order = [operation for _, _, operation in sorted(told, key=lambda item: item[:2])]
        return [_alone(number, operation) for number, operation in enumerate(order)] if _keeps_to_time(order) else None


def judge(operations: Sequence[Operation], witness: Witness, steps_count: int = SEARCH_STEPS_COUNT) -> Judgement:
    """What `check` says; the witness is asked only where that found no answer in time."""
    judgement = check(operations, steps_count=steps_count)
    if judgement.verdict is Verdict.UNDECIDED:
        order = witness.order(operations)
        if order is not None and check(order).verdict is Verdict.LEGAL:
            return Judgement(Verdict.LEGAL, judgement.steps_count)
    return judgement


def _keeps_to_time(order: Sequence[Operation]) -> bool:
    """Whether nothing comes after what was invoked only when it had returned."""
    latest = float("-inf")
    for operation in order:
        if operation.returned_at is not None and operation.returned_at < latest:
            return False
        latest = max(latest, operation.invoked_at)
    return True


def _alone(number: int, operation: Operation) -> Operation:
    """The operation at a time of its own. What took effect has returned, whatever its client knows."""
    outcome = Outcome.OBSERVED if operation.outcome is Outcome.UNKNOWN else operation.outcome
    return replace(operation, invoked_at=2 * number, returned_at=2 * number + 1, outcome=outcome)
