"""What one Raft node says of itself: its role, its log, and as a leader what may be concluded from the answers of the others.

Looks, and changes nothing; what it does with events is in `hraft.raft.node`.
"""

from __future__ import annotations

from hraft.raft.configuration import Configuration
from hraft.raft.ready import FollowerStatus, NodeStatus, Role
from hraft.raft.state import RaftState


class RaftView:
    """One node, as it is between two events."""

    def __init__(self, state: RaftState) -> None:
        self.state = state

    @property
    def role(self) -> Role:
        return self.state.role

    @property
    def current_term(self) -> int:
        return self.state.term

    @property
    def leader_id(self) -> str | None:
        return self.state.leader_id

    @property
    def commit_index(self) -> int:
        return self.state.commit_index

    @property
    def last_index(self) -> int:
        return self.state.log.last_index

    @property
    def read_round(self) -> int:
        """(leader) The last round of heartbeats that began; what left with an earlier `Ready` is of no later one."""
        return 0 if self.state.leading is None else self.state.leading.reads.round

    @property
    def confirmed_round(self) -> int:
        """(leader) The last round that a majority has answered, so that until it began nobody else was elected."""
        state = self.state
        return 0 if state.leading is None else state.leading.reads.confirmed_round(state.configuration.voters, state.node_id)

    @property
    def may_hold_lease(self) -> bool:
        """(leader) Whether those who answer keep everybody else from being elected for an election timeout (Section 6.4.1).

        Only once this reign has committed an entry; not when leadership may have been handed over in it, which stickiness
        does not stop; nor for a leader that is being removed, which the last voter need not hear.
        """
        state, leading = self.state, self.state.leading
        if leading is None or leading.has_handed_over or state.commit_index < leading.noop_index:
            return False
        return state.configuration.is_voter(state.node_id)

    @property
    def configuration(self) -> Configuration:
        return self.state.configuration

    @property
    def is_configuration_committed(self) -> bool:
        return self.state.is_configuration_committed

    @property
    def forgetful_peers(self) -> tuple[str, ...]:
        """(leader) Followers whose logs end before what they had acknowledged: their disks lost something (D19, D20)."""
        leading = self.state.leading
        return () if leading is None else tuple(peer for peer, progress in leading.progress.items() if progress.is_wiped)

    def configuration_at(self, index: int) -> Configuration:
        """The configuration as of an applied index, for a snapshot there."""
        return self.state.configurations.at(index)

    def term_at(self, index: int) -> int:
        """The term of an entry in the log or at its base. Raises Compacted, IndexError."""
        return self.state.log.term_at(index)

    def first_index_to_keep(self, kept_entries_count: int, kept_bytes: int, snapshot_index: int) -> int:
        """Where the log may begin behind a snapshot at `snapshot_index` when so much of it is to be kept."""
        return self.state.log.first_index_to_keep(snapshot_index, kept_entries_count, kept_bytes)

    def status(self) -> NodeStatus:
        """One look at this node; nothing in it changes later."""
        state = self.state
        progress = {} if state.leading is None else state.leading.progress
        return NodeStatus(
            node_id=state.node_id,
            role=state.role,
            term=state.term,
            leader_id=state.leader_id,
            last=state.log.last,
            first_index=state.log.first_index,
            snapshot_index=state.snapshot_index,
            persisted_index=state.saving.persisted_index,
            commit_index=state.commit_index,
            applied_index=state.applied_index,
            configuration=state.configuration,
            configuration_committed=state.is_configuration_committed,
            followers={
                peer: FollowerStatus(
                    match_index=p.match_index,
                    next_index=p.next_index,
                    progress="wiped" if p.is_wiped else p.state.value,
                    ticks_since_contact=p.ticks_since_contact,
                )
                for peer, p in progress.items()
            },
        )
