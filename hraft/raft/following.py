"""The follower's side of the log: what a leader sends, and what is answered (Sections 3.5, 5.1)."""

from __future__ import annotations

from hraft.errors import BadMessage
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryId, EntryKind
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    demand,
)
from hraft.raft.ready import Install
from hraft.raft.state import RaftState


def heard_leader(state: RaftState, leader: str) -> None:
    """A message of the present term's leader came: whoever campaigned in this term lost (Section 3.4)."""
    if state.leading is not None:
        demand(False, f"{leader} claims to lead term {state.term}, which this node leads")
    if state.campaign is not None or state.leader_id != leader:
        state.become_follower(state.term, leader)
    state.ticks_since_leader = 0
    state.election_ticks = 0


def on_append_entries(state: RaftState, leader: str, request: AppendEntries) -> None:
    """Take in what continues this log, or say where it does not (Section 3.5)."""
    _check(state, request)
    heard_leader(state, leader)
    prev = EntryId(request.prev_log_term, request.prev_log_index)
    if prev.index >= state.log.base.index and not state.log.holds(prev):
        _refuse(state, leader, request)
        return
    # What lies at or below the base is in the snapshot: it is there already (L11, L12).
    base = state.log.base
    demand(all(entry.id == base for entry in request.entries if entry.index == base.index), f"{base} is another entry here")
    _append(state, [entry for entry in request.entries if entry.index > base.index])
    last_sent_index = request.prev_log_index + len(request.entries)
    state.commit_up_to(min(request.leader_commit, last_sent_index))  # L7
    _accept(state, leader, request, last_sent_index)


def _check(state: RaftState, request: AppendEntries) -> None:
    """Refuse what no leader says, so that the rest may rely on it (L15, L16)."""
    demand(request.prev_log_index >= 0 and request.leader_commit >= 0, "an index is negative")
    index, term = request.prev_log_index, request.prev_log_term
    demand(term <= request.term, f"term {term} is later than the leader's")
    for entry in request.entries:
        # Not by `demand`: to put into words what is right costs more than to look.
        if entry.index != index + 1:
            raise BadMessage(f"entry {entry.index} follows {index}")
        if not term <= entry.term <= request.term:
            raise BadMessage(f"entry {entry.index} has term {entry.term}")
        if (entry.kind is EntryKind.CONFIGURATION) != (entry.configuration is not None):
            raise BadMessage(f"entry {entry.index} is no {entry.kind.value}")
        if entry.configuration is not None:
            _check_configuration(state, entry.configuration)
        index, term = entry.index, entry.term


def _check_configuration(state: RaftState, configuration: Configuration) -> None:
    """A voter caught up before it became one, so one whose log is empty has lost its disk: it takes nothing in (D19)."""
    is_wiped = state.log.last_index == 0 and configuration.is_voter(state.node_id)
    demand(not is_wiped, f"{state.node_id} is a voter, but its log is empty: remove it, and join it again under a new id")
    try:
        configuration.check()
    except ValueError as reason:
        raise BadMessage(str(reason)) from None


def _append(state: RaftState, entries: list[Entry]) -> None:
    """Skip what is there, drop what truly conflicts, append the rest. A late, shorter message drops nothing (L9, L10)."""
    log = state.log
    for position, entry in enumerate(entries):
        if entry.index <= log.last_index:
            if log.term_at(entry.index) == entry.term:
                continue
            demand(entry.index > state.commit_index, f"entry {entry.index} would replace a committed one")
            log.truncate_from(entry.index)
            state.saving.truncated(entry.index)
            state.configurations.truncated(entry.index)
        for new in entries[position:]:
            state.append(new)
        return


def _accept(state: RaftState, leader: str, request: AppendEntries, last_sent_index: int) -> None:
    """Success, for what is persisted. A heartbeat is answered at once, for as much as the disk has (L6)."""
    if request.entries:
        state.vouch(leader, _response(state, request, success=True, match_index=last_sent_index))
        return
    match_index = min(last_sent_index, state.saving.persisted_index)
    answer = _response(state, request, success=True, match_index=match_index)
    if state.saving.persisted_hard_state == state.hard_state:
        state.outbox.send(leader, answer)
    else:
        state.vouch(leader, answer)


def _refuse(state: RaftState, leader: str, request: AppendEntries) -> None:
    """Say where the leader may jump back to: past a log that is too short, or over the whole conflicting term (L13)."""
    if request.prev_log_index > state.log.last_index:
        conflict_index, conflict_term = state.log.last_index + 1, 0
    else:
        conflict_term = state.log.term_at(request.prev_log_index)
        conflict_index = state.log.first_index_of_term_at(request.prev_log_index)
    answer = _response(state, request, success=False, conflict_index=conflict_index, conflict_term=conflict_term)
    state.outbox.send(leader, answer)


def _response(
    state: RaftState,
    request: AppendEntries,
    success: bool,
    match_index: int = 0,
    conflict_index: int = 0,
    conflict_term: int = 0,
) -> AppendEntriesResponse:
    return AppendEntriesResponse(
        term=state.term,
        success=success,
        prev_log_index=request.prev_log_index,
        match_index=match_index,
        conflict_index=conflict_index,
        conflict_term=conflict_term,
        last_log_index=state.log.last_index,
        read_round=request.read_round,
    )


def refuse_stale(state: RaftState, leader: str, request: AppendEntries | InstallSnapshot) -> None:
    """A leader of an earlier term learns of ours, or a node stuck at a later term could never join in (E15)."""
    prev_log_index = request.prev_log_index if isinstance(request, AppendEntries) else 0
    answer = AppendEntriesResponse(state.term, False, prev_log_index, last_log_index=state.log.last_index)
    state.outbox.send(leader, answer)


def on_install_snapshot(state: RaftState, leader: str, request: InstallSnapshot) -> None:
    """A whole snapshot has arrived. The log's suffix stays only if it continues the snapshot (Section 5.1, S4)."""
    snapshot = request.snapshot
    demand(snapshot.index > 0 and 0 < snapshot.term <= request.term, f"no entry can be {snapshot.id}")
    _check_configuration(state, snapshot.configuration)
    heard_leader(state, leader)
    if state.saving.installs:
        return  # One at a time; the leader asks again (S13).
    if snapshot.index <= state.commit_index:
        state.vouch(leader, InstallSnapshotResponse(state.term, state.commit_index))
        return
    is_continued = state.log.holds(snapshot.id)
    keep_suffix = is_continued and state.saving.handed_index >= snapshot.index
    if is_continued:
        state.log.compact(snapshot.index + 1)
        state.configurations.compacted(snapshot)
    else:
        state.log.reset(snapshot.id)
        state.configurations.reset(snapshot)
    state.saving.installed(Install(snapshot, keep_suffix))
    state.snapshot = state.restore = snapshot
    state.commit_index = state.applied_index = snapshot.index
    state.vouch(leader, InstallSnapshotResponse(state.term, snapshot.index))
