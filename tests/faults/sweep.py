"""The long version of the tests of faults, for a machine that has the time: `python -m tests.faults.sweep --help`.

    python -m tests.faults.sweep kill --count 200          SIGKILL at the n-th fdatasync for n = 1 to 200, each role
    python -m tests.faults.sweep eio --call pwrite64       EIO at the n-th write
    python -m tests.faults.sweep damage                    every file of every node, every damage, in many places
    python -m tests.faults.sweep power --count 50          power cuts of all nodes

Prints one line per point, and at the end how many there were. The first one that fails ends it, with the nodes' folder.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "process"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from cluster import Cluster
from damages import DAMAGES, harm, lasting_files
from points import ROLES, Point, strike
from power_cuts import power_cuts
from requirements import without_fuse, without_strace
from strace import EIO, KILL, Injection

FAULTS = {"kill": KILL, "eio": EIO}
PLACES = (0.0, 0.1, 0.5, 0.9, 0.999, 1.0)


def struck(cluster: Cluster, fault: str, call: str, first: int, count: int) -> Iterator[str]:
    """One fault after the other at the n-th call, in one cluster, which also takes snapshots."""
    cluster.start(3, "--snapshot-entries", "200", "--kept-entries", "20")
    for when in range(first, first + count):
        for role in ROLES:
            point = Point(role, Injection(call, FAULTS[fault], str(when)))
            yield f"{point}: {strike(cluster, point, f'{role}{when}')} acknowledged, none lost"


def damaged(cluster: Cluster, first: int, count: int) -> Iterator[str]:
    """Files, damages, places and nodes in turn."""
    cluster.start(3, "--snapshot-entries", "40", "--kept-entries", "5")
    acknowledged = {f"key{number}": str(number) for number in range(130)}
    for key, value in acknowledged.items():
        cluster.write(key, value)
    files_count = len(list(lasting_files(cluster.nodes[0])))
    table = [(number, damage, where) for where in PLACES for damage in DAMAGES for number in range(files_count)]
    for step, (number, damage, where) in list(enumerate(table))[first - 1 : first - 1 + count]:
        node = cluster.nodes[step % 3]
        path = list(lasting_files(node))[number]
        outcome = harm(cluster, node, path, damage, where, acknowledged)
        yield f"{damage.name} at {where:.1%} of {node.name}/{path.relative_to(node.directory)}: {outcome}, none lost"


def cut(cluster: Cluster, first: int, count: int) -> Iterator[str]:
    """Power cuts, some of what was not synced kept by chance."""
    for number, acknowledged_count in enumerate(power_cuts(cluster, cluster.folder / "disk", "some", first, count)):
        yield f"power cut {number + 1}: {acknowledged_count} acknowledged, none lost"


def points(cluster: Cluster, options: argparse.Namespace) -> Iterator[str]:
    """What was asked for."""
    if options.fault == "damage":
        return damaged(cluster, options.first, options.count)
    if options.fault == "power":
        return cut(cluster, options.first, options.count)
    return struck(cluster, options.fault, options.call, options.first, options.count)


def main() -> None:
    """Go through all points."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fault", choices=(*FAULTS, "damage", "power"))
    parser.add_argument("--call", default="fdatasync", help="the call to strike: fdatasync, fsync, pwrite64 (for kill and eio)")
    parser.add_argument("--first", type=int, default=1, help="begin with this n (for power: the seed)")
    parser.add_argument("--count", type=int, default=20, help="go through so many n")
    options = parser.parse_args()
    missing = {"power": without_fuse, "damage": lambda: ""}.get(options.fault, without_strace)()
    if missing:
        raise SystemExit(missing)
    folder = Path(tempfile.mkdtemp(prefix="hraft-faults-"))
    sys.stdout.write(f"nodes in {folder}\n")
    # Also whoever ends the sweep from outside ends its nodes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    cluster, began, points_count = Cluster(folder), time.monotonic(), 0
    try:
        for line in points(cluster, options):
            points_count += 1
            sys.stdout.write(f"{time.monotonic() - began:7.1f} s  {line}\n")
            sys.stdout.flush()
    finally:
        cluster.close()
        sys.stdout.write(f"{points_count} points\n")


if __name__ == "__main__":
    main()
