"""The `hraft` command against real nodes: what docs/command-line.md shows, and a command that runs under a lock."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Node, wait_until

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "command-line.md"


class Shell:
    """Runs the command, as a user's shell would; ends what is left."""

    def __init__(self, cluster: Cluster, nodes: list[Node]) -> None:
        endpoints = ",".join(f"http://{node.http_address}" for node in nodes)
        self.environment = {**cluster.environment, "HRAFT_ENDPOINTS": endpoints}
        self.begun: list[subprocess.Popen[bytes]] = []

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """One command, to its end."""
        command = [sys.executable, "-m", "hraft", *words]
        return subprocess.run(command, input=stdin, capture_output=True, env=self.environment, timeout=120, check=False)

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """One that goes on."""
        command = [sys.executable, "-m", "hraft", *words]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.begun.append(subprocess.Popen(command, env=self.environment, start_new_session=True, **pipes))  # type: ignore[call-overload]
        return self.begun[-1]

    def end(self) -> None:
        """Also what they have started."""
        for process in self.begun:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


@pytest.fixture
def shell(cluster: Cluster) -> Iterator[Shell]:
    """Three nodes, and somebody at a keyboard."""
    made = Shell(cluster, cluster.start(3))
    yield made
    made.end()


def test_the_page(cluster: Cluster, shell: Shell) -> None:
    """Every command of the first example, in its order; and what scripts rely on."""
    example = PAGE.read_text("utf-8").split("    export HRAFT_ENDPOINTS", 1)[1].split("\n\n|", 1)[0]
    commands = [line.split("#")[0].strip() for line in example.splitlines() if "hraft " in line and "watch" not in line]
    assert len(commands) == 5, commands
    for line in commands:
        words = line.replace("hraft ", f"{sys.executable} -m hraft ", 1)
        done = subprocess.run(["sh", "-c", words], capture_output=True, env=shell.environment, timeout=120, check=False)
        assert done.returncode == 0, (line, done.stderr)
    assert b"any bytes" == shell.run("get", "blob", "--raw").stdout
    missing = shell.run("get", "greeting")
    assert (1, b"") == (missing.returncode, missing.stdout)
    assert shell.run("put", "blob", "x", "--if-absent").returncode == 1
    assert ["blob"] == [json.loads(line)["key"] for line in shell.run("--json", "ls").stdout.splitlines()]
    assert 3 == len(shell.run("members").stdout.splitlines()) == len(shell.run("status").stdout.splitlines())
    told = shell.run("watch", "--prefix", "", "--since", "0", "--count", "3").stdout.decode()
    assert re.fullmatch(r"1 put greeting hello\n2 put blob any bytes\n3 delete greeting\n", told), told
    measured = json.loads(shell.run("--json", "bench", "--seconds", "0.5", "--clients", "4").stdout)
    assert measured["failed"] == 0 < measured["requests_per_second"]
    cluster.leader().kill()
    assert shell.run("put", "after", "1").returncode == 0
    assert shell.run("status").returncode == 3
    for node in cluster.running():
        node.kill()
    assert shell.run("--timeout", "2", "get", "after").returncode == 3


@pytest.mark.scenario("C7")
def test_a_command_under_a_lock(cluster: Cluster, shell: Shell) -> None:
    """One at a time, with fences that rise, through a kill -9 of the leader; and it is ended when the lock is lost."""
    once = shell.run("lock", "job", "--", "sh", "-c", "echo $HRAFT_FENCE; exit 7")
    assert 7 == once.returncode, once.stderr
    holder = shell.begin("lock", "job", "--ttl", "8", "--", "sh", "-c", "echo $HRAFT_FENCE; exec sleep 600")
    assert holder.stdout is not None and holder.stderr is not None
    fence = int(holder.stdout.readline())
    assert int(once.stdout) < fence
    assert shell.run("lock", "job", "--wait", "0", "--", "true").returncode == 1
    cluster.leader().kill()
    cluster.leader()
    # Twice the time after which it would be lost, if nobody kept it alive across the change.
    assert shell.run("lock", "job", "--wait", "16", "--", "true").returncode == 1
    assert holder.poll() is None
    for node in list(cluster.running()):
        node.kill()
    assert 6 == holder.wait(60), holder.stderr.read()
    wait_until(lambda: not _processes_of(holder.pid), "the command has ended with its lock")
    for node in cluster.nodes:
        node.start()
    cluster.leader()
    after = shell.run("lock", "job", "--", "sh", "-c", "echo $HRAFT_FENCE")
    assert (0, True) == (after.returncode, int(after.stdout) > fence), after


def test_ctrl_c(cluster: Cluster, shell: Shell) -> None:
    """Of `lock` without a command, and of `elect`: what was held is free at once, and not after its time."""
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        for words in (("lock", "job", "--ttl", "600"), ("elect", "job", "me", "--ttl", "600")):
            holder = shell.begin(*words)
            assert holder.stdout is not None
            assert b"fencing token" in holder.stdout.readline()
            holder.send_signal(number)
            _, complaint = holder.communicate(timeout=120)
            assert (code, b"") == (holder.returncode, complaint)
    assert shell.run("lock", "job", "--wait", "5", "--", "true").returncode == 0


def test_addresses_that_are_none(shell: Shell) -> None:
    """A slip in `-e` is the command line's fault: one line, and code 2."""
    for endpoints in ("", "nonsense:", "ftp://localhost", "http://localhost:99999"):
        done = shell.run("-e", endpoints, "get", "key")
        assert (2, 1) == (done.returncode, done.stderr.count(b"\n")), done
        assert b"write " in done.stderr or b"must be" in done.stderr, done


def _processes_of(session: int) -> list[str]:
    """Processes of a session that have not ended."""
    listed = subprocess.run(["ps", "-o", "stat=", "-g", str(session)], capture_output=True, text=True, check=False).stdout
    return [line for line in listed.split() if not line.startswith("Z")]
