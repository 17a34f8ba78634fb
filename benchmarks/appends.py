"""`python -m benchmarks appends`: very many small writes in a row: does memory stay flat, and the disk bounded?

Keys repeat, so the state is small and all growth would be the log's, the history's or a leak. Nobody measures speed here.
"""

from __future__ import annotations

import argparse
import statistics
import time

from benchmarks.load import wrk
from benchmarks.processes import cpu_seconds, disk_mib, resident_mib
from tests.process.cluster import Cluster

_PART_SECONDS = 10.0


def appends(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Until so many entries are in the leader's log: RSS and disk of each node, every ten seconds."""
    nodes = cluster.start(arguments.nodes)
    leader, began = nodes[0], time.monotonic()
    resident: list[float] = []
    disk: list[float] = []
    written_count = 0
    while written_count < arguments.entries:
        figure = wrk(leader, 64, _PART_SECONDS)
        assert figure.failed_count == 0, figure
        written_count += int(figure.per_second * _PART_SECONDS)
        pids = [node.process.pid for node in nodes if node.process is not None]
        sizes, on_disk = [resident_mib(pid) for pid in pids], [disk_mib(node.directory) for node in nodes]
        resident.append(max(sizes))
        disk.append(max(on_disk))
        used = sum(cpu_seconds(pid) for pid in pids)
        resident_shown, disk_shown = (", ".join(f"{size:.0f}" for size in each) for each in (sizes, on_disk))
        elapsed = time.monotonic() - began
        print(f"{written_count} writes after {elapsed:.0f} s and {used:.0f} s of CPU: {resident_shown} MiB resident, ", end="")
        print(f"{disk_shown} MiB on disk", flush=True)
    half = len(resident) // 2
    print(
        f"memory: median of the first half {statistics.median(resident[: half or 1]):.0f} MiB, of the second "
        f"{statistics.median(resident[half:]):.0f} MiB, maximum {max(resident):.0f} MiB"
    )
    print(f"disk: at most {max(disk):.0f} MiB")
