"""One Raft node: events in (`tick`, `step`, `propose`, `saved`, ...), a `Ready` out.

Deterministic: the same calls and the same `choose` give the same Readys. The term rule of Section 3.3 stands here once, in
front of the dispatch; what each message means is in election, following and replication.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hraft.errors import BadMessage
from hraft.raft import election, following, leadership, membership, reign, replication, transfer
from hraft.raft.configuration import Configuration
from hraft.raft.entry import NOTHING_PROMISED, ORIGIN, Entry, EntryId, EntryKind, HardState, Snapshot
from hraft.raft.invariants import require
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Envelope,
    InstallSnapshot,
    InstallSnapshotResponse,
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
    demand,
)
from hraft.raft.ready import Ready, Save
from hraft.raft.settings import Settings
from hraft.raft.state import RaftState
from hraft.raft.view import RaftView

#: At most so many entries to apply in one Ready: after a restart a whole log is committed at once.
_COMMITTED_ENTRIES_COUNT = 4096


def bootstrap_save(node_id: str, address: str) -> Save:
    """The first step of a new cluster of one: entry 1 is its configuration. Saved once, before the node is made."""
    first = Entry(1, 1, EntryKind.CONFIGURATION, configuration=Configuration(voters={node_id: address}))
    return Save(number=0, hard_state=HardState(term=1), entries=(first,))


class RaftNode(RaftView):
    """The pure core. Carry out each `ready()` before the next event; see `hraft.raft.ready` for the order."""

    def __init__(
        self,
        node_id: str,
        settings: Settings,
        choose: Callable[[int, int], int],
        hard_state: HardState = NOTHING_PROMISED,
        snapshot: Snapshot | None = None,
        base: EntryId = ORIGIN,
        entries: Sequence[Entry] = (),
    ) -> None:
        """Begin from what was recovered. `choose(low, high)` is any integer in [low, high]: the only chance there is."""
        super().__init__(RaftState(node_id, settings, choose, hard_state, snapshot, base, entries))

    # --- events ----------------------------------------------------------------------------------

    def tick(self) -> None:
        """One tick of time went by."""
        state = self.state
        state.saving.ticks_in_flight += 1
        if state.leading is not None:
            reign.tick(state, state.leading)
        else:
            election.tick(state)

    def step(self, envelope: Envelope) -> str | None:
        """Take in one message from a peer. Never raises for what it may contain: returns why it was dropped, or None."""
        state = self.state
        if envelope.to != state.node_id or envelope.sender == state.node_id:
            return f"a message from {envelope.sender} to {envelope.to} came to {state.node_id}"
        try:
            self._step(envelope.sender, envelope.message)
        except BadMessage as reason:
            return str(reason)
        return None

    def _step(self, sender: str, message: Message) -> None:
        state = self.state
        demand(message.term > 0, f"term {message.term} is no term")
        if isinstance(message, PreVote):
            election.on_pre_vote(state, sender, message)
            return
        if isinstance(message, PreVoteResponse):
            election.on_pre_vote_response(state, sender, message)
            return
        if isinstance(message, RequestVote) and not message.leadership_transfer and state.hears_leader:
            return  # Leader stickiness: not even the term is looked at (Section 4.2.3, E17).
        if message.term > state.term:
            is_from_leader = isinstance(message, (AppendEntries, InstallSnapshot))
            state.become_follower(message.term, sender if is_from_leader else None)
        elif message.term < state.term:
            self._step_stale(sender, message)
            return
        self._dispatch(sender, message)
        if state.leading is not None:
            self._led()

    def _step_stale(self, sender: str, message: Message) -> None:
        """A message of an earlier term: requests are refused with our term, answers are never counted (E4, L23)."""
        if isinstance(message, (AppendEntries, InstallSnapshot)):
            following.refuse_stale(self.state, sender, message)
        elif isinstance(message, RequestVote):
            self.state.outbox.send(sender, RequestVoteResponse(self.state.term, False))

    def _dispatch(self, sender: str, message: Message) -> None:
        state = self.state
        match message:
            case AppendEntries():
                following.on_append_entries(state, sender, message)
            case AppendEntriesResponse():
                replication.on_append_entries_response(state, sender, message)
            case RequestVote():
                election.on_request_vote(state, sender, message)
            case RequestVoteResponse():
                election.on_request_vote_response(state, sender, message)
            case InstallSnapshot():
                following.on_install_snapshot(state, sender, message)
            case InstallSnapshotResponse():
                replication.on_install_snapshot_response(state, sender, message)
            case TimeoutNow():
                election.on_timeout_now(state, sender, message)

    def _led(self) -> None:
        """What a leader looks at after every event that may have moved something."""
        state = self.state
        if state.leading is not None:
            transfer.advance(state, state.leading)
            leadership.committed(state, state.leading)

    def propose(self, command: bytes) -> EntryId:
        """Append a command (one JSON text on one line). Raises NotLeader, ProposalDropped: then nothing was done."""
        return leadership.propose(self.state, command)

    def read_index(self, read_id: int) -> None:
        """Ask for a linearizable read; the answer comes in `Ready.reads`. Raises NotLeader, ReadFailed."""
        leadership.read_index(self.state, read_id)

    def add_learner(self, node_id: str, address: str, is_replica: bool = False) -> EntryId | None:
        """Take a node in, or change a member's address; None when it is so already. Raises NotLeader, ChangeRefused."""
        return membership.add_learner(self.state, node_id, address, is_replica)

    def promote(self, node_id: str) -> EntryId | None:
        """Make a voter of a learner that has caught up; None when it is one. Raises NotLeader, ChangeRefused."""
        return membership.promote(self.state, node_id)

    def remove(self, node_id: str) -> EntryId:
        """Remove a member for ever. Raises NotLeader, ChangeRefused."""
        return membership.remove(self.state, node_id)

    def check_removal(self, node_id: str) -> None:
        """Raises as `remove` would, and does nothing."""
        membership.check_removal(self.state, node_id)

    def transfer(self, target: str | None = None) -> None:
        """Hand leadership over, to the voter that has most where no target is named. Raises NotLeader, ChangeRefused."""
        transfer.begin(self.state, target)

    def saved(self, number: int) -> None:
        """That save is durable. Any number but that of the save on its way is ignored."""
        state = self.state
        save = state.saving.saved(number)
        if save is None:
            return
        state.outbox.saved(number)
        election.own_vote_saved(state, save.hard_state)
        if state.leading is not None:
            replication.advance_commit(state, state.leading)
            self._led()

    def compacted(self, snapshot: Snapshot, first_index: int) -> None:
        """A snapshot of our own is durable; entries below `first_index` may go (S2). Ignored where a newer one is known (S15)."""
        state = self.state
        if snapshot.index <= state.snapshot_index:
            return
        require(snapshot.index <= state.applied_index, f"a snapshot at {snapshot.index} covers what is not applied")
        state.snapshot = snapshot
        state.configurations.compacted(snapshot)
        state.log.compact(min(first_index, snapshot.index + 1, state.saving.persisted_index + 1))

    def snapshot_failed(self, peer: str) -> None:
        """The snapshot could not be brought to `peer`."""
        replication.snapshot_failed(self.state, peer)

    # --- what to do ------------------------------------------------------------------------------

    def ready(self) -> Ready | None:
        """What to do now; None when there is nothing."""
        state = self.state
        if state.leading is not None:
            replication.confirm_leadership(state, state.leading)
            replication.broadcast(state, state.leading)
        save = state.saving.next_save(state.hard_state)
        send = state.outbox.take()
        restore, state.restore = state.restore, None
        committed = self._take_committed()
        reads, state.read_answers = tuple(state.read_answers), []
        if save is None and not send and restore is None and not committed and not reads:
            return None
        return Ready(save, send, restore, committed, reads)

    def _take_committed(self) -> tuple[Entry, ...]:
        state = self.state
        if state.applied_index == state.commit_index:
            return ()
        last_index = min(state.commit_index, state.applied_index + _COMMITTED_ENTRIES_COUNT)
        committed = state.log.between(state.applied_index + 1, last_index)
        state.applied_index = last_index
        return committed
