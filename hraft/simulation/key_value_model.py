"""The model of the key-value store. On purpose it shares no code with the store: the two must agree because both are right."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeAlias

from hraft.simulation.history import Operation, Seen, Written
from hraft.simulation.models import Model, RevisionModel, makes_revision, told_revision
from hraft.simulation.settling import Settled, compared_keys, counted_keys, facts_made, facts_proved, settle


class Cell(NamedTuple):
    """One key. Of `revision` only a lower bound is known until somebody was told it (`is_exact`)."""

    value: Hashable
    version: int
    revision: int
    is_exact: bool
    #: How many reads must still find this value before it may go: known where only one operation writes it. UNPROVED: somebody
    #: must be told of it, or else the UNKNOWN write that made it could be left out.
    reads_left: int


EMPTY = Cell(None, 0, 0, False, 0)
UNPROVED: Final = -1
NOTHING_TOLD: Final = Seen()
#: Stands for every value that nobody ever saw or asked for: no operation can tell such values apart, so the search need not.
UNSEEN: Final = ("a value that nobody saw",)
Cells: TypeAlias = tuple[Cell, ...]


class KeyValueModel(Model[Cells]):
    """Keys that are set, deleted, compared and read, some of them together. A revision is one of the whole store."""

    def __init__(self, keys: Iterable[str] = (), part: Sequence[Operation] = (), settled: Settled | None = None) -> None:
        self._slots = {key: slot for slot, key in enumerate(keys)}
        asked = [pair for operation in part for pair in operation.asked()]
        self._facts = {(key, None if answer.version == 0 else answer.value) for key, answer in asked}
        self._telling = {key for operation in part for key in (*compared_keys(operation), *counted_keys(operation))}
        self._sets_left_out = Counter[str]() if settled is None else settled.sets_left_out
        self._deletes_left_out = Counter[str]() if settled is None else settled.deletes_left_out
        # What nobody is told is not kept, or states that nothing can tell apart would be searched one by one.
        self._counts_versions = any(answer.version for _, answer in asked)
        self._counts_revisions = any(answer.revision for _, answer in asked) or any(map(told_revision, part))
        # What is known beforehand of a value that only one operation writes: how many reads it needs, and which version it had.
        writers = Counter(fact for operation in part for fact in facts_made(operation))
        proved = Counter(fact for operation in part if operation.returned_at is not None for fact in facts_proved(operation))
        self._reads_of = {fact: count for fact, count in proved.items() if writers[fact] == 1 and fact[1] is not None}
        read = [(key, answer) for operation in part if operation.is_read for key, answer in operation.asked()]
        self._version_of = {(key, answer.value): answer.version for key, answer in read if (key, answer.value) in self._reads_of}
        self._revisions = _revisions_made(part)

    def partition(self, operations: Sequence[Operation]) -> Iterator[tuple[Model[Any], Sequence[Operation]]]:
        """One part per group of keys that operations of several keys connect (linearizability is local: Herlihy and Wing, 1990),
        and one for the revisions, which all keys share. Each key of a group is a part as well, to find sooner where one is wrong.
        """
        settled = settle(operations)
        for keys, part in _groups(settled.operations):
            yield KeyValueModel(keys, part, settled), part
            for key in keys if len(keys) > 1 else ():
                single = self.narrowed(part, {key})
                yield KeyValueModel([key], single, settled), single
        numbered = [operation for operation in settled.operations if makes_revision(operation)]
        if numbered:
            yield RevisionModel(numbered), numbered

    def narrowed(self, operations: Sequence[Operation], keys: set[str]) -> list[Operation]:
        return [narrow for operation in operations if (narrow := _narrowed(operation, keys)) is not None]

    def initial(self) -> Cells:
        return (EMPTY,) * len(self._slots)

    def touched(self, operation: Operation) -> tuple[str, ...]:
        return operation.keys

    def likeness(self, operation: Operation) -> Hashable:
        values = tuple(self._kept(key, value) for key, value in zip(operation.keys, operation.values, strict=False))
        return operation.kind, operation.keys, values, operation.expected, operation.result

    def is_safe(self, state: Cells, operation: Operation, after: Cells) -> bool:
        """Reads and refusals, unless they are the first to tell a revision; and sets that nobody saw, once nobody need see any
        more what they overwrite: in any order the next operation on their keys is another write, so they are not missed there."""
        if not operation.may_write:
            return all(state[self._slots[key]].is_exact == after[self._slots[key]].is_exact for key in operation.keys)
        if self._counts_revisions or not self._telling.isdisjoint(operation.keys):
            return False
        return all(self._is_spent(key, state) and after[self._slots[key]].value is UNSEEN for key in operation.keys)

    def step(self, state: Cells, operation: Operation) -> tuple[bool, Cells]:
        """Carry out one operation on all its keys at once."""
        result = operation.result
        if isinstance(result, tuple):
            found = self._matched(state, operation.keys, result)
            return (False, state) if found is None else (True, found)
        if operation.expected:
            holds = self._matched(state, operation.keys, operation.expected)
            if result is not None and not result.succeeded:
                if result.changed_count:
                    return False, state
                refused = self._was_refused(state, operation, holds is not None)
                return refused, self._found(state, operation.keys) if refused else state
            if holds is None:
                # Without an answer it is as if it had not been; with one, or with proof that it took effect, it cannot be here.
                return operation.returned_at is None, state
            state = holds
        return self._carried_out(state, operation)

    # --- reading and comparing -------------------------------------------------------------------

    def _matched(self, state: Cells, keys: tuple[str, ...], answers: tuple[Seen, ...]) -> Cells | None:
        """The state after these answers; None if it cannot have given them."""
        for key, answer in zip(keys, answers, strict=True):
            slot = self._slots[key]
            cell = state[slot]
            if answer.version == 0:
                if cell.version:
                    return None
            elif answer != NOTHING_TOLD:
                told = _told_by(cell, answer) if self._may_be(key, cell, answer.version) else None
                if told is None:
                    return None
                if told is not cell:
                    state = (*state[:slot], told, *state[slot + 1 :])
            else:
                continue
            state = self._found(state, (key,))
        return state

    def _may_be(self, key: str, cell: Cell, version: int | None) -> bool:
        """Whether a key may have this version: its own, but for writes that were left out, of which nobody knows."""
        if version is None or version == cell.version:
            return True
        lowest = 1 if self._deletes_left_out[key] else cell.version
        return lowest <= version <= cell.version + self._sets_left_out[key]

    def _found(self, state: Cells, keys: tuple[str, ...]) -> Cells:
        """The state once somebody was told something of these keys."""
        for slot in [self._slots[key] for key in keys]:
            if state[slot].reads_left == UNPROVED:
                state = (*state[:slot], state[slot]._replace(reads_left=0), *state[slot + 1 :])
        return state

    def _was_refused(self, state: Cells, operation: Operation, may_hold: bool) -> bool:
        if not may_hold:
            return True
        # Where a revision is demanded of a key whose revision nobody knows here, it may well have been another one.
        cells = (state[self._slots[key]] for key in operation.keys)
        pairs = zip(cells, operation.expected, strict=True)
        return any(demand.revision is not None and demand.version != 0 and not cell.is_exact for cell, demand in pairs)

    # --- writing ---------------------------------------------------------------------------------

    def _carried_out(self, state: Cells, operation: Operation) -> tuple[bool, Cells]:
        told = operation.result if isinstance(operation.result, Written) else Written()
        slots = [self._slots[key] for key in operation.keys]
        changed_count, most = self._changed_counts(state, operation)
        if told.changed_count is not None:
            if not changed_count <= told.changed_count <= most:
                return False, state
            changed_count = told.changed_count
            state = self._found(state, operation.keys)
        lowest = max(state[slot].revision for slot in slots)
        if changed_count and self._counts_revisions:
            lowest += 1
        revision = told.revision or lowest
        if revision < lowest or self._passes_over(state, operation, revision if told.revision else lowest + 1):
            return False, state
        if not changed_count and not any(state[slot].version for slot in slots):
            return True, state
        cells = list(state)
        for slot, key, value in zip(slots, operation.keys, operation.values, strict=True):
            made = revision if changed_count else state[slot].revision
            cells[slot] = self._put(state[slot], key, value, made, told.revision is not None)
            if state[slot].reads_left or not self._may_be(key, cells[slot], self._version_of.get((key, value))):
                return False, state
        if operation.returned_at is None and len(slots) == 1 and tuple(cells) != state and not self._counts_versions:
            cells[slots[0]] = cells[slots[0]]._replace(reads_left=UNPROVED)
        return True, tuple(cells)

    def _put(self, cell: Cell, key: str, value: str | None, revision: int, is_exact: bool) -> Cell:
        if value is None:
            # Also for a key that was missing anyhow: whatever sets it next gets a revision above that of this write.
            return EMPTY._replace(revision=revision)
        version = cell.version + 1 if self._counts_versions else 1
        return Cell(self._kept(key, value), version, revision, is_exact, self._reads_of.get((key, value), 0))

    def _changed_counts(self, state: Cells, operation: Operation) -> tuple[int, int]:
        """How many keys a write changes here, at least and at most: of a delete only where writes of its key were left out."""
        fewest = most = 0
        for key, value in zip(operation.keys, operation.values, strict=True):
            is_there = state[self._slots[key]].version > 0
            fewest += value is not None or (is_there and not self._deletes_left_out[key])
            most += value is not None or is_there or self._sets_left_out[key] > 0
        return fewest, most

    def _passes_over(self, state: Cells, operation: Operation, revision: int) -> bool:
        """Whether a write of one of these keys that was told a lower revision has no place any more after this one."""
        for key in operation.keys if self._counts_revisions else ():
            made = self._revisions.get(key, [])
            place = bisect_right(made, state[self._slots[key]].revision)
            if place < len(made) and made[place] < revision:
                return True
        return False

    def _is_spent(self, key: str, state: Cells) -> bool:
        cell = state[self._slots[key]]
        fact = (key, cell.value)
        return not cell.reads_left and (fact in self._reads_of or fact not in self._facts)

    def _kept(self, key: str, value: str | None) -> Hashable:
        return value if value is None or (key, value) in self._facts else UNSEEN


# --- cells, revisions, keys -----------------------------------------------------------------------


def _revisions_made(operations: Iterable[Operation]) -> dict[str, list[int]]:
    """For each key, the revisions that its writes were told, in their order."""
    of_key: dict[str, set[int]] = {}
    for operation in operations:
        if makes_revision(operation):
            for key in operation.keys:
                of_key.setdefault(key, set()).add(told_revision(operation))
    return {key: sorted(made) for key, made in of_key.items()}


def _told_by(cell: Cell, answer: Seen) -> Cell | None:
    """The cell after an answer that tells something; None if it cannot be about this cell."""
    if not cell.version or answer.value not in (None, cell.value):
        return None
    reads_left = cell.reads_left if answer.value is None else max(0, cell.reads_left - 1)
    if answer.revision is None:
        return cell if reads_left == cell.reads_left else cell._replace(reads_left=reads_left)
    if answer.revision != cell.revision and (cell.is_exact or answer.revision < cell.revision):
        return None
    return cell._replace(revision=answer.revision, is_exact=True, reads_left=reads_left)


def _narrowed(operation: Operation, keys: set[str]) -> Operation | None:
    """What an operation says of some of its keys; None if that is nothing."""
    places = [place for place, key in enumerate(operation.keys) if key in keys]
    if len(places) == len(operation.keys):
        return operation
    result = operation.result
    # A refusal may be because of any of the keys, so it says nothing of one.
    if not places or (isinstance(result, Written) and not result.succeeded):
        return None
    if isinstance(result, Written):
        result = replace(result, changed_count=None)
    return replace(
        operation,
        keys=tuple(operation.keys[place] for place in places),
        values=tuple(operation.values[place] for place in places) if operation.values else (),
        expected=tuple(operation.expected[place] for place in places) if operation.expected else (),
        result=tuple(result[place] for place in places) if isinstance(result, tuple) else result,
    )


def _groups(operations: Sequence[Operation]) -> Iterator[tuple[list[str], list[Operation]]]:
    """The operations by the sets of keys that operations of several keys connect, in the order of the first invocations."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = key = parent.setdefault(above, above)
        return key

    for operation in operations:
        for key in operation.keys:
            parent[root(key)] = root(operation.keys[0])
    parts: dict[str, list[Operation]] = {}
    for operation in operations:
        parts.setdefault(root(operation.keys[0]), []).append(operation)
    for part in parts.values():
        yield sorted({key for operation in part for key in operation.keys}), part
