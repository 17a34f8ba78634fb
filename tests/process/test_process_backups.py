"""A backup of a living cluster, restored on other machines; and a cluster made of the one directory that is left."""

from __future__ import annotations

import http.client
import shutil
import subprocess
import sys
import threading
from typing import Any

from cluster import PATIENT, Cluster, Node, Reply, wait_until


def hraft(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    """The command as an operator types it."""
    command = [sys.executable, "-m", "hraft", *words]
    return subprocess.run(command, env=cluster.environment, capture_output=True, text=True, timeout=120, check=False)


class Writing:
    """A client that writes one key after the other until it is told to stop. `acknowledged` grows meanwhile."""

    def __init__(self, node: Node) -> None:
        self.acknowledged: list[str] = []
        self._node = node
        self._is_over = False
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._is_over = True
        self._thread.join()

    def _write(self) -> None:
        number = 0
        while not self._is_over:
            key = f"load{number}"
            number += 1
            try:
                if self._node.set(key, "x" * 500).status == 200:
                    self.acknowledged.append(key)
            except (OSError, http.client.HTTPException):
                continue


def keys_of(node: Node) -> set[str]:
    """All keys, as this node has them."""
    found: set[str] = set()
    after: str | None = ""
    while after is not None:
        path = f"/v1/kv?limit=1000&keys_only{'&after=' if after else ''}{after}"
        reply = wait_until(lambda path=path: _answered(node, path), "a page of keys")  # type: ignore[misc]
        assert reply is not None
        page = reply.json()
        found |= {pair["key"] for pair in page["kvs"]}
        after = page["next"]
    return found


def _answered(node: Node, path: str) -> Reply | None:
    reply = node.ask("GET", path)
    return reply if reply.status == 200 else None


def test_backup_under_load_restored_on_new_machines(cluster: Cluster) -> None:
    """All that was acknowledged before the backup is there, on three new nodes that know nothing of the old ones."""
    nodes = cluster.start(3, *PATIENT)
    leader, (follower, _) = cluster.leader_and_followers()
    file = str(cluster.folder / "backup.jsonl")
    with Writing(leader) as writing:
        wait_until(lambda: len(writing.acknowledged) >= 100, "some writes are acknowledged")
        before = list(writing.acknowledged)
        done = hraft(cluster, "-e", f"http://{follower.http_address}", "backup", file)
        assert done.returncode == 0, done.stderr
    old_cluster_id = leader.status()["cluster_id"]
    for node in nodes:
        node.end()
    first = cluster.node("--id", "first")
    done = hraft(cluster, "restore", file, str(first.directory), "--id", "first", "--raddr", first.raft_address)
    assert done.returncode == 0, done.stderr
    assert hraft(cluster, "restore", file, str(first.directory)).returncode == 5
    first.start().wait_until_started()
    others = [cluster.node(join=[first]).start() for _ in range(2)]
    for node in others:
        node.wait_until_started()
    cluster.write("after", "restored")
    for node in (first, *others):
        node.wait_for_value("after", "restored")
        assert set(before) <= keys_of(node)
        assert old_cluster_id != node.status()["cluster_id"]


def test_recover_after_two_of_three_are_lost(cluster: Cluster) -> None:
    """What the last one has is served again; and an old member that turns up after all is kept out by its cluster id."""
    nodes = cluster.start(3)
    for number in range(20):
        cluster.write(f"k{number}", "x")
    for node in nodes:
        node.wait_for_value("k19", "x")
    for node in nodes:
        node.end()
    left, found_again, lost = nodes
    shutil.rmtree(lost.directory)
    refused = hraft(cluster, "recover", str(left.directory))
    assert refused.returncode == 5
    assert found_again.node_id in refused.stdout
    done = hraft(cluster, "recover", "--yes", str(left.directory))
    assert done.returncode == 0, done.stderr
    left.start().wait_until_started()
    assert {f"k{number}" for number in range(20)} == keys_of(left)
    found_again.join = [left]
    found_again.start()
    cluster.write("new", "x")
    joiner = cluster.node(join=[left]).start().wait_until_started()
    joiner.wait_for_value("new", "x")
    assert left.status()["cluster_id"] == joiner.status()["cluster_id"]
    assert {left.node_id, joiner.node_id} == {voter["id"] for voter in left.status()["voters"]}
    assert found_again.get("new") != "x"


def test_scheduled_backups(cluster: Cluster) -> None:
    """A node that was told to makes them, and one of them begins a cluster; a directory that cannot be one is told of."""
    backups = cluster.folder / "backups"
    options = ("--backup-dir", str(backups), "--backup-interval", "1", "--backup-keep", "2")
    node = cluster.node("--id", "n1", *options).start().wait_until_started()

    def of_status(name: str) -> Any:
        return node.ask("GET", "/v1/status").json()["backups"][name]

    for number in range(4):
        cluster.write(f"k{number}", "x")
        index = node.status()["applied_index"]
        wait_until(lambda index=index: of_status("last_index") == index, "it is backed up")  # type: ignore[misc]
    wait_until(lambda: len(list(backups.iterdir())) == 2, "the older ones are gone")
    found = sorted(backups.iterdir())
    backups.rename(cluster.folder / "elsewhere")
    backups.write_text("no directory")
    cluster.write("last", "x")
    assert "Not a directory" in wait_until(lambda: of_status("failure"), "a failure is told of")
    assert node.get("last") == "x"
    restored = cluster.node("--id", "n2")
    file = str(cluster.folder / "elsewhere" / found[-1].name)
    done = hraft(cluster, "restore", file, str(restored.directory), "--id", "n2", "--raddr", restored.raft_address)
    assert done.returncode == 0, done.stderr
    restored.start().wait_until_started()
    assert {f"k{number}" for number in range(4)} == keys_of(restored)
