"""One fault at one call of one node while clients write: the node dies as it should, and nobody loses anything.

Used by tests with a few points, and by the sweep with all of them.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass

from cluster import Cluster, Node
from strace import KILL, Injection, Strace
from writers import Writers, check_nothing_lost, settle

LEADER, FOLLOWER = "leader", "follower"
ROLES = (LEADER, FOLLOWER)
#: How many writes show that the cluster goes on.
WRITES_AFTERWARDS_COUNT = 5


@dataclass(frozen=True)
class Point:
    """Where a fault strikes."""

    role: str
    injection: Injection

    def __str__(self) -> str:
        return f"{self.injection} of the {self.role}"


def strike(cluster: Cluster, point: Point, name: str) -> int:
    """Let a fault that ends a node strike a running cluster, and bring the node back. How many writes were acknowledged."""
    node = cluster.leader() if point.role == LEADER else cluster.followers()[0]
    with Writers(cluster, name) as writers:
        with Strace(node, point.injection):
            status = node.wait_for_exit()
        writers.wait_for(WRITES_AFTERWARDS_COUNT, f"writes are acknowledged after {point}")
    if point.injection.fault == KILL:
        assert status == -signal.SIGKILL, f"{point}: ended with {status}"
    else:
        assert status == 1, f"{point}: ended with {status}, not with 1"
        check_last_words(node, point.injection)
    node.start().wait_until_started()
    settle(cluster, f"{name}-settled")
    check_nothing_lost(cluster.nodes, writers.acknowledged)
    return len(writers.acknowledged)


def check_last_words(node: Node, injection: Injection) -> None:
    """Exactly one line for the operator that names the file and the error, and no traceback."""
    log = node.log_of_process()
    lines = [line for line in log.splitlines() if line.startswith("hraft: ")]
    assert len(lines) == 1, log
    assert "Traceback" not in log, log
    assert "Input/output error" in lines[0] and str(node.directory) in lines[0], lines[0]
