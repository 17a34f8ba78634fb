"""Real nodes whose disk fails, or whose process is killed, in the middle of a system call."""

from __future__ import annotations

import http.client
import signal

import pytest
from cluster import Cluster, wait_until
from points import FOLLOWER, LEADER, Point, check_last_words, strike
from requirements import needs_strace
from strace import EIO, ENOSPC, KILL, Injection, Strace, started_under
from writers import Writers, check_nothing_lost, settle

pytestmark = needs_strace


@pytest.mark.scenario("D1", "D2")
def test_a_disk_that_fails_ends_the_node(cluster: Cluster) -> None:
    """Whatever an fdatasync or a write that failed left on disk: the node stops, the others go on, and it comes back."""
    cluster.start(3)
    for number, point in enumerate(
        [
            Point(LEADER, Injection("fdatasync", EIO, "1")),
            Point(FOLLOWER, Injection("fdatasync", EIO, "2")),
            Point(LEADER, Injection("pwrite64", EIO, "3")),
            Point(FOLLOWER, Injection("pwrite64", EIO, "1")),
        ]
    ):
        assert strike(cluster, point, f"point{number}") > 0


@pytest.mark.scenario("D13")
def test_killed_in_the_middle_of_a_save(cluster: Cluster) -> None:
    """Before the data is down or right after: what was promised is there, on this node too."""
    cluster.start(3)
    for number, point in enumerate(
        [
            Point(LEADER, Injection("fdatasync", KILL, "1")),
            Point(FOLLOWER, Injection("fdatasync", KILL, "3")),
            Point(LEADER, Injection("pwrite64", KILL, "2")),
        ]
    ):
        assert strike(cluster, point, f"point{number}") > 0


@pytest.mark.scenario("D1", "L5")
def test_a_lone_node_answers_nobody_for_what_is_not_durable(cluster: Cluster) -> None:
    """There is no quorum of others: whoever was not synced hears nothing, and whoever was answered is found again."""
    node = cluster.node().start().wait_until_started()
    acknowledged: dict[str, str] = {}
    injection = Injection("fdatasync", EIO, "4")
    with Strace(node, injection):
        for number in range(3):
            assert node.set(f"key{number}", "there").status == 200
            acknowledged[f"key{number}"] = "there"
        with pytest.raises((OSError, http.client.HTTPException)):
            node.set("key3", "unknown")
        assert node.wait_for_exit() == 1
    check_last_words(node, injection)
    node.start().wait_until_started()
    settle(cluster, "settled")
    check_nothing_lost([node], acknowledged)


@pytest.mark.scenario("D13")
@pytest.mark.parametrize(("call", "when"), [("fsync", 2), ("fdatasync", 1), ("pwrite64", 2)])
def test_killed_while_a_node_begins(cluster: Cluster, call: str, when: int) -> None:
    """Between the first writes of its life: it begins again, or says in one line what is wrong with what it left."""
    node = cluster.node()
    node.under = started_under(Injection(call, KILL, str(when)))
    node.start()
    assert node.wait_for_exit() == -signal.SIGKILL
    node.under = ()
    if node.comes_up():
        assert node.set("a", "1").status == 200
    else:
        assert node.wait_for_exit() > 0
        assert "has no log: say --join" in node.log_of_process()
        assert "Traceback" not in node.log()


@pytest.mark.scenario("D3")
@pytest.mark.parametrize("role", [LEADER, FOLLOWER])
def test_no_room_for_a_while(cluster: Cluster, role: str) -> None:
    """The node says so and acknowledges nothing, the others serve; when writes work again so does it, by itself."""
    cluster.start(3)
    node = cluster.leader() if role == LEADER else cluster.followers()[0]
    others = [other for other in cluster.nodes if other is not node]
    with Writers(cluster, "load") as writers, Strace(node, Injection("pwrite64", ENOSPC)):
        wait_until(lambda: "nothing is acknowledged until there is room" in node.log(), "the node says that its disk is full")
        if role == LEADER:
            cluster.leader(among=others)
        writers.wait_for(10, "writes are acknowledged by the others")
    wait_until(lambda: "there is room on the disk again" in node.log(), "the node notices that there is room")
    settle(cluster, "settled")
    check_nothing_lost(cluster.nodes, writers.acknowledged)
    assert node.is_running() and "Traceback" not in node.log()
