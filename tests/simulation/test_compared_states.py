"""Members that compare their states find one that has drifted away in silence, which nobody else would see (O14)."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from hraft.interfaces import StateMachine
from hraft.testing import Cluster, PromiseBroken


class Sum:
    """Adds; and the copy that is made second adds one too much at the third step, and tells nobody."""

    made_count = 0

    def __init__(self, total: int = 0, is_wrong: bool = False) -> None:
        self.total = total
        self.is_wrong = is_wrong
        self.steps_count = 0

    def apply(self, index: int, command: bytes) -> bool:
        """What it answers is the same everywhere."""
        self.steps_count += 1
        self.total += int(json.loads(command)["add"]) + int(self.is_wrong and self.steps_count == 3)
        return True

    def snapshot(self) -> Iterable[bytes]:
        """One line."""
        return [b'{"total":%d}' % self.total]

    canonical_lines = snapshot

    def restored(self, lines: Iterable[bytes]) -> Sum:
        """As it was."""
        [line] = lines
        return Sum(json.loads(line)["total"], self.is_wrong)


def cluster_of(wrong_number: int | None) -> Cluster:
    """Three nodes; the machine of one of them is wrong."""
    made: list[Sum] = []

    def make() -> StateMachine:
        made.append(Sum(is_wrong=len(made) == wrong_number))
        return made[-1]

    return Cluster(seed=5, state_machine=make, check_interval_seconds=2.0)


@pytest.mark.scenario("O14")
@pytest.mark.parametrize("wrong_number", [0, 1, 2])
def test_a_state_machine_that_drifts(wrong_number: int) -> None:
    """Whoever it is, also the leader; it is named, and the entry."""
    cluster = cluster_of(wrong_number)
    found = rf"members have equal states: node\d: after entry \d+ the state of node{wrong_number} is"
    with pytest.raises(PromiseBroken, match=found):
        for _ in range(20):
            cluster.propose(b'{"add":1}')
            cluster.advance(1.0)


def test_one_that_does_not() -> None:
    """Nothing is found where nothing is: through crashes, partitions and snapshots."""
    cluster = cluster_of(None)
    for number in range(20):
        cluster.propose(b'{"add":%d}' % number)
        if number == 5:
            cluster.crash(cluster.leader())
        if number == 9:
            cluster.heal()
        cluster.advance(1.0)
    assert cluster.world.marks.counts["members compared their states"] > 3
    cluster.close()
