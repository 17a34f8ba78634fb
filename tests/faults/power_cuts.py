"""Power cuts of a whole cluster under load, one after the other, on a disk that forgets."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from cluster import Cluster
from mounts import forgetful_disk
from writers import Writers, check_nothing_lost, settle

NODES_COUNT = 3
OPTIONS = ("--snapshot-entries", "60", "--kept-entries", "10")
#: Enough for each cut to come after a snapshot of its own.
WRITES_COUNT = 100


def power_cuts(cluster: Cluster, folder: Path, how: str, seed: int, count: int) -> Iterator[int]:
    """Start three nodes, cut the power under load `count` times; how many writes each time had been acknowledged, none lost."""
    with forgetful_disk(folder, how, seed) as disk, closing(cluster):
        nodes = [cluster.node(*OPTIONS)]
        nodes += [cluster.node(*OPTIONS, join=[nodes[0]]) for _ in range(NODES_COUNT - 1)]
        for node in nodes:
            node.directory = disk.folder / node.name
            node.start().wait_until_started()
        acknowledged: dict[str, str] = {}
        for number in range(count):
            with Writers(cluster, f"cut{number}", threads_count=4) as writers:
                writers.wait_for(WRITES_COUNT)
                disk.cut_power()
                for node in nodes:
                    if node.is_running():
                        node.send_signal(signal.SIGKILL)
            disk.bring_power_back()
            for node in nodes:
                node.wait_for_exit()
            for node in nodes:
                node.start()
            for node in nodes:
                node.wait_until_started()
            settle(cluster, f"settled{number}")
            check_nothing_lost(nodes, writers.acknowledged)
            acknowledged |= writers.acknowledged
            yield len(writers.acknowledged)
        check_nothing_lost(nodes, acknowledged)
