"""A node whose cluster is known, put together: `NodeService` on its disk, network and threads, with its web before it.

Here stands which part gets which; not when a node begins and ends (`hraft.assembly`), nor how it comes to its cluster.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hraft import __version__
from hraft.interfaces import PeerIdentity, Precautions, StateMachine
from hraft.kv.commands import frees_room
from hraft.kv.store import KeyValueStore
from hraft.leases import LeaseClock
from hraft.node_certificates import NodeCertificates
from hraft.node_disk import NodeDisk
from hraft.one_thread import OneThread
from hraft.peers.transport import AmpTransport
from hraft.reactor_stalls import ReactorStalls
from hraft.service import NodeService
from hraft.settings import NodeSettings
from hraft.web.api import Api
from hraft.web.figures import Connections, Figures
from hraft.web.guard import Guard
from hraft.web.routes import node_api
from hraft.web.tally import HttpTally


class NodeThreads:
    """Of one node: each for what must not wait for what the others do."""

    def __init__(self, reactor: Any) -> None:
        self.writer, self.snapshots, self.transfers, self.backups = self._all = tuple(
            OneThread(reactor, name) for name in ("writer", "snapshots", "transfers", "backups")
        )

    def stop(self) -> None:
        for thread in self._all:
            thread.stop()


@dataclass(frozen=True, slots=True)
class WiredNode:
    """A node that has not begun. `leases` is the time of leases, None where the state machine is an application's own."""

    node: NodeService
    transport: AmpTransport
    leases: LeaseClock | None


@dataclass(frozen=True, slots=True)
class NodeWiring:
    """What surrounds the node of this process, whichever cluster it will be of."""

    reactor: Any
    settings: NodeSettings
    state_machine: StateMachine
    disk: NodeDisk
    threads: NodeThreads
    certificates: NodeCertificates
    stalls: ReactorStalls

    def node(
        self, cluster_id: str, node_id: str, bootstrap: bool, halt: Callable[[str], None], when_removed: Callable[[int], None]
    ) -> WiredNode:
        """As in NodeService."""
        settings, threads, chance = self.settings, self.threads, random.Random()
        identity = PeerIdentity(cluster_id, node_id, settings.http_address)
        transport = AmpTransport(self.reactor, identity, self.certificates.peer_endpoint, chance.random)
        node = NodeService(
            clock=self.reactor,
            node_id=node_id,
            cluster_id=cluster_id,
            raft_address=settings.raft_address,
            http_address=settings.http_address,
            storage=self.disk.storage(cluster_id),
            transport=transport,
            state_machine=self.state_machine,
            run_in_writer=threads.writer,
            save_in_writer=threads.writer.soon,
            run_in_background=threads.snapshots,
            run_in_transfers=threads.transfers,
            choose=chance.randint,
            halt=halt,
            bootstrap=bootstrap,
            timing=settings.timing,
            snapshot_policy=settings.snapshot_policy,
            precautions=self._precautions(),
            removed_index=self.disk.removed_index,
            when_removed=when_removed,
        )
        leases = LeaseClock(self.reactor, node) if isinstance(self.state_machine, KeyValueStore) else None
        return WiredNode(node, transport, leases)

    def _precautions(self) -> Precautions:
        settings = self.settings
        return Precautions(
            reap_after_seconds=settings.members.reap_after_seconds,
            check_interval_seconds=settings.check_interval_seconds or None,
            disk_reserve_bytes=settings.disk_reserve_bytes,
            release=__version__,
            disk_use=self.disk.use,
            frees_room=frees_room if isinstance(self.state_machine, KeyValueStore) else lambda command: False,
        )

    def api(self, wired: WiredNode, guard: Guard | None, backups: Callable[[], object], connections: Connections) -> Api:
        """What the web shows of that node, behind its guard."""
        node, tally = wired.node, HttpTally(self.reactor.seconds)
        figures = Figures(node, tally, connections, self.disk.tally, wired.transport, self.stalls, self.certificates.live)
        return node_api(node, self.settings.forward, wired.leases, node.age_seconds, backups, guard, tally, figures)
