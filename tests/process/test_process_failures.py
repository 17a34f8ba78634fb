"""Nodes that die: the others go on, what was acknowledged stays, and who comes back catches up."""

from __future__ import annotations

import http.client
import itertools
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster import PATIENT, Cluster, Reply, wait_until

#: Who hands over to somebody who is not there gives up after two election timeouts; a busy machine is quicker.
WAITED_IN_VAIN_SECONDS = 8.0


@pytest.mark.scenario("N7", "L21")
def test_leader_killed(cluster: Cluster) -> None:
    """Another is elected, keys stay readable everywhere, writes go on, and the old leader comes back as a follower."""
    cluster.start(3, *PATIENT)
    cluster.write("before", "1")
    leader, followers = cluster.leader_and_followers()
    for node in followers:
        node.wait_for_value("before", "1")
    leader.kill()
    for node in followers:
        assert node.get("before") == "1"
    new = cluster.leader(among=followers)
    cluster.write("after", "2")
    for node in followers:
        node.wait_for_value("after", "2")
    leader.start().wait_until_started()
    leader.wait_for_value("after", "2")
    assert cluster.leader() is new, "a node that comes back does not depose a healthy leader"


def acknowledged_writes(cluster: Cluster, threads_count: int, stop: threading.Event) -> dict[str, str]:
    """Write from several threads until told to stop; what was answered with 200, by key."""
    acknowledged: dict[str, str] = {}

    def write(number: int) -> None:
        for serial in itertools.count():
            if stop.is_set():
                return
            for node in cluster.nodes:
                try:
                    if node.set(f"key-{number}-{serial}", str(serial)).status == 200:
                        acknowledged[f"key-{number}-{serial}"] = str(serial)
                        break
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)

    with ThreadPoolExecutor(threads_count) as pool:
        for future in [pool.submit(write, number) for number in range(threads_count)]:
            future.result()
    return acknowledged


@pytest.mark.scenario("D14", "N13")
def test_all_killed_under_load(cluster: Cluster) -> None:
    """Kill -9 of every node at once, and a cold start of all: nothing that was acknowledged is lost."""
    nodes = cluster.start(3)
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(acknowledged_writes, cluster, 4, stop)
        wait_until(lambda: int(nodes[0].status().get("commit_index", 0)) > 200 or writing.done(), "writes are under way", 60)
        for node in nodes:
            node.send_signal(signal.SIGKILL)
        stop.set()
        acknowledged = writing.result()
    for node in nodes:
        node.wait_for_exit()
    assert len(acknowledged) > 50
    for node in reversed(nodes):
        node.start()
    for node in nodes:
        node.wait_until_started()
    cluster.write("last", "one")
    for node in nodes:
        node.wait_for_value("last", "one")
        lost = [key for key, value in acknowledged.items() if node.get(key) != value]
        assert lost == []


def test_five_nodes_survive_two_kills(cluster: Cluster) -> None:
    """The leader and one more; then there is still a majority."""
    cluster.start(5)
    cluster.write("a", "1")
    cluster.leader().kill()
    cluster.leader().kill()
    cluster.write("b", "2")
    for node in cluster.running():
        node.wait_for_value("a", "1")
        node.wait_for_value("b", "2")


@pytest.mark.scenario("E16", "C5")
def test_no_quorum(cluster: Cluster) -> None:
    """Writes are refused within a bounded time, and the answer says whether the write is certainly not done or unknown."""
    cluster.start(3, *PATIENT)
    leader, followers = cluster.leader_and_followers()
    assert leader.set("a", "1").status == 200
    for node in followers:
        node.kill()
    first = leader.ask("POST", "/key", {"b": "2"}, seconds=30)
    assert first.status == 503
    assert outcome(first) == "unknown"
    wait_until(lambda: leader.leader_id() is None, "the node no longer takes itself for the leader")
    second = leader.set("c", "3")
    assert (503, "not done") == (second.status, outcome(second))
    assert second.headers["retry-after"]
    assert leader.get("a") == "1", "what it has can still be read"


