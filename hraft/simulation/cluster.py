"""A simulated cluster that a test drives by hand: the face of `hraft.simulation` for tests of state machines, ours and yours.

    cluster = Cluster(seed=7, nodes_count=3, state_machine=Counter)
    cluster.propose(b'{"add":1}')
    cluster.partition([cluster.leader()])
    cluster.propose(b'{"add":2}', node=cluster.other_than(cluster.leader()))
    cluster.close()

Everything is real but time, chance, network and disk. Nothing happens between two calls; a call lets time go by until it has its
answer. All that is checked in simulated worlds is checked here too, after every event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hraft.errors import HraftError, NotLeader, OutcomeUnknown, ProposalDropped, ReadFailed
from hraft.interfaces import ReadLevel, SnapshotPolicy, StateMachine, Timing
from hraft.kv.store import KeyValueStore
from hraft.raft.node import RaftNode
from hraft.service import Applied
from hraft.simulation.clock import Process
from hraft.simulation.disk_faults import heal as heal_disk
from hraft.simulation.ending import end, is_settled
from hraft.simulation.network import Faults
from hraft.simulation.node import SimulatedNode
from hraft.simulation.shape import draw_shape
from hraft.simulation.story import Violation
from hraft.simulation.world import World

#: What waits for something that must come waits no longer than this, in simulated seconds.
PATIENCE_SECONDS = 30.0
_TIMING = Timing(tick_seconds=0.05, heartbeat_interval_ticks=2, election_timeout_ticks=10)
_POLICY = SnapshotPolicy(entries_count=50, kept_entries_count=10)
_RETRY_SECONDS = 0.1


class PromiseBroken(AssertionError):
    """hraft or the state machine did what must never happen; the message has the seed and the last events."""


class Asked:
    """A question on its way. It goes on while time does."""

    def __init__(self, answer: Deferred[Any]) -> None:
        self.is_over = False
        self._outcome: Any = None
        answer.addBoth(self._fired)

    def _fired(self, outcome: Any) -> None:
        self.is_over, self._outcome = True, outcome

    @property
    def error(self) -> BaseException | None:
        """What it failed with; None while it waits, or if it did not fail."""
        return self._outcome.value if isinstance(self._outcome, Failure) else None

    def result(self) -> Any:
        """The answer. Raises the error it failed with, or ValueError while it waits."""
        if not self.is_over:
            raise ValueError("there is no answer yet: let time go by with advance() or until()")
        if isinstance(self._outcome, Failure):
            self._outcome.raiseException()
        return self._outcome


class Cluster:
    """Nodes are named node0, node1, ...; wherever a node may be given, the leader is meant if none is."""

    def __init__(
        self,
        seed: int = 0,
        nodes_count: int = 3,
        state_machine: Callable[[], StateMachine] = KeyValueStore,
        *,
        messages: Faults | None = None,
        timing: Timing = _TIMING,
        snapshot_policy: SnapshotPolicy = _POLICY,
        encode_result: Callable[[Any], bytes] = msgspec.json.encode,
        decode_result: Callable[[bytes], Any] = msgspec.json.decode,
        **shape: Any,
    ) -> None:
        """Form the cluster; it is ready when this returns. `messages`: what may happen to each one, from then on."""
        shape = {"disk_seconds": (0.0005, 0.005), "quick_saves_share": 0.0, **shape}
        drawn = draw_shape(seed, nodes_count=nodes_count, kinds=(), timing=timing, snapshot_policy=snapshot_policy, **shape)
        self.world = World(drawn, state_machine, encode_result, decode_result, is_store=False)
        self._is_closed = False
        #: Who waits for an answer of which process, and what it means if that dies.
        self._waiting: list[tuple[Process, Deferred[Any], HraftError]] = []
        self.world.listeners.append(self)
        with self._telling():
            self.world.form()
            self.world.run_until(lambda: is_settled(self.world), PATIENCE_SECONDS, "the cluster is formed")
        if messages is not None:
            self.world.network.faults = messages

    # --- time ------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Simulated seconds since the beginning of the world."""
        return self.world.clock.now

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        with self._telling():
            self.world.run(seconds)

    def until(self, holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> float:
        """Let time go by until something holds; return how long that took. Raises PromiseBroken if it takes too long."""
        with self._telling():
            return self.world.run_until(holds, seconds, what)

    # --- looking ---------------------------------------------------------------------------------

    @property
    def node_ids(self) -> list[str]:
        return list(self.world.nodes)

    @property
    def voters(self) -> list[str]:
        """As of the last committed configuration."""
        return list(self.world.configuration.voters)

    def leader(self) -> str:
        """The leader, waiting for one if need be."""
        self.until(lambda: self.world.leader() is not None, "there is a leader")
        leader = self.world.leader()
        assert leader is not None
        return leader.node_id

    def followers(self) -> list[str]:
        """All voters but the leader."""
        leader = self.leader()
        return [voter for voter in self.voters if voter != leader]

    def node(self, node_id: str | None = None) -> SimulatedNode:
        """The node itself, for a closer look."""
        return self.world.nodes[self.leader() if node_id is None else node_id]

    def state_machine(self, node_id: str | None = None) -> Any:
        """A node's own copy, as it is now; it may lag behind. `read` does not."""
        return self.node(node_id).state_machine

    # --- clients ---------------------------------------------------------------------------------

    def submit(self, command: bytes, node: str | None = None) -> Asked:
        """Ask a node to have a command (one JSON text) applied, and do not wait."""
        service = self.node(node).service
        lost = OutcomeUnknown("the node crashed before it answered")
        return Asked(self._in_process(node, lambda: service.submit(command), lost))

    def propose(self, command: bytes, node: str | None = None, retry: bool = True) -> Any:
        """Have a command applied, and return its result. With `retry`, what is safe to repeat is repeated, and not raised."""
        applied = self._ask(lambda: self.submit(command, node), retry)
        assert isinstance(applied, Applied)
        return applied.result

    def confirm_read(self, node: str | None = None, level: ReadLevel = ReadLevel.LINEARIZABLE) -> Asked:
        """Ask a node to make sure that its state machine may be read, and do not wait."""
        service = self.node(node).service
        lost = ReadFailed("the node crashed before it answered")
        return Asked(self._in_process(node, lambda: service.confirm_read(level), lost))

    def read(self, node: str | None = None, retry: bool = True) -> Any:
        """A node's state machine, when all that was acknowledged before is in it (a linearizable read)."""
        node = self.leader() if node is None else node
        self._ask(lambda: self.confirm_read(node), retry)
        return self.state_machine(node)

    def wait_for(self, *questions: Asked) -> None:
        """Let time go by until all of these are over."""
        self.until(lambda: all(asked.is_over for asked in questions), "an answer")

    def _ask(self, ask: Callable[[], Asked], retry: bool) -> Any:
        end_at = self.now + PATIENCE_SECONDS
        while True:
            asked = ask()
            self.wait_for(asked)
            is_safe = isinstance(asked.error, NotLeader | ProposalDropped | ReadFailed)
            if not (is_safe and retry and self.now < end_at):
                return asked.result()
            self.advance(_RETRY_SECONDS)

    def _in_process(self, node: str | None, ask: Callable[[], Deferred[Any]], lost: HraftError) -> Deferred[Any]:
        """As a request that reaches the node's process: in an event of its own, and not while it is paused."""
        life = self.node(node).life
        if life is None:
            raise ValueError(f"{node} is down")
        answer: Deferred[Any] = Deferred()
        self._waiting = [waiting for waiting in self._waiting if not waiting[1].called]
        self._waiting.append((life.process, answer, lost))
        life.process.callLater(0, lambda: ask().addBoth(answer.callback))
        return answer

    def node_died(self, process: Process) -> None:
        """Its clients' connections broke."""
        waiting, self._waiting = self._waiting, []
        for asked, answer, lost in waiting:
            if asked is not process:
                self._waiting.append((asked, answer, lost))
            elif not answer.called:
                answer.errback(lost)

    # --- what goes wrong -------------------------------------------------------------------------

    def crash(self, node: str | None = None, power: bool = True) -> str:
        """Kill a node; with `power`, its machine too, so that what was not synced may be lost. Returns which."""
        crashed = self.node(node)
        crashed.crash(1.0 if power else 0.0)
        return crashed.node_id

    def restart(self, *nodes: str) -> None:
        """Start these again, or all that are down."""
        with self._telling():
            for node_id in nodes or self.node_ids:
                self.node(node_id).start()

    def pause(self, node: str | None = None) -> str:
        """Stop a process in the midst of everything, as SIGSTOP and long garbage collections do. Returns which."""
        paused = self.node(node)
        paused.pause()
        return paused.node_id

    def resume(self, *nodes: str) -> None:
        """Let these go on, or all."""
        for node_id in nodes or self.node_ids:
            self.node(node_id).resume()

    def partition(self, *groups: Iterable[str]) -> None:
        """Nothing passes between these groups; who is in none of them forms another."""
        named = [list(group) for group in groups]
        rest = [node_id for node_id in self.node_ids if not any(node_id in group for group in named)]
        self.world.network.partition(*named, rest)

    def cut(self, sender: str, to: str) -> None:
        """Nothing passes from the one to the other; the way back stays as it is."""
        self.world.network.cut(sender, to)

    def stall_disk(self, node: str | None = None) -> str:
        """The disk hangs until `heal`. Returns whose."""
        stalled = self.node(node)
        stalled.stall_disk()
        return stalled.node_id

    def fill_disk(self, node: str | None = None) -> str:
        """There is no more room on the disk until `heal`. Returns whose."""
        full = self.node(node)
        full.disk.room_bytes = 0
        return full.node_id

    def heal(self) -> None:
        """Links, disks and processes are well again, and who is down starts."""
        self.world.network.heal()
        for node in self.world.nodes.values():
            heal_disk(node)
            node.resume()
        self.restart()

    # --- members ---------------------------------------------------------------------------------

    def join(self) -> str:
        """Add a node and have it ask to be taken in; returns its name. Wait with `until(lambda: name in cluster.voters, ...)`."""
        node = self.world.add_node()
        self.restart(node.node_id)
        self.world.join(node)
        return node.node_id

    def remove(self, node: str) -> None:
        """Ask the leader to remove a member. Raises ChangeRefused, NotLeader."""
        self._change(lambda leader: leader.remove(node))

    def transfer(self, target: str | None = None) -> None:
        """Ask the leader to hand over. Raises ChangeRefused, NotLeader."""
        self._change(lambda leader: leader.transfer(target))

    def _change(self, change: Callable[[RaftNode], object]) -> None:
        running = self.node().service._running
        assert running is not None
        change(running.node)
        running.loop.wake()

    # --- the end ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let time go by until there is one leader and everything is applied everywhere."""
        self.until(lambda: is_settled(self.world), "all members agree")

    def close(self) -> None:
        """Heal everything, and see that all members agree and that no disk has lost anything."""
        if self._is_closed:
            return
        self._is_closed = True
        self.heal()
        with self._telling():
            end(self.world)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except HraftError:
            raise
        except Violation as violation:
            story = self.world.story.last_events()
            self._is_closed = True
            raise PromiseBroken(f"seed {self.world.shape.seed}: {violation}\n\nThe last events:\n{story}") from violation
