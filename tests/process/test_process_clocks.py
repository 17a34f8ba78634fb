"""Wall clocks that jump, run backwards or stand still, under real nodes: nobody may notice (N10)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

import pytest
from cluster import wait_until

from chaos import ending
from chaos.links import Place
from chaos.nodes import Node, faketime_library
from chaos.proxies import Proxies
from chaos.stage import Stage

SETTLE_SECONDS = 60.0
#: So long that a busy machine brings no election for lack of time, and libfaketime makes nodes slow.
ELECTION_TIMEOUT_SECONDS = 3
#: One may come all the same; but a clock that matters brings one every time.
ATTEMPTS_COUNT = 3
FROZEN = "2030-01-01 00:00:00"


class Patient(Proxies):
    """Nodes that hold no election early."""

    def add(self, name: str) -> Place:
        """Where the next one runs."""
        place = super().add(name)
        return replace(place, options=(*place.options, "--election-timeout", str(1000 * ELECTION_TIMEOUT_SECONDS)))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Three settled nodes, each with a wall clock of its own."""
    if faketime_library() is None:
        pytest.skip("libfaketime is not installed (on Debian: apt-get install faketime)")
    network = Patient(random.Random(1))
    stage = Stage(network, tmp_path, random.Random(1), True, print)
    try:
        first = stage.add_node([])
        assert ending.wait_until_settled([first], SETTLE_SECONDS) is not None
        for _ in range(2):
            stage.add_node([first])
        assert ending.wait_until_settled(stage.nodes, SETTLE_SECONDS) is not None, ending.story_of(stage.nodes)
        yield stage
    finally:
        stage.end()
        network.close()


def set_clock(node: Node, words: str) -> None:
    """Until it tells the new time itself; libfaketime looks at its file once a second."""
    node.set_clock(words)
    wait_until(lambda: has_jumped(node) == (words != "+0"), f"the clock of {node.name} is {words}")


def has_jumped(node: Node) -> bool:
    """Whether its answers are dated half an hour from now, or more."""
    reply = node.ask("GET", "/status")
    if reply is None:
        return False
    dated = parsedate_to_datetime(reply.headers["date"])
    return abs((dated - datetime.now(timezone.utc)).total_seconds()) > 1800


def is_past(deadline: float) -> bool:
    """Whether that moment is over, by the clock that nobody sets."""
    return time.monotonic() > deadline


def put_and_get(nodes: tuple[Node, ...], value: str) -> None:
    """A write is acknowledged, and a linearizable read on every node sees it."""
    assert ending.takes_a_write(nodes, SETTLE_SECONDS)
    wait_until(lambda: any(reply.status == 200 for node in nodes if (reply := node.ask("POST", "/key", {"a": value}))), "a write")
    for node in nodes:
        reply = node.ask("GET", "/key/a?level=linearizable", seconds=10)
        assert reply is not None
        if reply.status == 200:  # Else there was an election meanwhile; a refusal is no stale read.
            assert {"a": value} == reply.json()


def leading(nodes: tuple[Node, ...]) -> tuple[int, str]:
    """The term and its leader."""
    status = ending.wait_until_settled(nodes, SETTLE_SECONDS)
    assert status is not None, ending.story_of(nodes)
    return int(status["term"]), str(status["leader"]["id"])


@pytest.mark.scenario("N10")
@pytest.mark.parametrize("words", ["+3600", "-3600", FROZEN])
def test_a_clock_that_jumps_costs_no_election(stage: Stage, words: str) -> None:
    """An hour either way, on the leader, and on all: the term stays, reads are fresh, writes go on."""
    for number in range(ATTEMPTS_COUNT):
        before = leading(stage.nodes)
        [leader] = [node for node in stage.nodes if node.name == before[1]]
        set_clock(leader, words)
        put_and_get(stage.nodes, f"{words} {number} on the leader")
        # Nobody asks anything: whoever hears nothing of the leader stands by then.
        end_at = time.monotonic() + 2.2 * ELECTION_TIMEOUT_SECONDS
        wait_until(partial(is_past, end_at), "the time is over")
        for node in stage.nodes:
            set_clock(node, words)
        put_and_get(stage.nodes, f"{words} {number} on all")
        if leading(stage.nodes) == before:
            return
        for node in stage.nodes:
            set_clock(node, "+0")
    pytest.fail(f"each of {ATTEMPTS_COUNT} jumps to {words} cost an election")


@pytest.mark.scenario("N10")
def test_timers_go_on_while_the_clock_stands_still(stage: Stage) -> None:
    """The leader dies while no wall clock moves: the others notice, and elect another."""
    term, leader_id = leading(stage.nodes)
    for node in stage.nodes:
        set_clock(node, FROZEN)
    [leader] = [node for node in stage.nodes if node.name == leader_id]
    leader.kill()
    others = tuple(node for node in stage.nodes if node is not leader)
    assert ending.takes_a_write(others, SETTLE_SECONDS), ending.story_of(others)
    assert max(int(node.status()["term"]) for node in others) > term
