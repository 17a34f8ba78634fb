"""What a node does to its disk, as the kernel sees it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cluster import Cluster, wait_until
from requirements import needs_strace
from strace import Call, recorded_calls, recorded_into

pytestmark = needs_strace

TEMPORARY = re.compile(r".*\.(writing|receiving-\d+)")


@pytest.mark.scenario("D11", "D12")
def test_names_are_synced(cluster: Cluster, tmp_path: Path) -> None:
    """A file is synced before it gets its name, and every new name by its directory: else a crash takes it away again."""
    record = tmp_path / "record"
    node = cluster.node("--snapshot-entries", "20", "--kept-entries", "5")
    node.under = recorded_into(record)
    node.start().wait_until_started()
    for number in range(70):
        assert node.set(f"key{number}", str(number)).status == 200
    wait_until(lambda: node.log().count("took a snapshot") >= 3, "three snapshots are taken")
    node.terminate()
    wait_until(lambda: "exited" in record.read_text() or "killed" in record.read_text(), "strace has ended")
    calls = [call for call in recorded_calls(record) if any(path.startswith(str(tmp_path)) for path in call.paths)]
    named = [(number, Path(path)) for number, call in enumerate(calls) for path in new_names(call)]
    unsynced = [str(path) for number, path in named if not is_synced(calls[number + 1 :], str(path.parent))]
    assert unsynced == []
    names = {path.relative_to(node.directory.parent).as_posix() for _, path in named}
    assert {"node0", "node0/node.json", "node0/log", "node0/snapshots"} <= names
    assert {"log", "snapshots"} <= {path.parent.name for _, path in named}
    for number, call in enumerate(calls):
        if call.name.startswith("rename"):
            written = max(index for index, other in enumerate(calls[:number]) if other.name == "pwrite64" and is_of(other, call))
            assert is_synced(calls[written + 1 : number], call.paths[0]), call


def new_names(call: Call) -> list[str]:
    """Names that must be there after a crash; those of files that count for nothing may come and go."""
    if call.name.startswith("mkdir"):
        return [call.paths[0]]
    if call.name.startswith("rename"):
        return [call.paths[1]]
    is_new = call.name == "openat" and "O_CREAT" in call.text and not TEMPORARY.fullmatch(call.paths[0])
    return [call.paths[0]] if is_new and not call.paths[0].endswith("/lock") else []


def is_of(write: Call, rename: Call) -> bool:
    """Whether a write went to the file that was renamed."""
    return write.paths[0] == rename.paths[0]


def is_synced(calls: list[Call], path: str) -> bool:
    """Whether one of the calls makes a file or directory durable."""
    return any(call.name in ("fsync", "fdatasync") and call.paths[0] == path for call in calls)
