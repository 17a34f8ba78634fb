"""A new cluster made of a backup, in a directory of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hraft.addresses import parse_advertised
from hraft.errors import DirectoryUnusable
from hraft.kv.store import KeyValueStore
from hraft.offline.founding import make_ready, put_in_place
from hraft.offline.holding import ReadOnlyFileSystem, held
from hraft.raft.entry import Snapshot
from hraft.storage.directory import NEW_CLUSTER
from hraft.storage.files import sync_directory
from hraft.storage.snapshot_file import read_layout, read_lines


@dataclass(frozen=True, slots=True)
class Restored:
    """`cluster_id` is the new one; the rest is what the backup was of."""

    cluster_id: str
    backup_cluster_id: str
    snapshot: Snapshot
    keys_count: int
    revision: int


def restore(file: str, directory: str, node_id: str, raft_address: str) -> Restored:
    """Make a data directory of a backup. Raises LogCorrupted, FormatUnknown for the file; DirectoryUnusable, BadAddress."""
    address = str(parse_advertised(raft_address))
    path = os.path.abspath(os.path.expanduser(directory))
    _check_free(path)
    # Everything is read and verified before anything is made.
    store, snapshot, backup_cluster_id = _read(file)
    if not os.path.isdir(path):
        os.makedirs(path, 0o700)
        sync_directory(ReadOnlyFileSystem(), os.path.dirname(path))
    with held(path, to_change=True):
        _check_free(path)
        keys_count, revision = store.count(), store.revision
        identity = make_ready(path, store, snapshot.id, node_id, address)
        put_in_place(path, identity)
    return Restored(identity.cluster_id, backup_cluster_id, snapshot, keys_count, revision)


def _read(file: str) -> tuple[KeyValueStore, Snapshot, str]:
    opened = ReadOnlyFileSystem().open(file)
    try:
        layout = read_layout(opened.read, opened.size(), file)
        store = KeyValueStore().restored(read_lines(opened.read, layout, file))
        return store, layout.snapshot, layout.cluster_id
    finally:
        opened.close()


def _check_free(path: str) -> None:
    """A lock file is left by whoever looked, and NEW_CLUSTER alone by a restore that was cut short. All else is data."""
    if os.path.exists(path) and not os.path.isdir(path):
        raise DirectoryUnusable(f"{path} is not a directory; name one that is to be made")
    if os.path.isdir(path) and set(os.listdir(path)) - {"lock", NEW_CLUSTER}:
        raise DirectoryUnusable(f"{path} is not empty, and nothing is ever overwritten; name a directory that is to be made")
