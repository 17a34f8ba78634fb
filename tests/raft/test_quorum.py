"""Majorities, against definitions that are slow and obvious."""

from __future__ import annotations

from itertools import combinations
from unittest import TestCase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hraft.raft.quorum import VoteResult, committed_index, is_majority, majority_count, vote_result

NAMES = ("a", "b", "c", "d", "e", "f", "g")
voters = st.sets(st.sampled_from(NAMES)).map(sorted)


class QuorumTests(TestCase):
    """Each function of `hraft.raft.quorum`."""

    @given(voters)
    def test_two_majorities_share_a_voter(self, names: list[str]) -> None:
        """The whole of Raft rests on this, and on nothing smaller having the property."""
        count = majority_count(len(names))
        for one in combinations(names, count):
            for other in combinations(names, count):
                self.assertTrue(set(one) & set(other))
        if names:
            self.assertGreaterEqual(2 * (count - 1), len(names) - 1)

    @given(st.lists(st.integers(0, 9), max_size=7))
    def test_committed_index(self, match_indexes: list[int]) -> None:
        """The highest index that more than half have reached, found by trying each."""
        reached = [index for index in range(10) if 2 * sum(match >= index for match in match_indexes) > len(match_indexes)]
        self.assertEqual(max(reached, default=0), committed_index(match_indexes))

    def test_examples(self) -> None:
        """What one would draw on paper."""
        for expected, match_indexes in ((0, ()), (5, (5,)), (3, (5, 3)), (5, (9, 5, 3)), (5, (9, 7, 5, 3)), (5, (9, 7, 5, 5, 3))):
            with self.subTest(match_indexes=match_indexes):
                self.assertEqual(expected, committed_index(match_indexes))

    @pytest.mark.scenario("M19")
    @given(voters, st.sets(st.sampled_from(NAMES)))
    def test_is_majority(self, names: list[str], agreeing: set[str]) -> None:
        """Only voters count, each once."""
        self.assertEqual(2 * len(agreeing & set(names)) > len(names), is_majority(agreeing, names))

    @pytest.mark.scenario("E5")
    @given(voters, st.dictionaries(st.sampled_from(NAMES), st.booleans()))
    def test_vote_result(self, names: list[str], votes: dict[str, bool]) -> None:
        """Won or lost only when no further vote could change it, found by trying all that may still come."""
        missing = [name for name in names if name not in votes]
        outcomes = set()
        for count in range(len(missing) + 1):
            granted = sum(votes.get(name, False) for name in names) + count
            outcomes.add(2 * granted > len(names))
        expected = {(True,): VoteResult.WON, (False,): VoteResult.LOST}.get(tuple(outcomes), VoteResult.PENDING)
        self.assertEqual(expected, vote_result(names, votes))
