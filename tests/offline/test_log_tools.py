"""hraft log: what is told of a directory, sound or damaged; that nothing is written unasked; and what a repair leaves."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from offline_samples import IDENTITY, Made, entry, run, store_of

from hraft.codec import encode_entry
from hraft.storage.directory import DataDirectory
from hraft.storage.durable import DurableStorage
from hraft.storage.files import LocalFileSystem


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "node")


def test_refused_while_a_node_runs(made: Made) -> None:
    """What is written meanwhile would look like damage, and a repair would cut it off."""
    node = DataDirectory(made.path)
    node.open()
    for command in ("verify", "cat", "stat", "replay", "repair"):
        result = run("log", command, made.path)
        assert (5, True) == (result.exit_code, "in use by another process" in result.stderr), command
    assert 5 == run("log", "repair", "--yes", made.path).exit_code
    node.close()
    assert 0 == run("log", "verify", made.path).exit_code


def test_nothing_is_written(made: Made) -> None:
    """Not even where there is damage, a leftover, or no lock file: a copy on a read-only disk can be looked at."""
    os.remove(f"{made.path}/lock")
    Path(f"{made.path}/snapshots/x.writing").write_bytes(b"")
    made.flip(made.segments()[1], 100)
    before = made.files()
    for command in ("verify", "cat", "stat", "replay", "repair"):
        assert run("log", command, made.path).exit_code != 0, command
    assert before == made.files()


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_no_data_directory(tmp_path: Path, name: str) -> None:
    """A mistyped name makes no directory, and is told of as what it is."""
    (tmp_path / "empty").mkdir()
    result = run("log", "stat", str(tmp_path / name))
    assert (5, 1) == (result.exit_code, result.stderr.count("\n"))
    assert ["empty"] == os.listdir(tmp_path)
    assert [] == os.listdir(tmp_path / "empty")


def test_cat_prints_entries_as_they_stand(made: Made) -> None:
    """JSON lines, which every tool reads; --from and --to include both ends."""
    assert "".join(encode_entry(entry(index)).decode() for index in range(1, 21)) == run("log", "cat", made.path).stdout
    part = run("log", "cat", "--from", "5", "--to", "6", made.path).stdout
    assert [5, 6] == [json.loads(line)["index"] for line in part.splitlines()]


def test_cat_of_a_damaged_log(made: Made) -> None:
    """All before the damage, and then a word: nobody shall take it for the whole."""
    made.flip(made.segments()[1], made.second_batch(made.segments()[1]) + 20)
    result = run("log", "cat", made.path)
    printed = [json.loads(line)["index"] for line in result.stdout.splitlines()]
    assert (1, list(range(1, len(printed) + 1))) == (result.exit_code, printed)
    assert len(printed) < 20
    assert made.segments()[1] in result.stderr


def test_stat_counts(made: Made) -> None:
    """What an operator compares between nodes."""
    told = json.loads(run("--json", "log", "stat", made.path).stdout)
    assert (1, 20, 20, 20) == tuple(told[name] for name in ("first_index", "last_index", "entries", "batches"))
    assert ("n1", "n2", 1, [{"term": 1, "entries": 20}]) == tuple(
        told[name] for name in ("node_id", "voted_for", "term", "terms")
    )
    assert {"configuration": 1, "command": 19} == told["kinds"]
    assert [os.path.getsize(path) for path in made.segments()] == [each["bytes"] for each in told["segments"]]
    assert 20 == sum(each["batches"] for each in told["segments"])


def test_verify_names_the_place(made: Made) -> None:
    """File, line and byte: without them nobody can look."""
    path = made.segments()[1]
    offset = made.second_batch(path)
    made.flip(path, offset + 20)
    result = run("log", "verify", made.path)
    assert 1 == result.exit_code
    assert f"damaged: {path}, line 3, byte {offset}: " in result.stdout
    assert "hraft log repair" in result.stdout


def test_verify_of_a_torn_tail(made: Made) -> None:
    """That is no damage: a start mends it, and no node is to be replaced for it."""
    path = made.segments()[-1]
    os.truncate(path, os.path.getsize(path) - 3)
    result = run("log", "verify", made.path)
    assert (0, True) == (result.exit_code, result.stdout.startswith(f"harmless: {path}, byte "))


@pytest.mark.parametrize("compact", [False, True])
def test_verify_of_a_damaged_snapshot(tmp_path: Path, compact: bool) -> None:
    """Whether it is harmless depends on what the log still has; and on that, whether a node starts."""
    made = Made(tmp_path / "node", snapshot_index=12, compact=compact)
    made.flip(made.snapshots()[0], 200)
    result = run("log", "verify", made.path)
    words = [line.partition(":")[0] for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert (int(compact), ["damaged"] * 2 if compact else ["harmless"]) == (result.exit_code, words)
    assert made.snapshots()[0] in result.stdout
    if compact:
        assert "cutting would not help" in run("log", "repair", made.path).stdout


@pytest.mark.parametrize("compact", [False, True])
def test_replay_shows_the_state_of_then(tmp_path: Path, compact: bool) -> None:
    """Exactly the entries up to that one, from the snapshot at or below it."""
    made = Made(tmp_path / "node", snapshot_index=12, compact=compact)
    for index in (12, 13, 20):
        lines = run("log", "replay", "--to-index", str(index), "--json", made.path).stdout.splitlines()
        expected = [(key.decode(), record.mod_revision) for key, record in store_of(index).range()]
        assert expected == [(fields["key"], fields["mod_revision"]) for fields in map(json.loads, lines)]
    assert "k010\tv1\n" == run("log", "replay", "--prefix", "k010", made.path).stdout
    early = run("log", "replay", "--to-index", "11", made.path)
    assert (1 if compact else 0, compact) == (early.exit_code, "of the entries: 12 to 20" in early.stderr)
    late = run("log", "replay", "--to-index", "21", made.path)
    assert (1, True) == (late.exit_code, "to 20" in late.stderr)


def test_repair_says_and_asks(made: Made) -> None:
    """Without --yes nothing but words: what would go, up to which entry, and when not to."""
    path = made.segments()[1]
    offset = made.second_batch(path)
    made.flip(path, offset + 20)
    before = made.files()
    result = run("log", "repair", made.path)
    assert (5, before) == (result.exit_code, made.files())
    assert f"{path} would be cut off at byte {offset}" in result.stdout
    assert all(os.path.basename(later) in result.stdout for later in made.segments()[2:])
    assert "up to entry 20" in result.stdout
    assert "no other member" in result.stdout


def test_repair_leaves_a_sound_log(made: Made) -> None:
    """A node starts with it, with the entries before the damage and a term in which it has voted for nobody."""
    path = made.segments()[1]
    offset = made.second_batch(path)
    made.flip(path, offset + 20)
    before = made.files()
    sound = len(run("log", "cat", made.path).stdout.splitlines())
    assert 0 == run("log", "repair", "--yes", made.path).exit_code
    storage = DurableStorage(LocalFileSystem(), made.path, IDENTITY.cluster_id)
    found = storage.recover()
    storage.close()
    assert [entry(index) for index in range(1, sound + 1)] == list(found.entries)
    assert (2, None) == (found.hard_state.term, found.hard_state.voted_for)
    kept = {name: data for name, data in made.files().items() if name.endswith(".cut")}
    assert sorted([before[path][offset:], *(before[name] for name in before if "/log/" in name and name > path)]) == sorted(
        kept.values()
    )
    assert "there is nothing to cut off\n" == run("log", "repair", made.path).stdout


def test_a_later_repair_overwrites_nothing(made: Made) -> None:
    """What the first one cut off may be all that is left of something."""
    for _ in range(2):
        path = made.segments()[0]
        made.flip(path, made.second_batch(path) + 20)
        assert 0 == run("log", "repair", "--yes", made.path).exit_code
    assert 2 == sum(".from-" in name for name in made.files())
