"""One thing that a client asks of the store, as the store is asked and as the history keeps it; and what an answer tells.

Drawn by chance, from what the client saw last. Knows nothing of nodes, and of what becomes of a request on its way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from hraft.kv.commands import Delete, Set, SetMany, Simple
from hraft.kv.records import Record
from hraft.kv.results import GetDone, Transacted
from hraft.kv.results import Written as StoreWritten
from hraft.kv.store import KeyValueStore
from hraft.kv.transactions import Compare, GetRange, Put, Transaction
from hraft.simulation.history import MISSING, Kind, Seen, Written
from hraft.simulation.story import Violation

#: What is asked, and how often.
_WEIGHTS = {"read": 30, "read several": 6, "delete": 6, "write several": 6, "compare and set": 10, "write": 42}


@dataclass(frozen=True, slots=True)
class Asking:
    """`values`, `expected` and answers stand in the order of `keys`. No command: a read of one node's own state."""

    kind: Kind
    keys: tuple[str, ...]
    values: tuple[str | None, ...] = ()
    expected: tuple[Seen, ...] = ()
    command: Simple | None = None

    def written(self, result: object, tells_revisions: bool) -> tuple[Seen, ...] | Written:
        """What the history is told of the store's answer. Raises Violation for one that cannot be."""
        if isinstance(result, StoreWritten):
            return Written(True, result.revision, result.changed_count) if tells_revisions else Written()
        if not isinstance(result, Transacted):
            raise Violation("a good command was refused", f"{self.command}: {result}")
        if self.kind is Kind.GET:
            return self.found(result, tells_revisions)
        if result.succeeded:
            return Written(True, result.revision, len(self.keys)) if tells_revisions else Written()
        found = self.found(result, tells_revisions=True)
        if all(_meets(seen, demand) for seen, demand in zip(found, self.expected, strict=True)):
            raise Violation("a comparison that holds was refused", f"{self.command}: {result}")
        return Written(succeeded=False)

    def found(self, result: Transacted, tells_revisions: bool) -> tuple[Seen, ...]:
        """What the reads of a transaction saw of the keys."""
        reads = [done for done in result.results if isinstance(done, GetDone)]
        return tuple(seen_in(done.pairs[0].record if done.pairs else None, tells_revisions) for done in reads)


def draw(random: Random, keys: Sequence[str], value: str, known: Mapping[str, Seen]) -> Asking:
    """Something to ask. `known` is what this client saw last of each key; a `value` is never written twice."""
    [what] = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
    key = random.choice(keys)
    # Always the same two together: keys that operations connect are judged together, which is hard for many.
    first = random.randrange(len(keys)) // 2 * 2
    some = tuple(keys[first : first + 2])
    if what == "read":
        return Asking(Kind.GET, (key,))
    if what == "read several":
        return Asking(Kind.GET, some, command=Transaction((), _reads(some)))
    if what == "delete":
        return Asking(Kind.DELETE, (key,), (None,), command=Delete(key.encode()))
    if what == "write several" and len(some) > 1:
        return Asking(Kind.SET, some, (value,) * 2, command=SetMany(tuple((name.encode(), value.encode()) for name in some)))
    if what == "compare and set":
        return _compare_and_set((key,), value, known)
    return Asking(Kind.SET, (key,), (value,), command=Set(key.encode(), value.encode()))


def seen_in(record: Record | None, tells_revisions: bool) -> Seen:
    """What a read of this record saw."""
    if record is None:
        return MISSING
    return Seen(record.value.decode(), *((record.mod_revision, record.version) if tells_revisions else ()))


def read(store: KeyValueStore, asking: Asking, tells_revisions: bool) -> tuple[Seen, ...]:
    """The answer of a node's own state."""
    return tuple(seen_in(store.get(key.encode()), tells_revisions) for key in asking.keys)


def _compare_and_set(keys: tuple[str, ...], value: str, known: Mapping[str, Seen]) -> Asking:
    expected = tuple(known.get(key, MISSING) for key in keys)
    compare = tuple(_compare(key, demand) for key, demand in zip(keys, expected, strict=True))
    then = tuple(Put(key.encode(), value.encode()) for key in keys)
    command = Transaction(compare, then, _reads(keys))
    return Asking(Kind.COMPARE_AND_SET, keys, (value,) * len(keys), expected, command)


def _compare(key: str, demand: Seen) -> Compare:
    if demand.version == 0:
        return Compare(key.encode(), "version", "=", 0)
    if demand.revision is not None:
        return Compare(key.encode(), "mod_revision", "=", demand.revision)
    assert demand.value is not None
    return Compare(key.encode(), "value", "=", demand.value.encode())


def _reads(keys: Sequence[str]) -> tuple[GetRange, ...]:
    return tuple(GetRange(key.encode()) for key in keys)


def _meets(seen: Seen, demand: Seen) -> bool:
    if demand.version == 0 or demand.revision is not None:
        return (seen.version, seen.revision) == (demand.version, demand.revision)
    return seen.value == demand.value
