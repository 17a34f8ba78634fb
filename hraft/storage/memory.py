"""`hraft.interfaces.Storage` in memory: for --inmem and for tests. Forgets everything when the process ends.

Keeps the contract of the durable one, so that the same tests hold for both; it is also the model that the durable one is
compared with. A snapshot is held as the bytes of its file, since that is what travels to a follower.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock

from hraft.errors import LogCorrupted
from hraft.interfaces import Recovered
from hraft.raft.entry import ORIGIN, Entry, EntryId, HardState, Snapshot
from hraft.raft.ready import Save
from hraft.storage.snapshot_file import check_identity, encode, read_layout, read_lines, verify
from hraft.storage.snapshots import RECEIVED_COUNT


class MemoryStorage:
    """One node's disk that is none. After `close`, `recover` may be called again: that is what a restart finds."""

    def __init__(self, cluster_id: str) -> None:
        self._cluster_id = cluster_id
        self._lock = Lock()
        self._hard_state = HardState()
        self._base = ORIGIN
        self._entries: list[Entry] = []
        self._snapshot: Snapshot | None = None
        self._files: dict[EntryId, bytes] = {}
        self._received: dict[EntryId, bytes] = {}

    def recover(self) -> Recovered:
        with self._lock:
            if self._snapshot is not None and not self._reaches(self._snapshot):
                self._base = self._snapshot.id
                self._entries.clear()
                if self._hard_state.term < self._snapshot.term:
                    self._hard_state = HardState(self._snapshot.term)
            return Recovered(self._hard_state, self._snapshot, self._base, tuple(self._entries))

    def save(self, save: Save) -> None:
        with self._lock:
            if save.install is not None:
                self._install(save.install.snapshot, save.install.keep_suffix)
            next_index = self._base.index + len(self._entries) + 1
            if save.truncate_from is not None and (save.install is None or save.install.keep_suffix):
                if not self._base.index < save.truncate_from <= next_index:
                    raise ValueError(f"truncate_from {save.truncate_from} is not in {self._base.index + 1} to {next_index}")
                next_index = save.truncate_from
                del self._entries[next_index - self._base.index - 1 :]
            if save.entries and save.entries[0].index != next_index:
                raise ValueError(f"entry {save.entries[0].index} does not follow {next_index - 1}")
            self._entries += save.entries
            self._hard_state = save.hard_state

    def compact(self, first_index: int) -> None:
        with self._lock:
            if self._snapshot is None:
                return
            # The log may end before our own snapshot: others commit, and we apply, what is still on its way to our disk.
            count = min(first_index - 1 - self._base.index, self._snapshot.index - self._base.index, len(self._entries))
            if count > 0:
                self._base = self._entries[count - 1].id
                del self._entries[:count]

    def write_snapshot(self, snapshot: Snapshot, lines: Iterable[bytes]) -> None:
        data = b"".join(encode(snapshot, self._cluster_id, lines))
        with self._lock:
            if self._snapshot is None or snapshot.index > self._snapshot.index:
                self._show(snapshot, data)

    def encode_snapshot(self, snapshot: Snapshot, lines: Iterable[bytes]) -> Iterator[bytes]:
        return encode(snapshot, self._cluster_id, lines)

    @contextmanager
    def read_snapshot(self, snapshot: Snapshot) -> Iterator[Iterator[bytes]]:
        name = f"the snapshot of entry {snapshot.index}"
        data = self._files.get(snapshot.id)
        if data is None:
            raise LogCorrupted(f"{name} is not there")
        read = partial(_read, data)
        yield read_lines(read, read_layout(read, len(data), name), name)

    def open_snapshot(self) -> MemorySnapshotFile:
        with self._lock:
            if self._snapshot is None:
                raise LogCorrupted("there is no snapshot to be sent")
            return MemorySnapshotFile(self._snapshot, self._files[self._snapshot.id])

    def receive_snapshot(self, snapshot: Snapshot) -> MemorySnapshotWriter:
        return MemorySnapshotWriter(snapshot, self._cluster_id, self._received)

    def close(self) -> None:
        self._received.clear()

    def _reaches(self, snapshot: Snapshot) -> bool:
        """Whether the log holds the snapshot's last entry."""
        position = snapshot.index - self._base.index
        if position == 0:
            return self._base == snapshot.id
        return 0 < position <= len(self._entries) and self._entries[position - 1].term == snapshot.term

    def _install(self, snapshot: Snapshot, keep_suffix: bool) -> None:
        data = self._received.pop(snapshot.id, None)
        if data is None:
            raise ValueError(f"{snapshot} was not received, so it cannot be installed")
        self._show(snapshot, data)
        if not keep_suffix:
            self._base = snapshot.id
            self._entries.clear()

    def _show(self, snapshot: Snapshot, data: bytes) -> None:
        self._snapshot = snapshot
        self._files = {snapshot.id: data}


class MemorySnapshotFile:
    """The bytes of one snapshot (`hraft.interfaces.SnapshotReader`)."""

    def __init__(self, snapshot: Snapshot, data: bytes) -> None:
        self.snapshot = snapshot
        self.size_bytes = len(data)
        self._data = data

    def read(self, offset: int, length: int) -> bytes:
        return _read(self._data, offset, length)

    def close(self) -> None:
        """There is nothing to let go of."""


class MemorySnapshotWriter:
    """A snapshot on its way in (`hraft.interfaces.SnapshotWriter`)."""

    def __init__(self, snapshot: Snapshot, cluster_id: str, received: dict[EntryId, bytes]) -> None:
        self._snapshot = snapshot
        self._cluster_id = cluster_id
        self._received = received
        self._data = bytearray()
        self.size_bytes = 0

    def append(self, data: bytes) -> None:
        self._data += data
        self.size_bytes = len(self._data)

    def complete(self) -> Snapshot:
        name = f"the received snapshot of entry {self._snapshot.index}"
        data = bytes(self._data)
        read = partial(_read, data)
        layout = read_layout(read, len(data), name)
        verify(read, layout, name)
        check_identity(layout, self._snapshot, self._cluster_id, name)
        # Like the durable one, and for the same reason: those that are never installed must not pile up.
        self._received.pop(self._snapshot.id, None)
        self._received[self._snapshot.id] = data
        if len(self._received) > RECEIVED_COUNT:
            del self._received[next(iter(self._received))]
        return self._snapshot

    def abort(self) -> None:
        self._data.clear()


def _read(data: bytes, offset: int, length: int) -> bytes:
    return data[offset : offset + length]
