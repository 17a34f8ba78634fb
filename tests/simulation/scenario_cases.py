"""What the tests of scenarios in a simulated cluster share: the cluster, and something to write into it."""

from __future__ import annotations

from unittest import TestCase

from hraft.kv.commands import Set, encode_command
from hraft.simulation.cluster import Cluster

#: The shortest election timeout of a Cluster.
TIMEOUT_SECONDS = 0.5


def put(key: str, value: str) -> bytes:
    return encode_command(Set(key.encode(), value.encode()))


class ScenarioCase(TestCase):
    """Each test has clusters of its own, which end with it."""

    def cluster(self, seed: int = 1, nodes_count: int = 3, **options: object) -> Cluster:
        cluster = Cluster(seed, nodes_count, **options)  # type: ignore[arg-type]
        self.addCleanup(cluster.close)
        return cluster
