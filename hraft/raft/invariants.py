"""What must always hold, as running code. The names are the dissertation's (Figure 3.2) and the glossary's.

`check_state` judges one node at rest, `check_step` what one event did to it. Tests and the simulator call both after
every event; `require` also guards single lines of the core in production, where a broken invariant stops the node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hraft.raft.entry import EntryId, HardState
from hraft.raft.ready import Role

if TYPE_CHECKING:
    from hraft.raft.state import RaftState


class InvariantBroken(AssertionError):
    """A programmer's error or a lying disk: the node must stop, since nothing it says can be trusted."""


def require(holds: bool, what: str) -> None:
    """Raise InvariantBroken unless `holds`. Never compiled away, unlike `assert`."""
    if not holds:
        raise InvariantBroken(what)


@dataclass(frozen=True, slots=True)
class Facts:
    """What `check_step` compares."""

    hard_state: HardState
    role: Role
    leader_id: str | None
    commit_index: int
    applied_index: int
    last: EntryId
    match_indexes: dict[str, int]


def facts(state: RaftState) -> Facts:
    """What `check_step` needs to know of a node before and after an event."""
    leading = state.leading
    return Facts(
        hard_state=state.hard_state,
        role=state.role,
        leader_id=state.leader_id,
        commit_index=state.commit_index,
        applied_index=state.applied_index,
        last=state.log.last,
        match_indexes={} if leading is None else {peer: p.match_index for peer, p in leading.progress.items()},
    )


def check_state(state: RaftState) -> None:
    """Raise InvariantBroken where this is no legal state of a node."""
    log = state.log
    if not state.applied_index <= state.commit_index <= log.last_index:
        indexes = f"applied {state.applied_index} <= commit {state.commit_index} <= last {log.last_index}"
        raise InvariantBroken(f"{indexes} does not hold")
    require(state.saving.persisted_index <= log.last_index, "more is persisted than the log holds")
    require(log.base.index <= state.snapshot_index or log.base.index == 0, "the log begins after the snapshot ends")
    require((state.leading is not None) == (state.role is Role.LEADER), "leader-only state outlives leading")
    campaigning = state.role in (Role.PRE_CANDIDATE, Role.CANDIDATE)
    require((state.campaign is not None) == campaigning, "campaign state outlives campaigning")
    if state.role is Role.CANDIDATE:
        require(state.hard_state.voted_for == state.node_id, "a candidate has not voted for itself")
    if state.leading is not None:
        require(state.leader_id == state.node_id, "a leader takes another node for the leader")
        for peer, progress in state.leading.progress.items():
            match_index, next_index = progress.match_index, progress.next_index
            if not 0 <= match_index < next_index <= log.last_index + 1:
                raise InvariantBroken(f"0 <= match {match_index} < next {next_index} <= last + 1 does not hold for {peer}")
    state.configurations.current.check()
    require(state.configurations.current_index <= log.last_index, "the configuration in force is not in the log")


def check_step(before: Facts, after: Facts) -> None:
    """Raise InvariantBroken where no event may lead from the one to the other."""
    require(after.hard_state.term >= before.hard_state.term, "the term fell")
    require(after.commit_index >= before.commit_index, "the commit index fell")
    require(after.applied_index >= before.applied_index, "the applied index fell")
    if after.hard_state.term != before.hard_state.term:
        return
    if before.hard_state.voted_for is not None:
        require(after.hard_state.voted_for == before.hard_state.voted_for, "two votes in one term (Section 3.4)")
    if before.role is Role.LEADER and after.role is Role.LEADER:
        require(after.last >= before.last, "a leader dropped entries of its own log (Leader Append-Only)")
        for peer, match_index in before.match_indexes.items():
            if peer in after.match_indexes:
                require(after.match_indexes[peer] >= match_index, f"the match index of {peer} fell (L8)")
    if before.role is Role.LEADER and after.role is not Role.LEADER:
        require(after.role is Role.FOLLOWER, "a leader became a candidate without stepping down")
