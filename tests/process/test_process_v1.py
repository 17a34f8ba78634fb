"""/v1 on real nodes: any node takes anything, compare-and-set loses no step, and a repeat finds its answer after a kill -9."""

from __future__ import annotations

import http.client
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cluster import PATIENT, Cluster, Node, Reply, wait_until

STEPS_COUNT = 12


def test_a_follower_serves_everything(cluster: Cluster) -> None:
    """A client need not know who leads: writes are passed on with all their bytes, and reads see them everywhere at once."""
    cluster.start(3, *PATIENT)
    leader, (first, second) = cluster.leader_and_followers()
    put = first.ask("PUT", "/v1/kv/%ff?prev", b"\xfe\x00")
    assert (200, leader.node_id) == (put.status, put.headers["x-hraft-served-by"])
    assert second.ask("GET", "/v1/kv/%ff?raw").body == b"\xfe\x00"
    put = second.ask("PUT", "/v1/kv/%ff?prev", b"2", headers={"If-Match": put.headers["etag"]})
    assert put.json()["prev"]["value_base64"] == "/gA="
    assert put.headers["x-hraft-revision"] == str(put.json()["revision"])
    refused = first.ask("DELETE", "/v1/kv/%ff", headers={"If-Match": '"999"'})
    assert (412, "2") == (refused.status, refused.json()["current"]["value"])
    done = second.ask("POST", "/v1/txn", {"then": [{"get": {"prefix": ""}}, {"delete": {"prefix": "", "prev": True}}]}).json()
    assert [1, 1] == [len(done["results"][0]["get"]["kvs"]), done["results"][1]["delete"]["deleted"]]
    assert "/w==" == done["results"][1]["delete"]["prevs"][0]["key_base64"]
    assert 404 == first.ask("GET", "/v1/kv/%ff").status
    away = first.ask("PUT", "/v1/kv/a?redirect", b"x")
    assert (307, f"http://{leader.http_address}/v1/kv/a?redirect") == (away.status, away.headers["location"])
    assert 3 == len(second.ask("GET", "/v1/cluster").json()["members"])


@pytest.mark.scenario("R10")
def test_old_values_only_by_choice(cluster: Cluster) -> None:
    """A node that has lost the others answers nothing by itself but to who asks for what it has, and says what that is."""
    nodes = cluster.start(3, *PATIENT)
    nodes[0].ask("PUT", "/v1/kv/a", b"1")
    left = nodes[2]
    left.wait_for_value("a", "1")
    term = left.ask("GET", "/v1/status").json()["term"]
    for node in nodes[:2]:
        node.send_signal(signal.SIGSTOP)
    for path in ("/v1/kv/a", "/v1/kv?prefix=a", "/v1/kv/a?level=linearizable", "/v1/kv/a?level=lease"):
        assert 503 == left.ask("GET", path).status
    stale = left.ask("GET", "/v1/kv/a?level=stale")
    assert (200, "1", "1") == (stale.status, stale.json()["value"], stale.headers["x-hraft-revision"])
    assert int(stale.headers["x-hraft-term"]) >= term
    assert "x-hraft-age-ms" in stale.headers
    assert "too_stale" == left.ask("GET", "/v1/kv/a?level=stale&max_lag=1").json()["code"]
    for node in nodes[:2]:
        node.send_signal(signal.SIGCONT)
    wait_until(lambda: left.ask("GET", "/v1/kv/a").status == 200, "the cluster is whole again")


def test_counting_together(cluster: Cluster) -> None:
    """Many clients, each at another node, add one to a number by compare-and-set: no step is lost, and none counts twice."""
    nodes = cluster.start(3, *PATIENT)
    nodes[0].ask("PUT", "/v1/kv/count", b"0")

    def count(node: Node) -> int:
        tries_count = 0
        for _ in range(STEPS_COUNT):
            while True:
                tries_count += 1
                found = node.ask("GET", "/v1/kv/count")
                value = int(found.json()["value"]) + 1
                status = node.ask("PUT", "/v1/kv/count", b"%d" % value, headers={"If-Match": found.headers["etag"]}).status
                if status == 200:
                    break
                assert status == 412
        return tries_count

    with ThreadPoolExecutor(6) as pool:
        tries = list(pool.map(count, nodes * 2))
    assert str(6 * STEPS_COUNT) == nodes[0].ask("GET", "/v1/kv/count").json()["value"]
    assert sum(tries) > 6 * STEPS_COUNT, "nobody ever met anybody: this has shown nothing"


@pytest.mark.scenario("C1")
def test_a_repeat_after_a_kill(cluster: Cluster) -> None:
    """The answer to a write that is done once is kept by the cluster, and not by the leader that gave it."""
    cluster.start(3, *PATIENT)
    leader, (other, _) = cluster.leader_and_followers()
    client = leader.ask("POST", "/v1/sessions").json()["client"]
    once = {"Idempotency-Key": f"{client}/1"}
    first = leader.ask("POST", "/v1/txn", {"then": [{"put": {"key": "a", "value": "1", "prev": True}}]}, headers=once)
    assert 200 == leader.ask("PUT", "/v1/kv/a", b"another's").status
    leader.kill()

    def repeated() -> Reply | None:
        try:
            reply = other.ask("POST", "/v1/txn", {"then": [{"put": {"key": "a", "value": "1", "prev": True}}]}, headers=once)
        except (OSError, http.client.HTTPException):
            return None
        return reply if reply.status == 200 else None

    again: Any = wait_until(repeated, "the repeat is answered")
    assert first.json() == again.json()
    assert "another's" == other.ask("GET", "/v1/kv/a").json()["value"]
