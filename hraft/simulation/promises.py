"""What leaves a node must be true of its disk already (Section 3.8): votes, acknowledgements, claims to a log.

Compares each message with what its sender's disk has synced, at the moment it is sent. A vote is remembered for ever, so two in
one term are found however many crashes lie between them (E2).
"""

from __future__ import annotations

from hraft.interfaces import ChunkEnvelope
from hraft.raft.entry import HardState
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Envelope,
    InstallSnapshotResponse,
    PreVote,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from hraft.raft.ready import Role
from hraft.simulation.node import SimulatedNode
from hraft.simulation.story import Violation


class Promises:
    """All that was ever promised in a world."""

    def __init__(self, nodes: dict[str, SimulatedNode]) -> None:
        self._nodes = nodes
        #: Who got each node's vote in each term.
        self._votes: dict[tuple[str, int], str] = {}

    def check(self, node: SimulatedNode, envelope: Envelope | ChunkEnvelope) -> None:
        """Judge one message as it leaves. Raises Violation."""
        message, truth = envelope.message, node.truth
        if message.term < truth.hard_state.term:
            # Of a reign that is over for this node, whose disk keeps it from promising anything more in it. A vote counts all
            # the same, where its candidate does not know yet.
            if isinstance(message, RequestVoteResponse) and message.vote_granted:
                self._voted(node, message.term, envelope.to)
            return
        if isinstance(message, AppendEntries):
            if message.term > truth.hard_state.term:
                raise _broken("a leader's term is on its disk", node, envelope)
        elif isinstance(message, AppendEntriesResponse):
            if message.success:
                self._has_acknowledged(node, message.match_index, envelope)
        elif isinstance(message, RequestVoteResponse):
            if message.vote_granted:
                self._voted(node, message.term, envelope.to)
                self._is_on_disk(node, message.term, envelope.to, envelope)
        elif isinstance(message, RequestVote):
            self._voted(node, message.term, node.node_id)
            self._is_on_disk(node, message.term, node.node_id, envelope)
            self._has_log(node, message, envelope)
        elif isinstance(message, PreVote):
            self._has_log(node, message, envelope)
        elif isinstance(message, InstallSnapshotResponse):
            self._has_acknowledged(node, message.match_index, envelope)
        elif isinstance(message, TimeoutNow):
            self._hands_over(node, envelope)

    def has_voted(self, node_id: str, term: int, candidate: str) -> bool:
        """Whether that node said so, in whatever life of its."""
        return self._votes.get((node_id, term)) == candidate

    def _voted(self, node: SimulatedNode, term: int, candidate: str) -> None:
        if node.is_wiped:
            raise Violation("a node that forgot its promises does not vote", f"{node.node_id}: {candidate}, term {term}")
        before = self._votes.setdefault((node.node_id, term), candidate)
        if before != candidate:
            raise Violation("one vote a term", f"{node.node_id} voted for {before} and for {candidate} in term {term}")

    def _is_on_disk(self, node: SimulatedNode, term: int, candidate: str, envelope: Envelope | ChunkEnvelope) -> None:
        if node.truth.hard_state != HardState(term, candidate):
            raise _broken("a vote is on disk before it is given", node, envelope)

    def _has_acknowledged(self, node: SimulatedNode, match_index: int, envelope: Envelope | ChunkEnvelope) -> None:
        log, truth = node.state.log, node.truth
        # At a later term its log in memory may have others in their place, which are not yet saved.
        is_present = envelope.message.term == node.state.term and match_index > log.base.index
        if max(truth.last_index, truth.snapshot_id.index) < match_index or (
            is_present and not truth.holds(match_index, log.term_at(match_index))
        ):
            raise _broken("what is acknowledged is on disk", node, envelope)

    def _has_log(self, node: SimulatedNode, message: RequestVote | PreVote, envelope: Envelope | ChunkEnvelope) -> None:
        if node.role not in (Role.PRE_CANDIDATE, Role.CANDIDATE):
            return  # It lost while its request waited for the disk: no answer to it counts.
        if not node.truth.holds(message.last_log_index, message.last_log_term) and message.last_log_index:
            raise _broken("a candidate claims what is on its disk", node, envelope)

    def _hands_over(self, node: SimulatedNode, envelope: Envelope | ChunkEnvelope) -> None:
        last = node.state.log.last
        target, leading = self._nodes[envelope.to], node.state.leading
        if target.is_wiped and (leading is None or not leading.progress[envelope.to].is_wiped):
            return  # It had the whole log, and has not answered since: its leader cannot know.
        if not target.truth.holds(last.index, last.term):
            raise _broken("leadership is handed to one that has the whole log on disk", node, envelope)


def _broken(rule: str, node: SimulatedNode, envelope: Envelope | ChunkEnvelope) -> Violation:
    truth = node.truth
    on_disk = f"{truth.hard_state}, snapshot {truth.snapshot_id}, entries up to {truth.last_index}"
    return Violation(rule, f"{node.node_id} says {envelope.message} to {envelope.to}; its disk has {on_disk}")
