"""The configurations in the log, newest last. The newest is in force as soon as it is appended (Section 4.1, M3).

Older ones are kept back to the snapshot, whose configuration is the floor: truncation falls back on them (M3, M4).
"""

from __future__ import annotations

from collections.abc import Iterable

from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, Snapshot
from hraft.raft.invariants import require


class ConfigurationHistory:
    """Which configuration is in force, and which was, at each index from the snapshot on."""

    def __init__(self, snapshot: Snapshot | None, entries: Iterable[Entry]) -> None:
        self._history: list[tuple[int, Configuration]] = []
        if snapshot is None:
            self._history.append((0, Configuration()))
        else:
            self._history.append((snapshot.index, snapshot.configuration))
        for entry in entries:
            self.appended(entry)

    @property
    def current(self) -> Configuration:
        return self._history[-1][1]

    @property
    def previous(self) -> Configuration:
        """The one before `current`, if it is known. It is committed, since changes come one at a time."""
        return self._history[-2 if len(self._history) > 1 else -1][1]

    @property
    def current_index(self) -> int:
        return self._history[-1][0]

    def appended(self, entry: Entry) -> None:
        """Take note of an entry; only configurations after the floor matter."""
        if entry.configuration is not None and entry.index > self.current_index:
            self._history.append((entry.index, entry.configuration))

    def truncated(self, index: int) -> None:
        """The log dropped `index` and all after it: fall back on the configuration before."""
        while self._history[-1][0] >= index:
            require(len(self._history) > 1, f"truncation from {index} drops the last configuration known")
            self._history.pop()

    def at(self, index: int) -> Configuration:
        """What was in force as of that entry. Raises IndexError before the floor."""
        for position, configuration in reversed(self._history):
            if position <= index:
                return configuration
        raise IndexError(f"no configuration is known as of entry {index}")

    def removal_index(self, node_id: str) -> int:
        """By which entry that node was removed, or else the earliest as of which that is known."""
        return next((index for index, configuration in self._history if node_id in configuration.removed), self.current_index)

    def compacted(self, snapshot: Snapshot) -> None:
        """The snapshot is the new floor; configurations after it stay."""
        later = [item for item in self._history if item[0] > snapshot.index]
        self._history = [(snapshot.index, snapshot.configuration), *later]

    def reset(self, snapshot: Snapshot) -> None:
        """The whole log went with what it said of configurations: only the snapshot's is known."""
        self._history = [(snapshot.index, snapshot.configuration)]
