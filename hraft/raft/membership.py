"""Changing the configuration, one voter at a time (Section 4.1): what is refused, and when a learner is promoted."""

from __future__ import annotations

from hraft.errors import ChangeRefused, NotLeader
from hraft.raft import leadership, quorum
from hraft.raft.configuration import Configuration
from hraft.raft.entry import EntryId, EntryKind
from hraft.raft.state import Leading, RaftState


def add_learner(state: RaftState, node_id: str, address: str) -> EntryId | None:
    """Take a node in as a learner, or give a member a new address; None when it is so already (M20)."""
    leading = _leading(state)
    if state.configuration.members.get(node_id) == address:
        return None
    changed = state.configuration.with_learner(node_id, address)
    return _change(state, leading, changed)


def remove(state: RaftState, node_id: str) -> EntryId:
    """Remove a member for ever. Refused when too few of those who stay are heard to carry on (M9)."""
    leading = _leading(state)
    changed = state.configuration.without(node_id)
    heard = {peer for peer, progress in leading.progress.items() if progress.is_active} | {state.node_id}
    if not quorum.is_majority(heard, changed.voters):
        silent = sorted(voter for voter in changed.voters if voter not in heard)
        reason = f"without {node_id!r} the cluster would have no quorum: {', '.join(silent)} cannot be heard"
        raise ChangeRefused(reason, temporary=True)
    return _change(state, leading, changed)


def promote_who_caught_up(state: RaftState, leading: Leading) -> None:
    """Follow each learner's rounds, and promote one that is near enough, if a change is possible now (Section 4.2.1)."""
    for progress in leading.progress.values():
        rounds = progress.catch_up
        if rounds is None or progress.match_index < rounds.round_end_index:
            continue
        rounds.is_done = rounds.ticks <= state.settings.election_timeout_ticks
        rounds.round_end_index, rounds.ticks = state.log.last_index, 0
    if _reason_to_wait(state, leading) is not None:
        return
    for peer, progress in leading.progress.items():
        rounds = progress.catch_up
        is_near = rounds is not None and rounds.is_done and rounds.ticks <= state.settings.election_timeout_ticks
        if is_near and progress.is_active:
            _change(state, leading, state.configuration.with_voter(peer))
            return


def _leading(state: RaftState) -> Leading:
    if state.leading is None:
        raise NotLeader(state.leader_id)
    return state.leading


def _reason_to_wait(state: RaftState, leading: Leading) -> str | None:
    """Why no change is possible now: one at a time (M1), none before this reign has committed something (M2)."""
    if state.commit_index < leading.noop_index:
        return "this leader has not yet committed an entry of its own term"
    if not state.is_configuration_committed:
        return "another configuration change is not yet committed"
    if leading.transfer is not None:
        return f"leadership is being handed over to {leading.transfer.target}"
    return None


def _change(state: RaftState, leading: Leading, changed: Configuration) -> EntryId:
    """Append a configuration; it is in force at once (M3)."""
    reason = _reason_to_wait(state, leading)
    if reason is not None:
        raise ChangeRefused(reason, temporary=True)
    entry_id = leadership.append(state, leading, EntryKind.CONFIGURATION, configuration=changed)
    leadership.follow_configuration(state, leading)
    return entry_id
