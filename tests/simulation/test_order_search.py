"""The search itself, on machines made up at random whose operations mostly do not fit: there every short cut is put to work."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from unittest import TestCase

from hraft.simulation.history import Kind, Operation, Outcome, Seen, Written
from hraft.simulation.models import Model
from hraft.simulation.order_search import Search

Cells = tuple[str, ...]


class GuardedCells(Model[Cells]):
    """A few cells; an operation is possible only where its cells hold what it demands, and puts something else there."""

    def __init__(self, cells_count: int) -> None:
        self.cells_count = cells_count

    def initial(self) -> Cells:
        return ("0",) * self.cells_count

    def touched(self, operation: Operation) -> tuple[str, ...]:
        return operation.keys

    def is_safe(self, state: Cells, operation: Operation, after: Cells) -> bool:
        return not any(operation.values)

    def step(self, state: Cells, operation: Operation) -> tuple[bool, Cells]:
        after = list(state)
        for key, value, demand in zip(operation.keys, operation.values, operation.expected, strict=True):
            if demand.value not in (None, state[int(key)]):
                return False, state
            after[int(key)] = value or state[int(key)]
        return True, tuple(after)


def made_up(random: Random, cells_count: int, operations_count: int) -> list[Operation]:
    """Operations at random, a few at a time: writes of a cell or two that mostly fit anywhere, reads of more that mostly fit in
    one order only. So a wrong choice among writes shows late, in reads of more than what was chosen."""
    operations = []
    cells = ["0"] * cells_count
    for number in range(operations_count):
        writes = random.random() < 0.65
        touched_count = min(cells_count, random.choice([1, 1, 1, 2] if writes else [1, 2, 2, 3]))
        keys = tuple(random.sample([str(cell) for cell in range(cells_count)], touched_count))
        demands = [cells[int(key)] if random.random() < 0.9 else random.choice("012") for key in keys]
        values = [random.choice("012") if writes else None for _ in keys]
        demands_any = random.random() < (0.3 if writes else 1)
        is_optional = writes and random.random() < 0.3
        if writes and random.random() < (0.4 if is_optional else 1):
            for key, value in zip(keys, values, strict=True):
                cells[int(key)] = value or "0"
        invoked_at = number // 3 * 4 + random.randint(0, 3)
        operations.append(
            Operation(
                client=f"c{number}",
                kind=Kind.COMPARE_AND_SET,
                keys=keys,
                values=tuple(values),
                expected=tuple(Seen(demand if demands_any else None) for demand in demands),
                invoked_at=invoked_at,
                returned_at=None if is_optional else invoked_at + random.randint(1, 6),
                outcome=Outcome.UNKNOWN if is_optional else Outcome.OK,
                result=None if is_optional else Written(),
            )
        )
    return operations


def has_order(model: GuardedCells, left: frozenset[Operation], state: Cells, failed: set[object]) -> bool:
    """The plain truth: try everything."""
    ends = [operation.returned_at for operation in left if operation.returned_at is not None]
    if not ends:
        return True
    if (left, state) in failed:
        return False
    failed.add((left, state))
    for operation in left:
        if operation.invoked_at <= min(ends):
            legal, after = model.step(state, operation)
            if legal and has_order(model, left - {operation}, after, failed):
                return True
    return False


def holds(model: GuardedCells, order: Sequence[Operation]) -> bool:
    """Whether an order is one: each operation fits where it stands, and none stands before what had returned before it."""
    state = model.initial()
    for place, operation in enumerate(order):
        legal, state = model.step(state, operation)
        if not legal or any((later.returned_at or operation.invoked_at) < operation.invoked_at for later in order[place:]):
            return False
    return True


class MadeUpMachinesTests(TestCase):
    """Against the plain truth."""

    def test_verdicts_and_orders(self) -> None:
        """Jumping back too far, or taking for a dead end what is none, would call a good history wrong. Orders count, too."""
        verdicts = {True: 0, False: 0}
        for seed in range(SEEDS_COUNT):
            random = Random(seed)
            model = GuardedCells(random.randint(2, 4))
            operations = made_up(random, model.cells_count, random.randint(6, 14))
            search = Search(model, operations, 1_000_000)
            verdict = search.run()
            self.assertEqual(has_order(model, frozenset(operations), model.initial(), set()), verdict, f"seed {seed}")
            verdicts[bool(verdict)] += 1
            if verdict:
                order = search.order()
                self.assertTrue(holds(model, order), f"seed {seed}")
                self.assertEqual(len(order), len(set(order)))
                self.assertEqual(set(), {operation for operation in operations if operation.returned_at is not None} - set(order))
        self.assertGreater(min(verdicts.values()), SEEDS_COUNT // 10)


SEEDS_COUNT = 1500
