"""Slow and hostile clients and peers against real nodes: the others are served, the leader stays, memory is bounded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from cluster import PATIENT, Cluster, wait_until

from chaos.hostile_attacks import ATTACKS
from chaos.hostile_clients import IDLE_COUNT
from chaos.hostile_load import Figures
from chaos.hostile_siege import Outcome, Siege

#: For a busy machine; each trial ends when it has seen enough.
LONGEST_SECONDS = 90.0
BASELINE_SECONDS = 0.5


@pytest.fixture
def siege(cluster: Cluster) -> Iterator[Siege]:
    """Three nodes to attack."""
    made = Siege(cluster, PATIENT)
    yield made
    made.close()


def survived(outcome: Outcome) -> None:
    """Nothing that no attack excuses, and writers were served all the time."""
    assert [] == outcome.violations
    assert outcome.under.times, "no write was acknowledged"
    assert set(outcome.under.outcomes) <= {"200", "503"}, outcome.under.outcomes


@pytest.mark.scenario("O1", "O3", "O4")
def test_slow_and_oversized_clients(siege: Siege) -> None:
    """500 slow-loris connections, readers that never read, clients that vanish: all cut in time, at no cost of an answer."""
    names = ["slow-loris", "non-readers", "oversize-headers", "oversize-bodies"]
    if ATTACKS["half-open"].objection() is None:
        names.append("half-open")

    def is_enough(counts: Counter[str]) -> bool:
        # There are more than places, so that some must go before their time is over.
        return counts["408"] + counts["503"] >= 100 and counts["413"] >= 20 and counts["400"] >= 20

    outcome = siege.measure(names, LONGEST_SECONDS, BASELINE_SECONDS, is_enough)
    survived(outcome)
    assert is_enough(outcome.counts), outcome.counts


@pytest.mark.scenario("O6")
def test_ten_thousand_idle_connections(siege: Siege) -> None:
    """More than there are places and file descriptors: peers and writers keep theirs, and a new client is served."""
    objection = ATTACKS["idle"].objection()
    if objection is not None:
        pytest.skip(objection)
    served: list[int] = []

    def is_enough(counts: Counter[str]) -> bool:
        served.append(siege.leader.ask("GET", "/status").status)
        return counts["opened"] >= IDLE_COUNT

    outcome = siege.measure(["idle"], LONGEST_SECONDS, BASELINE_SECONDS, is_enough)
    survived(outcome)
    assert outcome.counts["opened"] >= IDLE_COUNT, outcome.counts
    assert outcome.counts["503"], "an idle client is told why it has to go"
    assert {200} == set(served)
    assert {"200"} == set(outcome.under.outcomes), "whoever asks keeps its connection"


@pytest.mark.scenario("O5", "O6", "O10")
def test_hostile_peers(siege: Siege) -> None:
    """Junk, another cluster, replays, boxes without end, hundreds who say nothing; and a node that comes back finds its place."""
    names = ["garbage", "wrong-cluster", "endless-frames", "replay", "silent-peers", "deaf-peer"]
    follower = next(node for node in siege.nodes if node not in (siege.leader, siege.recorded_node))

    def comes_back() -> None:
        follower.kill()
        siege.cluster.write("while-away", "yes")
        follower.start().wait_until_started()
        follower.wait_for_value("while-away", "yes")

    opened_count = sum(ATTACKS[name].count for name in names)
    outcome = siege.measure(
        names, LONGEST_SECONDS, BASELINE_SECONDS, lambda counts: counts["opened"] >= 2 * opened_count, meanwhile=comes_back
    )
    survived(outcome)
    assert outcome.counts["opened"] >= 2 * opened_count, outcome.counts


@pytest.mark.scenario("O4", "O5")
def test_more_is_asked_than_can_be_done(siege: Siege) -> None:
    """Overload is answered, late or with 503, loses nothing, and is over when it is over; so are pipelines without end."""
    outcome, after = siege.overloaded(3.0)
    survived(outcome)
    assert after.times and {"200"} == set(after.outcomes), after.outcomes
    survived(siege.measure(["pipelines"], LONGEST_SECONDS, BASELINE_SECONDS, lambda counts: counts["pieces of answers"] >= 60))


@pytest.mark.scenario("O5")
def test_followers_that_neither_read_nor_hang_up(siege: Siege) -> None:
    """What waits for them is bounded; without a majority nothing is acknowledged, and with one again all goes on."""
    one = siege.stopped(1, 4.0)
    survived(one)
    two = siege.stopped(2, 5.0)
    assert [] == two.violations


def test_what_is_lost_is_found(siege: Siege) -> None:
    """The trials are worth what their judgement is worth."""
    load = siege.load(2)
    try:
        load.measure(30.0, lambda: all(load.acknowledged))
    finally:
        load.close()
    office = siege.office()
    assert [] == siege.wrongs(load, Figures(1.0), office)
    load.acknowledged[0] += load.sent[0]
    assert ["was acknowledged, and" in words for words in siege.wrongs(load, Figures(1.0), office)] == [True]
    load.acknowledged[0] = 0
    assert "leader and term were" in siege.wrongs(load, Figures(1.0), ("nobody", 0))[0]
    assert "no write was acknowledged for" in siege.wrongs(load, Figures(1.0, longest_gap_seconds=60.0), office)[0]
    wait_until(lambda: siege.nodes[1].says_started(), "it has a log")
    with siege.nodes[1].log_path.open("a") as log:
        log.write("Traceback (most recent call last):\n")
    assert ["Traceback" in words for words in siege.wrongs(load, Figures(1.0), office)] == [True]
