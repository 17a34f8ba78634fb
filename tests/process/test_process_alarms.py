"""Real nodes that find out about each other, and say so over HTTP: a member whose files were changed, a quorum that is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import PATIENT, Cluster, Node, wait_until

from hraft.storage.files import LocalFileSystem
from hraft.storage.snapshot_file import encode, read_layout, read_lines


def tamper(node: Node, old: bytes, new: bytes) -> int:
    """Change a value in the snapshots of a stopped node, checksums and all, as nobody could tell by reading. How many files."""
    folder = Path(node.directory) / "snapshots"
    for path in folder.glob("*.jsonl"):
        file = LocalFileSystem().open(str(path))
        layout = read_layout(file.read, file.size(), str(path))
        lines = [line.replace(old, new) for line in read_lines(file.read, layout, str(path))]
        file.close()
        path.write_bytes(b"".join(encode(layout.snapshot, layout.cluster_id, lines)))
    return len(list(folder.glob("*.jsonl")))


def alarms(node: Node) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = node.ask("GET", "/v1/cluster").json()["alarms"]
    return listed


@pytest.mark.scenario("O14")
def test_a_member_whose_files_were_changed(cluster: Cluster) -> None:
    """It starts, for every checksum is right; and soon all nodes name it, to whoever asks, and to scrapers."""
    cluster.start(3, *PATIENT, "--check-interval", "2", "--snapshot-entries", "10")
    cluster.write("precious", "original")
    for number in range(30):
        cluster.write(f"key{number}", "x")
    changed = cluster.followers()[0]
    wait_until(lambda: any((Path(changed.directory) / "snapshots").glob("*.jsonl")), "a snapshot is there")
    wait_until(lambda: changed.get("key29") == "x", "it has everything")
    changed.terminate()
    assert tamper(changed, b'"original"', b'"tampered"')
    changed.start().wait_until_started()
    assert changed.get("precious") == "tampered"
    wait_until(lambda: all(alarms(node) for node in cluster.nodes), "all know that a member differs")
    for node in cluster.nodes:
        [alarm] = alarms(node)
        assert (alarm["kind"], alarm["members"]) == ("state_differs", [changed.node_id])
        assert 'hraft_alarm{kind="state_differs"} 1.0' in node.ask("GET", "/metrics").body.decode()
        node.wait_until_said("alarm state_differs")
        ready = node.ask("GET", "/readyz")
        assert (ready.status, "[-] state failed" in ready.body.decode()) == ((503, True) if node is changed else (200, False))


@pytest.mark.scenario("O17")
def test_without_a_quorum(cluster: Cluster) -> None:
    """The node that is left lives and says what it lacks; with one more it is ready again."""
    cluster.start(3)
    left, *others = cluster.nodes
    wait_until(lambda: left.ask("GET", "/readyz").status == 200, "it is ready")
    for node in others:
        node.kill()

    def lacks() -> bool:
        words = left.ask("GET", "/readyz").body.decode()
        return "[-] leader failed: none is known" in words and "[-] quorum failed" in words

    wait_until(lacks, "it says that it has no leader")
    assert left.ask("GET", "/livez").status == 200
    others[0].start()
    wait_until(lambda: left.ask("GET", "/readyz").status == 200, "it is ready again")
