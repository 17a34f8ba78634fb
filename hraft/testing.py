"""For the tests of applications that embed hraft: a cluster in one thread, with crashes and partitions at hand.

In `conftest.py`:  pytest_plugins = ["hraft.testing"]

    def test_counts_survive_a_crash(hraft_cluster):
        cluster = hraft_cluster(seed=7, state_machine=Counter)
        cluster.propose(b'{"add":1}')
        cluster.crash(cluster.leader())
        assert cluster.read().total == 1

docs/simulation.md tells the rest. Needs pytest; `hraft.simulation.cluster` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from hraft.simulation.cluster import Asked, Cluster, PromiseBroken
from hraft.simulation.network import Faults

__all__ = ["Asked", "Cluster", "Faults", "PromiseBroken", "hraft_cluster"]


@pytest.fixture
def hraft_cluster() -> Iterator[Callable[..., Cluster]]:
    """Makes clusters (see `Cluster` for the arguments). At the end of the test each is healed and judged."""
    clusters: list[Cluster] = []

    def make(*arguments: object, **options: object) -> Cluster:
        cluster = Cluster(*arguments, **options)  # type: ignore[arg-type]
        clusters.append(cluster)
        return cluster

    yield make
    for cluster in clusters:
        cluster.close()
