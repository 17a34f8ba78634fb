"""A new cluster in a data directory: made ready beside what is there, and put in its place in steps that can be gone on with.

    DIR/new-cluster/{log,snapshots,node.json}    made first, node.json last: from then on it is whole
    DIR/before-<new cluster id>/                 what was in DIR, moved there piece by piece
    DIR/{log,snapshots,node.json}                what was made; DIR/new-cluster goes last

As long as DIR/new-cluster is there, no node starts. It is a new cluster with an id of its own, so that no node that still runs,
or comes back, with what the old one had can ever speak with it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from uuid import uuid4

from hraft import limits
from hraft.kv.store import KeyValueStore
from hraft.raft.configuration import Configuration
from hraft.raft.entry import EntryId, Snapshot
from hraft.storage.directory import NEW_CLUSTER, REMEMBERED, Identity, read_identity, write_identity
from hraft.storage.durable import DurableStorage
from hraft.storage.files import LocalFileSystem, sync_directory

_PARTS = ("log", "snapshots", "node.json")


def make_ready(path: str, store: KeyValueStore, last: EntryId, node_id: str, raft_address: str) -> Identity:
    """Make a new cluster's data below DIR/new-cluster, of this state after entry `last`, with this node as its only voter.

    Its indexes and revisions begin NEW_CLUSTER_GAP_COUNT later: the old cluster may have gone on, and given out leases, sessions
    and fences that must never be given again. Changes `store`.
    """
    files, new = LocalFileSystem(), f"{path}/{NEW_CLUSTER}"
    shutil.rmtree(new, ignore_errors=True)
    files.make_directory(new)
    store.goes_on_anew(limits.NEW_CLUSTER_GAP_COUNT)
    identity = Identity(uuid4().hex, node_id)
    index = last.index + limits.NEW_CLUSTER_GAP_COUNT
    snapshot = Snapshot(index, max(1, last.term), Configuration(voters={node_id: raft_address}))
    first = DurableStorage(files, new, identity.cluster_id)
    first.recover()
    first.write_snapshot(snapshot, store.snapshot())
    first.close()
    # What a node would do at its start: verify it all, and begin the log behind the snapshot.
    second = DurableStorage(files, new, identity.cluster_id)
    second.recover()
    second.close()
    write_identity(files, new, identity)
    sync_directory(files, path)
    return identity


def ready_identity(path: str) -> Identity | None:
    """Whose what was made ready is; None where nothing is, or not all of it."""
    if not os.path.isdir(f"{path}/{NEW_CLUSTER}"):
        return None
    files = LocalFileSystem()
    # node.json goes last: where it has gone already, only the empty directory is left to remove.
    return read_identity(files, f"{path}/{NEW_CLUSTER}") or (
        read_identity(files, path) if not os.listdir(f"{path}/{NEW_CLUSTER}") else None
    )


def put_in_place(path: str, identity: Identity) -> str:
    """Let what was made ready take the place of what is there. Returns where that is now. Goes on where it was interrupted."""
    files, new = LocalFileSystem(), f"{path}/{NEW_CLUSTER}"
    before = f"{path}/before-{identity.cluster_id}"
    for part in REMEMBERED:
        # That the old cluster has removed this node is nothing to the new one.
        _put_aside(path, before, part)
    for part in _PARTS:
        if not os.path.exists(f"{new}/{part}"):
            continue
        _put_aside(path, before, part)
        files.rename(f"{new}/{part}", f"{path}/{part}")
        sync_directory(files, path)
    with suppress(FileNotFoundError):
        os.rmdir(new)
    sync_directory(files, path)
    return before


def _put_aside(path: str, before: str, part: str) -> None:
    """Move it, if it is there, to where the old data is."""
    files = LocalFileSystem()
    if os.path.exists(f"{path}/{part}"):
        files.make_directory(before)
        files.rename(f"{path}/{part}", f"{before}/{part}")
        sync_directory(files, before)
