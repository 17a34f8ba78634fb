"""One file of one stopped node of a running cluster is damaged."""

from __future__ import annotations

import pytest
from cluster import Cluster, wait_until
from damages import DAMAGES, RECOVERED, REFUSED, harm, lasting_files

OPTIONS = ("--snapshot-entries", "40", "--kept-entries", "5")
WRITES_COUNT = 130


@pytest.mark.scenario("D7", "D8")
def test_one_fault_per_file(cluster: Cluster) -> None:
    """Each file once, each kind of damage, each node: it refuses in one line or repairs, and the cluster has lost nothing."""
    cluster.start(3, *OPTIONS)
    acknowledged = {f"key{number}": str(number) for number in range(WRITES_COUNT)}
    for key, value in acknowledged.items():
        cluster.write(key, value)
    outcomes = {}
    files_count = 4
    for node in cluster.nodes:
        wait_until(lambda node=node: len(list(lasting_files(node))) == files_count, "node.json, a segment, two snapshots")  # type: ignore[misc]
    for number in range(2 * files_count):
        node = cluster.nodes[number % 3]
        node.terminate()  # A snapshot that is being written would change what there is.
        files = list(lasting_files(node))
        path, damage = files[number % len(files)], DAMAGES[(number + number // files_count) % len(DAMAGES)]
        outcomes[number % files_count, damage.name] = harm(cluster, node, path, damage, 0.5, acknowledged)
    assert REFUSED == outcomes[0, "zeroes"] == outcomes[0, "junk"], "node.json says whose all this is"
    assert set(outcomes.values()) == {RECOVERED, REFUSED}
