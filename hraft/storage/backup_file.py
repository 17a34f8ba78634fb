"""A backup on its way to a disk: it appears under its name only when it is whole, verified and durable.

Its bytes are those of a snapshot file (docs/disk-format.md). Raises OSError for a disk that does not take it, StorageFailed
where fsync failed: a backup is not the log, so nobody has to stop for that.
"""

from __future__ import annotations

from contextlib import suppress
from os.path import dirname

from hraft.raft.entry import Snapshot
from hraft.storage.files import FileSystem, sync, sync_directory, write_all
from hraft.storage.snapshots import verified


class BackupFile:
    """One file, beside its name as long as it is not complete."""

    def __init__(self, file_system: FileSystem, path: str) -> None:
        self.size_bytes = 0
        self._file_system = file_system
        self._path = path
        self._temporary = f"{path}.writing"
        self._file = file_system.create(self._temporary)

    def append(self, data: bytes) -> None:
        """Write these bytes behind the others."""
        try:
            write_all(self._file, self.size_bytes, data)
        except OSError as error:
            # The system knows the file by a number only.
            raise OSError(error.errno, error.strerror, self._temporary) from error
        self.size_bytes += len(data)

    def complete(self) -> Snapshot:
        """Give it its name, in place of an older one. Returns what it says of itself. Raises LogCorrupted if it is not whole."""
        sync(self._file)
        self._file.close()
        snapshot = verified(self._file_system, self._temporary, None)
        self._file_system.rename(self._temporary, self._path)
        sync_directory(self._file_system, dirname(self._path) or ".")
        return snapshot

    def abort(self) -> None:
        """Leave nothing behind. Harmless after `complete`."""
        self._file.close()
        with suppress(OSError):
            self._file_system.remove(self._temporary)
