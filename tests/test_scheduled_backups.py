"""Backups that a node makes by itself: when, how many stay, and what is told when one fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from hraft.errors import ReadFailed
from hraft.kv.commands import Set, encode_command
from hraft.kv.store import KeyValueStore
from hraft.limits import BACKUP_RETRY_SECONDS
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Snapshot
from hraft.scheduled_backups import ScheduledBackups
from hraft.service.backup import Backup
from hraft.settings import BackupPolicy
from hraft.storage.backup_directory import BackupDirectory
from hraft.storage.files import LocalFileSystem
from hraft.storage.snapshot_file import encode
from hraft.storage.snapshots import verified

HOUR = 3600.0


class ToldNode:
    """Backs up what it was told, when it may."""

    cluster_id = "c1"
    node_id = "host/1:2"

    def __init__(self) -> None:
        self.index = 0
        self.store = KeyValueStore()
        self.problem: Exception | None = None
        self.waiting: Deferred[int] | None = None

    def change(self) -> None:
        self.index += 1
        self.store.apply(self.index, encode_command(Set(b"k", b"%d" % self.index)))

    def confirm_read(self) -> Deferred[int]:
        def confirmed() -> int:
            if self.problem is not None:
                raise self.problem
            return self.index

        return maybeDeferred(confirmed)

    def backup(self) -> Backup:
        snapshot = Snapshot(self.index, 1, Configuration({self.node_id: "h:1"}))
        return Backup(snapshot, encode(snapshot, self.cluster_id, self.store.snapshot()), maybeDeferred)


class Scheduled:
    """A node that backs up every hour and keeps three."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "backups"
        self.clock = Clock()
        self.node: ToldNode | None = ToldNode()
        self.run: Callable[..., Deferred[Any]] = maybeDeferred
        policy = BackupPolicy(str(self.directory), HOUR, 3)
        node: Any = lambda: self.node  # noqa: E731 - a stand-in for one
        self.service = ScheduledBackups(self.clock, policy, node, lambda *arguments: self.run(*arguments))
        self.service.startService()

    def names(self) -> list[str]:
        return sorted(os.listdir(self.directory)) if self.directory.exists() else []

    def indexes(self) -> list[int]:
        return [int(name.split(".")[-2].partition("-")[0]) for name in self.names()]

    def status(self, name: str) -> object:
        told = self.service.status()
        assert told is not None
        return told[name]

    def hours(self, count: int) -> None:
        for _ in range(count):
            assert self.node is not None
            self.node.change()
            self.clock.advance(HOUR)


@pytest.fixture
def scheduled(tmp_path: Path) -> Iterator[Scheduled]:
    made = Scheduled(tmp_path)
    yield made
    made.service.stopService()
    assert [] == made.clock.getDelayedCalls()


def test_soon_and_then_at_intervals(scheduled: Scheduled) -> None:
    """A node that is restarted every half hour shall have backups, too."""
    assert scheduled.node is not None
    scheduled.node.change()
    scheduled.clock.advance(BACKUP_RETRY_SECONDS - 1)
    assert [] == scheduled.names()
    scheduled.clock.advance(1)
    assert [1] == scheduled.indexes()
    scheduled.node.change()
    scheduled.clock.advance(HOUR - 1)
    assert [1] == scheduled.indexes()
    scheduled.clock.advance(1)
    assert [1, 2] == scheduled.indexes()


def test_each_is_whole(scheduled: Scheduled) -> None:
    """A backup that cannot be read is worse than none."""
    scheduled.hours(2)
    for name in scheduled.names():
        assert name.startswith("c1.host%2F1%3A2.")
        verified(LocalFileSystem(), str(scheduled.directory / name), "c1")


