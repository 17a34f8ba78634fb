"""The key-value state as of some entry, made again from a directory: the newest sound snapshot below it, and the log.

Nobody can tell from one directory which of its last entries were committed: what is shown is what would be, if all were.
"""

from __future__ import annotations

from dataclasses import dataclass

from hraft.errors import Compacted
from hraft.kv.store import UNKNOWN_COMMAND, KeyValueStore
from hraft.offline.contents import Contents
from hraft.offline.holding import ReadOnlyFileSystem
from hraft.raft.configuration import Configuration
from hraft.raft.entry import ORIGIN, EntryId, EntryKind, Snapshot
from hraft.storage.snapshot_file import read_layout, read_lines
from hraft.storage.snapshots import snapshot_name


@dataclass(frozen=True, slots=True)
class State:
    """The store after entry `last`, and the members then. `unknown_count` commands were none that this version's store knows."""

    store: KeyValueStore
    last: EntryId
    configuration: Configuration
    unknown_count: int


def state_at(contents: Contents, index: int | None = None) -> State:
    """The state as of entry `index`, or as of the last. Raises Compacted where the directory has no such state."""
    snapshot = contents.snapshot_at(index)
    entries = contents.entries_after(snapshot)
    last = snapshot.id if snapshot else ORIGIN
    newest_index = entries[-1].index if entries else last.index
    if index is not None and not last.index <= index <= newest_index:
        raise Compacted(_out_of_reach(contents, index))
    if snapshot is None and not entries:
        raise Compacted(f"{contents.path} has no state at all: neither a sound snapshot nor a log that begins with entry 1")
    store = _restored(contents, snapshot) if snapshot else KeyValueStore()
    configuration = snapshot.configuration if snapshot else Configuration()
    unknown_count = 0
    for entry in entries:
        if index is not None and entry.index > index:
            break
        if entry.kind is EntryKind.COMMAND:
            unknown_count += store.apply(entry.index, entry.command) is UNKNOWN_COMMAND
        configuration = entry.configuration or configuration
        last = entry.id
    return State(store, last, configuration, unknown_count)


def _restored(contents: Contents, snapshot: Snapshot) -> KeyValueStore:
    file = ReadOnlyFileSystem().open(f"{contents.path}/snapshots/{snapshot_name(snapshot.id)}")
    try:
        layout = read_layout(file.read, file.size(), file.path)
        return KeyValueStore().restored(read_lines(file.read, layout, file.path))
    finally:
        file.close()


def _out_of_reach(contents: Contents, index: int) -> str:
    shown = [(0, contents.entries_after(None))]
    shown += [(found.snapshot.index, contents.entries_after(found.snapshot)) for found in contents.snapshots if found.snapshot]
    spans = [(begin or 1, entries[-1].index if entries else begin) for begin, entries in shown if begin or entries]
    told = ", ".join(f"{first} to {last}" if first < last else f"{first}" for first, last in spans) or "none"
    return f"{contents.path} has no state as of entry {index} (any more, or yet); it has those of the entries: {told}"
