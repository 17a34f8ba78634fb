"""No call that may block for long is made in the reactor's thread, whatever a node has to do."""

import signal
from pathlib import Path
from threading import Thread

import pytest
from cluster import PATIENT, Cluster, wait_until
from twist_without_blocking import BLOCKING


@pytest.mark.scenario("X2")
def test_nothing_blocks_the_reactor_under_load(cluster: Cluster) -> None:
    """Heartbeats and clients wait behind a slow disk or name server, for seconds, if the reactor's thread ever does."""
    cluster.twist[1:3] = [str(Path(__file__).with_name("twist_without_blocking.py"))]
    nodes = cluster.start(3, *PATIENT, "--snapshot-entries", "60", "--kept-entries", "1")
    for node in nodes:
        node.send_signal(signal.SIGUSR1)
        wait_until(lambda node=node: "armed" in node.log(), f"{node.name} looks at its calls")  # type: ignore[misc]

    def load(number: int) -> None:
        for count in range(60):
            cluster.write(f"key-{number}-{count}", "value")

    threads = [Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    many = {f"many-{number}": "x" * 100 for number in range(5000)}
    cluster.write_all(many)
    for thread in threads:
        thread.join()
    newcomer = cluster.node(*PATIENT, join=[cluster.leader()]).start().wait_until_started()
    newcomer.wait_for_value("many-4999", "x" * 100)
    for path in ("/v1/kv?prefix=many-&limit=5000", "/v1/snapshot", "/metrics"):
        wait_until(lambda path=path: cluster.leader().ask("GET", path).status == 200, path)  # type: ignore[misc]
    wait_until(lambda: all("took a snapshot" in node.log() for node in nodes), "each has taken a snapshot")
    newcomer.wait_until_said("went on from a received snapshot")
    for node in nodes:
        where = node.log().find(BLOCKING)
        assert where < 0, node.log()[where : where + 3000]
