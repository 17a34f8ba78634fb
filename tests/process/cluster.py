"""Real `twist hraft` processes on this machine: start, stop, kill, ask, and wait for what must become true.

Every wait has a deadline and says what it waited for. Every process is ended when the test is over, whatever it did.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import hraft
from chaos.ports import free_ports

T = TypeVar("T")

#: A busy machine with two cores is no reason to fail; one that has nothing else to do needs a twentieth of this.
PATIENCE_SECONDS = 60.0
#: For whoever counts on a leader that stays, or on the term: an election then has a reason other than a busy machine.
PATIENT = ("--election-timeout", "4000", "--heartbeat-interval", "200")
IN_USE = "Address already in use"


@dataclass(frozen=True)
class Reply:
    """What a node answered over HTTP."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Return the condition's value once it is true; fail in words when that takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


class Node:
    """One node: its directory and ports stay, its processes come and go."""

    def __init__(self, cluster: Cluster, name: str, options: tuple[str, ...], join: list[Node]) -> None:
        self.cluster = cluster
        self.name = name
        self.options = options
        self.join = join
        self.directory = cluster.folder / name
        self.log_path = cluster.folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        #: What the node is run by, if anything.
        self.under: tuple[str, ...] = ()
        self._log_begin = 0
        self.http_port, self.raft_port = free_ports(2)

    @property
    def raft_address(self) -> str:
        """Where it listens for others; also its id, and what they dial, unless an option says otherwise."""
        return f"localhost:{self.raft_port}"

    @property
    def http_address(self) -> str:
        """What clients dial."""
        return f"localhost:{self.http_port}"

    @property
    def node_id(self) -> str:
        """As on the command line."""
        said = [self.options[self.options.index(name) + 1] for name in ("--id", "--raddr-adv") if name in self.options]
        return [*said, self.raft_address][0]

    def command(self) -> list[str]:
        """The same every time, as an operator's unit file would have it."""
        addresses = ["--haddr", self.http_address, "--raddr", self.raft_address]
        join = ["--join", ",".join(other.http_address for other in self.join)] if self.join else []
        directory = [] if "--inmem" in self.options else [str(self.directory)]
        secured = self.cluster.certificates_of(self)
        return [*self.under, *self.cluster.twist, "hraft", *addresses, *join, *secured, *self.options, *directory]

    # --- processes -------------------------------------------------------------------------------

    def start(self) -> Node:
        """Start the process, which takes a moment. A first start may lose its ports to another process and gets others."""
        with self.log_path.open("ab") as log:
            self._log_begin = log.tell()
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.cluster.environment
            )
        wait_until(lambda: self.is_listening() or not self.is_running(), f"{self.name} listens on its HTTP port")
        return self._started_elsewhere() if self._has_lost_its_ports() else self

    def _has_lost_its_ports(self) -> bool:
        """Whether somebody who does not ask `chaos.ports` was quicker than its first process. That one may be who listens."""
        return self._log_begin == 0 and not self.is_running() and IN_USE in self.log()

    def _started_elsewhere(self) -> Node:
        self.log_path.unlink()
        self.http_port, self.raft_port = free_ports(2)
        return self.start()

    def is_running(self) -> bool:
        """Whether there is a process that has not ended."""
        return self.process is not None and self.process.poll() is None

    def is_listening(self) -> bool:
        """Whether anybody accepts connections on the HTTP port."""
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.http_port)) == 0

    def send_signal(self, number: int) -> None:
        """To the process that runs now."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait_for_exit(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit status of the process; negative is the signal it died of."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {seconds:g} s") from None

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.send_signal(signal.SIGKILL)
        self.wait_for_exit()

    def terminate(self, seconds: float = PATIENCE_SECONDS) -> int:
        """SIGTERM, and wait for a clean end."""
        self.send_signal(signal.SIGTERM)
        return self.wait_for_exit(seconds)

    def end(self) -> None:
        """At the end of a test, also of one that left the process stopped."""
        if self.is_running():
            self.kill()

    def log(self) -> str:
        """All that its processes have written."""
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def wait_until_said(self, words: str) -> None:
        """Until its present or last process has logged this. A thread writes the log, after what it tells of."""
        wait_until(lambda: words in self.log_of_process(), f"{self.name} logs {words!r}")

    def log_of_process(self) -> str:
        """What its present or last process has written."""
        return self.log_path.read_bytes()[self._log_begin :].decode("utf-8", "replace")

    def says_started(self) -> bool:
        """Whether its present process has said so."""
        scheme = "http" if self.cluster.context is None else "https"
        return f"hraft started successfully, listening on {scheme}://{self.http_address}" in self.log_of_process()

    def is_started(self) -> bool:
        """The same; but a process that has ended before is a failure."""
        if self._has_lost_its_ports():
            self._started_elsewhere()
        if not self.is_running():
            raise AssertionError(f"{self.name} ended while it was waited for:\n{self.log()[-2000:]}")
        return self.says_started()

    def comes_up(self) -> bool:
        """Start a process that may refuse to, and wait for either."""
        self.start()
        wait_until(lambda: self.says_started() or not self.is_running(), f"{self.name} starts or refuses to")
        return self.is_running()

    def wait_until_started(self) -> Node:
        """Until its log says so."""
        wait_until(self.is_started, f"{self.name} says that it has started")
        return self

    # --- HTTP ------------------------------------------------------------------------------------

    def ask(
        self, method: str, path: str, body: Any = None, seconds: float = 15.0, headers: dict[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own. Raises OSError or HTTPException when there is no answer."""
        context = self.cluster.context
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=seconds)
            if context is None
            else http.client.HTTPSConnection("localhost", self.http_port, timeout=seconds, context=context)
        )
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.read(), {name.lower(): value for name, value in response.getheaders()})
        finally:
            connection.close()

    def set(self, key: str, value: str) -> Reply:
        """POST /key."""
        return self.ask("POST", "/key", {key: value})

    def get(self, key: str) -> str | None:
        """This node's own value of a key; empty where it has none, None where it does not answer."""
        try:
            found: str = self.ask("GET", f"/key/{key}").json()[key]
            return found
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            return None

    def status(self) -> dict[str, Any]:
        """GET /status, or nothing while it does not answer."""
        try:
            reply = self.ask("GET", "/status", seconds=5.0)
            found: dict[str, Any] = reply.json() if reply.status == 200 else {}
            return found
        except (OSError, http.client.HTTPException, ValueError):
            return {}

    def leader_id(self) -> str | None:
        """Whom this node takes for the leader."""
        leader: str | None = (self.status().get("leader") or {}).get("id") or None
        return leader

    def wait_for_value(self, key: str, value: str) -> None:
        """Until this node itself has it."""
        wait_until(lambda: self.get(key) == value, f"{self.name} has {key}={value!r}")


