"""Each tick of a leader: who is still there, who must be spoken to, what goes on (Sections 3.5, 6.2)."""

from __future__ import annotations

from hraft.raft import membership, quorum, replication, transfer
from hraft.raft.state import Leading, RaftState


def tick(state: RaftState, leading: Leading) -> None:
    """One tick of a leader."""
    for progress in leading.progress.values():
        progress.tick()
    if state.is_disk_stalled or not _hears_majority(state, leading):
        state.become_follower(state.term, None)
        return
    transfer.tick(state, leading)
    membership.promote_who_caught_up(state, leading)
    leading.ticks += 1
    if leading.ticks % state.settings.heartbeat_interval_ticks == 0:
        leading.reads.begin_round()
        replication.heartbeat(state, leading)
    else:
        replication.announce_commit(state, leading)


def _hears_majority(state: RaftState, leading: Leading) -> bool:
    """Check quorum: a leader that cannot hear a majority for an election timeout cannot lead (Section 6.2, E16)."""
    heard = {peer for peer, progress in leading.progress.items() if progress.is_active} | {state.node_id}
    return quorum.is_majority(heard, state.configuration.voters)
