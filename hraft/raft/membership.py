"""Changing the configuration, one voter at a time (Section 4.1): what is refused, and when a learner is promoted.

remove      who stays must be a quorum that is heard, and near enough to commit at once (M9)
promote     a learner that has caught up (M7): by itself, or by hand where it is a replica
"""

from __future__ import annotations

from hraft.errors import ChangeRefused, NotLeader
from hraft.limits import CAUGHT_UP_ENTRIES_COUNT
from hraft.raft import leadership, quorum
from hraft.raft.configuration import Configuration
from hraft.raft.entry import EntryId, EntryKind
from hraft.raft.progress import Progress, ProgressState
from hraft.raft.state import Leading, RaftState


def add_learner(state: RaftState, node_id: str, address: str, is_replica: bool = False) -> EntryId | None:
    """Take a node in as a learner, or give a member a new address; None when it is so already (M20)."""
    leading = _leading(state)
    changed = state.configuration.with_learner(node_id, address, is_replica)
    if changed == state.configuration:
        return None
    return _change(state, leading, changed)


def remove(state: RaftState, node_id: str) -> EntryId:
    """Remove a member for ever. Refused when too few of those who stay are heard and caught up to carry on (M9)."""
    changed = check_removal(state, node_id)
    return _change(state, _leading(state), changed)


def check_removal(state: RaftState, node_id: str) -> Configuration:
    """What would be left; raises as `remove` does."""
    leading = _leading(state)
    _check_possible(state, leading)
    changed = state.configuration.without(node_id)
    in_the_way = {
        voter: reason
        for voter in changed.voters
        if voter != state.node_id and (reason := _reason_not_to_count(state, leading.progress[voter])) is not None
    }
    if not quorum.is_majority(changed.voters.keys() - in_the_way.keys(), changed.voters):
        told = ", ".join(f"{voter} {reason}" for voter, reason in sorted(in_the_way.items()))
        raise ChangeRefused(f"without {node_id!r} the cluster would have no quorum: {told}", temporary=True)
    return changed


def promote(state: RaftState, node_id: str) -> EntryId | None:
    """Make a voter of a learner, by hand; None when it is one. Refused while it would hold up every commit (M7)."""
    leading = _leading(state)
    if state.configuration.is_voter(node_id):
        return None
    _check_possible(state, leading)
    changed = state.configuration.with_voter(node_id)
    progress = leading.progress[node_id]
    if not _is_near(state, progress):
        lag_count = state.log.last_index - progress.match_index
        reason = "" if progress.is_active else "; it cannot be heard"
        raise ChangeRefused(f"{node_id!r} has not caught up: it lacks {lag_count} of the entries{reason}", temporary=True)
    return _change(state, leading, changed)


def _reason_not_to_count(state: RaftState, progress: Progress) -> str | None:
    """Why a voter could not help to commit, at once, what comes next."""
    if not progress.is_active:
        return "cannot be heard"
    lag_count = state.log.last_index - progress.match_index
    if progress.state is not ProgressState.REPLICATE or lag_count > CAUGHT_UP_ENTRIES_COUNT:
        return f"lacks {lag_count} entries"
    if progress.ticks_without_progress >= state.settings.election_timeout_ticks:
        return "saves nothing of what it is sent"
    return None


def _is_near(state: RaftState, progress: Progress) -> bool:
    """Whether a learner's last round was quick, and its present one is (Section 4.2.1)."""
    rounds = progress.catch_up
    return rounds is not None and rounds.is_done and rounds.ticks <= state.settings.election_timeout_ticks and progress.is_active


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
        if peer not in state.configuration.replicas and _is_near(state, progress):
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


def _check_possible(state: RaftState, leading: Leading) -> None:
    reason = _reason_to_wait(state, leading)
    if reason is not None:
        raise ChangeRefused(reason, temporary=True)


def _change(state: RaftState, leading: Leading, changed: Configuration) -> EntryId:
    """Append a configuration; it is in force at once (M3)."""
    _check_possible(state, leading)
    entry_id = leadership.append(state, leading, EntryKind.CONFIGURATION, configuration=changed)
    leadership.follow_configuration(state, leading)
    return entry_id
