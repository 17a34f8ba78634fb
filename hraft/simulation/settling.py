"""Which operations of a history cannot matter, and by when those of unknown outcome must have taken effect.

With this a run in which many requests were cut off is judged as fast as one in which all were answered. Knows what reads tell and
writes make, but searches for no order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from hraft.simulation.history import Operation, Outcome, Time, Written

#: What a read can find under a key: a value, or None for nothing.
Fact: TypeAlias = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Settled:
    """What is left to be judged, and what was left out although it may have changed how often a key was set."""

    operations: list[Operation]
    #: For each key, how many sets and how many deletes of unknown outcome were left out.
    sets_left_out: Counter[str]
    deletes_left_out: Counter[str]


@dataclass(slots=True)
class _Evidence:
    """What the answered operations of a history show together."""

    #: When the first operation that found a fact returned.
    found_at: dict[Fact, Time] = field(default_factory=dict)
    #: The revision that somebody was told with a fact.
    revision_of: dict[Fact, int] = field(default_factory=dict)
    compared: set[str] = field(default_factory=set)
    writers: Counter[Fact] = field(default_factory=Counter)


def settle(operations: Iterable[Operation]) -> Settled:
    """Leave out what cannot matter, and give a time to UNKNOWN writes that must have taken effect.

    No legal history becomes illegal; no illegal one legal, unless somebody was told how often a key was set:

    - What was NOT_DONE had no effect, so only its effect could be wrong: it is left out, and whoever saw it has no explanation.
    - An UNKNOWN read tells nothing.
    - An UNKNOWN write none of whose values was ever read, of keys that were never compared. Take it out of any legal order:
      between it and the next write of one of its keys there was no read of that key, or that read would have found its value; so
      every answer stays as it was. And with it left out, a legal order is legal with it: it never took effect. Only a version, or
      a count of deleted keys, could show it: there the model allows for as many as were left out.
    - An UNKNOWN write of a value that no other operation writes and that was read. In any legal order it stands before every read
      of the value, hence before the return of the first of them: that is its time, and it must be placed. The revision that a
      read was told with the value is the revision that it made.

    So with values that are never written twice, an UNKNOWN set costs no more than one that was answered.
    """
    live = [operation for operation in operations if operation.outcome is Outcome.OK or operation.may_write]
    evidence = _evidence(live)
    settled = Settled([], Counter(), Counter())
    for operation in live:
        kept = _settled(operation, evidence)
        if kept is not None:
            settled.operations.append(kept)
        else:
            for key, value in facts_made(operation):
                (settled.deletes_left_out if value is None else settled.sets_left_out)[key] += 1
    return settled


def _evidence(operations: Iterable[Operation]) -> _Evidence:
    evidence = _Evidence()
    for operation in operations:
        evidence.compared.update(compared_keys(operation))
        evidence.writers.update(facts_made(operation))
        if operation.returned_at is not None:
            for fact in facts_proved(operation):
                evidence.found_at[fact] = min(operation.returned_at, evidence.found_at.get(fact, operation.returned_at))
        for key, answer in operation.asked() if operation.is_read else ():
            if answer.value is not None and answer.revision is not None:
                evidence.revision_of[key, answer.value] = answer.revision
    return evidence


def _settled(operation: Operation, evidence: _Evidence) -> Operation | None:
    if operation.outcome is not Outcome.UNKNOWN:
        return operation
    facts = list(facts_made(operation))
    own = [fact for fact in facts if fact in evidence.found_at and fact[1] is not None and evidence.writers[fact] == 1]
    # A value that was read before it was written gets no time: then its reader is what cannot be placed.
    if own and (at := min(evidence.found_at[fact] for fact in own)) >= operation.invoked_at:
        revision = next((evidence.revision_of[fact] for fact in own if fact in evidence.revision_of), None)
        return replace(operation, outcome=Outcome.OBSERVED, returned_at=at, result=Written(revision=revision))
    matters = any(fact in evidence.found_at for fact in facts) or not evidence.compared.isdisjoint(operation.keys)
    return operation if matters else None


def facts_made(operation: Operation) -> Iterator[Fact]:
    """What its keys may hold because of it."""
    if operation.may_write:
        yield from zip(operation.keys, operation.values, strict=True)


def facts_proved(operation: Operation) -> Iterator[Fact]:
    """What certainly was under some key at some moment between its invocation and its return."""
    if isinstance(operation.result, tuple) or (operation.result is not None and operation.result.succeeded):
        for key, answer in operation.asked():
            if answer.value is not None or answer.version == 0:
                yield key, answer.value


def compared_keys(operation: Operation) -> Iterator[str]:
    """The keys of which it shows whether there was something, although not what: any write may have to explain that."""
    for key, answer in operation.asked():
        if operation.expected or (answer.value is None and (answer.version or answer.revision is not None)):
            yield key


def counted_keys(operation: Operation) -> Iterator[str]:
    """The keys of which it shows how often they were set, or whether there was something to delete."""
    for key, answer in operation.asked():
        if answer.version:
            yield key
    if isinstance(operation.result, Written) and operation.result.changed_count is not None and None in operation.values:
        yield from operation.keys
