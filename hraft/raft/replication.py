"""The leader's side of the log: what each follower is sent, and what its answers mean (Sections 3.5, 5.1, 10.2.1)."""

from __future__ import annotations

from hraft.raft import quorum
from hraft.raft.entry import Entry, size_of
from hraft.raft.messages import AppendEntries, AppendEntriesResponse, InstallSnapshot, InstallSnapshotResponse, demand
from hraft.raft.progress import Progress, ProgressState
from hraft.raft.state import Leading, RaftState


def broadcast(state: RaftState, leading: Leading) -> None:
    """Send every follower what it may have: all that gathered in one turn goes in one message."""
    for peer, progress in leading.progress.items():
        _send_entries(state, leading, peer, progress)


def heartbeat(state: RaftState, leading: Leading) -> None:
    """Speak to everybody; also what unsticks a follower whose messages were lost."""
    for peer, progress in leading.progress.items():
        progress.is_probe_sent = False
        if progress.state is ProgressState.PROBE:
            _send_entries(state, leading, peer, progress)
        if progress.state is not ProgressState.PROBE or not progress.is_probe_sent:
            _send_empty(state, leading, peer, progress)


def announce_commit(state: RaftState, leading: Leading) -> None:
    """Tell followers that have nothing else coming how far the log is committed."""
    for peer, progress in leading.progress.items():
        is_fed = progress.state is ProgressState.REPLICATE and progress.is_active
        if is_fed and progress.told_commit_index < state.commit_index:
            _send_empty(state, leading, peer, progress)


def confirm_leadership(state: RaftState, leading: Leading) -> None:
    """Start the round that the waiting reads need, once this reign has committed something (R1)."""
    if not leading.reads.is_round_due or state.commit_index < leading.noop_index:
        return
    leading.reads.start_round(state.commit_index)
    for peer, progress in leading.progress.items():
        _send_empty(state, leading, peer, progress)
    answer_reads(state, leading)


def answer_reads(state: RaftState, leading: Leading) -> None:
    state.read_answers.extend(leading.reads.confirmed(state.configuration.voters, state.node_id))


def _send_entries(state: RaftState, leading: Leading, peer: str, progress: Progress) -> None:
    settings = state.settings
    if progress.next_index <= state.log.base.index:
        # Even where the window is full: no answer to what is in it would ever come, if it was lost.
        _send_snapshot(state, peer, progress)
        return
    while not (_has_been_sent_all(state, progress) or progress.is_paused):
        entries = state.log.slice(progress.next_index, settings.append_entries_count, settings.append_bytes)
        _send(state, leading, peer, progress.next_index - 1, entries)
        progress.sent(progress.next_index - 1 + len(entries), size_of(entries), state.commit_index)


def _has_been_sent_all(state: RaftState, progress: Progress) -> bool:
    """Only while streaming: a probe is sent where there are no entries, too."""
    return progress.next_index > state.log.last_index and progress.state is ProgressState.REPLICATE


def _send_empty(state: RaftState, leading: Leading, peer: str, progress: Progress) -> None:
    """A heartbeat. It carries the place just before `next_index`, so that a gap shows as a refusal.

    While a snapshot is on its way it carries the snapshot's place, so that its arrival shows as a success, even where
    the answer to it was lost.
    """
    is_snapshot = progress.state is ProgressState.SNAPSHOT
    prev_log_index = progress.snapshot_index if is_snapshot else progress.next_index - 1
    if prev_log_index < state.log.base.index or progress.is_wiped:
        prev_log_index = 0
    else:
        progress.told_commit_index = state.commit_index
    _send(state, leading, peer, prev_log_index, ())


def _send(state: RaftState, leading: Leading, peer: str, prev_log_index: int, entries: tuple[Entry, ...]) -> None:
    message = AppendEntries(
        term=state.term,
        prev_log_index=prev_log_index,
        prev_log_term=0 if prev_log_index == 0 else state.log.term_at(prev_log_index),
        entries=entries,
        leader_commit=state.commit_index,
        read_round=leading.reads.round,
    )
    state.outbox.send(peer, message)


