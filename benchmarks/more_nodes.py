"""`python -m benchmarks more_nodes`: what five nodes cost the writes, against three, in turn."""

from __future__ import annotations

import argparse
import statistics

from benchmarks.load import wrk
from tests.process.cluster import Cluster


def more_nodes(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Writes of 64 clients to the leader of each. All nodes are on this machine, so processors are what five have too few of."""
    cluster.start(3)
    five = Cluster(cluster.folder / "five", arguments.reactor)
    five.folder.mkdir()
    ratios = []
    try:
        five.start(5)
        for number in range(1, arguments.rounds + 1):
            of_three, of_five = (wrk(each.leader(), 64, arguments.seconds) for each in (cluster, five))
            assert of_three.failed_count == of_five.failed_count == 0, (of_three, of_five)
            ratios.append(of_five.per_second / of_three.per_second)
            rates = f"three {of_three.per_second:.0f}/s, five {of_five.per_second:.0f}/s"
            print(f"round {number}: {rates}, ratio {ratios[-1]:.2f}", flush=True)
    finally:
        five.close()
    print(f"five nodes to three: median {statistics.median(ratios):.2f}")
