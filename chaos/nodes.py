"""Real `twist hraft` processes in their places on a network. Knows no faults and no histories."""

from __future__ import annotations

import glob
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hraft
from chaos.links import Network, Place

#: Small, so that snapshots are taken and sent all the time.
SNAPSHOT_OPTIONS = ("--snapshot-entries", "400", "--kept-entries", "100")
#: What the log of a node must not say.
DEFECTS = ("Traceback", "a defect in hraft", "Unhandled error")


def faketime_library() -> str | None:
    """Where libfaketime is, if it is."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") + glob.glob("/usr/lib*/faketime/libfaketimeMT.so.1")
    return found[0] if found else None


@dataclass(frozen=True)
class Reply:
    """What a node answered over HTTP."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> dict[str, Any]:
        """The body, which is an object; empty where it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class Connection(http.client.HTTPConnection):
    """To one node. Never reconnects by itself, so that what was not sent can be told from what was not answered."""

    auto_open = 0

    def __init__(self, network: Network, place: Place, seconds: float) -> None:
        super().__init__(place.http_host, place.http_port, timeout=seconds)
        self.sock = network.dial(place, seconds)
        self._headers = {} if network.users is None else network.users.headers
        if network.security is not None:
            self.sock = network.security.context.wrap_socket(self.sock, server_hostname=place.http_host)

    def ask(self, method: str, path: str, body: bytes | None, seconds: float) -> Reply:
        """Raises OSError or HTTPException when there is no whole answer."""
        assert self.sock is not None
        self.sock.settimeout(seconds)
        self.request(method, path, body, self._headers)
        response = self.getresponse()
        return Reply(response.status, response.read(), {name.lower(): value for name, value in response.getheaders()})


class Node:
    """Its directory and its place stay, its processes come and go."""

    def __init__(self, network: Network, folder: Path, name: str, join: list[Node], has_own_clock: bool) -> None:
        self.network = network
        self.name = name
        self.join = join
        self.place = network.add(name)
        self.directory = folder / name
        self.log_path = folder / f"{name}.log"
        self.clock_path = folder / f"{name}.clock" if has_own_clock else None
        self.process: subprocess.Popen[bytes] | None = None
        self.is_paused = False
        self.set_clock("+0")

    def command(self) -> list[str]:
        """The same every time, as an operator's unit file would have it. Ends with whoever started it, where that can be had."""
        join = ["--join", ",".join(f"{node.place.http_host}:{node.place.http_port}" for node in self.join)] if self.join else []
        bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        twist = [sys.executable, "-m", "twisted", "--log-format=text", "hraft", "--id", self.name, *self.place.options]
        security = self.network.security
        secured = [] if security is None else security.options(self.name, self.place.http_host)
        secured += [] if self.network.users is None else self.network.users.options()
        return [*bound, *self.place.prefix, *twist, *SNAPSHOT_OPTIONS, *secured, *join, str(self.directory)]

    def environment(self) -> dict[str, str]:
        """The hraft that is imported here is the one that is run."""
        root = str(Path(hraft.__file__).resolve().parent.parent)
        found = {**os.environ, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}
        library = faketime_library()
        if self.clock_path is not None and library is not None:
            # Only what CLOCK_REALTIME says: no operator can set a monotonic clock.
            found |= {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(self.clock_path), "FAKETIME_CACHE_DURATION": "1"}
            found |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
        return found

    def start(self) -> None:
        """Returns at once; the node comes in when it can."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment()
            )

    def is_running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """kill -9, also of one that is stopped, and wait until it is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
        self.is_paused = False

    def terminate(self) -> None:
        """SIGTERM, and kill -9 for who does not heed it."""
        if self.process is not None and self.is_running():
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def pause(self) -> None:
        """SIGSTOP."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        self.is_paused = True

    def resume(self) -> None:
        """SIGCONT."""
        if self.is_running():
            assert self.process is not None
            self.process.send_signal(signal.SIGCONT)
        self.is_paused = False

    def set_clock(self, words: str) -> None:
        """As libfaketime has it: `+3600`, `-3600`, or a date at which it stands still."""
        if self.clock_path is not None:
            fresh = self.clock_path.with_suffix(".new")
            fresh.write_text(words + "\n")
            fresh.replace(self.clock_path)

    def ask(self, method: str, path: str, body: Any = None, seconds: float = 2.0) -> Reply | None:
        """One request on a connection of its own; None when there is no answer."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection = Connection(self.network, self.place, seconds)
        except OSError:
            return None
        try:
            return connection.ask(method, path, data, seconds)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def status(self, seconds: float = 2.0) -> dict[str, Any]:
        """GET /status, or nothing while it does not answer."""
        reply = self.ask("GET", "/status", seconds=seconds)
        return reply.json() if reply is not None and reply.status == 200 else {}

    def defects(self) -> list[str]:
        """Lines of its log that no fault excuses."""
        if not self.log_path.exists():
            return []
        lines = self.log_path.read_text("utf-8", "replace").splitlines()
        return [f"{self.name} logged: {line}" for line in lines if any(word in line for word in DEFECTS)]
