"""A node under systemd, whose two protocols the test speaks: ports handed over as open files, and messages about its life."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, wait_until

from chaos.ports import free_ports

#: What systemd does between fork and exec: ports become files 3, 4, ..., and the process is told that they are for it.
HAND_OVER = """
import os, sys
given, command = [int(word) for word in sys.argv[1].split(",")], sys.argv[2:]
kept = [os.dup(number) for number in given]
for place, number in enumerate(kept):
    os.dup2(os.dup(number) if number < 3 + len(kept) else number, 3 + place, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(kept)), LISTEN_FDNAMES="http:raft")
os.execv(command[0], command)
"""


class Systemd:
    """Holds the ports and the notification socket while the node's processes come and go."""

    def __init__(self, cluster: Cluster, folder: str, directory: Path) -> None:
        self.cluster = cluster
        self.directory = directory
        self.address = f"{folder}/notify"
        self.letters = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.letters.bind(self.address)
        self.letters.settimeout(60)
        self.ports = free_ports(2)
        self.listening = [socket.create_server(("127.0.0.1", port)) for port in self.ports]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """The unit's command line, with the ports by their names."""
        http, raft = (f"localhost:{port}" for port in self.ports)
        where = ["--haddr", "systemd:domain=INET:name=http", "--haddr-adv", http]
        where += ["--raddr", "systemd:domain=INET:name=raft", "--raddr-adv", raft]
        numbers = [each.fileno() for each in self.listening]
        given = ",".join(str(number) for number in numbers)
        command = [sys.executable, "-c", HAND_OVER, given, *self.cluster.twist, "hraft", *where, str(self.directory)]
        environment = {**self.cluster.environment, "NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "500000"}
        with (self.directory.parent / "log").open("ab") as log:
            self.process = subprocess.Popen(command, pass_fds=numbers, env=environment, stdout=log, stderr=log)
        return self.process

    def wait_for(self, word: str) -> list[str]:
        """All messages up to the first with this word."""
        read: list[str] = []
        while not read or word not in read[-1]:
            assert len(read) < 200, f"no {word} in {read[-5:]}"
            read.append(self.letters.recv(4096).decode())
        return read

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for each in (self.letters, *self.listening):
            each.close()


@pytest.fixture
def systemd(cluster: Cluster, tmp_path: Path) -> Iterator[Systemd]:
    """Ends what it started."""
    with tempfile.TemporaryDirectory() as folder:  # a socket's path has room for 107 bytes only
        made = Systemd(cluster, folder, tmp_path / "data")
        yield made
        made.close()


def asked(port: int) -> socket.socket:
    """A client that has asked already, whether anybody answers or not."""
    client = socket.create_connection(("127.0.0.1", port), timeout=60)
    client.sendall(b"GET /key/a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return client


def answer(client: socket.socket) -> bytes:
    with client:
        return b"".join(iter(lambda: client.recv(4096), b""))


def test_a_node_under_systemd(systemd: Systemd) -> None:
    """READY when it has started, WATCHDOG while it lives and not while it hangs, STOPPING when it ends; and who connects while it
    is down is served by the next process, since the ports were never closed."""
    process = systemd.start()
    early = asked(systemd.ports[0])
    assert ": leader, term" in systemd.wait_for("READY=1")[-1]
    assert answer(early).startswith(b"HTTP/1.1 ")
    systemd.wait_for("WATCHDOG=1")

    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", "it is stopped")
    systemd.letters.settimeout(1.5)
    with pytest.raises(TimeoutError):
        while True:
            systemd.letters.recv(4096)
    systemd.letters.settimeout(60)
    process.send_signal(signal.SIGCONT)

    process.terminate()
    assert systemd.wait_for("STOPPING=1")
    # twist ends by the signal that it was sent, which systemd takes for a clean end.
    assert process.wait(60) == -signal.SIGTERM
    waiting = asked(systemd.ports[0])
    again = systemd.start()
    assert b"\r\n\r\n" in answer(waiting)
    systemd.wait_for("READY=1")
    again.terminate()
    assert again.wait(60) == -signal.SIGTERM


def test_a_port_that_was_not_handed_over(cluster: Cluster, tmp_path: Path) -> None:
    """Started without its socket unit: one line that names the option, and no half of a node."""
    where = ["--haddr", "systemd:domain=INET:name=http", "--haddr-adv", "localhost:11000"]
    command = [*cluster.twist, "hraft", *where, str(tmp_path / "data")]
    environment = {name: value for name, value in cluster.environment.items() if not name.startswith("LISTEN_")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert (1, 1) == (done.returncode, len(done.stderr.strip().splitlines())), done.stderr
    assert "--haddr: bad address 'systemd:domain=INET:name=http': systemd has handed over no socket 'http'" in done.stderr
    assert [] == list(tmp_path.glob("data/log"))
