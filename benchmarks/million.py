"""`python -m benchmarks million`: what a big state costs in memory and at a restart, and writes beside snapshots and a catch-up.

    fill a cluster of three with many keys --> memory, size on disk
    writes there and in an empty cluster, in turn
    kill -9 of a follower, start it again --> time and CPU time until it is ready, memory
    all of the big one again with small --snapshot-entries --> writes beside snapshots, and in the empty cluster, in turn
    a node with an empty directory joins --> writes while it catches up by snapshot, time until it is there

Beside each load a probe asks the leader whether it lives, every few milliseconds: its longest answer bounds from above how long
any one thing held up the reactor. On a busy machine it also shows when others had the processor.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import NamedTuple

from benchmarks.load import Figure, wrk
from benchmarks.processes import cpu_seconds, disk_mib, resident_mib
from tests.process.cluster import Cluster, Node, wait_until

#: Seconds that a slow machine may take for one step.
PATIENCE_SECONDS = 900.0
_PROBE_SECONDS = 0.005
#: By the size of the log alone, which so many small writes do not reach; and one after the other.
_FEW_SNAPSHOTS = ("--snapshot-entries", "100000000")
_MANY_SNAPSHOTS = ("--snapshot-entries", "5000")


class Loaded(NamedTuple):
    """What a load saw, and the slowest answer of the probe beside it."""

    figure: Figure
    slowest_probe_ms: float


def million(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Everything, in the order of the page above."""
    last_key, raw_mib = _key(arguments.keys - 1), arguments.keys * (len(_key(0)) + arguments.value_bytes) / 2**20
    nodes = cluster.start(arguments.nodes, *_FEW_SNAPSHOTS)
    empty = Cluster(cluster.folder / "empty", arguments.reactor)
    empty.folder.mkdir()
    try:
        empty.start(arguments.nodes, *_FEW_SNAPSHOTS)
        _fill(cluster, nodes[0], arguments.keys, arguments.value_bytes)
        for node in nodes:
            wait_until(lambda node=node: node.get(last_key), "the last key is there", PATIENCE_SECONDS)  # type: ignore[misc]
            wait_until(lambda node=node: not _is_writing(node), "its snapshot is written", PATIENCE_SECONDS)  # type: ignore[misc]
        _tell_memory(nodes, raw_mib)
        _in_turn("nothing else", cluster, empty, arguments)
        _restart(cluster.followers()[-1], last_key, raw_mib)
        for node in nodes:
            node.options = _MANY_SNAPSHOTS
            node.kill()
        for node in nodes:
            node.start()
        for node in nodes:
            wait_until(node.is_started, f"{node.name} has started", PATIENCE_SECONDS)
            # Started is who knows a leader. It may still have all of its log to apply, and writes wait behind that.
            wait_until(partial(_is_ready, node), f"{node.name} has applied its log", PATIENCE_SECONDS)
        _in_turn("snapshots all the time", cluster, empty, arguments)
        print(f"snapshots that were whole by then: {[node.log_of_process().count('took a snapshot') for node in nodes]}")
        for node in nodes:
            wait_until(lambda node=node: not _is_writing(node), "its snapshot is written", PATIENCE_SECONDS)  # type: ignore[misc]
        _catch_up(cluster, empty, last_key, arguments)
    finally:
        empty.close()


def _is_ready(node: Node) -> bool:
    return node.ask("GET", "/readyz").status == 200


def _is_writing(node: Node) -> bool:
    """Looked at twice: a snapshot may be about to begin."""
    for _ in range(2):
        if any(node.directory.glob("snapshots/*ing")):
            return True
        time.sleep(1.0)
    return False


def _key(number: int) -> str:
    return f"big-{number:09d}"


def _fill(cluster: Cluster, leader: Node, keys_count: int, value_bytes: int) -> None:
    began = time.monotonic()
    for start in range(0, keys_count, 1000):
        # Not in the order of the keys: that would be the cheapest.
        numbers = (number * 7919 % keys_count for number in range(start, min(start + 1000, keys_count)))
        pairs = {_key(number): f"{number:x}".rjust(value_bytes, "v") for number in numbers}
        while leader.ask("POST", "/key", pairs, 60.0).status != 200:
            # A busy machine has elections.
            leader = cluster.leader()
    seconds = time.monotonic() - began
    print(f"{keys_count} keys written, 1000 a request, in {seconds:.1f} s: {keys_count / seconds:.0f} keys/s", flush=True)


