"""Members that come and go under load, with real processes: nothing acknowledged is lost, and whoever is gone says why."""

from __future__ import annotations

import pytest
from cluster import PATIENT, Cluster, Node, wait_until
from load import Load


def voters(node: Node) -> set[str]:
    """The voters of the cluster, as this node knows them."""
    return {voter["id"] for voter in node.status().get("voters", [])}


def remove(asked: Node, node_id: str) -> None:
    """Through any member; done when it answers."""
    reply = asked.ask("DELETE", f"/v1/cluster/members/{node_id}", seconds=30)
    assert reply.status == 200, reply


def say_started(nodes: list[Node]) -> None:
    """Wait for all."""
    for node in nodes:
        node.wait_until_started()


@pytest.mark.scenario("M17")
def test_from_one_to_five_and_back_under_load(cluster: Cluster) -> None:
    """Grown by two, twice, then taken down one after the other, leaders among them, to the last that came."""
    first = cluster.node("--id", "n0", *PATIENT).start().wait_until_started()
    nodes = [first]
    with Load(cluster) as load:
        for numbers in ((1, 2), (3, 4)):
            added = [cluster.node("--id", f"n{number}", *PATIENT, join=[first]).start() for number in numbers]
            say_started(added)
            nodes += added
        wait_until(lambda: voters(first) == {"n0", "n1", "n2", "n3", "n4"}, "all five are voters")
        for gone in nodes[:4]:
            remove(nodes[4], gone.node_id)
            gone.terminate()
        wait_until(lambda: voters(nodes[4]) == {"n4"}, "the last is alone")
    load.check(nodes[4])


@pytest.mark.scenario("M17")
def test_every_node_is_replaced_under_load(cluster: Cluster) -> None:
    """Each by a new one, on its own directory and under its own id, as after machines that were changed."""
    nodes = cluster.start(3, *PATIENT)
    with Load(cluster) as load:
        for number, old in enumerate(nodes):
            new = cluster.node("--id", f"new{number}", *PATIENT, join=[node for node in nodes if node is not old])
            new.start().wait_until_started()
            remove(new, old.node_id)
            old.terminate()
            nodes[number] = new
    wait_until(lambda: voters(nodes[2]) == {"new0", "new1", "new2"}, "the new ones are the voters")
    load.check(nodes[2])


@pytest.mark.scenario("M12")
def test_a_removed_node_says_why(cluster: Cluster) -> None:
    """In its answers, its status and its log; also after a restart, and when it was down when it was removed."""
    first, second, third, _ = cluster.start(4, *PATIENT)
    cluster.write("a", "1")
    third.wait_for_value("a", "1")
    remove(third, third.node_id)
    wait_until(lambda: third.status().get("removed_index"), "it knows")
    for _ in range(2):
        for reply in (third.set("a", "2"), third.ask("GET", "/key/a"), third.ask("GET", "/v1/kv/a?level=stale")):
            assert (reply.status, reply.json()["code"]) == (503, "node_removed"), reply
            assert "removed from the cluster at index" in reply.json()["detail"]
        third.wait_until_said("was removed from the cluster at index")
        third.terminate()
        third.start()
        wait_until(lambda: third.status().get("removed_index"), "it knows it still")
    second.kill()
    remove(first, second.node_id)
    second.start()
    wait_until(lambda: second.status().get("removed_index"), "who was down meanwhile is told")
    assert "Traceback" not in second.log() + third.log()


@pytest.mark.scenario("M20")
def test_one_command_line_for_all(cluster: Cluster) -> None:
    """Three nodes that are started at once form one cluster; the same command line restarts each, and a directory that was lost
    on the way founds no other."""
    nodes = [cluster.node("--id", name, "--bootstrap-expect", "3", *PATIENT) for name in ("c", "a", "b")]
    for node in nodes:
        node.join = nodes
    nodes[0].start()
    wait_until(lambda: "1 of 3 nodes answer: c" in nodes[0].log(), "it says whom it waits for")
    assert nodes[0].ask("GET", "/key/a").status == 503
    say_started([nodes[1].start(), nodes[2].start()])
    say_started([nodes[0]])
    assert {"a", "b", "c"} == voters(nodes[0])
    assert 1 == len({node.status()["cluster_id"] for node in nodes})
    cluster.write("k", "1")
    for node in nodes:
        node.terminate()
    say_started([node.start() for node in nodes])
    nodes[2].wait_for_value("k", "1")
    assert 1 == sum("first voter of the new cluster" in node.log() for node in nodes)


def test_leave_on_stop(cluster: Cluster) -> None:
    """A clean stop takes the node out of the cluster, leader or not; the last one stays, and says so."""
    nodes = [cluster.node("--leave-on-stop", *PATIENT).start().wait_until_started()]
    nodes += [cluster.node("--leave-on-stop", *PATIENT, join=nodes[:1]).start() for _ in range(2)]
    say_started(nodes)
    cluster.write("a", "1")
    for left in (2, 1):
        leader = cluster.leader()
        leader.terminate()
        nodes.remove(leader)
        wait_until(lambda left=left: left == len(voters(nodes[0])), f"{left} are left")  # type: ignore[misc]
    assert "1" == nodes[0].get("a")
    nodes[0].terminate()
    assert "stops, and stays a member of its cluster" in nodes[0].log()
    nodes[0].start().wait_until_started()
    nodes[0].wait_for_value("a", "1")


def test_a_read_replica(cluster: Cluster) -> None:
    """It is fed and has no vote, also after a restart, until it is promoted; a learner that is down holds nobody up."""
    first, second = cluster.start(2, *PATIENT)
    replica = cluster.node("--id", "replica", "--learner", *PATIENT, join=[first]).start().wait_until_started()
    cluster.write("a", "1")
    replica.wait_for_value("a", "1")
    assert 200 == replica.ask("GET", "/v1/kv/a").status
    replica.terminate()
    cluster.write("b", "2")
    replica.start().wait_until_started()
    replica.wait_for_value("b", "2")
    assert {first.node_id, second.node_id} == voters(first)
    wait_until(lambda: second.ask("POST", "/v1/cluster/members/replica/promote").status == 200, "it is promoted")
    wait_until(lambda: voters(replica) == {first.node_id, second.node_id, "replica"}, "it knows that it is a voter")
