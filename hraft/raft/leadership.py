"""Leading: the first entry of a reign, whom it feeds, what it takes in, and when it is over (Sections 3.5, 4.2.2, 6.4)."""

from __future__ import annotations

from hraft.errors import NotLeader, ProposalDropped, ReadFailed
from hraft.raft import replication
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryId, EntryKind
from hraft.raft.progress import CatchUp, Progress
from hraft.raft.ready import Role
from hraft.raft.state import Leading, RaftState


def become_leader(state: RaftState) -> None:
    """Won: begin with a no-op, so that what earlier leaders left can be committed without a client's help (L3)."""
    state.role = Role.LEADER
    state.leader_id = state.node_id
    state.campaign = None
    state.ticks_since_leader = 0
    next_index = state.log.last_index + 1
    leading = state.leading = Leading(noop_index=next_index)
    leading.uncommitted_bytes = sum(
        entry.size_bytes for entry in state.log.between(max(state.commit_index, state.log.base.index) + 1, state.log.last_index)
    )
    follow_configuration(state, leading)
    append(state, leading, EntryKind.NOOP)
    replication.heartbeat(state, leading)


def follow_configuration(state: RaftState, leading: Leading) -> None:
    """Track exactly the other members of the configuration in force; learners have to catch up (Section 4.2.1)."""
    configuration = state.configuration
    for gone in [peer for peer in leading.progress if not configuration.is_member(peer)]:
        del leading.progress[gone]
    for peer in configuration.members:
        if peer == state.node_id:
            continue
        if peer not in leading.progress:
            leading.progress[peer] = Progress(state.log.last_index + 1, state.settings)
        progress = leading.progress[peer]
        if configuration.is_voter(peer):
            progress.catch_up = None
        elif progress.catch_up is None:
            progress.catch_up = CatchUp(round_end_index=state.log.last_index)
    # Fewer may be enough now, and those who are gone will not answer any more.
    replication.answer_reads(state, leading)


def append(
    state: RaftState,
    leading: Leading,
    kind: EntryKind,
    command: bytes = b"",
    configuration: Configuration | None = None,
) -> EntryId:
    """Append one entry of this reign."""
    entry = Entry(state.log.last_index + 1, state.term, kind, command, configuration)
    state.append(entry)
    leading.uncommitted_bytes += entry.size_bytes
    return EntryId(entry.term, entry.index)


def propose(state: RaftState, command: bytes) -> EntryId:
    """Append a client's command. Raises NotLeader, or ProposalDropped where taking it in would be wrong now."""
    leading = state.leading
    if leading is None:
        raise NotLeader(state.leader_id)
    if leading.transfer is not None:
        raise ProposalDropped(f"leadership is being handed over to {leading.transfer.target}")
    if not state.configuration.is_voter(state.node_id):
        raise ProposalDropped("this leader is being removed from the cluster")
    settings = state.settings
    uncommitted_count = state.log.last_index - state.commit_index
    if uncommitted_count >= settings.uncommitted_entries_count or leading.uncommitted_bytes >= settings.uncommitted_bytes:
        raise ProposalDropped(
            f"{uncommitted_count} entries ({leading.uncommitted_bytes} bytes) wait to be committed already; "
            "the cluster cannot keep up"
        )
    return append(state, leading, EntryKind.COMMAND, command)


def read_index(state: RaftState, read_id: int) -> None:
    """Ask for a linearizable read. Raises NotLeader, or ReadFailed when too many wait already."""
    leading = state.leading
    if leading is None:
        raise NotLeader(state.leader_id)
    if leading.reads.count >= state.settings.waiting_reads_count:
        raise ReadFailed(f"{leading.reads.count} reads wait to be confirmed already")
    leading.reads.ask(read_id)


def committed(state: RaftState, leading: Leading) -> None:
    """After the commit index moved: a leader that is no longer a member is done (Section 4.2.2, M10)."""
    if state.is_configuration_committed and not state.configuration.is_voter(state.node_id):
        replication.heartbeat(state, leading)
        state.become_follower(state.term, None)
