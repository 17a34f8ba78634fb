"""What keeps a cluster in service while nothing is broken: rolling restarts, large transfers, a log that nobody reads."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cluster import PATIENT, Cluster, Node, wait_until


class Writer(threading.Thread):
    """Writes new keys one after the other, to whichever node takes them, until told to stop."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(daemon=True)
        self.acknowledged: dict[str, str] = {}
        self.longest_gap_seconds = 0.0
        self._cluster = cluster
        self._is_over = threading.Event()

    def run(self) -> None:
        """One new key each time, so that every acknowledgement is a promise that can be checked."""
        nodes, last = list(self._cluster.nodes), time.monotonic()
        while not self._is_over.is_set():
            key = f"written-{len(self.acknowledged)}"
            for node in nodes:
                if _takes(node, key):
                    self.acknowledged[key] = "x"
                    self.longest_gap_seconds = max(self.longest_gap_seconds, time.monotonic() - last)
                    last = time.monotonic()
                    nodes.sort(key=lambda other: other is not node)
                    break

    @property
    def count(self) -> int:
        return len(self.acknowledged)

    def stop(self) -> None:
        """And wait until it has."""
        self._is_over.set()
        self.join(60)

    def lost_on(self, node: Node) -> list[str]:
        """What was acknowledged and is not there."""
        return [key for key, value in self.acknowledged.items() if node.get(key) != value]


def _takes(node: Node, key: str) -> bool:
    try:
        return node.ask("POST", "/key", {key: "x"}, seconds=5.0).status == 200
    except Exception:
        return False


@contextmanager
def writing(cluster: Cluster) -> Iterator[Writer]:
    """A writer that has begun, and stops at the end."""
    writer = Writer(cluster)
    writer.start()
    try:
        wait_until(lambda: writer.count > 5, "writes are under way")
        yield writer
    finally:
        writer.stop()


@pytest.mark.scenario("O15")
def test_rolling_restart(cluster: Cluster, record_property: Callable[[str, object], None]) -> None:
    """Each node in turn, the leader last: writes go on, nothing is lost, and leadership is handed over rather than waited out."""
    cluster.start(3, *PATIENT)
    with writing(cluster) as writer:
        for node in [*cluster.followers(), cluster.leader()]:
            before = writer.count
            node.terminate()
            node.start().wait_until_started()
            wait_until(lambda before=before: writer.count > before + 3, "writes go on")
    term = cluster.leader().status()["term"]
    for node in cluster.nodes:
        assert [] == writer.lost_on(node)
        assert "pre-candidate" not in node.log().partition("stopping")[2], "nobody has had to wait for an election timeout"
    assert 3 == term, "one election at the beginning, and one for the one leader that was restarted"
    record_property("longest_gap_seconds", writer.longest_gap_seconds)


@pytest.mark.scenario("S12")
def test_a_large_snapshot_delays_nobody(cluster: Cluster) -> None:
    """While many chunks go to a node that joins, the others are heard as ever: no election, and writes all the time."""
    options = (*PATIENT, "--snapshot-log-mib", "16", "--kept-entries", "1")
    cluster.start(3, *options)
    leader = cluster.leader()
    for number in range(40):
        assert 200 == leader.set(f"large-{number}", "v" * 1_000_000).status
    wait_until(lambda: leader.status().get("snapshot_index", 0) > 30, "there is a snapshot of most of it")
    term = leader.status()["term"]
    with writing(cluster) as writer:
        joiner = cluster.node(*options, join=[leader])
        joiner.start()
        wait_until(lambda: re.search(f"snapshot.*{re.escape(joiner.node_id)}", leader.log()), "the leader sends its snapshot")
        before = writer.count
        joiner.wait_until_started()
        during = writer.count - before
    assert during > 5, "writes were acknowledged while the snapshot was on its way"
    assert term == cluster.leader().status()["term"]
    assert [] == writer.lost_on(joiner)
    joiner.wait_for_value("large-7", "v" * 1_000_000)


@pytest.mark.scenario("O7")
def test_nobody_reads_the_log(cluster: Cluster) -> None:
    """Its pipe is full, so whoever wrote to it in the reactor's thread would wait for ever: the node must not."""
    node = cluster.node()
    reading, writing_end = os.pipe()
    try:
        fcntl.fcntl(writing_end, 1031, 4096)  # F_SETPIPE_SZ, which Python 3.10 has no public name for
        os.set_blocking(writing_end, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(writing_end, b"x" * 4096)
        os.set_blocking(writing_end, True)
        command = node.command()
        node.process = subprocess.Popen(command, stdout=writing_end, stderr=writing_end, env=cluster.environment)
        wait_until(lambda: node.status().get("role") == "leader", "it leads, and has logged that")
        assert 200 == node.set("a", "1").status
        assert "1" == node.get("a")
        node.process.terminate()
        assert node.wait_for_exit() is not None
    finally:
        os.close(writing_end)
        os.close(reading)


RESOLVER = """
import os, socket, time
_real = socket.getaddrinfo

def getaddrinfo(host, *arguments, **options):
    if host == "moving.example" or host == b"moving.example":
        with open(os.environ["MADE_UP_NAMES"]) as file:
            found = file.read().strip()
        if found == "hangs":
            time.sleep(1.0)
            raise socket.gaierror(socket.EAI_AGAIN, "the name server does not answer")
        host = found
    return _real(host, *arguments, **options)

socket.getaddrinfo = getaddrinfo
"""


@pytest.mark.scenario("N14")
def test_a_name_that_fails_and_then_changes(cluster: Cluster) -> None:
    """A name server that hangs holds up nobody's heartbeats; when the name means another address, that is dialled."""
    made_up, names = cluster.folder / "made_up", cluster.folder / "names"
    made_up.mkdir()
    (made_up / "sitecustomize.py").write_text(RESOLVER)
    names.write_text("127.0.0.1")
    cluster.environment["PYTHONPATH"] = f"{made_up}:{cluster.environment['PYTHONPATH']}"
    cluster.environment["MADE_UP_NAMES"] = str(names)
    cluster.start(3, *PATIENT)
    leader = cluster.leader()
    moving = cluster.node(*PATIENT, "--id", "moving", join=[leader])
    moving.options += ("--raddr-adv", f"moving.example:{moving.raft_port}")
    moving.start().wait_until_started()
    term = leader.status()["term"]
    moving.kill()
    names.write_text("hangs")
    for number in range(20):
        cluster.write(f"meanwhile-{number}", "x")
        time.sleep(0.1)
    assert term == leader.status()["term"], "nobody missed a heartbeat"
    names.write_text("127.0.0.2")
    moved = moving.command
    at = f"127.0.0.2:{moving.raft_port}"
    moving.command = lambda: [at if word == f"localhost:{moving.raft_port}" else word for word in moved()]  # type: ignore[method-assign]
    moving.start().wait_until_started()
    moving.wait_for_value("meanwhile-19", "x")
    with socket.create_connection(("127.0.0.2", moving.raft_port), 5):
        pass
