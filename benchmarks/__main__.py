"""`python -m benchmarks --help`: one command for each of the figures that docs/performance.md quotes."""

from __future__ import annotations

import argparse
import http.client
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.appends import appends
from benchmarks.compare import compare
from benchmarks.fairness import fairness
from benchmarks.floor import measure_floor
from benchmarks.load import Figure, sequential_posts, wrk
from benchmarks.million import million
from benchmarks.more_nodes import more_nodes
from benchmarks.processes import cpu_seconds, disk_mib, resident_mib
from benchmarks.watchers import watching
from hraft.kv.commands import Set, encode_command
from hraft.raft.entry import Entry, EntryKind
from hraft.raft.node import bootstrap_save
from hraft.raft.ready import Save
from hraft.storage.directory import DataDirectory, Identity
from hraft.storage.durable import DurableStorage
from hraft.storage.files import LocalFileSystem
from tests.process.cluster import Cluster, Node, wait_until

_WRITE = '{"key-1":"a value of thirty-two bytes, yes."}'


def writes(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Latency of one client, throughput of many, with reads beside."""
    leader = cluster.start(arguments.nodes)[0]
    sequential_posts(leader, 300)
    floor, alone = measure_floor(arguments.directory), sequential_posts(leader, arguments.count)
    _print("POST /key, 1 client, one after the other", alone)
    print(f"physical limit: {floor}; {floor.share(alone.median_ms):.0%} of the median of one client")
    for clients in (1, 16, 64, 256):
        before = _cpu_seconds_of_all(cluster)
        figure = wrk(leader, clients, arguments.seconds)
        cpu_ms = 1e6 * (_cpu_seconds_of_all(cluster) - before) / (figure.per_second * arguments.seconds)
        _print(f"POST /key, {clients} clients, {cpu_ms:.0f} ms of CPU of all nodes per 1,000 writes", figure)
    print(f"POST /key: {fairness(leader.http_port, 'POST /key', _WRITE, 256, arguments.seconds)}", flush=True)
    bulk = sequential_posts(leader, 200, keys=1000)
    _print(f"POST /key of 1,000 keys, 1 client, {1000 * bulk.per_second:,.0f} keys/s", bulk)
    _print("GET /key/key-1, 64 clients", wrk(leader, 64, arguments.seconds, "/key/key-1", is_post=False))
    path = "/key/key-1?level=linearizable"
    _print("GET /key/key-1?level=linearizable, 64 clients", wrk(leader, 64, arguments.seconds, path, is_post=False))
    for node in cluster.nodes:
        assert node.process is not None
        print(f"{node.name}: {resident_mib(node.process.pid):.0f} MiB resident")


def failover(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """kill -9 of the leader, again and again: until when is the first write acknowledged, and is any lost?"""
    cluster.start(arguments.nodes)
    gaps, acknowledged = [], {}
    for number in range(arguments.kills):
        leader = cluster.leader()
        for count in range(20):
            assert leader.set(f"kill-{number}-{count}", str(count)).status == 200
            acknowledged[f"kill-{number}-{count}"] = str(count)
        leader.kill()
        began = time.monotonic()
        others = list(cluster.running())
        while not any(_takes(node, f"after-{number}") for node in others):
            time.sleep(0.005)
        gaps.append(time.monotonic() - began)
        acknowledged[f"after-{number}"] = "yes"
        leader.start().wait_until_started()
        print(f"kill {number + 1}: {gaps[-1]:.3f} s", flush=True)
    for key, value in acknowledged.items():
        for node in cluster.nodes:
            node.wait_for_value(key, value)
    print(f"{len(gaps)} kills: median {statistics.median(gaps):.3f} s, maximum {max(gaps):.3f} s, minimum {min(gaps):.3f} s")
    print(f"{len(acknowledged)} acknowledged writes, all on all {len(cluster.nodes)} nodes")


def watches(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """What watchers of one node cost its writes. Each kind by turns, since other work on the machine changes all figures."""
    leader = cluster.start(arguments.nodes)[0]
    assert leader.process is not None
    sequential_posts(leader, 300)
    for turn in range(1, 4):
        for kind in ("none", "idle", "busy"):
            with watching(leader, arguments.watchers, kind):
                began_seconds = cpu_seconds(leader.process.pid)
                figure = wrk(leader, 64, arguments.seconds)
                cpu_us = 1e6 * (cpu_seconds(leader.process.pid) - began_seconds) / (figure.per_second * arguments.seconds)
                _print(f"turn {turn}: POST /key, 64 clients, watchers: {kind}, {cpu_us:.0f} us of CPU each", figure)
        print(f"{resident_mib(leader.process.pid):.0f} MiB resident", flush=True)


def _cpu_seconds_of_all(cluster: Cluster) -> float:
    return sum(cpu_seconds(node.process.pid) for node in cluster.nodes if node.process is not None)


def _takes(node: Node, key: str) -> bool:
    try:
        return node.ask("POST", "/key", {key: "yes"}, seconds=2.0).status == 200
    except (OSError, http.client.HTTPException):
        return False


def stability(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Full load for a while: does anybody call an election that nobody needs?"""
    leader = cluster.start(arguments.nodes)[0]
    before = leader.status()["term"]
    _print(f"POST /key, 64 clients, {arguments.minutes:g} minutes", wrk(leader, 64, 60 * arguments.minutes))
    after = cluster.leader().status()["term"]
    print(f"term before {before}, after {after}: {after - before} spurious elections")


def restart(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """A log of many entries, none of them in a snapshot: how long until the node serves, and how much memory does it take?"""
    node = cluster.node("--snapshot-entries", str(10 * arguments.entries))
    began = time.monotonic()
    _fill(node, arguments.entries)
    print(f"{arguments.entries} entries written in {time.monotonic() - began:.0f} s, {disk_mib(node.directory):.0f} MiB on disk")
    for number in range(3):
        began = time.monotonic()
        node.start().wait_until_started()
        wait_until(lambda: node.get("key-99999"), "the last key is there")
        print(f"restart {number + 1}: {time.monotonic() - began:.2f} s until the last key is there", flush=True)
        assert node.process is not None
        print(f"{resident_mib(node.process.pid):.0f} MiB resident after it")
        node.kill()


def _fill(node: Node, entries_count: int) -> None:
    """What a node that was alone would have on disk after so many writes; keys repeat, so that the state stays small."""
    directory = DataDirectory(str(node.directory))
    directory.open(node.node_id)
    directory.remember(Identity("benchmark", node.node_id))
    storage = DurableStorage(LocalFileSystem(), directory.path, "benchmark")
    storage.recover()
    first = bootstrap_save(node.node_id, node.raft_address)
    storage.save(first)
    for start in range(2, entries_count + 2, 1000):
        entries = tuple(_entry(index) for index in range(start, start + 1000))
        storage.save(Save(number=start, hard_state=first.hard_state, entries=entries))
    storage.close()
    directory.close()


def _entry(index: int) -> Entry:
    command = Set(b"key-%d" % (index % 100_000), b"a value of thirty-two bytes, yes.")
    return Entry(index, 1, EntryKind.COMMAND, encode_command(command))


def _print(what: str, figure: Figure) -> None:
    failed = f", {figure.failed_count} FAILED" if figure.failed_count else ""
    times = f"median {figure.median_ms:.2f} ms, p99 {figure.p99_ms:.2f} ms ({figure.tail:.1f} x)"
    print(f"{what}: {figure.per_second:.0f}/s, {times}{failed}", flush=True)


_COMMANDS = {each.__name__: each for each in (writes, failover, stability, restart, watches, million, appends, more_nodes)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=["compare", *_COMMANDS])
    parser.add_argument("--nodes", type=int, default=3, help="how many nodes the cluster has")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each load lasts")
    parser.add_argument("--count", type=int, default=3000, help="how many writes one after the other")
    parser.add_argument("--kills", type=int, default=20, help="how often the leader is killed")
    parser.add_argument("--watchers", type=int, default=1000, help="how many watch")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long the full load lasts")
    parser.add_argument("--entries", type=int, default=1_000_000, help="how many entries the log gets")
    parser.add_argument("--keys", type=int, default=1_000_000, help="million: how many keys")
    parser.add_argument("--value-bytes", type=int, default=32, help="million: how long each value is")
    parser.add_argument("--reactor", default="default", help="as the option of `twist`")
    parser.add_argument("--systems", default="hraft,etcd", help="compare: hraft, etcd, or commits of this repository")
    parser.add_argument("--loads", default="write,read,stale read,linearizable read", help="compare: which of these")
    parser.add_argument("--clients", default="1,16,64,256", help="compare: how many at once")
    parser.add_argument("--rounds", type=int, default=5, help="compare, million, more_nodes: how often each has its turn")
    parser.add_argument("--fairness", action="store_true", help="compare: and how the slowest of 256 clients fares in each round")
    parser.add_argument("--json", help="compare: write all figures to this file")
    parser.add_argument("--plot", help="compare: draw the medians into this PNG")
    parser.add_argument("--directory", help="where the data directories go: a real disk, not tmpfs")
    arguments = parser.parse_args()
    if arguments.what == "compare":
        compare(arguments)
        return
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        cluster = Cluster(Path(folder), arguments.reactor)
        try:
            _COMMANDS[arguments.what](cluster, arguments)
        finally:
            cluster.close()


if __name__ == "__main__":
    main()
