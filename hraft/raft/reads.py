"""Linearizable reads (Section 6.4): the commit index of a leader that a majority has just confirmed.

A round is one heartbeat to everybody, with a number that is never used again in the leader's reign (R3). It serves the reads
that came before it started (R2); those that come later wait for the next one, so that many reads share a round. The heartbeats
that are due anyway are rounds too, which serve nobody: their answers show when a majority last took this node for its leader
(Section 6.4.1).
"""

from __future__ import annotations

from collections.abc import Collection

from hraft.raft import quorum
from hraft.raft.ready import ReadReady


class Reads:
    """(leader) The reads that wait, and the one round under way that serves some."""

    def __init__(self) -> None:
        self.round = 0
        self._waiting: list[int] = []
        self._confirming: list[int] = []
        self._confirming_round = 0
        self._read_index = 0
        self._acknowledged: dict[str, int] = {}

    @property
    def count(self) -> int:
        return len(self._waiting) + len(self._confirming)

    @property
    def is_round_due(self) -> bool:
        return bool(self._waiting) and not self._confirming

    def ask(self, read_id: int) -> None:
        self._waiting.append(read_id)

    def begin_round(self) -> None:
        """A heartbeat to everybody is about to leave."""
        self.round += 1

    def start_round(self, commit_index: int) -> None:
        """Begin to confirm what waits. Only once an entry of the leader's own term is committed (R1)."""
        self.begin_round()
        self._confirming_round = self.round
        self._read_index = commit_index
        self._confirming, self._waiting = self._waiting, []

    def acknowledge(self, peer: str, read_round: int) -> None:
        """A peer answered a heartbeat of that round, so it took this node for its leader after the round began."""
        if read_round <= self.round:
            self._acknowledged[peer] = max(read_round, self._acknowledged.get(peer, 0))

    def confirmed(self, voters: Collection[str], me: str) -> tuple[ReadReady, ...]:
        """The reads of the round under way, if a majority of the voters has confirmed it; else nothing."""
        if not self._confirming:
            return ()
        agreeing = {peer for peer, read_round in self._acknowledged.items() if read_round >= self._confirming_round} | {me}
        if not quorum.is_majority(agreeing, voters):
            return ()
        confirmed = tuple(ReadReady(read_id, self._read_index) for read_id in self._confirming)
        self._confirming = []
        return confirmed

    def confirmed_round(self, voters: Collection[str], me: str) -> int:
        """The last round that a majority of the voters has answered; this node answers itself at once."""
        return quorum.committed_index([self.round if voter == me else self._acknowledged.get(voter, 0) for voter in voters])

    def failed(self) -> tuple[ReadReady, ...]:
        """All of them, unconfirmed: the leader is one no longer (R5, R13)."""
        return tuple(ReadReady(read_id, None) for read_id in (*self._confirming, *self._waiting))