def _send_snapshot(state: RaftState, peer: str, progress: Progress) -> None:
    """The next entry is compacted away. A peer that is not heard gets heartbeats only: a snapshot is dear."""
    if state.snapshot is None or progress.is_waiting or not progress.is_active:
        return
    progress.snapshot_sent(state.snapshot.index)
    state.outbox.send(peer, InstallSnapshot(state.term, state.snapshot))


def on_append_entries_response(state: RaftState, peer: str, response: AppendEntriesResponse) -> None:
    """A follower says how far it has come, or where its log parts from ours; either way it takes this node for its leader."""
    leading = state.leading
    if leading is None or peer not in leading.progress:
        return
    progress = leading.progress[peer]
    demand(response.match_index <= state.log.last_index, f"match index {response.match_index} is past the leader's log")
    demand(response.prev_log_index <= state.log.last_index, f"index {response.prev_log_index} is past the leader's log")
    demand(response.read_round <= leading.reads.round, f"read round {response.read_round} was never started")
    progress.ticks_since_contact = 0
    # A voter's log was never empty, and none ends before what it has persisted: that one forgot its promises (D19, D20).
    # A late answer may say so wrongly, until the next; one that asked before what is acknowledged since is late for sure.
    has_lost = response.last_log_index < max(progress.match_index, int(state.configuration.is_voter(peer)))
    is_timely = response.last_log_index == 0 or response.prev_log_index >= progress.match_index
    progress.is_wiped = has_lost and (progress.is_wiped or is_timely)
    if progress.is_wiped:
        return
    leading.reads.acknowledge(peer, response.read_round)
    answer_reads(state, leading)
    if response.success:
        _acknowledged(state, leading, peer, response.match_index, response.prev_log_index)
    elif progress.refused(response.prev_log_index, _next_index_after(state, response)):
        _send_entries(state, leading, peer, progress)


def on_install_snapshot_response(state: RaftState, peer: str, response: InstallSnapshotResponse) -> None:
    """A follower has a snapshot on disk: feed it from there."""
    leading = state.leading
    if leading is None or peer not in leading.progress:
        return
    demand(response.match_index <= state.log.last_index, f"match index {response.match_index} is past the leader's log")
    leading.progress[peer].ticks_since_contact = 0
    _acknowledged(state, leading, peer, response.match_index, response.match_index)


def snapshot_failed(state: RaftState, peer: str) -> None:
    """The transfer to `peer` ended without success; heartbeats will find out where it is."""
    leading = state.leading
    if leading is not None and peer in leading.progress:
        leading.progress[peer].snapshot_failed()


def _acknowledged(state: RaftState, leading: Leading, peer: str, match_index: int, prev_log_index: int) -> None:
    progress = leading.progress[peer]
    is_news = progress.acknowledged(match_index, prev_log_index, state.log.base.index)
    if is_news and state.configuration.is_voter(peer):
        advance_commit(state, leading)


def _next_index_after(state: RaftState, response: AppendEntriesResponse) -> int:
    """Where to try next: skips a whole conflicting term at a time (Section 3.5, L13)."""
    if response.conflict_term:
        ours = state.log.last_index_of_term(response.conflict_term, response.prev_log_index)
        if ours is not None:
            return ours + 1
    return response.conflict_index


def advance_commit(state: RaftState, leading: Leading) -> None:
    """Commit what a majority of the voters has persisted, this node's own disk among them (L4).

    Only an entry of the present term is committed by counting (Section 3.6.2, L1); those before it come along (L2).
    """
    match_indexes = [
        state.saving.persisted_index if voter == state.node_id else leading.progress[voter].match_index
        for voter in state.configuration.voters
    ]
    index = quorum.committed_index(match_indexes)
    if index <= state.commit_index or state.log.term_at(index) != state.term:
        return
    leading.uncommitted_bytes -= size_of(state.log.between(state.commit_index + 1, index))
    state.commit_up_to(index)