class Cluster:
    """Nodes that know each other."""

    def __init__(self, folder: Path, reactor: str = "default") -> None:
        self.folder = folder
        self.nodes: list[Node] = []
        #: What clients talk TLS by, and a node's options for it, where a test has given it certificates.
        self.context: ssl.SSLContext | None = None
        self.certificates_of: Callable[[Node], list[str]] = lambda node: []
        #: The hraft that the tests import is the one that is run, be it a checkout or an installed wheel.
        root = str(Path(hraft.__file__).resolve().parent.parent)
        self.environment = {**os.environ, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}
        self.twist = [sys.executable, "-m", "twisted", f"--reactor={reactor}", "--log-format=text"]

    def node(self, *options: str, join: list[Node] | None = None) -> Node:
        """One more node, not yet started."""
        node = Node(self, f"node{len(self.nodes)}", options, join or [])
        self.nodes.append(node)
        return node

    def start(self, count: int, *options: str) -> list[Node]:
        """A cluster of that many voters, the first of which began it."""
        first = self.node(*options).start().wait_until_started()
        others = [self.node(*options, join=[first]).start() for _ in range(count - 1)]
        for node in others:
            node.wait_until_started()
        return [first, *others]

    def running(self) -> Iterator[Node]:
        """The nodes that have a process."""
        return (node for node in self.nodes if node.is_running())

    def leader(self, among: list[Node] | None = None) -> Node:
        """The leader that all running nodes agree on, or those that are named, once they do."""

        def agreed() -> Node | None:
            nodes = list(self.running()) if among is None else among
            ids = {node.leader_id() for node in nodes}
            return next((node for node in nodes if ids == {node.node_id}), None)

        found = wait_until(agreed, "the nodes agree on a leader among them")
        assert found is not None
        return found

    def followers(self) -> list[Node]:
        """The running nodes but the leader."""
        return self.leader_and_followers()[1]

    def leader_and_followers(self) -> tuple[Node, list[Node]]:
        """Both as of one moment."""
        leader = self.leader()
        return leader, [node for node in self.running() if node is not leader]

    def write(self, key: str, value: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Set a key through whichever node takes it."""
        self.write_all({key: value}, seconds)

    def write_all(self, pairs: dict[str, str], seconds: float = PATIENCE_SECONDS) -> None:
        """The same of several keys, in one request."""

        def written() -> bool:
            for node in self.running():
                try:
                    if node.ask("POST", "/key", pairs).status == 200:
                        return True
                except (OSError, http.client.HTTPException):
                    continue
            return False

        wait_until(written, f"some node takes {pairs!r:.200}", seconds)

    def close(self) -> None:
        """End every process."""
        for node in self.nodes:
            node.end()
