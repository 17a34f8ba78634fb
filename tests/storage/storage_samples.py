"""What the storage tests share: sample entries, a story of saves to break at every step, and what may be found afterwards."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from hraft.interfaces import Recovered, Storage
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, HardState, Snapshot
from hraft.raft.ready import Install, Save
from hraft.simulation.disk import Choose, PowerCut, SimulatedDisk
from hraft.storage.durable import DurableStorage
from hraft.storage.memory import MemoryStorage

CLUSTER = "cluster-a"
CONFIGURATION = Configuration(voters={"n1": "h:1", "n2": "h:2"}, learners={"n3": "h:3"}, removed=("n0",))


def entry(index: int, term: int, size: int = 10) -> Entry:
    if index == 1:
        return Entry(1, term, EntryKind.CONFIGURATION, configuration=CONFIGURATION)
    if index % 5 == 0:
        return Entry(index, term, EntryKind.NOOP)
    return Entry(index, term, EntryKind.COMMAND, b'{"op":"set","key":"k%d","value":"%s"}' % (index, b"x" * size))


def entries(first: int, last: int, term: int) -> tuple[Entry, ...]:
    return tuple(entry(index, term) for index in range(first, last + 1))


def snapshot(index: int, term: int) -> Snapshot:
    return Snapshot(index, term, CONFIGURATION)


def lines(index: int) -> list[bytes]:
    return [b'{"key":"k%d","value":%d}' % (number, index) for number in range(index % 7 + 1)]


def save(hard_state: HardState, *given: Entry, truncate_from: int | None = None, install: Install | None = None) -> Save:
    return Save(0, hard_state, truncate_from, tuple(given), install)


# --- storage on simulated disks ------------------------------------------------------------------


def durable(disk: SimulatedDisk, segment_bytes: int = 400, padding_bytes: int = 600) -> DurableStorage:
    """Small segments, so that little is needed to fill several; padding of more than a sector."""
    return DurableStorage(disk, disk.root, CLUSTER, segment_bytes, padding_bytes)


def recovered(disk: SimulatedDisk) -> Recovered:
    return durable(disk).recover()


def disk_with(files: dict[str, bytes]) -> SimulatedDisk:
    disk = SimulatedDisk()
    for path, data in files.items():
        disk.put(path, data)
    return disk


def worst_luck(low: int, high: int) -> int:
    return low


def best_luck(low: int, high: int) -> int:
    return high - 1


def lucks(seeds: int) -> Iterator[Choose]:
    """Nothing that was not synced survives; all of it; and mixtures."""
    yield worst_luck
    yield best_luck
    for seed in range(seeds):
        yield Random(seed).randrange


@dataclass
class FaultAt:
    """Has the n-th operation fail, counted from 1; all after it too if it is to last."""

    number: int
    problem: int | None = None
    lasts: bool = False
    reads_too: bool = False
    count: int = 0
    happened: list[str] = field(default_factory=list)

    def __call__(self, operation: str, path: str) -> None:
        if operation in ("read", "listdir", "open") and not self.reads_too:
            return
        self.count += 1
        if self.count == self.number or (self.lasts and self.count > self.number) or (self.happened and self.problem is None):
            self.happened.append(f"{operation} {path}")
            if self.problem is None:
                raise PowerCut(f"at operation {self.number}, {operation} {path}")
            raise OSError(self.problem, errno.errorcode[self.problem], path)


# --- the story -----------------------------------------------------------------------------------

Step = Callable[[Storage], Any]


def saves(*given: Entry, term: int, vote: str | None = "n1", truncate_from: int | None = None) -> Step:
    return lambda storage: storage.save(save(HardState(term, vote), *given, truncate_from=truncate_from))


def takes_snapshot(index: int, term: int) -> Step:
    return lambda storage: storage.write_snapshot(snapshot(index, term), lines(index))


def compacts(first_index: int) -> Step:
    return lambda storage: storage.compact(first_index)


def receives(index: int, term: int) -> Step:
    """Take a snapshot from a storage that has it, part by part."""

    def receive(storage: Storage) -> None:
        leader = MemoryStorage(CLUSTER)
        leader.write_snapshot(snapshot(index, term), lines(index))
        reader = leader.open_snapshot()
        writer = storage.receive_snapshot(reader.snapshot)
        while writer.size_bytes < reader.size_bytes:
            writer.append(reader.read(writer.size_bytes, 100))
        writer.complete()

    return receive


@dataclass(frozen=True)
class Installs:
    """The Save that puts a received snapshot in force."""

    snapshot: Snapshot
    keep_suffix: bool
    hard_state: HardState
    given: tuple[Entry, ...] = ()

    def __call__(self, storage: Storage) -> None:
        storage.save(save(self.hard_state, *self.given, install=Install(self.snapshot, self.keep_suffix)))


STORY: tuple[Step, ...] = (
    saves(entry(1, 1), term=1),
    saves(*entries(2, 4, 1), term=1),
    saves(term=2, vote=None),
    saves(term=2, vote='n"2'),
    saves(*entries(5, 10, 2), term=2),
    saves(*entries(11, 12, 2), term=2),
    saves(*entries(12, 13, 3), term=3, truncate_from=12),
    saves(*entries(5, 16, 4), term=4, truncate_from=5),
    takes_snapshot(9, 4),
    compacts(8),
    saves(*entries(17, 30, 4), term=4),
    takes_snapshot(20, 4),
    saves(*entries(31, 32, 4), term=4),
    compacts(21),
    receives(25, 4),
    Installs(snapshot(25, 4), True, HardState(5, None), entries(33, 34, 5)),
    receives(40, 5),
    Installs(snapshot(40, 5), False, HardState(5, "n2"), entries(41, 42, 5)),
    saves(*entries(43, 50, 5), term=5),
    takes_snapshot(45, 5),
    compacts(46),
    receives(48, 6),
    Installs(snapshot(48, 6), False, HardState(6, None)),
    saves(*entries(49, 52, 6), term=6),
)


# --- what may be found ---------------------------------------------------------------------------


def essence(found: Recovered) -> tuple[Any, ...]:
    """All that matters of what was recovered: older entries may be kept or not."""
    covered = found.snapshot.index if found.snapshot else 0
    kept = tuple(entry for entry in found.entries if entry.index > covered)
    return found.hard_state, found.snapshot, kept, max(covered, found.base.index + len(found.entries))


def check_shape(found: Recovered) -> None:
    """What interfaces.py says of every Recovered."""
    if found.snapshot is not None:
        assert found.base.index <= found.snapshot.index, found
    assert [item.index for item in found.entries] == list(range(found.base.index + 1, found.base.index + 1 + len(found.entries)))


def model(count: int, story: tuple[Step, ...] = STORY) -> MemoryStorage:
    """A storage that lived through the first steps of the story."""
    storage = MemoryStorage(CLUSTER)
    for step in story[:count]:
        step(storage)
    return storage


@cache
def expected(count: int) -> tuple[Any, ...]:
    """What is to be on disk after so many steps."""
    return essence(model(count).recover())


@cache
def possible(count: int) -> tuple[tuple[Any, ...], ...]:
    """What may be on disk when the step after so many was cut short: nothing of it, or all; of an install, the snapshot alone."""
    if count == len(STORY):
        return (expected(count),)
    step = STORY[count]
    if not isinstance(step, Installs):
        return expected(count), expected(count + 1)
    halfway = model(count)
    halfway.write_snapshot(step.snapshot, lines(step.snapshot.index))
    return expected(count), essence(halfway.recover()), expected(count + 1)
