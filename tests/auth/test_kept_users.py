"""The users of a running node, while somebody edits their file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from hraft import limits
from hraft.auth.kept_users import KeptUsers
from hraft.auth.secrets import hash_token
from hraft.auth.user_file import line_of
from hraft.auth.users import User
from hraft.errors import BadUserFile, LoginNeeded
from hraft.ordinary_files import is_anothers

ADA = User("ada", "admin", tokens=(hash_token("token-1"),))
BOB = User("bob", "admin", tokens=(hash_token("token-2"),))


class Edited:
    """A file, and a node that looks at it."""

    def __init__(self, path: Path, *users: User) -> None:
        self.path = path
        self.clock = Clock()
        self.write(b"".join(line_of(user) + b"\n" for user in users))
        self.kept = KeptUsers(self.clock, str(path), maybeDeferred, maybeDeferred)
        self.kept.start()

    def write(self, data: bytes, mode: int = 0o600) -> None:
        self.path.with_suffix(".new").write_bytes(data)
        os.chmod(self.path.with_suffix(".new"), mode)
        os.replace(self.path.with_suffix(".new"), self.path)

    def knows(self, token: bytes) -> bool:
        try:
            found = self.kept.logins.user_of(b"Bearer " + token, "192.0.2.1")
        except LoginNeeded:
            return False
        if isinstance(found, User):
            return True
        outcome: list[object] = []
        found.addBoth(outcome.append)
        return isinstance(outcome[0], User)


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


def errors_in(events: list[LogEvent]) -> list[str]:
    return [event["reason"] for event in events if event["log_level"].name == "error"]


def test_a_change_is_taken_in(tmp_path: Path) -> None:
    """By itself within seconds: who is removed is out, who is added is in."""
    edited = Edited(tmp_path / "users", ADA)
    assert (True, False) == (edited.knows(b"token-1"), edited.knows(b"token-2"))
    edited.write(line_of(BOB) + b"\n")
    edited.clock.advance(limits.USER_FILE_LOOK_SECONDS)
    assert (False, True) == (edited.knows(b"token-1"), edited.knows(b"token-2"))
    edited.write(line_of(ADA) + b"\n")
    edited.kept.look()  # As SIGHUP does.
    assert edited.knows(b"token-1")


@pytest.mark.scenario("O21")
def test_o21_a_mistake_changes_nothing(tmp_path: Path, logged: list[LogEvent]) -> None:
    """It is told once, with its line; and what is right again is taken in."""
    edited = Edited(tmp_path / "users", ADA)
    edited.write(line_of(BOB) + b"\n{}\n")
    for _ in range(3):
        edited.clock.advance(limits.USER_FILE_LOOK_SECONDS)
    assert (True, False) == (edited.knows(b"token-1"), edited.knows(b"token-2"))
    [reason] = errors_in(logged)
    assert "users, line 2:" in reason
    edited.write(line_of(BOB) + b"\n")
    edited.clock.advance(limits.USER_FILE_LOOK_SECONDS)
    assert edited.knows(b"token-2")


def test_a_file_that_vanishes_changes_nothing(tmp_path: Path, logged: list[LogEvent]) -> None:
    """Or removing a file would open, or close, a node."""
    edited = Edited(tmp_path / "users", ADA)
    edited.path.unlink()
    for _ in range(3):
        edited.clock.advance(limits.USER_FILE_LOOK_SECONDS)
    assert edited.knows(b"token-1")
    assert 1 == len(errors_in(logged))
    edited.write(line_of(BOB))
    edited.clock.advance(limits.USER_FILE_LOOK_SECONDS)
    assert edited.knows(b"token-2")


def test_who_may_write_the_file_is_an_admin(tmp_path: Path, logged: list[LogEvent]) -> None:
    """So others must not be able to; that they can read it is told."""
    edited = Edited(tmp_path / "users", ADA)
    edited.write(line_of(BOB), 0o666)
    edited.clock.advance(limits.USER_FILE_LOOK_SECONDS)
    assert not edited.knows(b"token-2")
    assert "others may write it (mode 666)" in errors_in(logged)[0]
    edited.write(line_of(BOB), 0o644)
    edited.clock.advance(limits.USER_FILE_LOOK_SECONDS)
    assert edited.knows(b"token-2")
    assert any("others may read it" in event["log_format"] for event in logged)


def test_whose_file_it_is(tmp_path: Path, logged: list[LogEvent]) -> None:
    """Root's and the node's own; anybody else may make himself an admin, as ssh has it, and whoever starts the node is told."""
    with patch("os.geteuid", return_value=1000):
        assert [False, False, True] == [is_anothers(owner) for owner in (0, 1000, 1001)]
    for is_his, count in ((False, 0), (True, 1)):
        with patch("hraft.auth.kept_users.is_anothers", return_value=is_his):
            Edited(tmp_path / "users", ADA)
        assert count == sum("another user" in event["log_format"] for event in logged)


def test_a_bad_file_at_the_start(tmp_path: Path) -> None:
    """A node that nobody may use, or everybody, would be worse than none."""
    for data, mode, reason in ((b"{}", 0o600, "line 1"), (line_of(ADA), 0o622, "others may write")):
        path = tmp_path / "users"
        path.write_bytes(data)
        os.chmod(path, mode)
        with pytest.raises(BadUserFile, match=reason):
            KeptUsers(Clock(), str(path), maybeDeferred, maybeDeferred)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(BadUserFile, match="must be an ordinary file"):
        # Which would hold up the start until somebody writes into it.
        KeptUsers(Clock(), str(tmp_path / "pipe"), maybeDeferred, maybeDeferred)
    with pytest.raises(BadUserFile, match="No such file"):
        KeptUsers(Clock(), str(tmp_path / "none"), maybeDeferred, maybeDeferred)


def test_nothing_goes_on_after_the_end(tmp_path: Path) -> None:
    """A node that has stopped has no timer."""
    edited = Edited(tmp_path / "users", ADA)
    edited.kept.stop()
    edited.kept.look()
    assert [] == edited.clock.getDelayedCalls()
