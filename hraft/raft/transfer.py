"""Leadership transfer (Section 3.10): bring the target up to date, tell it to campaign at once, give up in time."""

from __future__ import annotations

from hraft.errors import ChangeRefused, NotLeader
from hraft.raft.messages import TimeoutNow
from hraft.raft.state import Leading, RaftState, Transfer


def begin(state: RaftState, target: str | None) -> None:
    """Hand over to `target`, or to the voter that has most. Raises NotLeader, ChangeRefused (T3, T6)."""
    leading = state.leading
    if leading is None:
        raise NotLeader(state.leader_id)
    if leading.transfer is not None:
        raise ChangeRefused(f"leadership is being handed over to {leading.transfer.target} already", temporary=True)
    if target == state.node_id:
        raise ChangeRefused(f"{target!r} leads already")
    if target is None:
        candidates = [peer for peer, p in leading.progress.items() if p.is_active and state.configuration.is_voter(peer)]
        if not candidates:
            raise ChangeRefused("no other voter can be heard", temporary=True)
        target = max(candidates, key=lambda peer: leading.progress[peer].match_index)
    if not state.configuration.is_voter(target):
        raise ChangeRefused(f"{target!r} is not a voter of this cluster")
    leading.transfer = Transfer(target)
    leading.has_handed_over = True
    advance(state, leading)


def advance(state: RaftState, leading: Leading) -> None:
    """Tell the target once it has, on disk, all that the leader has (T1)."""
    handing_over = leading.transfer
    if handing_over is None or handing_over.is_told or handing_over.target not in leading.progress:
        return
    progress = leading.progress[handing_over.target]
    # What a wiped target once had it has no more: it would not stand, and writes would wait for nothing (D19).
    if progress.match_index == state.log.last_index and not progress.is_wiped:
        handing_over.is_told = True
        state.outbox.send(handing_over.target, TimeoutNow(state.term))


def tick(state: RaftState, leading: Leading) -> None:
    """Ask again now and then; after an election timeout give up and serve clients again (T1)."""
    handing_over = leading.transfer
    if handing_over is None:
        return
    handing_over.ticks += 1
    if handing_over.ticks >= state.settings.election_timeout_ticks or handing_over.target not in leading.progress:
        leading.transfer = None
        return
    if handing_over.ticks % state.settings.heartbeat_interval_ticks == 0:
        handing_over.is_told = False
    advance(state, leading)
