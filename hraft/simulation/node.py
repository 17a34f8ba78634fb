"""One simulated node: a real NodeService over a real DurableStorage, on a disk that outlives its many lives.

It can be started, killed, cut off from its power, paused, and given a new disk. Whoever asks decides when; what is found on the
disk afterwards is up to chance.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

from hraft.errors import StorageFailed, StorageFull
from hraft.leases import LeaseClock
from hraft.raft.ready import Role
from hraft.raft.state import RaftState
from hraft.service import NodeService
from hraft.simulation.disk import PowerCut, SimulatedDisk
from hraft.simulation.disk_thread import DiskThread
from hraft.simulation.disk_truth import DiskTruth
from hraft.simulation.life import Life, WatchedStateMachine, begin_life

if TYPE_CHECKING:
    from hraft.simulation.world import World

#: A crash comes somewhere in the first so many operations on the disk.
_OPERATIONS_BEFORE_CUT_COUNT = 6


class SimulatedNode:
    """A node with its disk. `life` is None while it is down."""

    def __init__(self, world: World, node_id: str, clock_rate: float = 1.0) -> None:
        self.node_id = node_id
        self.address = f"{node_id}:12000"
        self.http_address = f"{node_id}:11000"
        self.disk = SimulatedDisk(node_id)
        self.truth = DiskTruth()
        #: What was on a disk that was exchanged for an empty one.
        self.lost = DiskTruth()
        self.life: Life | None = None
        self.clock_rate = clock_rate
        #: Seconds that the disk takes at least and at most.
        self.disk_seconds = (0.0005, 0.005)
        self.is_stalled = False
        #: Its disk was exchanged for an empty one, so it may never count again.
        self.is_wiped = False
        self.starts_count = 0
        self.world = world
        self.random: Random = world.stream(f"node/{node_id}")
        self.pending: Any = None

    def __repr__(self) -> str:
        return f"SimulatedNode({self.node_id!r})"

    # --- what is so ------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        return self.life is not None

    @property
    def is_paused(self) -> bool:
        return self.life is not None and self.life.process.is_paused

    @property
    def service(self) -> NodeService:
        """Raises ValueError for a node that is down."""
        if self.life is None:
            raise ValueError(f"{self.node_id} is down")
        return self.life.service

    @property
    def leases(self) -> LeaseClock:
        """Raises ValueError for a node that is down, or whose state machine is no key-value store."""
        if self.life is None or self.life.leases is None:
            raise ValueError(f"{self.node_id} is down, or knows no leases")
        return self.life.leases

    @property
    def state(self) -> RaftState:
        """The core's own state, to be looked at only. Raises ValueError for a node that is down."""
        if self.life is None or self.life.state is None:
            raise ValueError(f"{self.node_id} is down")
        return self.life.state

    @property
    def role(self) -> Role | None:
        """None while it is down."""
        return None if self.life is None else self.state.role

    @property
    def is_short_of_room(self) -> bool:
        """Its last save found no room on the disk. It tries again by itself, and until then takes no proposal in (D3)."""
        running = None if self.life is None else self.life.service._running
        return running is not None and running.saves.full_reason is not None

    @property
    def state_machine(self) -> Any:
        """The real one."""
        watched = self.service.state_machine
        assert isinstance(watched, WatchedStateMachine)
        return watched.inner

    def describe(self) -> str:
        """In a few words."""
        if self.life is None:
            return f"{self.node_id} down"
        state = self.state
        words = (
            f"{self.node_id} {state.role.value} term {state.term} log {state.log.base.index}..{state.log.last_index} "
            f"persisted {state.saving.persisted_index} commit {state.commit_index}"
        )
        return words + (" paused" if self.is_paused else "") + (" wiped" if self.is_wiped else "")

    # --- lives -----------------------------------------------------------------------------------

    def start(self, bootstrap: bool = False) -> bool:
        """Begin a new life; does nothing to a node that is up. False when the disk does not let it start now."""
        if self.life is not None:
            return True
        life = begin_life(self, bootstrap)
        self.starts_count += 1
        try:
            life.service.startService()
        except (StorageFailed, StorageFull) as error:
            self.world.story.tell("%s cannot start: %s", self.node_id, type(error).__name__)
            self._died(life, loss_chance=1.0)
            return False
        except PowerCut:
            self.world.marks.hit("the power went during a start")
            self._died(life, loss_chance=1.0)
            return False
        self.life = life
        running = life.service._running
        assert running is not None
        life.state = running.node.state
        shape = self.world.shape
        self.state.settings = replace(
            self.state.settings,
            append_entries_count=shape.append_entries_count,
            inflight_messages_count=shape.inflight_messages_count,
        )
        self.world.story.tell("%s starts, term %s, last entry %s", self.node_id, self.state.term, self.state.log.last_index)
        self.world.started(self)
        return True

    def start_later(self, seconds: float) -> None:
        """Start after so long, and then again and again until that works."""
        self.world.clock.schedule(seconds, None, self._start_or_later, (seconds,))

    def _start_or_later(self, seconds: float) -> None:
        if not self.start():
            self.start_later(seconds)

    def crash(self, loss_chance: float = 0.0) -> None:
        """Die at once. `loss_chance` is that of each thing not synced; 0: the process was killed, the machine goes on."""
        life = self.life
        if life is None:
            return
        self.world.story.tell("%s crashes, losing %s", self.node_id, loss_chance)
        self.world.marks.looked_at_crash(self, life)
        self.life = None
        life.process.kill()
        life.transport.crash()
        life.writer.stop()
        life.background.stop()
        for thread in (life.background, life.writer):
            self._cut_short(thread)
        self._died(life, loss_chance)
        self.world.died(self, life.process)

    def pause(self) -> None:
        if self.life is not None and not self.life.process.is_paused:
            self.world.story.tell("%s is paused", self.node_id)
            self.life.process.pause()

    def resume(self) -> None:
        if self.life is not None and self.life.process.is_paused:
            self.world.story.tell("%s is resumed", self.node_id)
            if self.role is Role.LEADER and max(self.world.ledger.leaders, default=0) > self.state.term:
                self.world.marks.hit("a paused leader found itself deposed")
            self.world.probe(self)
            self.life.process.resume()

    def stall_disk(self) -> None:
        """Every operation on the disk hangs until `unstall_disk`."""
        self.is_stalled = True
        if self.life is not None:
            self.life.writer.stall()
            self.life.background.stall()

    def unstall_disk(self) -> None:
        self.is_stalled = False
        if self.life is not None:
            self.life.writer.resume()
            self.life.background.resume()

    def wipe(self) -> None:
        """Exchange the disk of a node that is down for an empty one."""
        if self.life is not None:
            raise ValueError(f"{self.node_id} is up, so its disk cannot be exchanged")
        self.world.story.tell("%s gets an empty disk", self.node_id)
        self.disk = SimulatedDisk(self.node_id)
        self.lost, self.truth = self.truth, DiskTruth()
        self.pending = None
        self.is_wiped = True

    # --- how -------------------------------------------------------------------------------------

    def disk_latency(self) -> float:
        """How long the next operation takes."""
        return self.random.uniform(*self.disk_seconds)

    def is_quick(self) -> bool:
        """Whether the next small save is done while its process waits for it."""
        share = self.world.shape.quick_saves_share
        return share > 0.0 and self.random.random() < share

    def _cut_short(self, thread: DiskThread) -> None:
        """Let the disk do some operations of the job it was at."""
        job = thread.in_progress
        if job is None or self.is_stalled or self.disk.fault is not None:
            return
        left = self.random.randint(0, _OPERATIONS_BEFORE_CUT_COUNT)

        def fault(operation: str, path: str) -> None:
            nonlocal left
            if left == 0:
                raise PowerCut(f"{operation} {path}")
            left -= 1

        self.disk.fault = fault
        try:
            job.function(*job.arguments)
        except (PowerCut, StorageFull, StorageFailed):
            pass
        finally:
            self.disk.fault = None

    def _died(self, life: Life, loss_chance: float) -> None:
        """Only the disk is left, and of what was not synced whatever chance lets survive."""
        life.process.kill()
        life.transport.crash()
        room_bytes, fault = self.disk.room_bytes, self.disk.fault
        before = self.disk.contents() if loss_chance else {}

        def luck(low: int, high: int) -> int:
            if loss_chance == 0.0:
                return high - 1
            return low if self.random.random() < loss_chance else self.random.randrange(low, high)

        self.disk = self.disk.after_crash(luck)
        self.disk.room_bytes, self.disk.fault = room_bytes, fault
        if loss_chance and self.disk.contents() != before:
            self.world.marks.hit("a crash lost what was not synced")
        # The checks of the next life must know what was being saved in this one.
        self.pending = life.storage.pending