def test_the_newest_are_kept(scheduled: Scheduled) -> None:
    """So many as was said; and what is another's is left alone, also an old cluster's of this very node."""
    scheduled.directory.mkdir()
    others = ["c1.other.00000000000000000001-00000000000000000001.jsonl", "README", "c0.host%2F1%3A2." + "9" * 20 + ".jsonl"]
    for name in others:
        (scheduled.directory / name).write_text("x")
    scheduled.hours(6)
    assert sorted([*others, *(name for name in scheduled.names() if name.startswith("c1.host"))]) == scheduled.names()
    assert 3 == len(scheduled.names()) - len(others)
    assert 6 == max(int(name[16:36]) for name in scheduled.names() if name.startswith("c1.host"))


def test_nothing_new(scheduled: Scheduled) -> None:
    """A quiet night is no failure, and nothing is written again that is there."""
    scheduled.hours(2)
    before = scheduled.names()
    scheduled.run = lambda *_: pytest.fail("there is nothing to write")
    scheduled.clock.advance(HOUR)
    scheduled.clock.advance(HOUR)
    assert (before, None) == (scheduled.names(), scheduled.status("failure"))


@pytest.mark.parametrize("problem", ["no quorum", "no directory", "not joined"])
def test_a_failure_is_told_and_tried_again(scheduled: Scheduled, problem: str) -> None:
    """Nobody looks at a directory that does not grow; and the older backups stay."""
    scheduled.hours(2)
    before, node = scheduled.names(), scheduled.node
    assert node is not None
    if problem == "no quorum":
        node.problem = ReadFailed("no quorum")
    elif problem == "no directory":
        scheduled.directory.rename(scheduled.directory.with_name("hidden"))
        scheduled.directory.write_text("")
    else:
        scheduled.node = None
    node.change()
    scheduled.clock.advance(HOUR)
    assert (True, 2) == (bool(scheduled.status("failure")), scheduled.status("last_index"))
    if problem == "no directory":
        scheduled.directory.unlink()
        scheduled.directory.with_name("hidden").rename(scheduled.directory)
    node.problem, scheduled.node = None, node
    assert before == scheduled.names()
    scheduled.clock.advance(BACKUP_RETRY_SECONDS)
    assert (None, 3, 0) == tuple(scheduled.status(name) for name in ("failure", "last_index", "age_seconds"))
    assert [1, 2, 3] == scheduled.indexes()


def test_a_slow_disk_has_one_at_a_time(scheduled: Scheduled) -> None:
    """However long it takes, and the node may stop meanwhile."""
    under_way: list[Deferred[str]] = []

    def slow(*_: Any) -> Deferred[str]:
        under_way.append(Deferred())
        return under_way[-1]

    scheduled.run = slow
    scheduled.hours(5)
    assert 1 == len(under_way)
    scheduled.service.stopService()
    under_way[0].callback("done")
    assert [] == scheduled.clock.getDelayedCalls()


def test_leftovers_of_a_kill(tmp_path: Path) -> None:
    """What was being written when the process was killed is no backup, and does not fill the disk for ever."""
    directory = BackupDirectory(LocalFileSystem(), str(tmp_path / "b"), "c1", "n1", 2)
    snapshot = Snapshot(5, 1, Configuration({"n1": "h:1"}))

    def broken() -> Iterator[bytes]:
        yield b"x"
        raise OSError(28, "full")

    parts = list(encode(snapshot, "c1", []))
    directory.write(snapshot, parts)
    with pytest.raises(OSError, match="full"):
        directory.write(Snapshot(6, 1, snapshot.configuration), broken())
    assert 1 == len(os.listdir(tmp_path / "b"))
    (tmp_path / "b" / "c1.n1.x.jsonl.writing").write_text("x")
    directory.write(snapshot, parts)
    assert 1 == len(os.listdir(tmp_path / "b"))


def test_nobody_wants_any() -> None:
    """Without --backup-dir there is no timer and no status."""
    clock = Clock()
    service = ScheduledBackups(clock, None, lambda: None, maybeDeferred)
    service.startService()
    assert ([], None) == (clock.getDelayedCalls(), service.status())
    service.stopService()
