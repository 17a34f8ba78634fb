"""restore and recover: what the new cluster has, what it never gives twice, and that no power cut leaves something that lies."""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from offline_samples import IDENTITY, MEMBERS, Made, entry, run, store_of

from hraft import limits
from hraft.errors import DirectoryUnusable
from hraft.kv.commands import Once, Set, encode_command
from hraft.kv.results import NotDone
from hraft.kv.store import KeyValueStore
from hraft.offline import founding
from hraft.offline.contents import read_contents
from hraft.offline.replaying import State, state_at
from hraft.raft.entry import Entry, EntryKind, HardState, Snapshot
from hraft.raft.ready import Save
from hraft.storage.directory import DataDirectory
from hraft.storage.durable import DurableStorage
from hraft.storage.files import LocalFileSystem
from hraft.storage.snapshot_file import encode

GAP = limits.NEW_CLUSTER_GAP_COUNT


def backup_of(folder: Path, store: KeyValueStore, last: int) -> Path:
    """A backup file as /v1/snapshot streams it."""
    path = folder / "backup.jsonl"
    path.write_bytes(b"".join(encode(Snapshot(last, 4, MEMBERS), IDENTITY.cluster_id, store.snapshot())))
    return path


def started(path: str) -> State:
    """What a node finds in a directory: it must be able to start with it, whoever made it."""
    directory = DataDirectory(path)
    directory.open()
    assert directory.identity is not None
    storage = DurableStorage(LocalFileSystem(), path, directory.identity.cluster_id)
    assert storage.recover().snapshot is not None
    storage.close()
    directory.close()
    return state_at(read_contents(path))


def test_restore_begins_a_new_cluster(tmp_path: Path) -> None:
    """All keys and leases with their revisions, one voter, and an id that no old node can speak with."""
    store, new = store_of(20), str(tmp_path / "new")
    result = run("restore", str(backup_of(tmp_path, store, 20)), new, "--id", "m1", "--raddr", "host:1")
    assert (0, "", 1) == (result.exit_code, result.stderr, result.stdout.count("\n"))
    state, identity = started(new), read_contents(new).identity
    assert store.range() == state.store.range()
    lease = state.store.lease(2)
    assert lease is not None
    assert (10, {"m1": "host:1"}, {}, ()) == (
        lease.ttl_seconds,
        state.configuration.voters,
        state.configuration.learners,
        state.configuration.removed,
    )
    assert ("m1", False) == (identity.node_id, identity.cluster_id == IDENTITY.cluster_id)


def test_nothing_is_given_twice(tmp_path: Path) -> None:
    """The old cluster may have gone on after the backup: the ids, fences and revisions that it gave since are not given again."""
    new = str(tmp_path / "new")
    run("restore", str(backup_of(tmp_path, store_of(20), 20)), new)
    state = started(new)
    assert (20 + GAP, store_of(20).revision + GAP) == (state.last.index, state.store.revision)


def test_no_stale_answers(tmp_path: Path) -> None:
    """A session's answers may be of writes that this state does not have; a watcher may have seen what is no more."""
    store = store_of(20)
    store.apply(21, encode_command(Once(3, 1, Set(b"once", b"1"))))
    new = str(tmp_path / "new")
    run("restore", str(backup_of(tmp_path, store, 21)), new)
    restored = started(new).store
    answer = restored.apply(22 + GAP, encode_command(Once(3, 1, Set(b"once", b"1"))))
    assert isinstance(answer, NotDone)
    assert ("session_expired", restored.revision) == (answer.code, restored.oldest_revision)


