"""What a data directory holds, damage or not: the log as far as it is sound, each snapshot, and what is wrong with them.

Changes nothing on disk. What a start would make of it all is docs/disk-format.md's "What a start does".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hraft.errors import DirectoryUnusable, FormatUnknown, LogCorrupted, in_words
from hraft.offline.holding import ReadOnlyFileSystem
from hraft.raft.entry import Entry, Snapshot
from hraft.storage.directory import Identity, read_identity
from hraft.storage.files import File, FileSystem, LocalFileSystem
from hraft.storage.log_reader import SEGMENT_NAME, FoundLog, LogDamaged, read_log
from hraft.storage.snapshots import SNAPSHOT_NAME, snapshot_name, verified


@dataclass(frozen=True, slots=True)
class FoundSnapshot:
    """One file. `snapshot` is None where it is damaged, and then `problem` says how."""

    name: str
    size_bytes: int
    snapshot: Snapshot | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FoundSegment:
    """One sound segment, or the sound part of one."""

    name: str
    size_bytes: int
    batches_count: int
    last_index: int


@dataclass(frozen=True, slots=True)
class Contents:
    """All of it. `log` ends before the `damage`, if there is any."""

    path: str
    identity: Identity
    log: FoundLog
    damage: LogDamaged | None
    segments: tuple[FoundSegment, ...]
    snapshots: tuple[FoundSnapshot, ...]

    @property
    def newest(self) -> Snapshot | None:
        """The newest sound snapshot."""
        return self.snapshot_at(None)

    def snapshot_at(self, index: int | None) -> Snapshot | None:
        """The newest sound snapshot at or below `index`; None there means whatever there is."""
        sound = [found.snapshot for found in self.snapshots if found.snapshot is not None]
        return max((each for each in sound if index is None or each.index <= index), key=lambda each: each.index, default=None)

    def entries_after(self, snapshot: Snapshot | None) -> Sequence[Entry]:
        """What the log has behind a snapshot, or behind nothing; none where it does not reach it, or is void beside it."""
        log, index = self.log, snapshot.index if snapshot else 0
        if log.first_index == index + 1:
            return log.entries
        if snapshot and log.first_index <= index < log.next_index and log.entry(index).term == snapshot.term:
            return log.entries[index + 1 - log.first_index :]
        return ()

    @property
    def missing(self) -> tuple[int, int] | None:
        """The first and last entry that neither a sound snapshot nor the log has, though the log goes on behind them."""
        covered_index = self.newest.index if self.newest else 0
        return (covered_index + 1, self.log.reaches_index - 1) if self.log.reaches_index > covered_index + 1 else None


def read_contents(path: str) -> Contents:
    """Read everything through. Raises DirectoryUnusable for what is no data directory, LogCorrupted where not even the names
    make sense, and FormatUnknown.
    """
    files = ReadOnlyFileSystem()
    identity = read_identity(files, path)
    if identity is None:
        raise DirectoryUnusable(f"{path} has no node.json, so it is no node's data directory")
    try:
        log, damage = _read_log(files, f"{path}/log")
        segments = _segments(files, f"{path}/log", log)
        snapshots = _snapshots(files, f"{path}/snapshots", identity.cluster_id)
    except OSError as error:
        raise DirectoryUnusable(f"{path} cannot be read: {in_words(error)}") from error
    return Contents(path, identity, log, damage, segments, snapshots)


def _read_log(files: FileSystem, directory: str) -> tuple[FoundLog, LogDamaged | None]:
    try:
        return read_log(files, directory, 0), None
    except FileNotFoundError:
        return FoundLog(), None
    except LogDamaged as damage:
        return read_log(SoundPart(damage), directory, 0), damage


class SoundPart(ReadOnlyFileSystem):
    """The log as it would be if it were cut off before the damage: reading it shows that what is left is sound."""

    def __init__(self, damage: LogDamaged) -> None:
        self._damage = damage

    def listdir(self, path: str) -> list[str]:
        name, end = self._damage.name, self._damage.sound_end
        return [each for each in super().listdir(path) if each < name or (each == name and end > 0)]

    def open(self, path: str) -> File:
        file = super().open(path)
        return _Beginning(file, self._damage.sound_end) if path.endswith(f"/{self._damage.name}") else file


class _Beginning:
    """A file that ends earlier."""

    def __init__(self, file: File, end: int) -> None:
        self._file = file
        self._end = end
        self.path = file.path
        self.close = file.close
        self.write, self.truncate, self.fdatasync, self.fsync = file.write, file.truncate, file.fdatasync, file.fsync

    def size(self) -> int:
        return self._end

    def read(self, offset: int, length: int) -> bytes:
        return self._file.read(offset, max(0, min(length, self._end - offset)))


def _segments(files: FileSystem, directory: str, log: FoundLog) -> tuple[FoundSegment, ...]:
    if not log.segments:
        return ()
    first_batches = [int(SEGMENT_NAME.fullmatch(segment.name).group(1)) for segment in log.segments]  # type: ignore[union-attr]
    ends = [*first_batches[1:], log.last_batch + 1]
    return tuple(
        FoundSegment(segment.name, _size_bytes(files, f"{directory}/{segment.name}"), end - begin, segment.last_index)
        for segment, begin, end in zip(log.segments, first_batches, ends, strict=True)
    )


def _snapshots(files: LocalFileSystem, directory: str, cluster_id: str) -> tuple[FoundSnapshot, ...]:
    try:
        names = [name for name in files.listdir(directory) if SNAPSHOT_NAME.fullmatch(name)]
    except FileNotFoundError:
        return ()
    return tuple(_snapshot(files, directory, name, cluster_id) for name in names)


def _snapshot(files: FileSystem, directory: str, name: str, cluster_id: str) -> FoundSnapshot:
    path = f"{directory}/{name}"
    size_bytes = _size_bytes(files, path)
    try:
        snapshot = verified(files, path, cluster_id)
    except FormatUnknown:
        raise
    except LogCorrupted as error:
        return FoundSnapshot(name, size_bytes, None, str(error))
    if snapshot_name(snapshot.id) != name:
        return FoundSnapshot(name, size_bytes, None, f"{path} holds the snapshot {snapshot_name(snapshot.id)}")
    return FoundSnapshot(name, size_bytes, snapshot)


def _size_bytes(files: FileSystem, path: str) -> int:
    file = files.open(path)
    try:
        return file.size()
    finally:
        file.close()
