"""Worlds drawn from seeds: nothing that may never be ever is, and every cluster recovers. See `raft_worlds.py`."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest
from raft_worlds import World

WORLDS_COUNT = 200
CHUNK_COUNT = 10
#: What must happen somewhere in these worlds, or they show less than they should.
RARE = (
    "committed before the own disk had it",
    "configuration rolled back",
    "disk stalled",
    "install drops the log",
    "install keeps the suffix",
    "leaders",
    "read confirmed",
    "read failed",
    "truncation",
    "truncation while saving",
    "wiped",
)


@cache
def played(seed: int) -> tuple[str, Counter[str]]:
    """Play a world once; its story's hash, and what happened in it."""
    world = World(seed)
    return world.run(), world.marks


@pytest.mark.scenario("E1", "E2", "E4", "E6", "E22", "L1", "L4", "L6", "L7", "L8", "L9", "L19", "L21", "L22", "D15", "D19")
@pytest.mark.scenario("R1", "R2", "R3", "R5", "R6", "M1", "M2", "M3", "M4", "M10", "M17", "S4", "S7", "S8", "S9", "S13", "S16")
@pytest.mark.scenario("T1", "T2", "T5", "N1", "N4", "N11", "N12")
@pytest.mark.parametrize("first", range(0, WORLDS_COUNT, CHUNK_COUNT))
def test_no_world_breaks_a_rule(first: int) -> None:
    """Loss, duplicates, delay, cuts, crashes, stalls, lost disks, changes of members: safe always, live when it is over."""
    for seed in range(first, first + CHUNK_COUNT):
        played(seed)


def test_same_seed_same_story() -> None:
    """A world is a function of its seed: nothing else leaks in, so a seed is a bug report."""
    for seed in range(0, WORLDS_COUNT, 40):
        assert played(seed)[0] == World(seed).run(), seed


def test_worlds_reach_the_rare_cases() -> None:
    """What never happens in them is not tested by them."""
    marks: Counter[str] = Counter()
    for seed in range(WORLDS_COUNT):
        marks += played(seed)[1]
    assert [] == [mark for mark in RARE if not marks[mark]], marks