@pytest.mark.parametrize("place", [3, 200, -10])
def test_a_damaged_backup(tmp_path: Path, place: int) -> None:
    """Everything is verified before anything is made."""
    path = backup_of(tmp_path, store_of(20), 20)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    result = run("restore", str(path), str(tmp_path / "new"))
    assert (1, 1, False) == (result.exit_code, result.stderr.count("\n"), (tmp_path / "new").exists())
    path.write_bytes(data[: len(data) // 2])
    assert 1 == run("restore", str(path), str(tmp_path / "new")).exit_code


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A directory with anything in it is somebody's; an empty one is a mount point."""
    path = str(backup_of(tmp_path, store_of(20), 20))
    made = Made(tmp_path / "node")
    before = made.files()
    result = run("restore", path, made.path)
    assert (5, before) == (result.exit_code, made.files())
    assert "not empty" in result.stderr
    assert 5 == run("restore", path, path).exit_code
    (tmp_path / "empty").mkdir()
    assert 0 == run("restore", path, str(tmp_path / "empty")).exit_code


def test_recover_says_and_asks(tmp_path: Path) -> None:
    """What is there, who else there was, and what may be lost; nothing happens without --yes."""
    made = Made(tmp_path / "node", snapshot_index=12)
    before = made.files()
    result = run("recover", made.path)
    assert (5, before) == (result.exit_code, made.files())
    for word in ("entry 20 of term 1", "n2 at h2:2, n3 at h3:3", "after entry 20 may be lost", "n1 at h1:1 alone"):
        assert word in result.stdout
    assert "--yes" in result.stderr


def test_recover_makes_a_new_cluster(tmp_path: Path) -> None:
    """Of everything that the node has; the old data stays, to be looked at."""
    made = Made(tmp_path / "node", snapshot_index=12, compact=True)
    before = {name[len(made.path) :]: data for name, data in made.files().items() if not name.endswith("/lock")}
    assert 0 == run("recover", "--yes", made.path).exit_code
    state, identity = started(made.path), read_contents(made.path).identity
    assert (store_of(20).range(), {"n1": "h1:1"}) == (state.store.range(), state.configuration.members)
    assert ("n1", False) == (identity.node_id, identity.cluster_id == IDENTITY.cluster_id)
    kept = f"{made.path}/before-{identity.cluster_id}"
    assert before == {name[len(kept) :]: data for name, data in made.files().items() if name.startswith(kept)}


def test_what_the_old_cluster_said_of_this_node(tmp_path: Path) -> None:
    """Also a removed node's data may be all that is left: the new cluster's only voter is not removed."""
    made = Made(tmp_path / "node")
    old = DataDirectory(made.path)
    old.open()
    old.remember_removal(17)
    old.remember_founding()
    old.close()
    assert 0 == run("recover", "--yes", made.path).exit_code
    new = DataDirectory(made.path)
    new.open()
    assert (None, False) == (new.removed_index, new.is_founding)
    new.close()
    kept = f"{made.path}/before-{read_contents(made.path).identity.cluster_id}"
    assert {"removed.json", "founding.json"} < set(os.listdir(kept))


def test_recover_at_another_address(tmp_path: Path) -> None:
    """The machine may be another one."""
    made = Made(tmp_path / "node")
    assert 2 == run("recover", "--raddr", "nonsense", made.path).exit_code
    assert 0 == run("recover", "--raddr", "new:9", "--yes", made.path).exit_code
    assert {"n1": "new:9"} == started(made.path).configuration.members


def test_recover_of_a_damaged_log(tmp_path: Path) -> None:
    """What is before the damage is better than nothing, if it says so."""
    made = Made(tmp_path / "node")
    path = made.segments()[1]
    made.flip(path, made.second_batch(path) + 20)
    result = run("recover", "--yes", made.path)
    assert (0, True) == (result.exit_code, f"is damaged, and what is behind that is left out: {path}" in result.stdout)
    assert 0 < started(made.path).store.count() < 17


def test_recover_of_what_this_store_does_not_know(tmp_path: Path) -> None:
    """An application's own state machine, or a later version's commands: an empty store would take their place."""
    made = Made(tmp_path / "node")
    storage = DurableStorage(LocalFileSystem(), made.path, IDENTITY.cluster_id)
    storage.recover()
    strange = Entry(21, 1, EntryKind.COMMAND, b'{"op":"strange"}')
    storage.save(Save(21, HardState(1), None, (strange,)))
    storage.close()
    before = made.files()
    result = run("recover", "--yes", made.path)
    assert (5, True, before) == (result.exit_code, "1 commands in its log are none" in result.stderr, made.files())


def test_recover_while_a_node_runs(tmp_path: Path) -> None:
    """It would write into what has been moved away."""
    made = Made(tmp_path / "node")
    node = DataDirectory(made.path)
    node.open()
    before = made.files()
    assert (5, before) == (run("recover", "--yes", made.path).exit_code, made.files())
    node.close()


class PowerCut(BaseException):
    """The machine stops."""


def cut_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the n-th change of a name be the last thing that does not happen any more."""
    numbers = count(1)

    def cutting(operation: Any) -> Any:
        def cut(*arguments: Any) -> Any:
            if next(numbers) == number:
                raise PowerCut
            return operation(*arguments)

        return cut

    monkeypatch.setattr(founding, "write_identity", cutting(founding.write_identity))
    monkeypatch.setattr(LocalFileSystem, "rename", cutting(LocalFileSystem.rename))
    monkeypatch.setattr(LocalFileSystem, "make_directory", cutting(LocalFileSystem.make_directory))
    monkeypatch.setattr(os, "rmdir", cutting(os.rmdir))


@pytest.mark.parametrize("command", ["restore", "recover"])
def test_a_power_cut_at_every_step(tmp_path: Path, command: str) -> None:
    """A node starts with what was, or with what is to be, or not at all; and the same command again makes it whole."""
    original = Made(tmp_path / "original", snapshot_index=12)
    backup = backup_of(tmp_path, store_of(20), 20)
    outcomes = []
    for number in count(1):
        path = str(tmp_path / f"cut{number}")
        if command == "recover":
            shutil.copytree(original.path, path)
        words = ("recover", "--yes", path) if command == "recover" else ("restore", str(backup), path)
        with pytest.MonkeyPatch.context() as monkeypatch:
            cut_at(number, monkeypatch)
            try:
                assert 0 == run(*words).exit_code
                break
            except PowerCut:
                pass
        outcomes.append(start_of(path))
        again = run(*words)
        if again.exit_code:
            assert "not empty" in again.stderr
            assert 0 == run("recover", "--yes", path).exit_code
        assert store_of(20).range() == started(path).store.range(), number
        assert not os.path.exists(f"{path}/new-cluster")
        assert number < 30
    assert {"refused", "old"} >= set(outcomes)
    assert outcomes.count("refused") >= 5


def start_of(path: str) -> str:
    """What a node makes of a directory, before it changes anything."""
    directory = DataDirectory(path)
    try:
        directory.open()
    except DirectoryUnusable:
        return "refused"
    directory.close()
    if directory.identity is None:
        return "old" if set(os.listdir(path)) <= {"lock"} else "empty"
    return "old" if directory.identity == IDENTITY and os.listdir(f"{path}/log") else "lies"


def test_samples_are_what_is_said(tmp_path: Path) -> None:
    """The old cluster of these tests had more members than one."""
    assert MEMBERS == entry(1).configuration == state_at(read_contents(Made(tmp_path / "node").path)).configuration