def _tell_memory(nodes: list[Node], raw_mib: float) -> None:
    print(f"raw data: {raw_mib:.0f} MiB")
    for node in nodes:
        assert node.process is not None
        mib = resident_mib(node.process.pid)
        on_disk = disk_mib(node.directory)
        print(f"{node.name}: {mib:.0f} MiB resident, {mib / raw_mib:.2f} times the raw data; {on_disk:.0f} MiB on disk")


def _in_turn(what: str, cluster: Cluster, empty: Cluster, arguments: argparse.Namespace) -> None:
    rounds = []
    for number in range(1, arguments.rounds + 1):
        full, other = (_load(each.leader(), arguments) for each in (cluster, empty))
        rounds.append((full, other))
        print(f"{what}, round {number}: full {_shown(full)}; empty {_shown(other)}", flush=True)
    _tell(what, rounds)


def _tell(what: str, rounds: list[tuple[Loaded, Loaded]]) -> None:
    def median(read: Callable[[Figure, Figure], float]) -> float:
        return statistics.median(read(full.figure, other.figure) for full, other in rounds)

    print(f"{what}: writes/s to those of the empty store {median(lambda full, other: full.per_second / other.per_second):.2f}")
    print(f"{what}: p99 to its own median {median(lambda full, _: full.p99_ms / full.median_ms):.1f}, ", end="")
    print(f"the empty one's {median(lambda _, other: other.p99_ms / other.median_ms):.1f}", flush=True)


def _restart(node: Node, last_key: str, raw_mib: float) -> None:
    for number in (1, 2, 3):
        node.kill()
        began = time.monotonic()
        node.start()
        assert node.process is not None
        wait_until(node.is_started, f"{node.name} has started", PATIENCE_SECONDS)
        wait_until(lambda: node.get(last_key), "the last key is there", PATIENCE_SECONDS)
        seconds, used, mib = time.monotonic() - began, cpu_seconds(node.process.pid), resident_mib(node.process.pid)
        print(f"restart {number}: {seconds:.1f} s, {used:.1f} s of CPU, {mib:.0f} MiB, {mib / raw_mib:.2f} times raw", flush=True)


def _catch_up(cluster: Cluster, empty: Cluster, last_key: str, arguments: argparse.Namespace) -> None:
    leader = cluster.leader()
    joiner = cluster.node(*_FEW_SNAPSHOTS, join=[leader])
    took: list[float] = []

    def join() -> None:
        began = time.monotonic()
        joiner.start()
        wait_until(lambda: joiner.get(last_key), "the last key is there", PATIENCE_SECONDS)
        took.append(time.monotonic() - began)

    joining = Thread(target=join)
    joining.start()
    full = _load(leader, arguments)
    was_over = bool(took)
    joining.join()
    other = _load(empty.leader(), arguments)
    print(f"a node catches up: full {_shown(full)}; empty {_shown(other)}", flush=True)
    _tell("a node catches up", [(full, other)])
    print(f"caught up after {took[0]:.1f} s, {'before' if was_over else 'after'} the end of that load")


def _load(leader: Node, arguments: argparse.Namespace) -> Loaded:
    with _probing(leader) as answers_ms:
        figure = wrk(leader, 64, arguments.seconds)
    return Loaded(figure, max(answers_ms, default=0.0))


@contextmanager
def _probing(node: Node) -> Iterator[list[float]]:
    answers_ms: list[float] = []
    enough = Event()

    def probe() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=60)
        while not enough.wait(_PROBE_SECONDS):
            began = time.perf_counter()
            connection.request("GET", "/key/none")
            connection.getresponse().read()
            answers_ms.append(1000 * (time.perf_counter() - began))
        connection.close()

    thread = Thread(target=probe)
    thread.start()
    yield answers_ms
    enough.set()
    thread.join()


def _shown(loaded: Loaded) -> str:
    figure = loaded.figure
    failed = f", {figure.failed_count} FAILED" if figure.failed_count else ""
    rate = f"{figure.per_second:.0f}/s, median {figure.median_ms:.2f} ms, p99 {figure.p99_ms:.2f} ms{failed}"
    return f"{rate}, slowest probe {loaded.slowest_probe_ms:.0f} ms"
