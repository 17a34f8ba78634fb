"""The example scripts of deploy/: a cluster on this machine that comes up, works, stops, and goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, wait_until

from chaos.ports import free_row

ROOT = Path(__file__).resolve().parent.parent.parent
HRAFT = (sys.executable, "-m", "hraft")


class Trial:
    """What somebody sees who runs one of the scripts, and asks from another terminal."""

    def __init__(self, cluster: Cluster, script: str, first: int) -> None:
        twist = " ".join(cluster.twist).removesuffix(" --log-format=text")
        ports = {"HRAFT_HTTP_PORT": str(first), "HRAFT_RAFT_PORT": str(first + 5)}  # five of each kind
        self.environment = {**cluster.environment, "HRAFT_TWIST": twist, **ports}
        self.process = subprocess.Popen(
            [ROOT / "deploy" / script, cluster.folder / "trial"], env=self.environment, stdout=subprocess.PIPE, text=True
        )
        self.said: list[str] = []
        self.endpoints = ""

    def wait_until_up(self) -> None:
        """Until it says how to ask."""
        patience = threading.Timer(100, self.process.kill)
        patience.start()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if "HRAFT_ENDPOINTS=" in line:
                self.endpoints = line.partition("=")[2].strip()
            if "hraft put greeting" in line:
                break
        patience.cancel()
        assert self.endpoints, self.said

    def hraft(self, *words: str) -> str:
        """What the command prints."""
        environment = {**self.environment, "HRAFT_ENDPOINTS": self.endpoints}
        done = subprocess.run([*HRAFT, *words], env=environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def processes(self) -> list[str]:
        """The script's nodes."""
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()

    def stop(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(100)


@pytest.fixture
def trials(cluster: Cluster) -> Iterator[list[Trial]]:
    """Ends what a failed test has left."""
    made: list[Trial] = []
    yield made
    for trial in made:
        if trial.process.poll() is None:
            trial.stop(signal.SIGTERM)


def test_three_nodes_on_one_machine(cluster: Cluster, trials: list[Trial]) -> None:
    """Written on one, read on all; a stop ends every node, and a second start has what was written."""
    ports = free_row(10)
    trials.append(Trial(cluster, "three-nodes.sh", ports))
    first = trials[-1]
    first.wait_until_up()
    nodes = first.processes()
    assert len(nodes) == 3
    assert len(first.endpoints.split(",")) == 3
    first.hraft("put", "greeting", "hello")
    wait_until(lambda: first.hraft("status").count("follower") == 2, "two follow the third")
    assert "hello\n" == first.hraft("get", "greeting")
    assert first.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    assert [] == [node for node in nodes if os.path.exists(f"/proc/{node}")]

    trials.append(Trial(cluster, "three-nodes.sh", ports))
    trials[-1].wait_until_up()
    assert trials[-1].hraft("get", "greeting") == "hello\n"
    assert trials[-1].stop(signal.SIGINT) == 128 + signal.SIGINT


def test_five_nodes_and_a_port_that_is_taken(cluster: Cluster, trials: list[Trial]) -> None:
    """What keeps one node from starting is said, and no other is left behind."""
    trials.append(Trial(cluster, "five-nodes.sh", free_row(10)))
    trials[-1].wait_until_up()
    assert len(trials[-1].processes()) == 5
    taken = subprocess.run(
        [ROOT / "deploy" / "nodes.sh", "1", cluster.folder / "other"],
        env=trials[-1].environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert taken.returncode == 1
    assert "Address already in use" in taken.stderr
