"""One node as a Twisted service: what the web, an embedding application and the peers may ask of it.

Each answer says what the caller may do next, by the classes of `hraft.errors`. How it is done is in `hraft.service.running`
and the files beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft.codec import check_command
from hraft.errors import ChangeRefused, HraftError, NodeRemoved, OutcomeUnknown, ProposalDropped, ReadFailed
from hraft.interfaces import Observer, Precautions, ReadLevel, SnapshotPolicy, StateMachine, Storage, Timing, Transport
from hraft.questions import Change, ChangeOutcome, ForwardChange, ForwardJoin, JoinOutcome, Request
from hraft.raft.entry import Snapshot
from hraft.raft.ready import Role
from hraft.service.backup import Backup
from hraft.service.changing_anywhere import change_anywhere
from hraft.service.observers import Observers
from hraft.service.proposals import Applied
from hraft.service.recovery import recover
from hraft.service.requests import Requests, check_question
from hraft.service.running import Running
from hraft.service.stopping import stop
from hraft.service.surroundings import RunInThread, Surroundings, check_clock
from hraft.service.view import HALTED, NodeView

_TIMING = Timing()
_SNAPSHOT_POLICY = SnapshotPolicy()
_PRECAUTIONS = Precautions()


class NodeService(NodeView, Service):
    """One member of a cluster, or one that asks to become one."""

    def __init__(
        self,
        *,
        clock: IReactorTime,
        node_id: str,
        cluster_id: str,
        raft_address: str,
        http_address: str,
        storage: Storage,
        transport: Transport,
        state_machine: StateMachine,
        run_in_writer: RunInThread,
        save_in_writer: RunInThread | None = None,
        run_in_background: RunInThread,
        run_in_transfers: RunInThread | None = None,
        choose: Callable[[int, int], int],
        halt: Callable[[str], None],
        bootstrap: bool = False,
        timing: Timing = _TIMING,
        snapshot_policy: SnapshotPolicy = _SNAPSHOT_POLICY,
        precautions: Precautions = _PRECAUTIONS,
        removed_index: int | None = None,
        when_removed: Callable[[int], None] = lambda index: None,
        encode_result: Callable[[Any], bytes] = msgspec.json.encode,
        decode_result: Callable[[bytes], Any] = msgspec.json.decode,
    ) -> None:
        """Touches nothing yet. The threads are told of in `Surroundings`.

        `choose(low, high)` is any integer in [low, high]. `halt(reason)` must end the process, non-zero. With `bootstrap` an
        empty log begins a new cluster with this node as its only voter. `removed_index`: it was removed in an earlier life;
        `when_removed(index)`: it is in this one. `encode_result`, `decode_result` carry results from the leader to others.
        """
        around = Surroundings(
            clock=clock,
            node_id=node_id,
            cluster_id=cluster_id,
            storage=storage,
            transport=transport,
            run_in_writer=run_in_writer,
            save_in_writer=save_in_writer or run_in_writer,
            run_in_background=run_in_background,
            run_in_transfers=run_in_transfers or run_in_background,
            choose=choose,
            halt=halt,
            timing=timing,
            snapshot_policy=snapshot_policy,
            precautions=precautions,
        )
        super().__init__(around, raft_address, http_address, state_machine)
        self._bootstrap = bootstrap
        self._removed_index = removed_index
        self._when_removed = when_removed
        self._requests = Requests(encode_result)
        self._decode_result = decode_result
        self._observers = Observers(self._events)

    def observe(self, observer: Observer) -> None:
        """Tell this from now on what becomes of this node, also when it has not started yet."""
        self._observers.add(observer)

    def answer_questions(self, function: Callable[[bytes], Deferred[bytes]]) -> None:
        """While this node leads, have `function` answer what `ask_leader` asks. It fails with errors of hraft's, and in time."""
        self._requests.answer_questions = function

    # --- clients ---------------------------------------------------------------------------------

    def propose(self, command: bytes) -> Deferred[Applied]:
        """Have a command (one JSON text on one line) applied by all. Fires when it is applied here.

        Fails with BadCommand, NotLeader, ProposalDropped (certainly not done) or OutcomeUnknown, within
        PROPOSE_TIMEOUT_SECONDS. Cancelling the Deferred detaches the waiter, never the proposal.
        """
        try:
            return self._open(ProposalDropped).propose(command)
        except HraftError as error:
            return fail(error)
        except Exception:
            return fail(self._broken())

    def submit(self, command: bytes) -> Deferred[Applied]:
        """The same on any node: the leader is asked over the peer connection."""
        running = self._running
        if running is None or self._closed_reason or running.node.role is Role.LEADER:
            return self.propose(command)
        try:
            check_command(command)
        except HraftError as error:
            return fail(error)
        return running.forwarding.propose(command)

    def confirm_read(self, level: ReadLevel = ReadLevel.LINEARIZABLE) -> Deferred[int]:
        """Fires, on any node, when a read of its state machine is linearizable; with the index read at.

        With LEASE a leader whose lease holds asks nobody (see `hraft.service.contact`); everybody else does as without.
        Fails with ReadFailed, or NotLeader where no leader is known, within READ_TIMEOUT_SECONDS.
        """
        try:
            return self._open(ReadFailed).confirm_read(level)
        except HraftError as error:
            return fail(error)
        except Exception:
            return fail(self._broken())

    def backup(self) -> Backup:
        """The state of now, to be written down elsewhere. After `confirm_read` it has all that was acknowledged before that.

        Raises ReadFailed unless this node is running.
        """
        applying, around = self._open(ReadFailed).applying, self._around
        snapshot = Snapshot(applying.applied_id.index, applying.applied_id.term, applying.configuration)
        parts = around.storage.encode_snapshot(snapshot, applying.state_machine.snapshot())
        return Backup(snapshot, parts, around.run_in_background)

    def ask_leader(self, question: bytes) -> Deferred[bytes]:
        """Have the leader's application answer, see `answer_questions`; here where this node leads. At most QUESTION_BYTES.

        Fails with NotLeader or ProposalDropped (certainly not asked), OutcomeUnknown, BadCommand, or what the answer fails with.
        """
        try:
            running = self._open(ProposalDropped)
            if running.node.role is Role.LEADER:
                return self._requests.question(question)
            check_question(question)
            return running.forwarding.question(question)
        except HraftError as error:
            return fail(error)

    def look_around(self) -> None:
        """Where this node follows, have its leader say what it knows of the members: `member_views` has it a moment later."""
        if not self._closed_reason and self._running is not None:
            self._running.shared_view.ask()

    # --- members ---------------------------------------------------------------------------------

    def join(
        self, node_id: str, address: str, empty_log: bool | None = None, learner: bool | None = None
    ) -> Deferred[JoinOutcome]:
        """Take a node into the cluster; on any node. Fires when it is a voter, or says "learner" after JOIN_TIMEOUT_SECONDS,
        or at once where `learner` says that it is to stay one.

        Fails with ChangeRefused, NotLeader, PeerUnreachable or WrongPeer. Joining twice is harmless.
        """
        request = ForwardJoin(node_id, address, empty_log, learner)
        try:
            running = self._open(_not_now)
            return running.joining.join(request) if running.node.role is Role.LEADER else running.forwarding.join(request)
        except HraftError as error:
            return fail(error)

    def change_member(self, change: Change, node_id: str) -> Deferred[ChangeOutcome]:
        """Remove or promote a member, or let it lead; on any node. Fires when that is done. Asking twice is harmless.

        Fails with ChangeRefused, NotLeader or PeerUnreachable (certainly not done), or with OutcomeUnknown.
        """
        try:
            running = self._open(_not_now)
        except HraftError as error:
            return fail(error)
        return Deferred.fromCoroutine(change_anywhere(running, ForwardChange(change.value, node_id)))

    # --- peers -----------------------------------------------------------------------------------

    def _request(self, sender: str, request: Request) -> Deferred[Any]:
        """A peer asks this node as the leader. Answered here or not at all: never passed on (C6)."""
        try:
            running = self._open(_not_now if isinstance(request, ForwardJoin | ForwardChange) else ProposalDropped)
            return self._requests.answer(running, sender, request)
        except HraftError as error:
            return fail(error)
        except Exception:
            return fail(self._broken())

    # --- starting and stopping -------------------------------------------------------------------

    def startService(self) -> None:
        """Recover, restore and open to the network. Raises what recovery raises: LogCorrupted, FormatUnknown, StorageFailed."""
        if self._running is not None:
            raise RuntimeError(f"the service of node {self.node_id!r} was started before; make a new one")
        check_clock(self._around.clock)
        recovered = recover(self._around, self.raft_address, self._bootstrap, self._events)
        machine, decode = self._state_machine, self._decode_result
        running = self._running = Running(
            self._around, recovered, machine, decode, self._halt, self._events, self._observers, self.alarms, self._was_removed
        )
        status = running.node.status()
        self._events.recovered(recovered.notes, status.term, status.last.index, status.snapshot_index)
        self._closed_reason = ""
        Service.startService(self)
        if self._removed_index is None:
            running.start(self._request)
        else:
            self._was_removed(self._removed_index)

    def stopService(self) -> Deferred[None]:
        """Refuse what is new, finish what is begun, hand leadership over. Ends in time whatever the others do (O13)."""
        Service.stopService(self)
        if self._closed_reason == HALTED:
            return maybeDeferred(self._around.transport.stop)
        if self._running is None or (self._closed_reason and self.removal is None):
            return succeed(None)
        self._closed_reason = "this node is stopping"
        return Deferred.fromCoroutine(stop(self._around, self._running, self._events))

    def _was_removed(self, index: int) -> None:
        """For ever, so nothing is served any more, not even what is here: it grows old without a sign (M12)."""
        if self._closed_reason or self._running is None:
            return
        self.removal = NodeRemoved(index)
        self._closed_reason = str(self.removal)
        self._events.removed(index)
        self._running.retire(self._closed_reason)
        self._when_removed(index)

    def _halt(self, reason: str) -> None:
        """The process must end: nothing is sent, saved or answered any more (D1)."""
        if self._closed_reason == HALTED:
            return
        self._closed_reason = HALTED
        self._events.halted(reason)
        if self._running is not None:
            self._running.freeze()
        self._around.halt(reason)

    def _broken(self) -> OutcomeUnknown:
        self._events.broken(Failure())
        self._halt("a defect in hraft")
        return OutcomeUnknown("this node met a defect and stopped")

    def _open(self, refusal: Callable[[str], HraftError]) -> Running:
        if self.removal is not None:
            raise self.removal
        if self._closed_reason or self._running is None:
            raise refusal(self._closed_reason)
        return self._running


def _not_now(reason: str) -> ChangeRefused:
    return ChangeRefused(reason, temporary=True)
