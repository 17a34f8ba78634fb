"""All the parts of a started node, and who tells whom: the wiring, and what follows when the leader or the members change.

`NodeService` is its face; each part's own rules are in its own file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hraft.codec import check_command
from hraft.errors import NotLeader
from hraft.interfaces import ChunkEnvelope, ReadLevel, Receivers, Recovered, SnapshotChunk, StateMachine
from hraft.questions import Request
from hraft.raft.configuration import Configuration
from hraft.raft.messages import Envelope
from hraft.raft.ready import ReadReady, Role, Save
from hraft.service.alarms import Alarms
from hraft.service.applying import Applying
from hraft.service.changing import Changing
from hraft.service.compaction import Compaction
from hraft.service.comparing import Comparing
from hraft.service.contact import Contact
from hraft.service.disk_room import DiskRoom
from hraft.service.events import Events
from hraft.service.forwarding import Forwarding, as_read_failure
from hraft.service.joining import Joining
from hraft.service.loop import Loop
from hraft.service.milestones import Milestones
from hraft.service.observers import Observers
from hraft.service.proposals import Applied, Proposals
from hraft.service.reads import WaitingReads
from hraft.service.reaping import Reaping
from hraft.service.recovery import raft_node
from hraft.service.removal import Removal
from hraft.service.saves import Saves
from hraft.service.shared_view import SharedView
from hraft.service.snapshot_receiving import SnapshotReceiving
from hraft.service.snapshot_sending import SnapshotSending
from hraft.service.surroundings import Surroundings


class Running:
    """One node between its start and its stop. Implements `hraft.service.loop.Around`."""

    def __init__(
        self,
        around: Surroundings,
        recovered: Recovered,
        state_machine: StateMachine,
        decode_result: Callable[[bytes], Any],
        halt: Callable[[str], None],
        events: Events,
        observers: Observers,
        alarms: Alarms,
        removed: Callable[[int], None],
    ) -> None:
        """Wire it all, and restore the snapshot before anything is served (R8). Raises LogCorrupted."""
        self._clock, self._node_id = clock, node_id = around.clock, around.node_id
        self._transport = transport = around.transport
        self._events, self._observers = events, observers
        background, writer, soon = around.run_in_background, around.run_in_writer, around.save_in_writer
        storage, timing, precautions, transfers = around.storage, around.timing, around.precautions, around.run_in_transfers
        node = self.node = raft_node(around, recovered)
        self.proposals = Proposals()
        self.reads = WaitingReads()
        self.room = DiskRoom(clock, node_id, precautions, writer, alarms)
        self.saves = Saves(clock, storage, writer, soon, lambda save: self.loop.saved(save), halt, events, self.room.full)
        self.applying = Applying(clock, storage, state_machine, self.proposals, background, self._applied, halt, events)
        if recovered.snapshot is not None:
            self.applying.restore_now(recovered.snapshot)
        self.reads.applied(self.applying.applied_id.index)
        self.contact = Contact(clock, node, timing)
        self.loop = Loop(clock, node, timing, transport, self.saves, self.applying, self, events, halt)
        self.milestones = Milestones(clock, lambda: self.loop.is_stopped)
        self.compaction = Compaction(
            clock, node, storage, self.applying, around.snapshot_policy, background, writer, halt, events
        )
        self.sending = SnapshotSending(
            clock, node, node_id, storage, transport, transfers, self.loop.wake, events, around.snapshot_policy.chunk_bytes
        )
        self.receiving = SnapshotReceiving(
            clock, node, node_id, storage, transport, transfers, self.loop.receive, lambda: self.saves.in_flight, halt, events
        )
        self.joining = Joining(clock, node, transport, around.cluster_id, self.loop.wake)
        self.changing = Changing(node, self.loop, timing, self.milestones.until)
        self.forwarding = Forwarding(lambda: self.leader_id, node_id, transport, decode_result)
        self.removal = Removal(node_id, node, self.applying, transport, removed)
        self.reaping = Reaping(clock, node, self.loop, timing, precautions.reap_after_seconds, events)
        self.comparing = Comparing(around, node, self.applying, alarms)
        self.shared_view = SharedView(around, node, lambda: self.leader_id, alarms)
        self._configuration: Configuration | None = None
        self._leading_term: int | None = None

    def start(self, request: Callable[[str, Request], Deferred[Any]]) -> None:
        """Open to the network and begin to count time."""
        removal = self.removal
        self._transport.start(Receivers(self._message, self._chunk, request, removal.removal_of, removal.removed))
        self._follow_configuration()
        self._events.reign(self.node.role, self.node.current_term, self.node.leader_id, self.node.last_index)
        self.loop.start()
        self.room.start()

    # --- clients ---------------------------------------------------------------------------------

    @property
    def leader_id(self) -> str | None:
        """The leader, if it is a member as far as this node knows (C6)."""
        leader_id = self.node.leader_id
        return leader_id if leader_id is not None and self.node.configuration.is_member(leader_id) else None

    def propose(self, command: bytes) -> Deferred[Applied]:
        """Raises NotLeader, BadCommand, ProposalDropped: then nothing was done."""
        if self.node.role is not Role.LEADER:
            raise NotLeader(self.leader_id)
        check_command(command)
        self.saves.check_room()
        if self.room.is_short:
            self.room.check(command)
        self.applying.check_lag()
        self.proposals.check_room()
        entry_id = self.node.propose(command)
        self.loop.wake()
        return self.proposals.wait(entry_id, self._clock.seconds())

    def confirm_read(self, level: ReadLevel) -> Deferred[int]:
        """A read index, and this node has applied it. Raises NotLeader, ReadFailed."""
        if self.node.role is Role.LEADER:
            if level is ReadLevel.LEASE and self.contact.holds_lease():
                return self.reads.at(self.node.commit_index, self._clock.seconds())
            return self.read_index(is_local=True)
        if self.leader_id is None:
            raise NotLeader(None)
        self.loop.wake()
        return self.reads.gather(self._clock.seconds())

    def read_index(self, is_local: bool) -> Deferred[int]:
        """(leader) A read index, for a read here or on a follower. Raises NotLeader, ReadFailed."""
        read_id = self.reads.next_id()
        self.node.read_index(read_id)
        self.loop.wake()
        return self.reads.wait(read_id, self._clock.seconds(), is_local)

    def age_seconds(self) -> float | None:
        return self.contact.age_seconds(self.applying.applied_id)

    # --- what the loop tells ---------------------------------------------------------------------

    def before_turn(self) -> None:
        """Reads that came in on a follower in this turn go to the leader as one question."""
        self.contact.turn_begins()
        read_ids = self.reads.take_gathered()
        if not read_ids:
            return

        def confirmed(read_index: int) -> None:
            for read_id in read_ids:
                self.reads.confirm(read_id, read_index)

        def failed(failure: Failure) -> None:
            self.reads.fail(read_ids, as_read_failure(failure))

        self.forwarding.read_index().addCallbacks(confirmed, failed)

    def turned(self) -> None:
        """Follow what the node has become in this turn."""
        node = self.node
        self.contact.turned()
        self._events.reign(node.role, node.current_term, node.leader_id, node.last_index)
        leading_term = node.current_term if node.role is Role.LEADER else None
        if leading_term != self._leading_term:
            if self._leading_term is not None:
                # What is committed will be applied here and answered; of the rest nobody here can know (C4, C5).
                self.proposals.fail_after(node.commit_index, f"this node stopped leading term {self._leading_term}")
            self._leading_term = leading_term
            self._tell_leading()
        if node.configuration is not self._configuration:
            self._follow_configuration()
        self.receiving.turned()
        self.joining.changed()
        self.milestones.look()

    def ticked(self) -> None:
        """End what took too long. No client has a timer of its own."""
        now = self._clock.seconds()
        self.contact.ticked(self.applying.applied_id)
        self.proposals.expire(now)
        self.reads.expire(now)
        self.joining.tick()
        self.reaping.tick()
        self.removal.tick()
        self.sending.tick()
        self.receiving.tick()
        self.compaction.consider()
        self.comparing.tick()
        self.shared_view.tick()
        self._events.forgetful(self.node.forgetful_peers)
        self.milestones.look()

    def saved(self, save: Save) -> None:
        self.receiving.saved(save)

    def send_snapshot(self, peer: str, term: int) -> None:
        self.sending.start(peer, term)

    def reads_confirmed(self, reads: tuple[ReadReady, ...]) -> None:
        self.reads.confirmed(reads)

    def _message(self, envelope: Envelope) -> None:
        self.loop.receive(envelope)
        if not self.loop.is_stopped:
            self.contact.heard(envelope, self.applying.applied_id)

    def _applied(self) -> None:
        self._tell_leading()
        self.reads.applied(self.applying.applied_id.index)
        self.compaction.consider()
        self.milestones.look()
        self._observers.applied()
        self.removal.applied()

    def _tell_leading(self) -> None:
        """A leader leads, to observers, from its own first entry on: then it has what earlier leaders acknowledged (R1)."""
        node = self.node
        leads = node.role is Role.LEADER and self.applying.applied_id.term == node.current_term
        self._observers.leading(node.current_term if leads else None)

    def _follow_configuration(self) -> None:
        """Speak with the members of the configuration in force and with nobody else, least of all with former ones (M6, M14)."""
        self._configuration = self.node.configuration
        addresses = self._configuration.members
        addresses.pop(self._node_id, None)
        self._transport.set_peers(addresses)

    def _chunk(self, envelope: ChunkEnvelope) -> None:
        if self.loop.is_stopped:
            return
        try:
            if isinstance(envelope.message, SnapshotChunk):
                self.receiving.chunk(envelope.sender, envelope.message)
            else:
                self.sending.answered(envelope.sender, envelope.message)
        except Exception:
            self.loop.broken()

    # --- waiting and stopping --------------------------------------------------------------------

    def when_member(self, as_learner: bool) -> Deferred[None]:
        """Fires once a configuration in which this node is a voter, or where that will do a learner, is applied."""
        member: Deferred[None] = Deferred()

        def looked(is_member: bool) -> None:
            if is_member and not member.called:
                member.callback(None)

        def is_member() -> bool:
            configuration = self.applying.configuration
            return configuration.is_voter(self._node_id) or (as_learner and configuration.is_member(self._node_id))

        self.milestones.until(is_member).addCallback(looked)
        return member

    def retire(self, reason: str) -> None:
        """This node is no member any more: tell everybody who waits, and speak with nobody."""
        self.stop(reason)
        self._transport.set_peers({})

    def freeze(self) -> None:
        """Do nothing more, answer nobody: what is on disk may not be what was promised."""
        self.loop.stop()
        self.room.stop()
        self.saves.stop()
        self.applying.stop()
        self.compaction.stop()
        self.comparing.stop()
        self._observers.leading(None)
        self.milestones.look()

    def stop(self, reason: str) -> None:
        """Do nothing more, and tell everybody who waits."""
        self.freeze()
        self.sending.stop()
        self.receiving.stop()
        self.proposals.fail_after(-1, reason)
        self.reads.fail_all(reason)
        self.joining.fail_all(reason)
