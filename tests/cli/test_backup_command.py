"""hraft backup: a file appears under its name only when it is whole, and a bad one never takes the place of a good one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_doubles import run

from hraft.client import Unavailable
from hraft.kv.store import KeyValueStore
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Snapshot
from hraft.storage.snapshot_file import encode

SNAPSHOT = Snapshot(17, 4, Configuration(voters={"n1": "h:1"}))
WHOLE = b"".join(encode(SNAPSHOT, "c1", KeyValueStore().snapshot()))


class Giving:
    """A client whose cluster gives these bytes, and then fails or not."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self.data = data
        self.error = error

    async def snapshot(self, write: Callable[[bytes], object]) -> None:
        write(self.data[:40])
        write(self.data[40:])
        if self.error is not None:
            raise self.error


def test_a_whole_backup(tmp_path: Path) -> None:
    """The file has the bytes that came, and nothing is left beside it."""
    result, out = run(Giving(WHOLE), "backup", str(tmp_path / "b"), is_json=True)
    assert (0, WHOLE, ["b"]) == (result.exit_code, (tmp_path / "b").read_bytes(), os.listdir(tmp_path))
    told = json.loads(out)
    assert (17, 4, len(WHOLE)) == (told["index"], told["term"], told["bytes"])


@pytest.mark.parametrize(
    ("client", "code"),
    [
        (Giving(WHOLE[:-1]), 1),
        (Giving(WHOLE.replace(b"17", b"18", 1)), 1),
        (Giving(b""), 1),
        (Giving(WHOLE, Unavailable("the answer broke off")), 3),
    ],
    ids=["cut off", "changed", "empty", "broke off"],
)
def test_the_last_good_one_stays(tmp_path: Path, client: Giving, code: int) -> None:
    """Whatever went wrong is one line and an exit code that a cron job notices."""
    (tmp_path / "b").write_bytes(b"the last good one")
    result, _ = run(client, "backup", str(tmp_path / "b"))
    assert (code, 1) == (result.exit_code, result.stderr.count("\n"))
    assert (b"the last good one", ["b"]) == ((tmp_path / "b").read_bytes(), os.listdir(tmp_path))


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    """Before anybody is asked; a sentence that says where and what to do, and not the system's numbers."""
    path = str(tmp_path / "missing" / "b")
    result, _ = run(Giving(WHOLE), "backup", path)
    expected = f"hraft: {path}.writing: No such file or directory; make what is missing first, or name another place\n"
    assert (5, expected) == (result.exit_code, result.stderr)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk here that is always full")
def test_a_full_disk(tmp_path: Path) -> None:
    """The system knows an open file by a number only, so its path is added."""
    os.symlink("/dev/full", tmp_path / "b.writing")
    result, _ = run(Giving(WHOLE), "backup", str(tmp_path / "b"))
    expected = f"hraft: {tmp_path}/b.writing: No space left on device; make room, or name another place\n"
    assert (5, expected) == (result.exit_code, result.stderr)
