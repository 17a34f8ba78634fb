"""Clients that write as fast as they are answered, and remember what they were promised.

Every key is written once, so that what is found later tells exactly which promise it keeps.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterable
from types import TracebackType

from cluster import Cluster, Node, wait_until

THREADS_COUNT = 2
TIMEOUT_SECONDS = 15.0
PAUSE_SECONDS = 0.02


class Writers:
    """Write from `with` to its end, through whichever node takes it. Keys begin with `name`."""

    def __init__(self, cluster: Cluster, name: str, threads_count: int = THREADS_COUNT) -> None:
        self._cluster = cluster
        self._name = name
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(threads_count)]
        #: Key and value of what was answered with 200.
        self.acknowledged: dict[str, str] = {}
        #: Keys that were sent and not answered so: they may be there or not.
        self.unknown: set[str] = set()

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int, what: str = "writes are acknowledged") -> None:
        """Until so many more writes were acknowledged."""
        wanted = len(self.acknowledged) + count
        wait_until(lambda: len(self.acknowledged) >= wanted, f"{count} more {what}")

    def stop(self) -> None:
        """Begin no further write."""
        self._stop.set()

    def _write(self, number: int) -> None:
        serial = 0
        while not self._stop.is_set():
            taken = False
            for node in list(self._cluster.running()):
                key, value = f"{self._name}-{number}-{serial}", f"{number}.{serial}"
                serial += 1
                taken = self._write_once(node, key, value)
                if taken or self._stop.is_set():
                    break
            if not taken:
                self._stop.wait(PAUSE_SECONDS)

    def _write_once(self, node: Node, key: str, value: str) -> bool:
        try:
            if node.ask("POST", "/key", {key: value}, TIMEOUT_SECONDS).status == 200:
                self.acknowledged[key] = value
                return True
        except (OSError, http.client.HTTPException):
            pass
        self.unknown.add(key)
        return False


def values(node: Node, keys: Iterable[str]) -> dict[str, str]:
    """What a node itself has under some keys; an empty text where it has nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=TIMEOUT_SECONDS)
    found: dict[str, str] = {}
    try:
        for key in keys:
            connection.request("GET", f"/key/{key}")
            found[key] = json.loads(connection.getresponse().read())[key]
    finally:
        connection.close()
    return found


def check_nothing_lost(nodes: Iterable[Node], acknowledged: dict[str, str]) -> None:
    """Every node has every value that a client was promised."""
    for node in nodes:
        lost = {key: value for key, value in values(node, acknowledged).items() if value != acknowledged[key]}
        assert lost == {}, f"{node.name} lost {lost} of {len(acknowledged)} acknowledged"


def settle(cluster: Cluster, key: str) -> None:
    """Write once more and wait until every running node has it, and so all that was acknowledged before."""
    cluster.write(key, "settled")
    for node in cluster.running():
        node.wait_for_value(key, "settled")
