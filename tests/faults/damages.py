"""What a disk does to a file that nobody touches: zeroes, junk, a lost end, a bit flipped; and what a node makes of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster import Cluster, Node
from writers import check_nothing_lost, settle

RECOVERED, REFUSED = "recovered", "refused"


@dataclass(frozen=True)
class Damage:
    """`spoil(data, where)` is what becomes of a file; `where` from 0 to 1 is the place."""

    name: str
    spoil: Callable[[bytes, float], bytes]


def _over(data: bytes, where: float, new: bytes) -> bytes:
    begin = int(where * (len(data) - 1))
    return data[:begin] + new[: len(data) - begin] + data[begin + len(new) :]


def _bit_flipped(data: bytes, where: float) -> bytes:
    begin = int(where * (len(data) - 1))
    return _over(data, where, bytes([data[begin] ^ 4]))


DAMAGES = (
    Damage("zeroes", lambda data, where: _over(data, where, bytes(512))),
    Damage("junk", lambda data, where: _over(data, where, random.Random(len(data)).randbytes(512))),
    Damage("cut", lambda data, where: data[: int(where * (len(data) - 1))]),
    Damage("bit", _bit_flipped),
)


def lasting_files(node: Node) -> Iterator[Path]:
    """Everything that a node needs at its next start."""
    yield node.directory / "node.json"
    for folder in ("log", "snapshots"):
        yield from sorted((node.directory / folder).glob("*.jsonl"))


def contents(node: Node) -> dict[str, bytes]:
    """All files of a node but its lock, by name."""
    files = (path for path in node.directory.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(node.directory).as_posix(): path.read_bytes() for path in files}


def harm(cluster: Cluster, node: Node, path: Path, damage: Damage, where: float, acknowledged: dict[str, str]) -> str:
    """Damage one file of one node while it is stopped, start it, and see that nothing is lost and nothing silently wrong.

    Returns what the node did. A node that refused gets its file back: it has not run, so nothing that it promised is forgotten.
    """
    node.terminate()
    cluster.write("meanwhile", damage.name)
    sound = path.read_bytes()
    path.write_bytes(damage.spoil(sound, where))
    before = contents(node)
    if node.comes_up():
        outcome, said = RECOVERED, node.log_of_process()
        if "is not whole" in said:
            change_leader(cluster, node)
    else:
        outcome, said = REFUSED, ""
        check_refusal(node, path)
        assert before == contents(node), f"{node.name} changed what it refused"
        cluster.write("refused", damage.name)
        path.write_bytes(sound)
        node.start().wait_until_started()
    settle(cluster, f"settled {damage.name} {where:g} {node.name} {path.name}".replace(" ", "-"))
    check_nothing_lost(cluster.nodes, acknowledged)
    if outcome is RECOVERED and damage.spoil(sound, where) != sound and not _is_old_snapshot(path):
        assert path.name in said, f"{node.name} says nothing of the {damage.name} in {path.name}"
    return outcome


def change_leader(cluster: Cluster, damaged: Node) -> None:
    """A leader believes for all of its term what a follower acknowledged (L8), so it is a later one that feeds it again."""
    leader = cluster.leader()
    if leader is not damaged:
        leader.terminate()
        leader.start().wait_until_started()


def check_refusal(node: Node, path: Path) -> None:
    """A status that is not 0, and one line that names the file and has no traceback near it."""
    status, log = node.wait_for_exit(), node.log_of_process()
    lines = [line for line in log.splitlines() if line.startswith("hraft: ")]
    assert status > 0, log
    assert "Traceback" not in log, log
    assert len(lines) == 1 and (path.name in lines[0] or str(path.parent) in lines[0]), log


def _is_old_snapshot(path: Path) -> bool:
    """One that is kept only in case that the newest is damaged is not read."""
    return path.parent.name == "snapshots" and path.name != max((other.name for other in path.parent.glob("*.jsonl")), default="")
