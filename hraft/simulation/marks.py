"""Situations worth having been in: a run of many worlds that misses one of them proves less than it seems to (G11).

Noticed from outside, by comparing what nodes, disks and messages were and are. Judges nothing: whatever is noticed here is legal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hraft.errors import ChangeRefused, ProposalDropped, ReadFailed
from hraft.interfaces import ChunkEnvelope, Recovered, SnapshotChunk
from hraft.raft.entry import Entry
from hraft.raft.invariants import Facts
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Envelope,
    PreVoteResponse,
    RequestVoteResponse,
    TimeoutNow,
)
from hraft.raft.ready import Role, Save
from hraft.raft.state import RaftState

if TYPE_CHECKING:
    from hraft.simulation.life import Life
    from hraft.simulation.node import SimulatedNode

NAMES = (
    # Elections.
    "a leader was elected",
    "a leader was elected with an uncommitted tail",
    "a leader without a quorum stepped down",
    "a leader was deposed by a later term",
    "a candidate lost and stood again",
    "a candidate stepped down for the leader of its term",
    "a pre-vote was refused because a leader is heard",
    "a vote was refused",
    "a vote of an earlier term arrived late",
    "leadership was transferred",
    # The log.
    "an uncommitted tail was replaced",
    "a configuration was rolled back",
    "a truncation came while the save of what it drops was on its way",
    "a follower refused entries that do not fit its log",
    "a follower named a conflicting term",
    "entries arrived twice",
    "a leader committed ahead of its own disk",
    "a follower knew of a commit ahead of its own disk",
    # Snapshots.
    "a snapshot was taken",
    "a snapshot was installed",
    "a snapshot arrived while a save was on its way",
    "an installed snapshot kept the rest of the log",
    "an installed snapshot took the place of a longer log",
    "a snapshot of several chunks was sent",
    "a crash came while a snapshot was received",
    "a crash came while a snapshot was sent",
    # The disk.
    "a crash lost what was not synced",
    "a crash came in the midst of a save",
    "a crash came between a durable vote and its sending",
    "a torn tail was dropped",
    "a snapshot made the log void at a start",
    "the power went during a start",
    "a segment was removed",
    "a disk was full",
    "a disk was full and had room again",
    "a stalled disk cost leadership",
    "a failed fsync stopped a node",
    "a wiped disk came back under its old id",
    # Processes.
    "a paused leader found itself deposed",
    "all nodes were paused",
    "all nodes lost their power at once",
    # Members.
    "a configuration change was committed",
    "a node joined under faults",
    "a learner was promoted",
    "a node was removed",
    "a leader removed itself",
    "a change was refused because of another one",
    "members compared their states",
    # Clients.
    "a write went through a follower",
    "a read went through a follower",
    "a read waited for its index to be applied",
    "a read failed because the leader changed",
    "a write was dropped because another took its place",
    "a write was answered with unknown and done",
    "a write was answered with unknown and never done",
    "a compare-and-set was refused",
    "a repeated write got its first answer",
    "a client's session expired",
    "a read was answered by lease",
    "a lease was kept alive",
    "a lease expired",
    "a watcher went on at another node",
    "a watcher came too late",
)


class Marks:
    """How often each was hit in one world."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._transfer_targets: dict[str, int] = {}
        self._compared_counts: Counter[str] = Counter()

    def hit(self, name: str) -> None:
        if name not in _KNOWN:
            raise KeyError(f"{name!r} is not among the marks")
        self.counts[name] += 1

    # --- nodes -----------------------------------------------------------------------------------

    def looked_at_step(self, node: SimulatedNode, before: Facts | None, now: Facts, state: RaftState) -> None:
        """What one event did to a node."""
        if now.role is not (before.role if before else Role.FOLLOWER) or (before and now.hard_state != before.hard_state):
            self._role_changed(node, before, now, state)
        if state.commit_index > state.saving.persisted_index and (before is None or now.commit_index != before.commit_index):
            leads = state.leading is not None
            self.hit("a leader committed ahead of its own disk" if leads else "a follower knew of a commit ahead of its own disk")
        running = None if node.life is None else node.life.service._running
        if running is not None and running.reads._unapplied:
            self.hit("a read waited for its index to be applied")
        if running is not None and running.comparing.compared_count != self._compared_counts[node.node_id]:
            self._compared_counts[node.node_id] = running.comparing.compared_count
            self.hit("members compared their states")
        saving = state.saving
        install = saving._install
        if install is not None and before is not None and now.commit_index != before.commit_index:
            self._installed(before, install.keep_suffix, saving.in_flight)

    def _role_changed(self, node: SimulatedNode, before: Facts | None, now: Facts, state: RaftState) -> None:
        if now.role is Role.LEADER:
            self.hit("a leader was elected")
            if before is not None and before.last.index > before.commit_index:
                self.hit("a leader was elected with an uncommitted tail")
            if self._transfer_targets.get(node.node_id) == now.hard_state.term - 1:
                self.hit("leadership was transferred")
        if before is None:
            return
        same_term = now.hard_state.term == before.hard_state.term
        if before.role is Role.LEADER and now.role is Role.FOLLOWER:
            if not same_term:
                self.hit("a leader was deposed by a later term")
            elif state.is_disk_stalled:
                self.hit("a stalled disk cost leadership")
            elif not state.configuration.is_voter(node.node_id):
                self.hit("a leader removed itself")
            else:
                self.hit("a leader without a quorum stepped down")
        if before.role is Role.CANDIDATE and now.role in (Role.CANDIDATE, Role.PRE_CANDIDATE):
            self.hit("a candidate lost and stood again")
        if before.role is Role.CANDIDATE and now.role is Role.FOLLOWER and same_term and now.leader_id is not None:
            self.hit("a candidate stepped down for the leader of its term")

    def _installed(self, before: Facts, keep_suffix: bool, in_flight: Save | None) -> None:
        self.hit("a snapshot was installed")
        if in_flight is not None and in_flight.entries:
            self.hit("a snapshot arrived while a save was on its way")
        if keep_suffix:
            self.hit("an installed snapshot kept the rest of the log")
        elif before.last.index > before.commit_index:
            self.hit("an installed snapshot took the place of a longer log")

    def truncated(self, node: SimulatedNode, dropped: Sequence[Entry], state: RaftState) -> None:
        """A log lost these entries, to others or to a snapshot."""
        if state.snapshot_index >= dropped[0].index:
            return
        self.hit("an uncommitted tail was replaced")
        if any(entry.configuration is not None for entry in dropped):
            self.hit("a configuration was rolled back")
        in_flight = state.saving.in_flight
        if in_flight is not None and in_flight.entries and in_flight.entries[-1].index >= dropped[0].index:
            self.hit("a truncation came while the save of what it drops was on its way")

    # --- lives -----------------------------------------------------------------------------------

    def looked_at_crash(self, node: SimulatedNode, life: Life) -> None:
        """A node is about to crash."""
        job = life.writer.in_progress
        if job is not None and not node.is_stalled:
            self.hit("a crash came in the midst of a save")
        state = node.state
        saved = state.saving.persisted_hard_state
        for heard in life.writer.unheard:
            save = heard.arguments[0] if heard.arguments else None
            if isinstance(save, Save) and save.hard_state.voted_for is not None and save.hard_state != saved:
                self.hit("a crash came between a durable vote and its sending")
        running = life.service._running
        if running is not None and not running.receiving.is_idle:
            self.hit("a crash came while a snapshot was received")
        if running is not None and len(running.sending):
            self.hit("a crash came while a snapshot was sent")

    def looked_at_recovery(self, node: SimulatedNode, recovered: Recovered) -> None:
        """What a start found."""
        for note in recovered.notes:
            if "is not whole" in note:
                self.hit("a torn tail was dropped")
            if "takes their place" in note:
                self.hit("a snapshot made the log void at a start")

    # --- messages --------------------------------------------------------------------------------

    def sent(self, node: SimulatedNode, envelope: Envelope | ChunkEnvelope) -> None:
        """A message leaves."""
        message = envelope.message
        if isinstance(message, AppendEntriesResponse):
            if not message.success and message.prev_log_index:
                self.hit("a follower refused entries that do not fit its log")
                if message.conflict_term:
                    self.hit("a follower named a conflicting term")
        elif isinstance(message, PreVoteResponse):
            if not message.vote_granted and node.state.hears_leader:
                self.hit("a pre-vote was refused because a leader is heard")
        elif isinstance(message, RequestVoteResponse):
            if not message.vote_granted:
                self.hit("a vote was refused")
        elif isinstance(message, TimeoutNow):
            self._transfer_targets[envelope.to] = message.term
        elif isinstance(message, SnapshotChunk) and message.offset and message.data:
            self.hit("a snapshot of several chunks was sent")

    def arriving(self, node: SimulatedNode, envelope: Envelope | ChunkEnvelope) -> None:
        """A message is about to be heard."""
        message, state = envelope.message, node.state
        if isinstance(message, AppendEntries):
            if message.entries and message.term == state.term and message.entries[-1].index <= state.log.last_index:
                self.hit("entries arrived twice")
        elif isinstance(message, RequestVoteResponse) and message.vote_granted and message.term < state.term:
            self.hit("a vote of an earlier term arrived late")

    # --- clients ---------------------------------------------------------------------------------

    def failed(self, error: BaseException | None) -> None:
        """A client, or one who changes members, was told of an error."""
        words = str(error)
        if isinstance(error, ProposalDropped) and "was replaced by one of term" in words:
            self.hit("a write was dropped because another took its place")
        elif isinstance(error, ReadFailed) and "changed before" in words:
            self.hit("a read failed because the leader changed")
        elif isinstance(error, ChangeRefused) and "another configuration change" in words:
            self.hit("a change was refused because of another one")


_KNOWN = frozenset(NAMES)
