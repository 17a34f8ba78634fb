"""One whole node as a service: its directory, ports, threads, store and web, and its way into the cluster.

`twist hraft` runs one; an application can add one to its own MultiService. The rules of each part are elsewhere: here is only
the order in which they start and stop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.logger import Logger

from hraft.access import Access
from hraft.admission import ask_over_http, ask_while
from hraft.coming_in import ComingIn
from hraft.endpoints import Listener, listen
from hraft.errors import BadAddress, HraftError, PortUnusable, ProposalDropped, ReadFailed
from hraft.interfaces import StateMachine
from hraft.kv.store import KeyValueStore
from hraft.leases import LeaseClock
from hraft.leaving import leave
from hraft.node_certificates import NodeCertificates
from hraft.node_disk import NodeDisk
from hraft.node_wiring import NodeThreads, NodeWiring
from hraft.process import end_at_once, files_count, use_monotonic_time
from hraft.reactor_stalls import ReactorStalls
from hraft.scheduled_backups import ScheduledBackups
from hraft.service import Applied, NodeService
from hraft.settings import NodeSettings
from hraft.storage.directory import Identity
from hraft.waiting_room import RaftPort, WaitingRoom
from hraft.web.guard import Guard
from hraft.web.site import HttpSite, connections_count

#: How long the web may take to deliver its last answers when the node stops.
DRAIN_TIMEOUT_SECONDS = 1.0

_log = Logger(namespace="hraft.assembly")


class HraftService(Service):
    """One node, from the opening of its directory to the closing. Used once.

    `halt(reason)` must end the process, at once and non-zero: it is called when the disk failed, or when the cluster refused
    to take this node in. `node` is the service inside, None until the node's cluster is known.
    """

    def __init__(
        self,
        reactor: Any,
        settings: NodeSettings,
        state_machine: StateMachine | None = None,
        halt: Callable[[str], None] = end_at_once,
    ) -> None:
        use_monotonic_time(reactor)
        self.settings = settings
        self.node: NodeService | None = None
        #: It is a voter and knows its leader, or was once: what the log calls "started successfully".
        self.is_started = False
        #: The time of leases, beside `node`; None where the state machine is an application's own.
        self.leases: LeaseClock | None = None
        #: Of TLS: `live` says when they end, `reload()` takes in changed files.
        self.certificates = NodeCertificates(reactor, settings)
        #: How long the reactor is held up while this service runs.
        self.stalls = ReactorStalls(reactor)
        self._reactor = reactor
        self._halt = halt
        self._disk = NodeDisk(settings.directory, reactor.seconds)
        self._node_id = settings.node_id or settings.raft_address
        self._waiting_room = WaitingRoom()
        self._site = HttpSite(self._waiting_room, reactor, connections_count(files_count(reactor)))
        self._raft_port = RaftPort()
        self._listeners: list[Listener] = []
        self._threads = NodeThreads(reactor)
        self._coming_in: Deferred[None] | None = None
        machine = KeyValueStore() if state_machine is None else state_machine
        self._wiring = NodeWiring(reactor, settings, machine, self._disk, self._threads, self.certificates, self.stalls)
        self._access = Access(reactor, settings)
        self._guard: Guard | None = None
        self._backups = ScheduledBackups(reactor, settings.backups, lambda: self.node, self._threads.backups)

    # --- what an application asks ----------------------------------------------------------------

    def submit(self, command: bytes) -> Deferred[Applied]:
        """Have a command (one JSON text on one line) applied by all nodes; on any of them. Fires when that is done.

        Fails with BadCommand, NotLeader, ProposalDropped (certainly not done) or OutcomeUnknown, within PROPOSE_TIMEOUT_SECONDS.
        """
        if self.node is None:
            return fail(ProposalDropped("this node has not joined its cluster yet"))
        return self.node.submit(command)

    def read(self) -> Deferred[Any]:
        """The state machine, once it has all that was acknowledged before this call; on any node. To be looked at, not kept.

        Fails with ReadFailed or NotLeader, within READ_TIMEOUT_SECONDS.
        """
        node = self.node
        if node is None:
            return fail(ReadFailed("this node has not joined its cluster yet"))
        return node.confirm_read().addCallback(lambda _: node.state_machine)

    def reload(self) -> None:
        """Look again at what may change while a node runs: the files of certificates and users."""
        self.certificates.reload()
        self._access.look()

    # --- starting --------------------------------------------------------------------------------

    def startService(self) -> None:
        """Open everything, or nothing: raises an HraftError whose message is for the operator."""
        try:
            self.certificates.open()
            self._guard = self._access.open()
            identity = self._disk.open(self.settings.node_id)
            self._listen()
            if identity is not None:
                # A node that was not given an id has the one that it had before.
                self._node_id = identity.node_id
                node = self._start_node(identity.cluster_id, bootstrap=self._disk.is_founding)
                if node.has_empty_log and not self.settings.join_targets:
                    self._disk.refuse_lost_log(identity.cluster_id)
            elif self._disk.is_founding or not self.settings.join_targets:
                self._found()
        except BaseException:
            self._let_go()
            raise
        super().startService()  # type: ignore[no-untyped-call]
        ask = ask_over_http(self._reactor, self.certificates.http_endpoint, self._access.credentials)
        count = self.settings.members.expected_count
        founding = None if self.node is not None or count is None else self._waiting_room.take_part(self._node_id, count)
        asking = ask_while(lambda: self.running, ask)
        coming_in = ComingIn(self._reactor, self.settings, self._node_id, self._enter, asking, founding, self._found)
        self._coming_in = Deferred.fromCoroutine(coming_in.come_in(self.node))
        self._coming_in.addCallbacks(self._has_come_in, self._could_not_come_in)
        self._backups.startService()
        self.certificates.start()
        self.stalls.start()

    def _listen(self) -> None:
        for option, where, factory in (
            ("--haddr", self.settings.http_listening, self.certificates.under_http(self._site)),
            ("--raddr", self.settings.raft_listening, self.certificates.under_peers(self._raft_port)),
        ):
            try:
                self._listeners.append(listen(self._reactor, where, factory))
            except (PortUnusable, BadAddress) as error:
                raise type(error)(f"{option}: {error}") from error

    def _start_node(self, cluster_id: str, bootstrap: bool) -> NodeService:
        """This node is of that cluster from now on. Blocks while the log is read. Raises what recovery raises."""
        self._disk.remember(Identity(cluster_id, self._node_id))
        wired = self._wiring.node(cluster_id, self._node_id, bootstrap, self._halt, self._was_removed)
        wired.node.startService()
        self._disk.forget_founding()
        self.node, self.leases = wired.node, wired.leases
        self._raft_port.open(wired.transport.factory)
        self._site.serve(self._wiring.api(wired, self._guard, self._backups.status, self._site))
        return wired.node

    def _was_removed(self, index: int) -> None:
        """A later start must know, and those who watch must look elsewhere."""
        self._disk.remember_removal(index)
        self._site.end_streams()

    # --- coming in -------------------------------------------------------------------------------

    def _enter(self, cluster_id: str) -> NodeService:
        """Whether it is a member there, the cluster decides."""
        return self._start_node(cluster_id, bootstrap=False)

    def _found(self) -> NodeService:
        """Begin a cluster with this node as its only voter. Whatever stops it on the way, a later start goes on."""
        if self.settings.members.expected_count is not None:
            self._disk.remember_founding()
        return self._start_node(uuid4().hex, bootstrap=True)

    def _has_come_in(self, _: None) -> None:
        self.is_started = True

    def _could_not_come_in(self, failure: Any) -> None:
        """For good: another cluster, a refusal, a disk that failed. Being stopped meanwhile is no failure."""
        if failure.check(CancelledError):
            return
        if not failure.check(HraftError):
            _log.failure("{node}: a defect in hraft", failure, node=self._node_id)
        reason = " ".join(str(failure.value).split()) or repr(failure.value)
        _log.critical("{node}: could not join: {reason}", node=self._node_id, reason=reason)
        self._halt(reason)

    # --- stopping --------------------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        """Accept no client, hand leadership over, answer those in flight, close. Ends in time whatever the others do (O13)."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._coming_in is not None:
            self._coming_in.cancel()
        self._backups.stopService()
        self.certificates.stop()
        self.stalls.stop()
        http, raft = self._listeners
        await http.stop()
        if self.node is not None and self.settings.members.leaves_on_stop:
            await leave(self.node, self._reactor)
        drained = self._site.drained()
        if self.node is not None:
            await maybeDeferred(self.node.stopService)
        await drained.addTimeout(DRAIN_TIMEOUT_SECONDS, self._reactor).addErrback(lambda _: None)
        await raft.stop()
        self._let_go()

    def _let_go(self) -> None:
        self._access.close()
        for listener in self._listeners:
            listener.stop()
        self._threads.stop()
        self._disk.close()
