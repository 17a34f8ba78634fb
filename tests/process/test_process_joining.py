"""Nodes that come: through any member, before it is up, again and again; and those that may not."""

from __future__ import annotations

import shutil
import time

import pytest
from cluster import PATIENT, Cluster, wait_until

from hraft.admission import SECONDS_BETWEEN_WORDS
from hraft.storage.directory import DataDirectory, Identity


def members(cluster: Cluster) -> set[str]:
    """The ids of all members, as their leader knows them."""
    status = wait_until(cluster.leader().status, "the leader answers")
    return {status["leader"]["id"], *(follower["id"] for follower in status["followers"])}


def test_through_a_follower(cluster: Cluster) -> None:
    """hraftd's own manual does it, and hraftd swallows the error; here any member will do."""
    leader, follower = cluster.start(2, *PATIENT)
    joiner = cluster.node("--id", "third", *PATIENT, join=[follower]).start().wait_until_started()
    assert leader.set("a", "1").status == 200
    joiner.wait_for_value("a", "1")
    assert {leader.node_id, follower.node_id, "third"} == members(cluster)


def test_several_targets_of_which_the_first_is_dead(cluster: Cluster) -> None:
    """The second is asked."""
    leader = cluster.node().start().wait_until_started()
    dead = cluster.node()
    joiner = cluster.node(join=[dead, leader]).start().wait_until_started()
    cluster.write("a", "1")
    joiner.wait_for_value("a", "1")


@pytest.mark.scenario("M20")
def test_before_the_target_is_up(cluster: Cluster) -> None:
    """The joiner waits, says so now and then, answers 503 meanwhile, and is not "started"."""
    first = cluster.node()
    joiner = cluster.node(join=[first]).start()
    began = time.monotonic()
    wait_until(lambda: "keeps trying" in joiner.log(), "the joiner says that it waits")
    assert not joiner.is_started()
    assert joiner.ask("GET", "/key/a").status == 503
    assert joiner.ask("POST", "/key", {"a": "1"}).status == 503
    first.start().wait_until_started()
    joiner.wait_until_started()
    cluster.write("a", "1")
    joiner.wait_for_value("a", "1")
    assert joiner.log().count("keeps trying") <= 2 + (time.monotonic() - began) / SECONDS_BETWEEN_WORDS


@pytest.mark.scenario("M20")
def test_joining_twice_is_harmless(cluster: Cluster) -> None:
    """By HTTP and by starting with the same command line again."""
    leader, other = cluster.start(2, *PATIENT)
    request = {"addr": other.raft_address, "id": other.node_id}
    for node in (leader, other):
        assert node.ask("POST", "/join", request).status == 200
    other.kill()
    other.start().wait_until_started()
    assert {leader.node_id, other.node_id} == members(cluster)


@pytest.mark.scenario("M20")
def test_killed_on_the_way_in(cluster: Cluster) -> None:
    """A part of the log has come, but the change that sent it was rolled back: started again, it asks again, and does not wait
    for a leader that does not know it."""
    first = cluster.start(1)[0]
    cluster.write("a", "1")
    joiner = cluster.node("--id", "joiner", join=[first])
    directory = DataDirectory(str(joiner.directory))
    directory.open("joiner")
    directory.remember(Identity(first.status()["cluster_id"], "joiner"))
    directory.close()
    shutil.copytree(first.directory / "log", joiner.directory / "log", dirs_exist_ok=True)
    joiner.start().wait_until_started()
    joiner.wait_for_value("a", "1")
    assert {first.node_id, "joiner"} == members(cluster)


def test_restart_with_a_dead_join_target(cluster: Cluster) -> None:
    """A restart needs only the data directory."""
    nodes = cluster.start(3)
    cluster.write("a", "1")
    first, second, third = nodes
    first.kill()
    third.kill()
    third.start().wait_until_started()
    third.wait_for_value("a", "1")
    cluster.write("b", "2")
    second.wait_for_value("b", "2")


@pytest.mark.scenario("D19")
def test_wiped_disk_is_refused(cluster: Cluster) -> None:
    """A voter that has forgotten its promises ends in words instead of voting again."""
    leader, _, third = cluster.start(3, *PATIENT)
    cluster.write("a", "1")
    third.kill()
    shutil.rmtree(third.directory)
    third.start()
    assert third.wait_for_exit() not in (0, None)
    last_line = third.log().rstrip().splitlines()[-1]
    assert "refused to take" in last_line
    assert "empty" in last_line
    assert "Traceback" not in third.log()
    assert leader.set("b", "2").status == 200


@pytest.mark.scenario("M15")
def test_a_directory_of_another_cluster(cluster: Cluster) -> None:
    """A node that was promised to one cluster does not go into another, and says so."""
    ours = cluster.node().start().wait_until_started()
    theirs = cluster.node().start().wait_until_started()
    joiner = cluster.node(join=[ours]).start().wait_until_started()
    identity = (joiner.directory / "node.json").read_bytes()
    joiner.kill()
    shutil.rmtree(joiner.directory)
    joiner.directory.mkdir(mode=0o700)
    (joiner.directory / "node.json").write_bytes(identity)
    joiner.join = [theirs]
    joiner.start()
    assert joiner.wait_for_exit() != 0
    assert "belongs to cluster" in joiner.log().rstrip().splitlines()[-1]


@pytest.mark.scenario("M8")
def test_a_mistyped_address_costs_nothing(cluster: Cluster) -> None:
    """Nobody answers there, so nothing is changed, in bounded time, and the quorum is what it was."""
    leader = cluster.node().start().wait_until_started()
    reply = leader.ask("POST", "/join", {"addr": "localhost:1", "id": "nobody"}, seconds=30)
    assert reply.status >= 400
    assert leader.set("a", "1").status == 200
    assert {leader.node_id} == members(cluster)


def test_a_new_address_of_a_member(cluster: Cluster) -> None:
    """A node that comes back at another address asks again with --join, and the others find it there."""
    leader, _, moving = cluster.start(3, *PATIENT)
    cluster.write("a", "1")
    moving.kill()
    node_id = moving.node_id
    moved = cluster.node("--id", node_id, *PATIENT, join=[leader])
    moved.directory = moving.directory
    moved.start().wait_until_started()
    cluster.write("b", "2")
    moved.wait_for_value("b", "2")
    leader = cluster.leader()
    addresses = {follower["id"]: follower["address"] for follower in leader.status()["followers"]}
    assert (addresses | {leader.node_id: leader.raft_address})[node_id] == moved.raft_address


def test_in_memory(cluster: Cluster) -> None:
    """A cluster without a disk works like one with, as long as its nodes run."""
    leader, other = cluster.start(2, "--inmem", *PATIENT)
    assert leader.set("a", "1").status == 200
    other.wait_for_value("a", "1")
    assert not other.directory.exists()
