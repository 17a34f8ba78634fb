"""The directory of snapshots: complete files only, the newest of which counts (docs/disk-format.md).

A file is written under a temporary name, fsynced, renamed, and the directory fsynced; so what stands under a snapshot's name
was whole once. Knows nothing of the log. Raises StorageFailed or OSError for a disk that does not work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock

from hraft import limits
from hraft.errors import LogCorrupted
from hraft.raft.entry import EntryId, Snapshot
from hraft.storage.fail_stop import FailStop
from hraft.storage.files import File, FileSystem, is_full, sync, sync_directory, write_all
from hraft.storage.snapshot_file import check_identity, encode, read_layout, read_lines, verify

SNAPSHOT_NAME = re.compile(r"(\d{20})-(\d{20})\.jsonl")
_TEMPORARY = re.compile(r".*\.(writing|receiving-\d+)")
#: A received file that is never installed must not stay for ever.
RECEIVED_COUNT = 2


def snapshot_name(snapshot_id: EntryId) -> str:
    return f"{snapshot_id.index:020d}-{snapshot_id.term:020d}.jsonl"


@dataclass(slots=True)
class FoundSnapshots:
    """What a start found. `damaged` are the newer files that had to be passed over, and why."""

    newest: Snapshot | None = None
    damaged: list[tuple[str, str]] = field(default_factory=list)


class Snapshots:
    """All snapshots of one node. May be used by several threads at once."""

    def __init__(
        self,
        file_system: FileSystem,
        directory: str,
        cluster_id: str,
        fail_stop: FailStop,
        pace: Callable[[Iterable[bytes]], Iterator[bytes]] = iter,
    ) -> None:
        self._file_system = file_system
        self._directory = directory
        self._cluster_id = cluster_id
        self._fail_stop = fail_stop
        self._pace = pace
        self._lock = RLock()
        #: What follows is changed, and names are used to open files, under the lock only. Names are in order of age.
        self._names: list[str] = []
        self._newest: Snapshot | None = None
        #: Complete files from peers, not yet installed: their temporary names.
        self._received: dict[EntryId, str] = {}
        self._receiving_count = 0

    @property
    def newest(self) -> Snapshot | None:
        return self._newest

    def recover(self) -> FoundSnapshots:
        """Find the newest sound file, and remove what an interrupted writer left. Raises FormatUnknown."""
        found = FoundSnapshots()
        for name in self._file_system.listdir(self._directory):
            if _TEMPORARY.fullmatch(name):
                self._file_system.remove(self._path(name))
            elif SNAPSHOT_NAME.fullmatch(name):
                self._names.append(name)
        while self._names and found.newest is None:
            name = self._names[-1]
            try:
                found.newest = self._verified(name)
            except LogCorrupted as error:
                found.damaged.insert(0, (name, str(error)))
                self._names.pop()
        self._newest = found.newest
        return found

    def set_aside(self, found: FoundSnapshots) -> None:
        """Take damaged files out of the way, but leave them to be looked at."""
        for name, _ in found.damaged:
            self._file_system.rename(self._path(name), self._path(f"{name}.damaged"))
        if found.damaged:
            sync_directory(self._file_system, self._directory)

    def write(self, snapshot: Snapshot, lines: Iterable[bytes]) -> None:
        """Write a snapshot of our own and make it durable and visible; nothing, if there is a newer one already."""
        if self._newest is not None and snapshot.index <= self._newest.index:
            return
        name = snapshot_name(snapshot.id)
        temporary = f"{name}.writing"
        file = self._file_system.create(self._path(temporary))
        try:
            size_bytes = synced_bytes = 0
            for part in encode(snapshot, self._cluster_id, lines):
                write_all(file, size_bytes, part)
                size_bytes += len(part)
                if size_bytes - synced_bytes >= limits.SNAPSHOT_SYNC_BYTES:
                    sync(file)
                    synced_bytes = size_bytes
            sync(file)
        except OSError as error:
            if is_full(error):
                self._file_system.remove(self._path(temporary))
            raise
        finally:
            file.close()
        self._show(temporary, snapshot)

    def install(self, snapshot: Snapshot) -> None:
        """Make a received snapshot visible, durably. Nothing, if it already is: an install is repeated after StorageFull."""
        with self._lock:
            temporary = self._received.get(snapshot.id)
            if temporary is None:
                if self._newest is not None and self._newest.index >= snapshot.index:
                    return
                raise ValueError(f"{snapshot} was not received, so it cannot be installed")
            self._show(temporary, snapshot)
            del self._received[snapshot.id]

    def prune(self) -> None:
        """Remove all but the newest files."""
        with self._lock:
            while len(self._names) > limits.SNAPSHOTS_KEPT_COUNT:
                self._file_system.remove(self._path(self._names[0]))
                del self._names[0]

    @contextmanager
    def read(self, snapshot: Snapshot) -> Iterator[Iterator[bytes]]:
        """The state machine's lines. Raises LogCorrupted if the file is not there, or is not what it should be."""
        name = snapshot_name(snapshot.id)
        with self._fail_stop, self._lock:
            try:
                file = self._file_system.open(self._path(name))
            except FileNotFoundError as error:
                raise LogCorrupted(f"{self._path(name)} is not there") from error
        try:
            with self._fail_stop:
                layout = read_layout(file.read, file.size(), file.path)
                check_identity(layout, snapshot, self._cluster_id, file.path)
            yield self._pace(self._guarded(read_lines(file.read, layout, file.path)))
        finally:
            file.close()

    def open(self) -> SnapshotFile:
        """The newest file, to be sent. Raises LogCorrupted when there is none."""
        with self._lock:
            if self._newest is None:
                raise LogCorrupted(f"{self._directory}: there is no snapshot to be sent")
            return SnapshotFile(self._newest, self._file_system.open(self._path(snapshot_name(self._newest.id))), self._fail_stop)

    def receive(self, snapshot: Snapshot) -> ReceivedSnapshot:
        """Begin a file that a peer sends."""
        self._receiving_count += 1
        temporary = f"{snapshot_name(snapshot.id)}.receiving-{self._receiving_count}"
        file = self._file_system.create(self._path(temporary))

        def verified() -> None:
            self._verified(temporary, snapshot)
            self._keep_received(snapshot.id, temporary)

        def remove() -> None:
            self._file_system.remove(self._path(temporary))

        return ReceivedSnapshot(snapshot, file, self._fail_stop, verified, remove)

    def _keep_received(self, snapshot_id: EntryId, temporary: str) -> None:
        with self._lock:
            replaced = self._received.pop(snapshot_id, None)
            if replaced is not None:
                self._file_system.remove(self._path(replaced))
            self._received[snapshot_id] = temporary
            if len(self._received) > RECEIVED_COUNT:
                oldest = next(iter(self._received))
                self._file_system.remove(self._path(self._received.pop(oldest)))

    def _show(self, temporary: str, snapshot: Snapshot) -> None:
        """Give a complete, synced file its name."""
        name = snapshot_name(snapshot.id)
        with self._lock:
            self._file_system.rename(self._path(temporary), self._path(name))
            sync_directory(self._file_system, self._directory)
            self._names = sorted({*self._names, name})
            if self._newest is None or snapshot.index > self._newest.index:
                self._newest = snapshot

    def _verified(self, name: str, expected: Snapshot | None = None) -> Snapshot:
        """Read a whole file through. Raises LogCorrupted, FormatUnknown."""
        snapshot = verified(self._file_system, self._path(name), self._cluster_id, expected)
        if expected is None and snapshot_name(snapshot.id) != name:
            raise LogCorrupted(f"{self._path(name)} holds the snapshot {snapshot_name(snapshot.id)}")
        return snapshot

    def _guarded(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        with self._fail_stop:
            yield from lines

    def _path(self, name: str) -> str:
        return f"{self._directory}/{name}"


def verified(file_system: FileSystem, path: str, cluster_id: str | None, expected: Snapshot | None = None) -> Snapshot:
    """Read a whole file through, which belongs to this cluster (None: to any). Raises LogCorrupted, FormatUnknown."""
    file = file_system.open(path)
    try:
        layout = read_layout(file.read, file.size(), path)
        verify(file.read, layout, path)
    finally:
        file.close()
    check_identity(layout, expected, layout.cluster_id if cluster_id is None else cluster_id, path)
    return layout.snapshot


class SnapshotFile:
    """The bytes of one durable snapshot (`hraft.interfaces.SnapshotReader`). Open, so it stays readable when it is removed."""

    def __init__(self, snapshot: Snapshot, file: File, fail_stop: FailStop) -> None:
        self.snapshot = snapshot
        self.size_bytes = file.size()
        self._file = file
        self._fail_stop = fail_stop

    def read(self, offset: int, length: int) -> bytes:
        with self._fail_stop:
            return self._file.read(offset, length)

    def close(self) -> None:
        self._file.close()


class ReceivedSnapshot:
    """A snapshot on its way in (`hraft.interfaces.SnapshotWriter`)."""

    def __init__(
        self, snapshot: Snapshot, file: File, fail_stop: FailStop, verified: Callable[[], None], remove: Callable[[], None]
    ) -> None:
        self.size_bytes = 0
        self._snapshot = snapshot
        self._file = file
        self._fail_stop = fail_stop
        self._verified = verified
        self._remove = remove
        self._synced_bytes = 0
        self._open = True

    def append(self, data: bytes) -> None:
        """Raises StorageFull when there is no room: nothing of `data` counts then, and it may be given again."""
        with self._fail_stop:
            # After a refused write the next one goes over what was left of it.
            write_all(self._file, self.size_bytes, data)
            self.size_bytes += len(data)
            if self.size_bytes - self._synced_bytes >= limits.SNAPSHOT_SYNC_BYTES:
                sync(self._file)
                self._synced_bytes = self.size_bytes

    def complete(self) -> Snapshot:
        with self._fail_stop:
            self._file.truncate(self.size_bytes)
            sync(self._file)
            try:
                self._verified()
            except BaseException:
                self.abort()
                raise
            self._open = False
            self._file.close()
        return self._snapshot

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._file.close()
            if not self._fail_stop.failed:
                with self._fail_stop:
                    self._remove()
