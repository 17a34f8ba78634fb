"""One whole node as a service: its directory, ports, threads, store and web, and its way into the cluster.

`twist hraft` runs one; an application can add one to its own MultiService. The rules of each part are elsewhere: here is only
the order in which they start and stop.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.logger import Logger

from hraft import __version__
from hraft.access import Access
from hraft.admission import ask_over_http, ask_while
from hraft.coming_in import ComingIn
from hraft.counting import DiskTally
from hraft.endpoints import Listener, listen
from hraft.errors import BadAddress, DirectoryUnusable, HraftError, PortUnusable, ProposalDropped, ReadFailed
from hraft.interfaces import PeerIdentity, Precautions, StateMachine, Storage
from hraft.kv.commands import frees_room
from hraft.kv.store import KeyValueStore
from hraft.leases import LeaseClock
from hraft.leaving import leave
from hraft.node_certificates import NodeCertificates
from hraft.peers.transport import AmpTransport
from hraft.process import OneThread, end_at_once, files_count, use_monotonic_time
from hraft.reactor_stalls import ReactorStalls
from hraft.scheduled_backups import ScheduledBackups
from hraft.service import Applied, NodeService
from hraft.settings import NodeSettings
from hraft.storage.directory import DataDirectory, Identity
from hraft.storage.durable import DurableStorage
from hraft.storage.files import LocalFileSystem, disk_use
from hraft.storage.memory import MemoryStorage
from hraft.unhurried import unhurried
from hraft.waiting_room import RaftPort, WaitingRoom
from hraft.web.figures import Figures
from hraft.web.guard import Guard
from hraft.web.routes import node_api
from hraft.web.site import HttpSite, connections_count
from hraft.web.tally import HttpTally

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
        self._state_machine = KeyValueStore() if state_machine is None else state_machine
        self._halt = halt
        self._directory = DataDirectory(settings.directory) if settings.directory is not None else None
        self._node_id = settings.node_id or settings.raft_address
        self._disk_tally = DiskTally(reactor.seconds)
        self._waiting_room = WaitingRoom()
        self._site = HttpSite(self._waiting_room, reactor, connections_count(files_count(reactor)))
        self._raft_port = RaftPort()
        self._listeners: list[Listener] = []
        self._threads = tuple(OneThread(reactor, name) for name in ("writer", "snapshots", "transfers", "backups"))
        self._coming_in: Deferred[None] | None = None
        self._access = Access(reactor, settings)
        self._guard: Guard | None = None
        self._backups = ScheduledBackups(reactor, settings.backups, lambda: self.node, self._threads[-1])

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
            identity = self._open_directory()
            self._listen()
            is_founding = self._directory is not None and self._directory.is_founding
            if identity is not None:
                self._start_node(identity.cluster_id, bootstrap=is_founding)
            elif is_founding or not self.settings.join_targets:
                self._found()
            self._refuse_a_forgotten_start()
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

    def _open_directory(self) -> Identity | None:
        """Whose the directory is: this node's, or nobody's yet. A node that was not given an id has the one it had before."""
        if self._directory is None:
            return None
        self._directory.open(self.settings.node_id)
        identity = self._directory.identity
        if identity is not None:
            self._node_id = identity.node_id
        return identity

    def _listen(self) -> None:
        for option, where, factory in (
            ("--haddr", self.settings.http_listening, self.certificates.under_http(self._site)),
            ("--raddr", self.settings.raft_listening, self.certificates.under_peers(self._raft_port)),
        ):
            try:
                self._listeners.append(listen(self._reactor, where, factory))
            except (PortUnusable, BadAddress) as error:
                raise type(error)(f"{option}: {error}") from error

    def _remember(self, cluster_id: str) -> str:
        """Durably, before anything is said or done in the cluster's name."""
        if self._directory is not None:
            self._directory.remember(Identity(cluster_id, self._node_id))
        return cluster_id

    def _start_node(self, cluster_id: str, bootstrap: bool) -> None:
        """Blocks while the log is read. Raises what recovery raises."""
        settings, chance = self.settings, random.Random()
        transport = AmpTransport(
            self._reactor,
            PeerIdentity(cluster_id, self._node_id, settings.http_address),
            self.certificates.peer_endpoint,
            chance.random,
        )
        writer, snapshots, transfers, _ = self._threads
        node = NodeService(
            clock=self._reactor,
            node_id=self._node_id,
            cluster_id=cluster_id,
            raft_address=settings.raft_address,
            http_address=settings.http_address,
            storage=self._storage(cluster_id),
            transport=transport,
            state_machine=self._state_machine,
            run_in_writer=writer,
            run_in_background=snapshots,
            run_in_transfers=transfers,
            choose=chance.randint,
            halt=self._halt,
            bootstrap=bootstrap,
            timing=settings.timing,
            snapshot_policy=settings.snapshot_policy,
            precautions=self._precautions(),
            removed_index=None if self._directory is None else self._directory.removed_index,
            when_removed=self._was_removed,
        )
        if isinstance(self._state_machine, KeyValueStore):
            self.leases = LeaseClock(self._reactor, node)
        node.startService()
        if self._directory is not None:
            self._directory.forget_founding()
        self.node = node
        self._raft_port.open(transport.factory)
        tally = HttpTally(self._reactor.seconds)
        disk, ends = self._disk_tally if self._directory else None, self.certificates.live
        figures = Figures(node, tally, self._site, disk, transport, self.stalls, ends)
        forward, backups = settings.forward, self._backups.status
        self._site.serve(node_api(node, forward, self.leases, node.age_seconds, backups, self._guard, tally, figures))

    def _was_removed(self, index: int) -> None:
        """Also a later start must know, or is told again where a full disk was why; and those who watch must look elsewhere."""
        if self._directory is not None and self._directory.removed_index is None:
            try:
                self._directory.remember_removal(index)
            except HraftError as error:
                _log.warn("{node}: could not remember its removal: {reason}", node=self._node_id, reason=str(error))
        self._site.end_streams()

    def _precautions(self) -> Precautions:
        directory, settings = self._directory, self.settings
        return Precautions(
            reap_after_seconds=settings.members.reap_after_seconds,
            check_interval_seconds=settings.check_interval_seconds or None,
            disk_reserve_bytes=settings.disk_reserve_bytes,
            release=__version__,
            disk_use=None if directory is None else partial(disk_use, directory.path),
            frees_room=frees_room if isinstance(self._state_machine, KeyValueStore) else lambda command: False,
        )

    def _storage(self, cluster_id: str) -> Storage:
        if self._directory is None:
            return MemoryStorage(cluster_id)
        return DurableStorage(LocalFileSystem(self._disk_tally), self._directory.path, cluster_id, pace=unhurried)

    def _refuse_a_forgotten_start(self) -> None:
        """An identity without a log: this node was stopped between its first two writes, or somebody removed its log.

        Whether it had promised anything, only the cluster can know.
        """
        if self.node is not None and self.node.has_empty_log and not self.settings.join_targets:
            assert self._directory is not None
            raise DirectoryUnusable(
                f"{self._directory.path} belongs to cluster {self.node.cluster_id} but has no log: say --join to be taken in "
                f"(again); or, if no such cluster was ever used, remove the directory to begin a new one"
            )

    # --- coming in -------------------------------------------------------------------------------

    def _enter(self, cluster_id: str) -> NodeService:
        """This node is of that cluster from now on; whether a member, the cluster decides."""
        self._start_node(self._remember(cluster_id), bootstrap=False)
        assert self.node is not None
        return self.node

    def _found(self) -> NodeService:
        """Begin a cluster with this node as its only voter. Whatever stops it on the way, a later start goes on."""
        if self._directory is not None and self.settings.members.expected_count is not None:
            self._directory.remember_founding()
        self._start_node(self._remember(uuid4().hex), bootstrap=True)
        assert self.node is not None
        return self.node

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
        for thread in self._threads:
            thread.stop()
        if self._directory is not None:
            self._directory.close()