def outcome(reply: Reply) -> str:
    """Which of the three a write's answer is."""
    found: str = reply.json()["outcome"]
    return found


@pytest.mark.scenario("N6", "X6")
def test_leader_paused(cluster: Cluster) -> None:
    """A stopped process is as good as dead; when it wakes up it learns who leads now and takes no write of its own."""
    cluster.start(3, *PATIENT)
    old, others = cluster.leader_and_followers()
    old.send_signal(signal.SIGSTOP)
    new = cluster.leader(among=others)
    assert new.set("while", "paused").status == 200
    old.send_signal(signal.SIGCONT)
    old.wait_for_value("while", "paused")
    assert cluster.leader() is new


@pytest.mark.scenario("S10")
def test_catch_up_by_snapshot(cluster: Cluster) -> None:
    """A node that was away for longer than the log is kept gets a snapshot, in chunks, and is then like the others."""
    options = ("--snapshot-entries", "50", "--kept-entries", "5")
    cluster.start(3, *options)
    away = cluster.followers()[0]
    away.kill()
    big = "x" * 400_000
    for number in range(120):
        cluster.write(f"key{number}", big if number % 40 == 0 else str(number))
    away.start().wait_until_started()
    away.wait_for_value("key119", "119")
    for number in range(120):
        assert away.get(f"key{number}") == (big if number % 40 == 0 else str(number))
    away.wait_until_said("went on from a received snapshot")
    away.kill()
    away.start().wait_until_started()
    away.wait_for_value("key7", "7")


def test_sigterm_hands_leadership_over(cluster: Cluster) -> None:
    """A leader that is told to stop ends cleanly and quickly, and the others need not wait for an election timeout."""
    cluster.start(3, *PATIENT)
    cluster.write("a", "1")
    leader, others = cluster.leader_and_followers()
    began = time.monotonic()
    assert leader.terminate() in (-signal.SIGTERM, 0)
    assert time.monotonic() - began < WAITED_IN_VAIN_SECONDS
    assert "Traceback" not in leader.log()
    new = cluster.leader()
    new.wait_until_said("leader in term 3")
    assert not any("pre-candidate" in node.log() for node in others), "nobody has had to wait for an election timeout"
    cluster.write("b", "2")
    leader.start().wait_until_started()
    leader.wait_for_value("b", "2")


def test_sigterm_answers_clients_in_flight(cluster: Cluster) -> None:
    """Who was let in is answered, who comes too late learns it at once, and what was acknowledged is there."""
    cluster.start(3)
    leader = cluster.leader()
    with ThreadPoolExecutor(8) as pool:

        def write(number: int) -> tuple[int, int]:
            try:
                return number, leader.set(f"k{number}", "v").status
            except ConnectionError:
                # The kernel had it and the node never saw it; or this thread connected, and was then not run for a moment.
                return number, 0

        futures = [pool.submit(write, number) for number in range(200)]
        futures[20].result()
        leader.send_signal(signal.SIGTERM)
        replies = [future.result() for future in futures]
    leader.wait_for_exit()
    assert {status for _, status in replies} <= {0, 200, 421, 503}
    cluster.write("last", "one")
    survivor = cluster.leader()
    survivor.wait_for_value("last", "one")
    assert [] == [number for number, status in replies if status == 200 and survivor.get(f"k{number}") != "v"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_lone_node_stops_at_once(cluster: Cluster, number: int) -> None:
    """There is nobody to hand anything to."""
    node = cluster.node(*PATIENT).start().wait_until_started()
    began = time.monotonic()
    node.send_signal(number)
    assert node.wait_for_exit() in (-number, 0, 130)
    assert time.monotonic() - began < WAITED_IN_VAIN_SECONDS
    assert "Traceback" not in node.log()
