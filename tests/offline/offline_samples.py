"""Data directories for the tools: made by the real storage, and damaged where a test wants it."""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner, Result

from hraft.cli import main
from hraft.kv.commands import GrantLease, OpenSession, Set, encode_command
from hraft.kv.store import KeyValueStore
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, HardState, Snapshot
from hraft.raft.ready import Save
from hraft.storage.batch import decode_batch
from hraft.storage.directory import DataDirectory, Identity
from hraft.storage.durable import DurableStorage
from hraft.storage.files import LocalFileSystem

IDENTITY = Identity("old-cluster", "n1")
MEMBERS = Configuration(voters={"n1": "h1:1", "n2": "h2:2", "n3": "h3:3"})


def entry(index: int, term: int = 1) -> Entry:
    """Entry 1 is the members, 2 a lease, 3 a session; from then on each sets a key of its own."""
    if index == 1:
        return Entry(1, term, EntryKind.CONFIGURATION, configuration=MEMBERS)
    commands = {2: GrantLease(10), 3: OpenSession()}
    return Entry(index, term, EntryKind.COMMAND, encode_command(commands.get(index, Set(b"k%03d" % index, b"v%d" % term))))


def store_of(last: int, term: int = 1) -> KeyValueStore:
    """The store after so many entries."""
    store = KeyValueStore()
    for index in range(2, last + 1):
        store.apply(index, entry(index, term).command)
    return store


def run(*words: str) -> Result:
    """One command of hraft, without a cluster."""
    result = CliRunner().invoke(main, list(words), prog_name="hraft")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


class Made:
    """A directory with a log of small segments, one entry a batch."""

    def __init__(self, folder: Path, last: int = 20, snapshot_index: int = 0, compact: bool = False) -> None:
        self.path = str(folder)
        directory = DataDirectory(self.path)
        directory.open()
        directory.remember(IDENTITY)
        storage = DurableStorage(LocalFileSystem(), self.path, IDENTITY.cluster_id, segment_bytes=700, padding_bytes=0)
        storage.recover()
        for index in range(1, last + 1):
            storage.save(Save(index, HardState(1, "n2"), None, (entry(index),)))
        if snapshot_index:
            storage.write_snapshot(Snapshot(snapshot_index, 1, MEMBERS), store_of(snapshot_index).snapshot())
            if compact:
                storage.compact(snapshot_index + 1)
        storage.close()
        directory.close()

    def segments(self) -> list[str]:
        """The paths of the log's files."""
        return sorted(f"{self.path}/log/{name}" for name in os.listdir(f"{self.path}/log") if name.endswith(".jsonl"))

    def snapshots(self) -> list[str]:
        return sorted(f"{self.path}/snapshots/{name}" for name in os.listdir(f"{self.path}/snapshots"))

    def flip(self, path: str, offset: int) -> None:
        data = bytearray(Path(path).read_bytes())
        data[offset] ^= 1
        Path(path).write_bytes(data)

    def files(self) -> dict[str, bytes]:
        """Everything that is there."""
        return {str(path): path.read_bytes() for path in sorted(Path(self.path).rglob("*")) if path.is_file()}

    def second_batch(self, path: str) -> int:
        """Where the second batch of a segment begins."""
        batch = decode_batch(Path(path).read_bytes(), 0)
        assert not isinstance(batch, str)
        return batch.end
