"""A directory of backups of one node: each whole and verified under its name, and only the newest of them kept.

    <cluster id>.<node id, percent-encoded>.<index>-<term>.jsonl

Others may keep theirs in the same directory: files of another node or cluster are left alone. A new cluster's indexes may be
lower, so an old cluster's backups are never taken for newer ones of this.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from hraft.raft.entry import Snapshot
from hraft.storage.backup_file import BackupFile
from hraft.storage.files import FileSystem, sync_directory
from hraft.storage.snapshots import SNAPSHOT_NAME, snapshot_name


class BackupDirectory:
    """Used by one thread at a time."""

    def __init__(self, file_system: FileSystem, path: str, cluster_id: str, node_id: str, kept_count: int) -> None:
        self._file_system = file_system
        self._path = path
        self._begin = f"{quote(cluster_id, safe='')}.{quote(node_id, safe='')}."
        self._kept_count = kept_count

    def write(self, snapshot: Snapshot, parts: Iterable[bytes]) -> str:
        """Write one, and then remove the oldest that are too many. Returns its path. Raises OSError, StorageFailed, LogCorrupted:
        then the older ones are all there still.
        """
        self._file_system.make_directory(self._path)
        self._remove_leftovers()
        path = f"{self._path}/{self._begin}{snapshot_name(snapshot.id)}"
        file = BackupFile(self._file_system, path)
        try:
            for part in parts:
                file.append(part)
            file.complete()
        except BaseException:
            file.abort()
            raise
        self._prune()
        return path

    def _prune(self) -> None:
        names = self._names()
        for name in names[: max(0, len(names) - self._kept_count)]:
            self._file_system.remove(f"{self._path}/{name}")
        sync_directory(self._file_system, self._path)

    def _names(self) -> list[str]:
        """Of this node's, the oldest first."""
        begin = self._begin
        names = self._file_system.listdir(self._path)
        return sorted(name for name in names if name.startswith(begin) and SNAPSHOT_NAME.fullmatch(name[len(begin) :]))

    def _remove_leftovers(self) -> None:
        """Of a backup that a kill cut short."""
        for name in self._file_system.listdir(self._path):
            if name.startswith(self._begin) and name.endswith(".writing"):
                self._file_system.remove(f"{self._path}/{name}")
