"""What is compared: three nodes of hraft (of any checkout), or of etcd, each on a real disk, started and ended in the same way.

Knows nothing of loads and figures.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.processes import cpu_seconds, resident_mib
from chaos.ports import free_ports

#: A machine that is busy with other things may take long to start three nodes.
START_SECONDS = 60.0
ROOT = Path(__file__).resolve().parent.parent


class System(ABC):
    """Some nodes. `port` is the HTTP port of the leader, once they are started."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.port = 0
        self.processes: list[subprocess.Popen[bytes]] = []

    @abstractmethod
    def start(self, nodes_count: int) -> None:
        """Return when the nodes have a leader that takes writes."""

    @abstractmethod
    def write(self, key: str, value: str) -> tuple[str, str, str]:
        """Method, path and body of a write."""

    @abstractmethod
    def read(self, key: str, is_linearizable: bool) -> tuple[str, str, str]:
        """The same of a read; else it may be stale."""

    def plain_read(self, key: str) -> tuple[str, str, str]:
        """The cheapest read there is."""
        return self.read(key, is_linearizable=False)

    def stop(self) -> None:
        """End every process at once."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def cpu_seconds(self) -> float:
        """What all nodes together have used of the processors so far."""
        return sum(cpu_seconds(process.pid) for process in self.processes)

    def resident_mib(self) -> float:
        """Of the node that uses most memory."""
        return max(resident_mib(process.pid) for process in self.processes)

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.folder)
            )

    def _wait(self, holds: object, what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not holds():  # type: ignore[operator]
            if any(process.poll() is not None for process in self.processes):
                raise SystemExit(f"{self.name}: a node ended while it was waited for: {what}; see {self.folder}")
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name}: not within {START_SECONDS:g} s: {what}; see {self.folder}")
            time.sleep(0.05)


class Hraft(System):
    """The hraft of a checkout: this one, or that of another commit."""

    def __init__(self, name: str, folder: Path, checkout: Path = ROOT, reactor: str = "default") -> None:
        super().__init__(name, folder)
        self._checkout = checkout
        self._reactor = reactor

    def start(self, nodes_count: int) -> None:
        ports = free_ports(2 * nodes_count)
        self.port = ports[0]
        environment = {**os.environ, "PYTHONPATH": str(self._checkout)}
        for number in range(nodes_count):
            join = ["--join", f"localhost:{self.port}"] if number else []
            command = [sys.executable, "-m", "twisted", f"--reactor={self._reactor}", "--log-format=text", "hraft"]
            command += ["--haddr", f"localhost:{ports[2 * number]}", "--raddr", f"localhost:{ports[2 * number + 1]}", *join]
            self._run(f"node{number}", [*command, str(self.folder / f"node{number}")], environment)
            self._wait(partial(self._has_voters, number + 1), f"{number + 1} voters")
        status = self._status()
        if status["leader"] != status["me"]:
            raise SystemExit(f"{self.name}: another node leads than the first; start again")

    def _has_voters(self, count: int) -> bool:
        return len(self._status().get("voters", ())) == count

    def _status(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(_get(self.port, "/status"))
            return answer
        except (OSError, http.client.HTTPException, ValueError):
            return {}

    def write(self, key: str, value: str) -> tuple[str, str, str]:
        return "POST", "/key", json.dumps({key: value})

    def read(self, key: str, is_linearizable: bool) -> tuple[str, str, str]:
        return "GET", f"/v1/kv/{key}" if is_linearizable else f"/v1/kv/{key}?level=stale", ""

    def plain_read(self, key: str) -> tuple[str, str, str]:
        return "GET", f"/key/{key}", ""


class Etcd(System):
    """Debian's etcd, by its JSON gateway."""

    def start(self, nodes_count: int) -> None:
        program = shutil.which("etcd")
        if program is None:
            raise SystemExit("etcd is not installed; on Debian: apt-get install etcd-server")
        ports = free_ports(2 * nodes_count)
        peers = ",".join(f"n{number}=http://127.0.0.1:{ports[2 * number + 1]}" for number in range(nodes_count))
        for number in range(nodes_count):
            client, peer = (f"http://127.0.0.1:{ports[2 * number + each]}" for each in (0, 1))
            command = [program, "--name", f"n{number}", "--data-dir", str(self.folder / f"n{number}"), "--initial-cluster", peers]
            command += ["--listen-client-urls", client, "--advertise-client-urls", client]
            command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--log-level", "error"]
            self._run(f"n{number}", command, {**os.environ, "ETCD_UNSUPPORTED_ARCH": "arm64"})
        self._wait(lambda: any(self._leads(ports[2 * number]) for number in range(nodes_count)), "a leader")

    def _leads(self, port: int) -> bool:
        try:
            status = json.loads(_get(port, "/v3/maintenance/status", b"{}"))
        except (OSError, http.client.HTTPException, ValueError):
            return False
        if status.get("leader") and status["leader"] == status.get("header", {}).get("member_id"):
            self.port = port
        return self.port == port

    def write(self, key: str, value: str) -> tuple[str, str, str]:
        return "POST", "/v3/kv/put", json.dumps({"key": _base64(key), "value": _base64(value)})

    def read(self, key: str, is_linearizable: bool) -> tuple[str, str, str]:
        return "POST", "/v3/kv/range", json.dumps({"key": _base64(key), "serializable": not is_linearizable})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _get(port: int, path: str, body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        return connection.getresponse().read()
    finally:
        connection.close()
