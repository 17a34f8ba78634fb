"""Whether a history is linearizable: is there one order of all its operations in which a single correct store would have given
the same answers, and in which nothing comes before what had returned before it was invoked?

Judges part by part, and explains what it finds wrong. What operations mean is the `Model`'s, how orders are found the `Search`'s.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from hraft.simulation.history import Operation, Outcome, Time
from hraft.simulation.key_value_model import KeyValueModel
from hraft.simulation.models import Model
from hraft.simulation.order_search import Search
from hraft.simulation.timeline import describe, timeline

#: What one history may cost, in calls of `Model.step`. Reaching it is a failure: nothing was shown.
STEPS_COUNT = 10_000_000
SHOWN_OPERATIONS_COUNT = 16


class Verdict(Enum):
    """Only LEGAL is a success."""

    LEGAL = "legal"
    ILLEGAL = "illegal"
    #: The limit of steps was reached first.
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict over a history; unless it is LEGAL, the operations on the keys that decided it.

    `stuck` is the first operation whose answer made the history ILLEGAL: everything before that answer has a place, in the order
    of `prefix`; with it, no order is left.
    """

    verdict: Verdict
    steps_count: int
    part: tuple[Operation, ...] = ()
    prefix: tuple[Operation, ...] = ()
    stuck: Operation | None = None

    def story(self) -> str:
        """What happened, for a person: the end of the order that was found, and what has no place in it."""
        if self.verdict is Verdict.LEGAL:
            return f"legal after {self.steps_count} steps"
        keys = sorted({key for operation in self.part for key in operation.keys})
        lines = [f"{self.verdict.value} after {self.steps_count} steps; {len(self.part)} operations on {', '.join(keys)}"]
        if self.prefix:
            hidden_count = max(0, len(self.prefix) - SHOWN_OPERATIONS_COUNT)
            hidden = f", the first {hidden_count} not shown" if hidden_count else ""
            lines.append(f"{len(self.prefix)} operations have a place, in this order{hidden}:")
            lines += [f"  {describe(operation)}" for operation in self.prefix[hidden_count:]]
        if self.stuck is not None:
            lines += ["no place before, between or after them for", f"  {describe(self.stuck)}", ""]
            lines.append(timeline(self.part, self.stuck))
        return "\n".join(lines)


def check(operations: Iterable[Operation], model: Model[Any] | None = None, steps_count: int = STEPS_COUNT) -> Judgement:
    """Judge a whole history. The smallest parts come first; one ILLEGAL part decides, else an UNDECIDED one does."""
    whole = tuple(operations)
    chosen = KeyValueModel() if model is None else model
    taken_count = 0
    undecided: Judgement | None = None
    for part_model, part in sorted(chosen.partition(whole), key=lambda pair: len(pair[1])):
        search = Search(part_model, part, max(0, steps_count - taken_count))
        is_legal = search.run()
        taken_count += search.steps_taken_count
        if is_legal:
            continue
        keys = {key for operation in part for key in operation.keys}
        decisive = tuple(chosen.narrowed(whole, keys))
        if is_legal is False:
            return Judgement(Verdict.ILLEGAL, taken_count, decisive, *_explained(decisive, chosen, steps_count))
        undecided = undecided or Judgement(Verdict.UNDECIDED, taken_count, decisive)
    return undecided or Judgement(Verdict.LEGAL, taken_count)


def _explained(operations: tuple[Operation, ...], model: Model[Any], steps_count: int) -> tuple[tuple[Operation, ...], Operation]:
    """The longest legal beginning of an ILLEGAL history, in a legal order, and the operation whose answer ends it.

    A search that looks ahead gives up long before the operation that a person would call wrong, so its own end tells little. But
    a history that is ILLEGAL stays so however it goes on: the first answer that made it so is found by halving.
    """
    answered = sorted((operation for operation in operations if operation.outcome is Outcome.OK), key=_returned_at)
    legal_count, illegal_count = 0, len(answered)
    orders: list[tuple[Operation, ...]] = []
    while illegal_count - legal_count > 1:
        count = (legal_count + illegal_count) // 2
        found = _orders(_beginning(operations, answered[:count]), model, steps_count)
        if found is None:
            illegal_count = count
        else:
            legal_count, orders = count, found
    stuck = answered[illegal_count - 1]
    near = [order for order in orders if any(not set(stuck.keys).isdisjoint(operation.keys) for operation in order)]
    original = {_name(operation): operation for operation in operations}
    return tuple(original[_name(operation)] for operation in max(near, key=len, default=())), stuck


def _beginning(operations: Iterable[Operation], answered: Sequence[Operation]) -> Iterator[Operation]:
    """The history as it was when the last of these answers came; what was under way then is UNKNOWN."""
    known = set(map(id, answered))
    end = _returned_at(answered[-1])
    for operation in operations:
        if id(operation) in known:
            yield operation
        elif operation.invoked_at <= end and operation.outcome is not Outcome.NOT_DONE:
            yield replace(operation, returned_at=None, outcome=Outcome.UNKNOWN, result=None)


def _orders(operations: Iterable[Operation], model: Model[Any], steps_count: int) -> list[tuple[Operation, ...]] | None:
    """A legal order of each part; None if some part has none, or none that was found in time."""
    orders = []
    for part_model, part in model.partition(tuple(operations)):
        search = Search(part_model, part, steps_count)
        if not search.run():
            return None
        orders.append(search.order())
    return orders


def _returned_at(operation: Operation) -> Time:
    return operation.invoked_at if operation.returned_at is None else operation.returned_at


def _name(operation: Operation) -> Hashable:
    return operation.client, operation.invoked_at, operation.kind, operation.keys, operation.values
