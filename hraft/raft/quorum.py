"""Majorities: pure arithmetic over voters.

match indexes of five voters, ranked:   9  7 [5] 5  3     a majority of three has reached 5
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum


class VoteResult(Enum):
    """What the votes cast so far mean."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def majority_count(voters_count: int) -> int:
    """How many of so many voters decide: of 3, 2; of 4, 3."""
    return voters_count // 2 + 1


def committed_index(match_indexes: Collection[int]) -> int:
    """The highest index that a majority has reached; without voters nothing is ever committed, so 0."""
    if not match_indexes:
        return 0
    ranked = sorted(match_indexes, reverse=True)
    return ranked[majority_count(len(ranked)) - 1]


def is_majority(agreeing: Collection[str], voters: Collection[str]) -> bool:
    """Whether those who agree are a majority of the voters; whoever is not a voter does not count (E5, M19)."""
    return sum(voter in agreeing for voter in voters) >= majority_count(len(voters))


def vote_result(voters: Collection[str], votes: Mapping[str, bool]) -> VoteResult:
    """Count each voter's vote once; votes of others are not votes (E5)."""
    granted = sum(votes.get(voter) is True for voter in voters)
    refused = sum(votes.get(voter) is False for voter in voters)
    needed = majority_count(len(voters))
    if granted >= needed:
        return VoteResult.WON
    if len(voters) - refused < needed:
        return VoteResult.LOST
    return VoteResult.PENDING
