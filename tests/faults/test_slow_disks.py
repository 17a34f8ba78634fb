"""Real nodes whose fdatasync takes its time, by strace."""

from __future__ import annotations

import time

import pytest
from cluster import PATIENT, Cluster, wait_until
from requirements import needs_strace
from strace import Injection, Strace, delay
from writers import settle

pytestmark = needs_strace

ELECTION_TIMEOUT_SECONDS = 2.0
TIMING = ("--election-timeout", "2000", "--heartbeat-interval", "100")
#: By then a busy machine has done what need not wait for a disk that hangs; it hangs for much longer.
AT_ONCE_SECONDS = 15.0
HANGS_SECONDS = 30.0


@pytest.mark.scenario("D16")
def test_slow_on_the_leader(cluster: Cluster) -> None:
    """A save takes a third of an election timeout: heartbeats go out in between, so it still leads, in its term, and its writes
    are done."""
    cluster.start(3, *PATIENT)
    leader = cluster.leader()
    term = leader.status()["term"]
    with Strace(leader, Injection("fdatasync", delay(1.2))):
        for number in range(6):
            assert leader.set(f"key{number}", "slow").status == 200
    assert cluster.leader() is leader
    assert leader.status()["term"] == term


@pytest.mark.scenario("D15")
def test_hung_on_the_leader(cluster: Cluster) -> None:
    """30 s: heartbeats alone would keep it in office and nothing would be done; another leads after 2 to 3 timeouts."""
    cluster.start(3, *TIMING)
    old, others = cluster.leader_and_followers()
    with Strace(old, Injection("fdatasync", delay(HANGS_SECONDS))):
        # A quorum of the others may acknowledge it; but the leader's own disk has something to do from now on.
        assert old.set("first", "1").status == 200
        began = time.monotonic()
        cluster.leader(among=others)
        took_seconds = time.monotonic() - began
        assert took_seconds < 3 * ELECTION_TIMEOUT_SECONDS + AT_ONCE_SECONDS
        wait_until(lambda: any(node.set("second", "2").status == 200 for node in others), "the others take a write")
    settle(cluster, "settled")
    assert (old.get("first"), old.get("second")) == ("1", "2")


@pytest.mark.scenario("D17")
def test_hung_on_a_follower(cluster: Cluster) -> None:
    """Nobody waits for it: the two others are a majority, the leader stays, and it catches up later."""
    cluster.start(3, *PATIENT)
    leader, (follower, _) = cluster.leader_and_followers()
    term = leader.status()["term"]
    with Strace(follower, Injection("fdatasync", delay(HANGS_SECONDS))):
        began = time.monotonic()
        for number in range(30):
            assert leader.set(f"key{number}", "fast").status == 200
        assert time.monotonic() - began < AT_ONCE_SECONDS
        assert cluster.leader() is leader
    assert leader.status()["term"] == term
    follower.wait_for_value("key29", "fast")
