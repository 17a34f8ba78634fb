"""Reading the log back at start: what its segments hold, and whether damage is a torn tail or corruption.

One save is in flight at a time, so a crash can harm the last batch only, though anywhere in it. Damage with anything of a
later batch behind it was done to what had been acknowledged: that is never cut off. Changes nothing on disk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from hraft.codec import decode_entries
from hraft.errors import BadMessage, LogCorrupted
from hraft.raft.entry import Entry, HardState
from hraft.storage.batch import RESET, Batch, decode_batch, find_other_header
from hraft.storage.files import FileSystem

SEGMENT_NAME = re.compile(r"(\d{20})-(\d{20})\.jsonl")
PADDING = b"\n"

_ADVICE = (
    "These entries may be committed, so hraft does not cut them off. "
    "Restore this file from a copy, or remove this node from its cluster and join again with an empty directory and a new id"
)


def segment_name(batch: int, index: int) -> str:
    """Name a segment by its first batch, which orders segments, and by the index of the first entry that goes into it.

    The index alone would not do: after a truncation a later segment may begin at an earlier index, or at the same.
    """
    return f"{batch:020d}-{index:020d}.jsonl"


class LogDamaged(LogCorrupted):
    """Damage in a segment. All before `sound_end` of it, and all earlier segments, have been read and are sound."""

    def __init__(self, message: str, name: str, sound_end: int) -> None:
        super().__init__(message)
        self.name = name
        self.sound_end = sound_end


@dataclass(slots=True)
class Segment:
    """One file of the log. `last_index` is where the log ended with it, so all in it that counts is up to there; 0 when
    nothing in it counts, since the log began anew."""

    name: str
    first_index: int
    last_index: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class TornTail:
    """A save that a crash cut short: the segment is sound up to `end`. When that is 0, nothing of it is."""

    name: str
    end: int
    size: int
    batch: int


@dataclass(slots=True)
class FoundLog:
    """What the segments hold. `entries` begin at `first_index` and end before `next_index`.

    `reaches_index` is the first index that was still on disk; `first_index` may be higher, since what nobody needs is
    not kept in memory.
    """

    segments: list[Segment] = field(default_factory=list)
    hard_state: HardState = HardState()
    last_batch: int = 0
    reaches_index: int = 1
    first_index: int = 1
    next_index: int = 1
    entries: list[Entry] = field(default_factory=list)
    torn: TornTail | None = None

    def entry(self, index: int) -> Entry:
        return self.entries[index - self.first_index]


def read_log(file_system: FileSystem, directory: str, keep_index: int) -> FoundLog:
    """Read every segment. Entries below `keep_index` are checked, but not kept. Raises LogCorrupted, mostly LogDamaged."""
    names = [name for name in file_system.listdir(directory) if name.endswith(".jsonl")]
    for name in names:
        if SEGMENT_NAME.fullmatch(name) is None:
            raise LogCorrupted(f"{directory}/{name} is not named as a segment is, <20 digits>-<20 digits>.jsonl; move it away")
    reader = _LogReader(file_system, directory)
    for name in names:
        reader.read_segment(name, is_last=name == names[-1])
        reader.forget_below(keep_index)
    return reader.found


class _LogReader:
    """Goes through the segments in order, carrying along what the log is so far."""

    def __init__(self, file_system: FileSystem, directory: str) -> None:
        self.found = FoundLog()
        self._file_system = file_system
        self._directory = directory
        self._name = ""
        self._data = b""
        self._sound_end = 0

    def read_segment(self, name: str, is_last: bool) -> None:
        """Go through one segment, up to its end or to where it is torn."""
        found = self.found
        first_batch, first_index = map(int, SEGMENT_NAME.fullmatch(name).groups())  # type: ignore[union-attr]
        if not found.segments:
            found.last_batch = first_batch - 1
            found.reaches_index = found.first_index = found.next_index = first_index
        file = self._file_system.open(f"{self._directory}/{name}")
        try:
            self._name, self._data, self._sound_end = name, file.read(0, file.size()), 0
        finally:
            file.close()
        if first_batch != found.last_batch + 1:
            self._refuse(0, f"begins with batch {first_batch}, but the segments before it end with batch {found.last_batch}")
        segment = Segment(name, first_index)
        while segment.end < len(self._data):
            batch = decode_batch(self._data, segment.end)
            if isinstance(batch, str):
                if not _is_padding(self._data, segment.end):
                    self._tear(segment, batch, is_last)
                break
            self._take(segment, batch)
        if segment.end:
            found.segments.append(segment)
        elif not found.torn:
            self._tear(segment, "no batch", is_last)

    def forget_below(self, index: int) -> None:
        found = self.found
        count = min(index - found.first_index, len(found.entries))
        if count > 0:
            del found.entries[:count]
            found.first_index += count

    def _take(self, segment: Segment, batch: Batch) -> None:
        """Append one sound batch to what the log is so far."""
        found, offset = self.found, segment.end
        if batch.number != found.last_batch + 1:
            self._refuse(offset, f"batch {batch.number} follows batch {found.last_batch}")
        if batch.truncate_from is not None:
            self._truncate(segment, offset, batch.truncate_from)
        if offset == 0 and found.next_index != segment.first_index:
            self._refuse(0, f"its first entry is to be {segment.first_index}, but the log goes on with {found.next_index}")
        try:
            entries = decode_entries(batch.lines)
        except BadMessage as error:
            self._refuse(batch.start, f"batch {batch.number} has its checksum, but not entries: {error}")
        if len(entries) != batch.lines_count:
            self._refuse(offset, f"batch {batch.number} has {len(entries)} lines, its header says {batch.lines_count}")
        for index, entry in enumerate(entries, found.next_index):
            if entry.index != index:
                self._refuse(batch.start, f"entry {entry.index} stands where {index} is to be")
        found.next_index += len(entries)
        found.entries += entries
        found.hard_state = batch.hard_state
        found.last_batch = batch.number
        segment.last_index = found.next_index - 1
        segment.end = self._sound_end = batch.end

    def _truncate(self, segment: Segment, offset: int, index: int) -> None:
        found = self.found
        if index == RESET:
            if offset:
                self._refuse(offset, "the log begins anew in the middle of a segment")
            found.entries.clear()
            for earlier in found.segments:
                earlier.last_index = 0
            found.reaches_index = found.first_index = found.next_index = segment.first_index
            return
        if index > found.next_index:
            self._refuse(offset, f"truncates from {index} a log that ends at {found.next_index - 1}")
        del found.entries[max(0, index - found.first_index) :]
        found.next_index = index
        found.first_index = min(found.first_index, index)
        found.reaches_index = min(found.reaches_index, index)

    def _tear(self, segment: Segment, problem: str, is_last: bool) -> None:
        """Note a torn tail, unless something shows that a later save was begun: then this one had been acknowledged."""
        number = self.found.last_batch + 1
        # Older segments go only when a newer one is durable, so nothing but the very first save can be torn with none before it.
        if number > 1 and segment.end == 0 and not self.found.segments:
            self._refuse(0, f"{problem}, and no earlier segment is there")
        if not is_last:
            self._refuse(segment.end, f"{problem}, and later segments follow")
        other = find_other_header(self._data, segment.end, number)
        if other is not None:
            self._refuse(segment.end, f"{problem}, and the header of another batch than {number} stands at byte {other}")
        self.found.torn = TornTail(segment.name, segment.end, len(self._data), number)

    def _refuse(self, offset: int, problem: str) -> NoReturn:
        line = self._data.count(b"\n", 0, offset) + 1
        message = f"{self._directory}/{self._name}, line {line}, byte {offset}: {problem}. {_ADVICE}."
        raise LogDamaged(message, self._name, self._sound_end)


def _is_padding(data: bytes, offset: int) -> bool:
    return data.count(PADDING, offset) == len(data) - offset
