"""`python -m benchmarks million`: what a big state costs in memory and at a restart, and writes beside snapshots and a catch-up.

    fill a cluster of three with many keys --> memory, state on disk
    writes there and in an empty cluster, in turn --> their ratio
    kill -9 of a follower, start it again --> time and CPU time until it is ready, memory
    all again with small --snapshot-entries --> writes while snapshots are written, one after the other
    a node with an empty directory joins --> writes while it catches up by snapshot, time until it is there

Beside each load a probe asks the leader whether it lives, every few milliseconds: its longest answer bounds from above how long
any one thing held up the reactor. On a busy machine it also shows when others had the processor.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from benchmarks.load import Figure, wrk
from benchmarks.processes import cpu_seconds, disk_mib, resident_mib
from tests.process.cluster import Cluster, Node, wait_until

#: Seconds that a slow machine may take for one step.
PATIENCE_SECONDS = 900.0
_PROBE_SECONDS = 0.005


def million(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Everything, in the order of the page above."""
    keys_count, value_bytes, options = arguments.keys, arguments.value_bytes, ("--snapshot-entries", "100000")
    nodes = cluster.start(arguments.nodes, *options)
    empty = Cluster(cluster.folder / "empty", arguments.reactor)
    empty.folder.mkdir()
    try:
        other = empty.start(arguments.nodes, *options)[0]
        _fill(cluster, nodes[0], keys_count, value_bytes)
        raw_mib = keys_count * (len(_key(0)) + value_bytes) / 2**20
        for node in nodes:
            wait_until(lambda node=node: node.get(_key(keys_count - 1)), "the last key is there", PATIENCE_SECONDS)  # type: ignore[misc]
        _tell_memory(nodes, raw_mib)
        _beside_an_empty_one(cluster.leader(PATIENCE_SECONDS), other, arguments)
    finally:
        empty.close()
    _restart(cluster.followers()[-1], _key(keys_count - 1), raw_mib)
    quiet = _load("writes, nothing else", cluster.leader(PATIENCE_SECONDS), arguments)
    _again_with_many_snapshots(nodes)
    leader = cluster.leader(PATIENCE_SECONDS)
    _tell("the same while snapshots are written", _load("writes, snapshots all the time", leader, arguments), quiet)
    print(f"snapshots that were whole by the end of it: {leader.log_of_process().count('took a snapshot')}")
    _catch_up(cluster, leader, quiet, arguments)


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
            leader = cluster.leader(PATIENCE_SECONDS)
    seconds = time.monotonic() - began
    print(f"{keys_count} keys written, 1000 a request, in {seconds:.1f} s: {keys_count / seconds:.0f} keys/s", flush=True)


def _tell_memory(nodes: list[Node], raw_mib: float) -> None:
    print(f"raw data: {raw_mib:.0f} MiB")
    for node in nodes:
        assert node.process is not None
        mib = resident_mib(node.process.pid)
        on_disk = disk_mib(node.directory)
        print(f"{node.name}: {mib:.0f} MiB resident, {mib / raw_mib:.2f} times the raw data; {on_disk:.0f} MiB on disk")


def _beside_an_empty_one(full: Node, empty: Node, arguments: argparse.Namespace) -> None:
    ratios = []
    for number in range(1, arguments.rounds + 1):
        figures = [wrk(node, 64, arguments.seconds) for node in (full, empty)]
        ratios.append(figures[0].per_second / figures[1].per_second)
        print(f"round {number}: full {_shown(figures[0])}; empty {_shown(figures[1])}; ratio {ratios[-1]:.2f}", flush=True)
    print(f"writes/s of the full store to the empty one: median {statistics.median(ratios):.2f}")


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


def _again_with_many_snapshots(nodes: list[Node]) -> None:
    """So that one is written nearly all the time of a load of some seconds."""
    for node in nodes:
        node.options = ("--snapshot-entries", "5000")
        node.kill()
    for node in nodes:
        node.start()
    for node in nodes:
        wait_until(node.is_started, f"{node.name} has started", PATIENCE_SECONDS)


def _catch_up(cluster: Cluster, leader: Node, quiet: Figure, arguments: argparse.Namespace) -> None:
    last_key = _key(arguments.keys - 1)
    joiner = cluster.node("--snapshot-entries", "100000000", "--snapshot-log-mib", "100000", join=[leader])
    took: list[float] = []

    def join() -> None:
        began = time.monotonic()
        joiner.start()
        wait_until(lambda: joiner.get(last_key), "the last key is there", PATIENCE_SECONDS)
        took.append(time.monotonic() - began)

    joining = Thread(target=join)
    joining.start()
    figure = _load("writes, a node catches up", leader, arguments)
    was_over = bool(took)
    joining.join()
    _tell("the same while a node catches up", figure, quiet)
    print(f"caught up after {took[0]:.1f} s, which was {'before' if was_over else 'after'} the end of that load")


def _load(what: str, leader: Node, arguments: argparse.Namespace) -> Figure:
    with _probing(leader) as answers_ms:
        figure = wrk(leader, 64, arguments.seconds)
    print(f"{what}: {_shown(figure)}; longest answer of a probe {max(answers_ms, default=0.0):.0f} ms", flush=True)
    return figure


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


def _tell(what: str, figure: Figure, quiet: Figure) -> None:
    own, to_quiet = figure.p99_ms / figure.median_ms, figure.p99_ms / quiet.median_ms
    print(f"{what}: p99 {figure.p99_ms:.1f} ms, {own:.1f} times its median, {to_quiet:.1f} times the quiet one")


def _shown(figure: Figure) -> str:
    failed = f", {figure.failed_count} FAILED" if figure.failed_count else ""
    return f"{figure.per_second:.0f}/s, median {figure.median_ms:.2f} ms, p99 {figure.p99_ms:.2f} ms{failed}"
