"""What must be found on a node's disk after a crash: kept by watching which saves have returned, and compared at every start.

The storage itself runs on a disk that forgets what was not synced, so a save that returns too early is found out here. Knows
terms and indexes only, no bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from hraft.errors import FormatUnknown, LogCorrupted
from hraft.interfaces import Recovered
from hraft.raft.entry import ORIGIN, EntryId, HardState, Snapshot
from hraft.raft.ready import Save
from hraft.simulation.disk import SimulatedDisk
from hraft.simulation.story import Violation
from hraft.storage.durable import DurableStorage

_KEPT_TERMS_COUNT = 2_000


@dataclass(slots=True)
class DiskTruth:
    """One disk: its log as the saves left it, and beside it the newest snapshot. `terms` has the log's entries by index, and
    the entry before the first one."""

    hard_state: HardState = HardState()
    snapshot_id: EntryId = ORIGIN
    last_index: int = 0
    terms: dict[int, int] = field(default_factory=dict)

    def holds(self, index: int, term: int) -> bool:
        """Whether that entry is there, or the snapshot stands for it."""
        if index <= self.snapshot_id.index:
            return True
        return index <= self.last_index and self.terms.get(index) == term

    def saved(self, save: Save) -> None:
        """A save has returned."""
        self.hard_state = save.hard_state
        if save.install is not None:
            self.snapshotted(save.install.snapshot)
            if not save.install.keep_suffix:
                self.last_index = save.install.snapshot.index
                self.terms = {self.last_index: save.install.snapshot.term}
        if save.truncate_from is not None:
            for gone in range(save.truncate_from, self.last_index + 1):
                del self.terms[gone]
            self.last_index = save.truncate_from - 1
        for entry in save.entries:
            self.terms[entry.index] = entry.term
            self.last_index = entry.index

    def snapshotted(self, snapshot: Snapshot) -> None:
        """A snapshot became visible. It may be ahead of the log."""
        if snapshot.index > self.snapshot_id.index:
            self.snapshot_id = snapshot.id

    def compacted(self) -> None:
        """Some of the log before the snapshot went; forget what cannot matter any more."""
        if len(self.terms) > 2 * _KEPT_TERMS_COUNT:
            floor = min(self.snapshot_id.index, self.last_index) - _KEPT_TERMS_COUNT
            self.terms = {index: term for index, term in self.terms.items() if index >= floor}

    def copy(self) -> DiskTruth:
        return replace(self, terms=dict(self.terms))

    def agrees(self, recovered: Recovered) -> bool:
        """Whether a start finds just this; or this with a newer snapshot, which was being written. A snapshot that the log
        does not reach, or that has another entry at its index, makes the log void."""
        found = recovered.snapshot.id if recovered.snapshot else ORIGIN
        if found.index < self.snapshot_id.index or (found.index == self.snapshot_id.index and found != self.snapshot_id):
            return False
        entries, last_index, hard_state = recovered.entries, self.last_index, self.hard_state
        if found.index > last_index or (found != ORIGIN and self.terms.get(found.index) != found.term):
            last_index = found.index
            hard_state = hard_state if hard_state.term >= found.term else HardState(found.term)
        found_last_index = entries[-1].index if entries else found.index
        return (
            recovered.hard_state == hard_state
            and found_last_index == last_index
            and all(entry.term == self.terms.get(entry.index) for entry in entries if entry.index > found.index)
        )

    def begin_with(self, recovered: Recovered) -> None:
        """What was found is the truth from now on."""
        found = recovered.snapshot.id if recovered.snapshot else ORIGIN
        self.hard_state, self.snapshot_id = recovered.hard_state, found
        self.terms = {found.index: found.term, recovered.base.index: recovered.base.term}
        self.terms.update((entry.index, entry.term) for entry in recovered.entries)
        self.last_index = recovered.entries[-1].index if recovered.entries else found.index


def candidates(before: DiskTruth, pending: Save | None) -> Iterator[DiskTruth]:
    """What may be found when the power went while `pending` was being saved: nothing of it, its snapshot only, or all."""
    yield before
    if pending is None:
        return
    after = before.copy()
    after.saved(pending)
    yield after
    if pending.install is not None:
        installed = before.copy()
        installed.snapshotted(pending.install.snapshot)
        yield installed


class StorageWatcher:
    """Hears of what one storage has done. This one does not care."""

    def recovered(self, recovered: Recovered) -> None: ...

    def saved(self, save: Save, before: HardState) -> None:
        """A save is durable, and its node does not know yet."""

    def snapshotted(self) -> None: ...

    def compacted(self) -> None: ...


class WatchedStorage(DurableStorage):
    """A node's real storage on its simulated disk. `truth` outlives it."""

    def __init__(
        self,
        disk: SimulatedDisk,
        truth: DiskTruth,
        cluster_id: str,
        segment_bytes: int,
        padding_bytes: int,
        watcher: StorageWatcher,
    ) -> None:
        super().__init__(disk, disk.root, cluster_id, segment_bytes, padding_bytes)
        self.truth = truth
        #: What the power cut came into, in the life before.
        self.pending: Save | None = None
        self._watcher = watcher

    def recover(self) -> Recovered:
        try:
            recovered = super().recover()
        except (LogCorrupted, FormatUnknown) as error:
            raise Violation("what a crash leaves can be read", str(error)) from error
        for truth in candidates(self.truth, self.pending):
            if truth.agrees(recovered):
                break
        else:
            raise Violation("the disk lost or changed what was saved", self._difference(recovered))
        self.truth.begin_with(recovered)
        self.pending = None
        self._watcher.recovered(recovered)
        return recovered

    def save(self, save: Save) -> None:
        self.pending = save
        super().save(save)
        before = self.truth.hard_state
        self.truth.saved(save)
        self.pending = None
        self._watcher.saved(save, before)

    def write_snapshot(self, snapshot: Snapshot, lines: Iterable[bytes]) -> None:
        super().write_snapshot(snapshot, lines)
        self.truth.snapshotted(snapshot)
        self._watcher.snapshotted()

    def compact(self, first_index: int) -> None:
        before = len(self._opened()._segments)
        super().compact(first_index)
        self.truth.compacted()
        if len(self._opened()._segments) < before:
            self._watcher.compacted()

    def _difference(self, recovered: Recovered) -> str:
        snapshot = recovered.snapshot.id if recovered.snapshot else ORIGIN
        entries = [entry.id for entry in recovered.entries]
        truth = self.truth
        return (
            f"found {recovered.hard_state}, snapshot {snapshot}, {len(entries)} entries {entries[:1]} to {entries[-1:]}; "
            f"should be {truth.hard_state}, snapshot {truth.snapshot_id}, entries up to {truth.last_index}, "
            f"term {truth.terms.get(truth.last_index)}; being saved: {self.pending}"
        )
