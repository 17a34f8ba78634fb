"""One life of a simulated node: a process and its clock, its end of the network, its threads, its storage, and the service.

All of it is lost when the process dies; only the disk is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hraft.interfaces import PeerIdentity, Precautions, Recovered, StateMachine
from hraft.kv.store import KeyValueStore
from hraft.leases import LeaseClock
from hraft.raft.entry import HardState
from hraft.raft.ready import Save
from hraft.raft.state import RaftState
from hraft.service import NodeService
from hraft.simulation.clock import Process
from hraft.simulation.disk_thread import DiskThread
from hraft.simulation.disk_truth import StorageWatcher, WatchedStorage
from hraft.simulation.links import ProcessTransport

if TYPE_CHECKING:
    from hraft.simulation.node import SimulatedNode

CLUSTER_ID = "simulated"


class WatchedStateMachine:
    """The real state machine, each of whose steps is shown to `applied`."""

    def __init__(self, inner: StateMachine, applied: Callable[[int, bytes, Any], None]) -> None:
        self.inner = inner
        self._applied = applied

    def apply(self, index: int, command: bytes) -> Any:
        result = self.inner.apply(index, command)
        self._applied(index, command, result)
        return result

    @property
    def canonical_lines(self) -> Callable[[], Iterable[bytes]] | None:
        return getattr(self.inner, "canonical_lines", None)

    def snapshot(self) -> Iterable[bytes]:
        return self.inner.snapshot()

    def restored(self, lines: Iterable[bytes]) -> WatchedStateMachine:
        return WatchedStateMachine(self.inner.restored(lines), self._applied)


class _Watcher(StorageWatcher):
    """Passes on what one node's storage has done."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node

    def recovered(self, recovered: Recovered) -> None:
        self._node.world.marks.looked_at_recovery(self._node, recovered)

    def saved(self, save: Save, before: HardState) -> None:
        trap = self._node.world.trap
        if trap is not None:
            trap(self._node, save, before)

    def snapshotted(self) -> None:
        self._node.world.marks.hit("a snapshot was taken")

    def compacted(self) -> None:
        self._node.world.marks.hit("a segment was removed")


@dataclass(slots=True)
class Life:
    """What a process has and loses when it dies."""

    process: Process
    transport: ProcessTransport
    storage: WatchedStorage
    writer: DiskThread
    background: DiskThread
    service: NodeService
    #: Of a node whose state machine is the key-value store.
    leases: LeaseClock | None = None
    #: The core's, once it is started.
    state: RaftState | None = None


def begin_life(node: SimulatedNode, bootstrap: bool) -> Life:
    """A new process with all that it needs, not yet started."""
    world, shape = node.world, node.world.shape
    process = Process(world.clock, node.node_id, node.clock_rate)
    identity = PeerIdentity(CLUSTER_ID, node.node_id, node.http_address)
    transport = ProcessTransport(world.network, identity, node.address, process)
    storage = WatchedStorage(node.disk, node.truth, CLUSTER_ID, shape.segment_bytes, shape.padding_bytes, _Watcher(node))
    storage.pending = node.pending
    writer = DiskThread(world.clock, process, node.disk_latency, node.is_quick)
    background = DiskThread(world.clock, process, node.disk_latency)
    if node.is_stalled:
        writer.stall()
        background.stall()

    def halt(reason: str) -> None:
        world.story.tell("%s halts: %s", node.node_id, reason)
        world.halted(node, process, reason)

    state_machine = WatchedStateMachine(world.make_state_machine(), lambda *step: world.applied(node, *step))
    service = NodeService(
        clock=process,
        node_id=node.node_id,
        cluster_id=CLUSTER_ID,
        raft_address=node.address,
        http_address=node.http_address,
        storage=storage,
        transport=transport,
        state_machine=state_machine,
        run_in_writer=writer,
        save_in_writer=writer.soon,
        run_in_background=background,
        choose=node.random.randint,
        halt=halt,
        bootstrap=bootstrap,
        timing=shape.timing,
        snapshot_policy=shape.snapshot_policy,
        precautions=Precautions(shape.check_interval_seconds),
        encode_result=world.encode_result,
        decode_result=world.decode_result,
    )
    is_store = isinstance(state_machine.inner, KeyValueStore)
    leases = LeaseClock(process, service, lambda: node.state_machine) if is_store else None
    return Life(process, transport, storage, writer, background, service, leases)
