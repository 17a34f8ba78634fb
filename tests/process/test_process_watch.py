"""Watches of real nodes: what happens to them when nodes die, and that there may be a thousand of them."""

from __future__ import annotations

import http.client
import json
import resource
import selectors
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cluster import PATIENCE_SECONDS, Cluster, Node, wait_until

from hraft import limits
from hraft.process import allow_files

WATCHERS_COUNT = 1000


class Watch:
    """One watch, read by the test's thread; it goes on wherever it is told to."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str, str]] = []
        self._last = 0
        self._connection: http.client.HTTPConnection | None = None
        self._response: Any = None

    def at(self, node: Node) -> None:
        """From where it is, at this node, as soon as it takes watches."""
        wait_until(lambda: self._is_taken_by(node), f"{node.name} takes the watch")

    def _is_taken_by(self, node: Node) -> bool:
        self.leave()
        self._connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=PATIENCE_SECONDS)
        headers = {"Last-Event-ID": str(self._last), "Accept": "application/x-ndjson"}
        self._connection.request("GET", "/v1/watch?prefix=w", headers=headers)
        self._response = self._connection.getresponse()
        return bool(self._response.status == 200)

    def leave(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._response.close()

    def read_until(self, revision: int) -> None:
        """Until something as new was told."""
        while self._last < revision:
            line = self._response.readline()
            assert line.endswith(b"\n"), line
            message = json.loads(line)
            assert message["type"] in ("change", "progress"), message
            for event in message.get("events", ()):
                self.seen.append((message["revision"], event["key"], event["value"]))
            self._last = message["revision"]


def revision(node: Node) -> int:
    """What a watch that begins now at this node begins with."""
    return int(node.ask("HEAD", "/v1/watch?level=stale").headers["x-hraft-revision"])


@pytest.mark.scenario("C11")
def test_through_the_death_of_a_leader(cluster: Cluster) -> None:
    """A follower's watch does not end with the leader, and goes on at other nodes: every change once and in order."""
    cluster.start(3)
    stop, written = threading.Event(), []

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            cluster.write(f"w{number % 5}", str(number))
            written.append(str(number))

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            leader, (first, second) = cluster.leader_and_followers()
            watch = Watch()
            watch.at(first)
            watch.read_until(20)
            leader.kill()
            watch.read_until(wait_until(lambda: len(written) > 60 and revision(first), "writes go on without the old leader"))
            watch.at(second)
            watch.read_until(revision(second) + 10)
            leader.start().wait_until_started()
            watch.at(leader)
            watch.read_until(revision(first))
        finally:
            stop.set()
            writing.result(PATIENCE_SECONDS)
    watch.read_until(max(revision(node) for node in cluster.nodes))
    watch.leave()
    revisions = [seen for seen, _, _ in watch.seen]
    assert list(range(1, len(revisions) + 1)) == revisions
    # A write that was not answered was repeated, and may then be there twice: in a row, since nobody else writes.
    values = [value for _, _, value in watch.seen]
    assert written == [value for number, value in enumerate(values) if value not in values[:number]]


def test_a_stop_ends_watches(cluster: Cluster) -> None:
    """SIGTERM is not held up by those who watch, and they are told."""
    node = cluster.node().start().wait_until_started()
    connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=PATIENCE_SECONDS)
    connection.request("GET", "/v1/watch")
    response = connection.getresponse()
    node.terminate()
    assert b'"code":"stopping"' in response.read()
    connection.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_with_curl(cluster: Cluster) -> None:
    """The lines of docs/http-api.md."""
    node = cluster.node().start().wait_until_started()
    assert node.set("user1", "batman").status == 200
    for headers, expected in (
        ((), b'id: 0\nevent: progress\ndata: {"revision":0}\n\nid: 1\nevent: change\ndata: {"revision":1,"events":['),
        (("-H", "Accept: application/x-ndjson"), b'{"type":"progress","revision":0}\n{"type":"change","revision":1,'),
    ):
        url = f"localhost:{node.http_port}/v1/watch?prefix=user&since=0&prev"
        watching = subprocess.Popen(["curl", "-sN", url, *headers], stdout=subprocess.PIPE)
        assert watching.stdout is not None
        try:
            assert watching.stdout.read(len(expected)) == expected
        finally:
            watching.kill()
            watching.wait()
            watching.stdout.close()


def test_a_thousand_watchers(cluster: Cluster) -> None:
    """All of one node: half of them of one prefix, half of a key each. Every one of them is told, and the node takes writes."""
    allow_files(WATCHERS_COUNT + 500)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < limits.FILES_COUNT:
        pytest.skip("a thousand connections need more open files than this machine allows a process")
    node = cluster.node().start().wait_until_started()
    waiting: dict[socket.socket, tuple[bytes, bytes]] = {}
    with selectors.DefaultSelector() as selector:
        try:
            for number in range(WATCHERS_COUNT):
                query, key = ("prefix=all", "all/1") if number % 2 else (f"key=one{number}", f"one{number}")
                client = socket.create_connection(("127.0.0.1", node.http_port), timeout=PATIENCE_SECONDS)
                client.sendall(f"GET /v1/watch?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                waiting[client] = (b'"key":"%b"' % key.encode(), b"")
            for client in waiting:
                while b"progress" not in waiting[client][1]:
                    waiting[client] = (waiting[client][0], waiting[client][1] + client.recv(65536))
                client.setblocking(False)
                selector.register(client, selectors.EVENT_READ)
            keys = {f"one{number}": "1" for number in range(0, WATCHERS_COUNT, 2)}
            assert node.ask("POST", "/key", {**keys, "all/1": "1"}).status == 200
            missing, deadline = set(waiting), time.monotonic() + PATIENCE_SECONDS
            while missing and time.monotonic() < deadline:
                for ready, _ in selector.select(1.0):
                    client = ready.fileobj  # type: ignore[assignment]
                    wanted, data = waiting[client]
                    waiting[client] = (wanted, data + client.recv(65536))
                    if wanted in waiting[client][1]:
                        missing.discard(client)
            assert len(missing) == 0
            assert {1} == {data.count(b"event: change") for _, data in waiting.values()}
        finally:
            for client in waiting:
                client.close()
    assert node.set("after", "1").status == 200
