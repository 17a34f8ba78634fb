"""`hraft.interfaces.Storage` on a disk: the log and the snapshots of one node, and how they fit together.

The fit: a snapshot is durable before the log that it replaces goes, so whatever a crash leaves is a log that reaches the
newest snapshot, or one that the snapshot makes void. docs/disk-format.md tells what a start does with each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from hraft import limits
from hraft.errors import LogCorrupted
from hraft.interfaces import Recovered
from hraft.raft.entry import ORIGIN, HardState, Snapshot
from hraft.raft.ready import Save
from hraft.storage.fail_stop import FailStop
from hraft.storage.files import FileSystem, sync_directory
from hraft.storage.journal import Journal, repair
from hraft.storage.log_reader import FoundLog, read_log
from hraft.storage.snapshot_file import encode
from hraft.storage.snapshots import FoundSnapshots, ReceivedSnapshot, SnapshotFile, Snapshots


class DurableStorage:
    """One node's disk. `save` and `compact` are called in one thread; the rest may be called in others beside it."""

    def __init__(
        self,
        file_system: FileSystem,
        path: str,
        cluster_id: str,
        segment_bytes: int = limits.SEGMENT_BYTES,
        padding_bytes: int = limits.SEGMENT_PADDING_BYTES,
        pace: Callable[[Iterable[bytes]], Iterator[bytes]] = iter,
    ) -> None:
        """`pace` passes on the lines of snapshots that are written or read, as fast as is good for others on the machine."""
        self._file_system = file_system
        self._path = path
        self._cluster_id = cluster_id
        self._log_path = f"{path}/log"
        self._segment_bytes = segment_bytes
        self._padding_bytes = padding_bytes
        self._pace = pace
        self._fail_stop = FailStop()
        self._snapshots = Snapshots(file_system, f"{path}/snapshots", cluster_id, self._fail_stop, pace)
        self._journal: Journal | None = None

    def recover(self) -> Recovered:
        """Check everything first, then repair: what is refused is left as it was."""
        with self._fail_stop:
            self._file_system.make_directory(self._log_path)
            self._file_system.make_directory(f"{self._path}/snapshots")
            sync_directory(self._file_system, self._path)
            snapshots = self._snapshots.recover()
            newest = snapshots.newest
            log = read_log(self._file_system, self._log_path, newest.index - limits.KEPT_ENTRIES_COUNT if newest else 0)
            self._check_reach(log, snapshots)
            notes = (*self._torn_notes(log), *self._damaged_notes(snapshots))
            repair(self._file_system, self._log_path, log)
            self._snapshots.set_aside(snapshots)
            self._journal = Journal(self._file_system, self._log_path, log, self._segment_bytes, self._padding_bytes)
            if newest is None:
                return Recovered(log.hard_state, None, ORIGIN, log.entries, notes)
            return self._fit(self._journal, log, newest, notes)

    def save(self, save: Save) -> None:
        journal = self._opened()
        with self._fail_stop:
            if save.install is not None:
                self._snapshots.install(save.install.snapshot)
                if not save.install.keep_suffix:
                    journal.reset(save.hard_state, save.install.snapshot.index + 1, save.entries)
                    return
            journal.append(save.hard_state, save.truncate_from, save.entries)

    def compact(self, first_index: int) -> None:
        journal = self._opened()
        newest = self._snapshots.newest
        with self._fail_stop:
            if newest is None:
                return
            journal.compact(min(first_index, newest.index + 1))
            self._snapshots.prune()

    def write_snapshot(self, snapshot: Snapshot, lines: Iterable[bytes]) -> None:
        with self._fail_stop:
            self._snapshots.write(snapshot, self._pace(lines))

    def encode_snapshot(self, snapshot: Snapshot, lines: Iterable[bytes]) -> Iterator[bytes]:
        return encode(snapshot, self._cluster_id, self._pace(lines))

    def read_snapshot(self, snapshot: Snapshot) -> AbstractContextManager[Iterator[bytes]]:
        return self._snapshots.read(snapshot)

    def open_snapshot(self) -> SnapshotFile:
        with self._fail_stop:
            return self._snapshots.open()

    def receive_snapshot(self, snapshot: Snapshot) -> ReceivedSnapshot:
        with self._fail_stop:
            return self._snapshots.receive(snapshot)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close(trim=not self._fail_stop.failed)
            self._journal = None

    # --- recovery --------------------------------------------------------------------------------

    def _check_reach(self, log: FoundLog, snapshots: FoundSnapshots) -> None:
        """Raise LogCorrupted for a log with nothing that leads up to it."""
        covered_index = snapshots.newest.index if snapshots.newest else 0
        if log.reaches_index > covered_index + 1:
            damaged = "".join(f" {problem}." for _, problem in snapshots.damaged)
            raise LogCorrupted(
                f"{self._log_path} begins with entry {log.reaches_index}, but no sound snapshot in {self._path}/snapshots "
                f"covers the entries from {covered_index + 1} to {log.reaches_index - 1}.{damaged} Restore the snapshot from a "
                f"copy, or remove this node from its cluster and join again with an empty directory and a new id."
            )

    def _fit(self, journal: Journal, log: FoundLog, newest: Snapshot, notes: tuple[str, ...]) -> Recovered:
        """Join the log to the snapshot; or drop all of it, durably, where the snapshot makes it void (S4)."""
        if log.first_index == newest.index + 1:
            return Recovered(log.hard_state, newest, newest.id, log.entries, notes)
        if log.first_index <= newest.index < log.next_index and log.entry(newest.index).term == newest.term:
            return Recovered(log.hard_state, newest, log.entries[0].id, log.entries[1:], notes)
        # The snapshot came from a leader of its term or a later one. Before that was known here, no vote can have left.
        hard_state = log.hard_state if log.hard_state.term >= newest.term else HardState(newest.term)
        journal.reset(hard_state, newest.index + 1)
        if log.entries:
            note = (
                f"{self._log_path}: entries {log.first_index} to {log.next_index - 1} dropped, since the snapshot of entry "
                f"{newest.index} of term {newest.term}, which was installed when the node stopped, takes their place"
            )
            notes = (*notes, note)
        return Recovered(hard_state, newest, newest.id, (), notes)

    def _torn_notes(self, log: FoundLog) -> Iterator[str]:
        if log.torn is not None:
            yield (
                f"{self._log_path}/{log.torn.name}: the last save, batch {log.torn.batch}, is not whole, since the node or its "
                f"machine stopped before it was acknowledged; dropped from byte {log.torn.end} of {log.torn.size} on"
            )

    def _damaged_notes(self, snapshots: FoundSnapshots) -> Iterator[str]:
        for name, problem in snapshots.damaged:
            yield f"{problem}; renamed to {name}.damaged, since the log reaches back to what comes before it"

    def _opened(self) -> Journal:
        if self._journal is None:
            raise ValueError(f"the storage in {self._path} is not open: recover() comes first, and nothing after close()")
        return self._journal
