"""What a correct state machine would answer: the part of the linearizability checker that knows what operations mean.

A model also says which operations can be judged apart from which. It knows nothing of how orders are searched for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Generic, TypeVar

from hraft.simulation.history import Operation, Outcome, Written

S = TypeVar("S", bound=Hashable)


class Model(ABC, Generic[S]):
    """A sequential specification. Derive your own to judge a state machine of your own; `initial` and `step` are all it needs.

    The search places exactly once every operation that has a `returned_at`, and at most once every one that has none.
    """

    @abstractmethod
    def initial(self) -> S: ...

    @abstractmethod
    def step(self, state: S, operation: Operation) -> tuple[bool, S]:
        """Whether `operation` can have had its result in `state`, and the state after it (the same if it changes nothing).

        It may also refuse what makes some later operation of the history impossible.
        """

    def partition(self, operations: Sequence[Operation]) -> Iterable[tuple[Model[Any], Sequence[Operation]]]:
        """Parts that are linearizable one by one exactly if the whole is, without what cannot matter, each with its model."""
        yield self, [operation for operation in operations if operation.outcome is Outcome.OK or operation.may_write]

    def narrowed(self, operations: Sequence[Operation], keys: set[str]) -> Sequence[Operation]:
        """What a history says of some keys alone, for a person who wants to know why that is not linearizable."""
        return [operation for operation in operations if not keys.isdisjoint(operation.keys)]

    def touched(self, operation: Operation) -> Iterable[Hashable]:
        """What an operation reads or writes. Two that touch nothing in common have the same effect in either order."""
        return ("everything",)

    def is_safe(self, state: S, operation: Operation, after: S) -> bool:
        """Whether a required operation that fits here may as well come next: if any order goes on from here, one does that begins
        with it. A read is safe, since nothing that follows can tell when it was."""
        return operation.is_read and state == after

    def likeness(self, operation: Operation) -> Hashable:
        """Two operations of equal likeness can stand for each other: the same was asked, and the same was told."""
        return operation.kind, operation.keys, operation.values, operation.expected, operation.result


class RevisionModel(Model[int]):
    """One counter for the whole store: every write that changed something was told a higher revision than any before it.

    Parts of single keys cannot see this. Writes that were told no revision only leave gaps.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        revisions = sorted(set(map(told_revision, operations)))
        self._next = dict(pairwise([0, *revisions]))

    def initial(self) -> int:
        return 0

    def step(self, state: int, operation: Operation) -> tuple[bool, int]:
        revision = told_revision(operation)
        return (True, revision) if revision == self._next.get(state) else (False, state)


def told_revision(operation: Operation) -> int:
    """The revision that a write was told; 0 if none."""
    return (operation.result.revision or 0) if isinstance(operation.result, Written) else 0


def makes_revision(operation: Operation) -> bool:
    """Whether a write was told a revision and certainly made it: a delete may have found nothing to delete."""
    if not told_revision(operation) or not operation.may_write:
        return False
    changed_count = operation.result.changed_count if isinstance(operation.result, Written) else None
    return any(value is not None for value in operation.values) or bool(changed_count)
