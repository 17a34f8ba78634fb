"""Damage to what was durable: at the end of a world, in copies of each disk, bits are flipped and files are taken away.

Damage is refused, or does no harm: what a start then finds is what it would have found without (D7, D8). Only the last batch of
the log is spared, since what harms that cannot be told from a save that a crash cut short.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from hraft.errors import FormatUnknown, LogCorrupted
from hraft.raft.entry import EntryId, HardState
from hraft.simulation.disk import SimulatedDisk
from hraft.simulation.story import Violation
from hraft.storage.durable import DurableStorage

_DAMAGES_COUNT = 4
_BATCH = b'{"batch":'


class _Found(NamedTuple):
    """What a start finds: entries by index, and the lines of the snapshot."""

    hard_state: HardState
    last_index: int
    snapshot_id: EntryId | None
    lines: list[bytes]
    entries: dict[int, object]

    def agrees(self, damaged: _Found) -> bool:
        """Whether `damaged` is as good: an older snapshot will do, where the log reaches back to it."""
        is_older = damaged.snapshot_id != self.snapshot_id
        return (
            damaged.hard_state == self.hard_state
            and damaged.last_index == self.last_index
            and (is_older or damaged.lines == self.lines)
            and all(damaged.entries.get(index) == entry for index, entry in self.entries.items())
        )


def look_at_damage(disk: SimulatedDisk, cluster_id: str, random: Random) -> None:
    """Damage copies of a disk in several places. Raises Violation for damage that a start takes for good data."""
    try:
        sound = _start(disk.after_crash(_all_survives), cluster_id)
    except (LogCorrupted, FormatUnknown) as error:
        raise Violation("what a crash leaves can be read", str(error)) from error
    for _ in range(_DAMAGES_COUNT):
        damaged = disk.after_crash(_all_survives)
        what = random.choice((_flip, _flip, _remove))(damaged, random)
        try:
            found = what and _start(damaged, cluster_id)
        except (LogCorrupted, FormatUnknown):
            continue
        if found and not sound.agrees(found):
            raise Violation("damage is never taken for good data", f"{disk.root}: {what}; found {found!r:.400}")


def _start(disk: SimulatedDisk, cluster_id: str) -> _Found:
    storage = DurableStorage(disk, disk.root, cluster_id)
    recovered = storage.recover()
    lines: list[bytes] = []
    if recovered.snapshot is not None:
        with storage.read_snapshot(recovered.snapshot) as read:
            lines = list(read)
    snapshot_id = None if recovered.snapshot is None else recovered.snapshot.id
    last_index = recovered.entries[-1].index if recovered.entries else recovered.base.index
    return _Found(recovered.hard_state, last_index, snapshot_id, lines, {entry.index: entry for entry in recovered.entries})


def _flip(disk: SimulatedDisk, random: Random) -> str:
    """Flip one bit; says where, nothing if there is none that may be."""
    contents = disk.contents()
    if not contents:
        return ""  # Its node was never fed.
    log = [path for path in contents if "/log/" in path]
    path = random.choice(list(contents))
    data = bytearray(contents[path])
    end = max(0, data.rfind(_BATCH)) if log and path == log[-1] else len(data)
    if not end:
        return ""
    offset = random.randrange(end)
    data[offset] ^= 1 << random.randrange(8)
    disk.put(path, bytes(data))
    return f"a bit of byte {offset} of {path} was flipped"


def _remove(disk: SimulatedDisk, random: Random) -> str:
    """Take away a file of the log that is neither the first nor the last; says which, nothing if there is none."""
    log = [path for path in disk.contents() if "/log/" in path][1:-1]
    if not log:
        return ""
    path = random.choice(log)
    disk.remove(path)
    return f"{path} was removed"


def _all_survives(low: int, high: int) -> int:
    return high - 1
