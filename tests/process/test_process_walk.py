"""The walk of the README, to the letter: three nodes, every line with curl's requests."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from cluster import PATIENT, Cluster, wait_until


def test_readme_walk(cluster: Cluster) -> None:
    """What the README promises to whoever types it."""
    node0 = cluster.node(*PATIENT).start().wait_until_started()
    assert node0.ask("POST", "/key", b'{"user1": "batman"}').status == 200
    reply = node0.ask("GET", "/key/user1")
    assert (200, {"user1": "batman"}) == (reply.status, reply.json())
    node1 = cluster.node(*PATIENT, join=[node0]).start()
    node2 = cluster.node(*PATIENT, join=[node0]).start()
    for node in (node1, node2):
        node.wait_until_started()
        node.wait_for_value("user1", "batman")
    assert node0.ask("POST", "/key", b'{"user2": "robin"}').status == 200
    for node in (node1, node2):
        node.wait_for_value("user2", "robin")
    assert node0.ask("DELETE", "/key/user1").status == 200
    for node in (node0, node1, node2):
        node.wait_for_value("user1", "")
    wait_until(lambda: len(node0.status()["followers"]) == 2, "it has two followers")
    status = node0.status()
    assert {"id": node0.node_id, "address": node0.raft_address} == status["me"] == status["leader"]
    assert {node1.node_id, node2.node_id} == {follower["id"] for follower in status["followers"]}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_readme_with_curl(cluster: Cluster) -> None:
    """The real curl, with the headers that it sends of its own."""
    node = cluster.node().start().wait_until_started()

    def curl(*arguments: str) -> bytes:
        return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], check=True, capture_output=True).stdout

    url = f"localhost:{node.http_port}"
    assert curl("-XPOST", f"{url}/key", "-d", '{"user1": "batman"}') == b""
    assert json.loads(curl("-XGET", f"{url}/key/user1")) == {"user1": "batman"}
    assert json.loads(curl(f"127.0.0.1:{node.http_port}/key/user1")) == {"user1": "batman"}
    assert curl("-XDELETE", f"{url}/key/user1") == b""
    assert json.loads(curl(f"{url}/key/user1")) == {"user1": ""}
    assert b"200" == curl("-o", "/dev/null", "-w", "%{http_code}", "-I", f"{url}/key/user1")


def test_the_same_on_every_interface(cluster: Cluster) -> None:
    """`:port` listens everywhere and tells others localhost; `--join :port` is localhost too."""
    node0 = cluster.node("--id", "node0", *PATIENT).start().wait_until_started()
    node1 = cluster.node("--id", "node1", "--haddr", "IGNORED", join=[node0])
    node1.options = ("--id", "node1", *PATIENT)
    command = [*node1.cluster.twist, "hraft", "--haddr", f":{node1.http_port}", "--raddr", f":{node1.raft_port}"]
    node1.command = lambda: [*command, "--join", f":{node0.http_port}", *node1.options, str(node1.directory)]  # type: ignore[method-assign]
    node1.start().wait_until_started()
    assert node0.set("user1", "batman").status == 200
    node1.wait_for_value("user1", "batman")
    assert node1.status()["me"] == {"id": "node1", "address": node1.raft_address}


def test_1_mib_and_one_byte_more(cluster: Cluster) -> None:
    """A body of 1 MiB crosses every limit of the wire below it; one byte more is refused before it is read whole."""
    leader, *others = cluster.start(3, *PATIENT)
    frame = len(json.dumps({"big": ""}))
    value = "x" * (1024 * 1024 - frame)
    assert leader.ask("POST", "/key", {"big": value}).status == 200
    for node in others:
        node.wait_for_value("big", value)
    assert leader.ask("POST", "/key", {"big": value + "x"}).status == 413
    assert leader.set("small", "still served").status == 200


def test_forward(cluster: Cluster) -> None:
    """With --forward a follower answers as the leader would, and says who served it; without, it names the leader."""
    leader, follower = cluster.start(2, *PATIENT)
    forwarding = cluster.node("--forward", *PATIENT, join=[leader]).start().wait_until_started()
    reply = forwarding.set("colour", "blue")
    assert reply.status == 200, reply.body
    assert "x-hraft-served-by" in reply.headers
    leader.wait_for_value("colour", "blue")
    reply = follower.set("colour", "red")
    assert (421, f"http://{leader.http_address}") == (reply.status, reply.headers.get("x-hraft-leader"))
    assert reply.headers["content-type"].startswith("application/problem+json")
    assert leader.get("colour") == "blue"


def test_log_format_json(cluster: Cluster) -> None:
    """`--log-format json` gives fields to search in: the node, its term, its role."""
    cluster.twist = [part.replace("=text", "=json") for part in cluster.twist]
    node = cluster.node("--id", "node0").start()

    def events() -> list[dict[str, object]]:
        whole = node.log().replace("\x1e", "").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def starts() -> list[dict[str, object]]:
        return [event for event in events() if "started successfully" in str(event.get("log_format"))]

    def led() -> bool:
        return any(event.get("role") == "leader" and event.get("node") == "node0" and "term" in event for event in events())

    wait_until(led, "the log tells of the election in fields")
    started = wait_until(starts, "the node has started")
    assert [node.http_address] == [event.get("http_address") for event in started]
    assert all(str(event.get("log_namespace", "")).startswith("hraft") for event in started)
