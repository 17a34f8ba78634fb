"""The log on disk: batches appended to segments, one write and one fdatasync each (docs/disk-format.md).

Writes only: `log_reader` reads it back. Knows nothing of snapshots, nor of what entries mean. Raises StorageFull when nothing
of a batch remains, StorageFailed or OSError when that cannot be known.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from hraft import limits
from hraft.errors import StorageFailed, StorageFull
from hraft.raft.entry import Entry, HardState
from hraft.storage.batch import RESET, encode_batch
from hraft.storage.files import File, FileSystem, is_full, sync, sync_directory, write_all
from hraft.storage.log_reader import PADDING, FoundLog, Segment, segment_name


class Journal:
    """Goes on where a sound log ends. Used by one thread at a time."""

    def __init__(
        self,
        file_system: FileSystem,
        directory: str,
        found: FoundLog,
        segment_bytes: int = limits.SEGMENT_BYTES,
        padding_bytes: int = limits.SEGMENT_PADDING_BYTES,
    ) -> None:
        self._file_system = file_system
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._padding = PADDING * padding_bytes
        self._segments = found.segments
        self._last_batch = found.last_batch
        self._next_index = found.next_index
        self._file: File | None = None
        #: How far the last segment's file reaches, padding included.
        self._allocated = 0
        if self._segments:
            self._file = file_system.open(self._path(self._segments[-1]))
            self._allocated = self._file.size()

    def append(self, hard_state: HardState, truncate_from: int | None = None, entries: Sequence[Entry] = ()) -> None:
        """Make one batch durable."""
        first_index = self._next_index if truncate_from is None else truncate_from
        _check_order(first_index, self._next_index, entries)
        data = encode_batch(self._last_batch + 1, hard_state, truncate_from, entries)
        if self._file is None or self._segments[-1].end >= self._segment_bytes:
            self._begin_segment(first_index, data)
        else:
            self._extend(self._file, data)
        self._advance(first_index, entries)

    def reset(self, hard_state: HardState, next_index: int, entries: Sequence[Entry] = ()) -> None:
        """Make a batch durable that begins the log anew at `next_index`; then let go of all that was before.

        The old segments go last: a crash before the new one is whole leaves the old log, and one after it a log whose
        last segment says that nothing before it counts.
        """
        _check_order(next_index, next_index, entries)
        self._begin_segment(next_index, encode_batch(self._last_batch + 1, hard_state, RESET, entries))
        self._advance(next_index, entries)
        self._remove_segments(len(self._segments) - 1)

    def compact(self, first_index: int) -> None:
        """Remove the segments at the beginning that hold no entry from `first_index` on. The last one stays."""
        count = 0
        while count < len(self._segments) - 1 and self._segments[count].last_index < first_index:
            count += 1
        self._remove_segments(count)

    def close(self, trim: bool = True) -> None:
        """Let go of the file; `trim`: so that it ends with its last batch. What is durable is so already."""
        if self._file is not None:
            if trim:
                # Padding may as well stay.
                with suppress(OSError):
                    self._file.truncate(self._segments[-1].end)
            self._file.close()
            self._file = None

    def _advance(self, first_index: int, entries: Sequence[Entry]) -> None:
        self._last_batch += 1
        self._next_index = first_index + len(entries)
        self._segments[-1].last_index = self._next_index - 1

    def _extend(self, file: File, data: bytes) -> None:
        segment = self._segments[-1]
        try:
            write_all(file, segment.end, data)
        except OSError as error:
            self._undo_write(file, segment.end, error)
        end = segment.end + len(data)
        if end > self._allocated:
            self._pad(file, end)
        sync(file)
        segment.end = end

    def _undo_write(self, file: File, end: int, error: OSError) -> NoReturn:
        """Cut off what a refused write left behind, padding included."""
        if not is_full(error):
            raise StorageFailed(f"{file.path}: a write failed: {error}") from error
        try:
            file.truncate(end)
        except OSError as second:
            raise StorageFailed(f"{file.path}: no room, and what was written cannot be taken back: {second}") from second
        self._allocated = end
        raise StorageFull(f"{file.path}: no room for a batch: {error}; free some, and the same will be tried again") from error

    def _pad(self, file: File, end: int) -> None:
        """Make room ahead of the batches to come, if there is room: see disk-format.md, "Padding"."""
        self._allocated = end
        try:
            write_all(file, end, self._padding)
            self._allocated += len(self._padding)
        except OSError as error:
            # A part of it is padding too.
            if not is_full(error):
                raise StorageFailed(f"{file.path}: a write failed: {error}") from error

    def _begin_segment(self, first_index: int, data: bytes) -> None:
        """Make a batch durable as the first of a new segment."""
        segment = Segment(segment_name(self._last_batch + 1, first_index), first_index, end=len(data))
        path = self._path(segment)
        file = self._file_system.create(path)
        try:
            write_all(file, 0, data)
        except OSError as error:
            file.close()
            self._undo_segment(path, error)
        self._pad(file, len(data))
        sync(file)
        sync_directory(self._file_system, self._directory)
        self.close()
        self._segments.append(segment)
        self._file = file

    def _undo_segment(self, path: str, error: OSError) -> NoReturn:
        if not is_full(error):
            raise StorageFailed(f"{path}: a write failed: {error}") from error
        try:
            self._file_system.remove(path)
        except OSError as second:
            raise StorageFailed(f"{path}: no room, and the file cannot be removed: {second}") from second
        # Left there by a crash, it would say that the batches before it had been followed by another.
        sync_directory(self._file_system, self._directory)
        raise StorageFull(f"{path}: no room for a segment: {error}; free some, and the same will be tried again") from error

    def _remove_segments(self, count: int) -> None:
        """Remove the first segments, the oldest first and each durably: a crash must not leave a gap in the log."""
        for _ in range(count):
            self._file_system.remove(self._path(self._segments[0]))
            sync_directory(self._file_system, self._directory)
            del self._segments[0]

    def _path(self, segment: Segment) -> str:
        return f"{self._directory}/{segment.name}"


def repair(file_system: FileSystem, directory: str, found: FoundLog) -> None:
    """Cut a torn tail off, durably, so that the next batch follows a sound one."""
    torn = found.torn
    if torn is None:
        return
    path = f"{directory}/{torn.name}"
    if torn.end == 0:
        file_system.remove(path)
        sync_directory(file_system, directory)
        return
    file = file_system.open(path)
    try:
        file.truncate(torn.end)
        sync(file)
    finally:
        file.close()


def _check_order(first_index: int, next_index: int, entries: Sequence[Entry]) -> None:
    """A log with a gap would be refused at the next start, so it is not written."""
    if not 1 <= first_index <= next_index:
        raise ValueError(f"truncate_from {first_index} is not in 1 to {next_index}, where the log ends")
    if entries and (entries[0].index != first_index or entries[-1].index != first_index + len(entries) - 1):
        raise ValueError(f"entries {entries[0].index} to {entries[-1].index} do not follow {first_index - 1}")
