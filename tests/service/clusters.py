"""A cluster of real NodeServices in one thread: real core, real store, memory for disks, one clock, one seed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from hraft.interfaces import ChunkEnvelope, PeerIdentity, SnapshotPolicy, Timing
from hraft.kv.commands import Delete, Set, encode_command
from hraft.kv.results import decode_result, encode_result
from hraft.kv.store import KeyValueStore
from hraft.raft.messages import Envelope
from hraft.raft.ready import Role
from hraft.service import NodeService
from hraft.simulation.network import Faults, Network, SimulatedTransport
from hraft.simulation.thread import SimulatedThread
from hraft.storage.memory import MemoryStorage

CLUSTER_ID = "c1"
TIMING = Timing(tick_seconds=0.02, heartbeat_interval_ticks=5, election_timeout_ticks=20)
ELECTION_TIMEOUT_SECONDS = 0.4


def set_command(key: str, value: str) -> bytes:
    return encode_command(Set(key.encode(), value.encode()))


def delete_command(key: str) -> bytes:
    return encode_command(Delete(key.encode()))


class Outcome:
    """What a Deferred came to, looked at without touching it. `value` is the result, `error` the exception."""

    def __init__(self, deferred: Deferred[Any]) -> None:
        self.deferred = deferred
        self.count = 0
        self.value: Any = None
        self.error: BaseException | None = None
        deferred.addBoth(self._fired)

    def _fired(self, result: Any) -> None:
        self.count += 1
        if isinstance(result, Failure):
            self.error = result.value
        else:
            self.value = result

    @property
    def is_over(self) -> bool:
        return self.count > 0

    def __repr__(self) -> str:
        return f"Outcome(value={self.value!r}, error={self.error!r}, count={self.count})"


class Member:
    """One node: its disk outlives it, everything else is of one life."""

    def __init__(self, cluster: Cluster, node_id: str, storage: Any = None, **options: Any) -> None:
        self.cluster = cluster
        self.node_id = node_id
        self.address = f"{node_id}:12000"
        self.storage = storage if storage is not None else MemoryStorage(CLUSTER_ID)
        self.options = options
        self.halted: list[str] = []
        self.service: NodeService
        self.transport: SimulatedTransport
        self.writer: SimulatedThread
        self.background: SimulatedThread
        self.transfers: SimulatedThread

    def start(self, **options: Any) -> NodeService:
        clock = self.cluster.clock
        identity = PeerIdentity(CLUSTER_ID, self.node_id, f"{self.node_id}:11000")
        self.transport = self.cluster.network.transport(identity, self.address)
        self.writer, self.background, self.transfers = (SimulatedThread(clock) for _ in range(3))
        settings: dict[str, Any] = {
            "clock": clock,
            "node_id": self.node_id,
            "cluster_id": CLUSTER_ID,
            "raft_address": self.address,
            "http_address": f"{self.node_id}:11000",
            "storage": self.storage,
            "transport": self.transport,
            "state_machine": KeyValueStore(),
            "run_in_writer": self.writer,
            "run_in_background": self.background,
            "run_in_transfers": self.transfers,
            "choose": self.cluster.random.randint,
            "halt": self.halted.append,
            "timing": TIMING,
            "encode_result": encode_result,
            "decode_result": decode_result,
        }
        self.service = NodeService(**{**settings, **self.options, **options})
        self.service.startService()
        return self.service

    def crash(self) -> None:
        """Killed: nothing is finished, nobody is told."""
        self.transport.crash()
        self.writer.die()
        self.background.die()
        self.transfers.die()
        running = self.service._running
        assert running is not None
        running.freeze()

    @property
    def role(self) -> Role:
        return self.service.status().role

    def get(self, key: str) -> str | None:
        """The value in this node's own state machine."""
        store = self.service.state_machine
        assert isinstance(store, KeyValueStore)
        record = store.get(key.encode())
        return None if record is None else record.value.decode()


class Cluster:
    """Nodes and the time they live in."""

    def __init__(self, seed: int = 1, faults: Faults | None = None, **options: Any) -> None:
        self.clock = Clock()
        self.random = Random(seed)
        self.network = Network(self.clock, Random(seed + 1), faults)
        self.options = options
        self.members: dict[str, Member] = {}

    # --- making ----------------------------------------------------------------------------------

    def member(self, node_id: str, **options: Any) -> Member:
        member = self.members[node_id] = Member(self, node_id, **{**self.options, **options})
        return member

    def bootstrap(self, voters_count: int = 3) -> Cluster:
        """A cluster of node0, node1, ...: the first begins alone, the others join it."""
        self.member("node0").start(bootstrap=True)
        self.run_until(lambda: self.leader() is not None, "node0 leads")
        for number in range(1, voters_count):
            member = self.member(f"node{number}")
            member.start()
            joined = self.join(member)
            self.run_until(lambda joined=joined: joined.is_over, f"{member.node_id} joined")
            assert joined.error is None and joined.value.role == "voter", joined
        self.run_until(self.is_settled, "all agree")
        return self

    def join(self, member: Member, by: Member | None = None, empty_log: bool | None = True) -> Outcome:
        asked = by or self.members["node0"]
        return Outcome(asked.service.join(member.node_id, member.address, empty_log))

    # --- time ------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        end = self.clock.seconds() + seconds
        while self._next_time() <= end:
            self._go_to(self._next_time())
        self._go_to(end)

    def run_until(self, holds: Callable[[], bool], what: str, within_seconds: float = 30.0) -> None:
        end = self.clock.seconds() + within_seconds
        while not holds():
            if self._next_time() > end:
                raise AssertionError(f"not within {within_seconds} s: {what}")
            self._go_to(self._next_time())

    def _next_time(self) -> float:
        return min((call.getTime() for call in self.clock.getDelayedCalls()), default=float("inf"))

    def _go_to(self, seconds: float) -> None:
        self.clock.advance(max(0.0, seconds - self.clock.seconds()))

    def wait_for(self, deferred: Deferred[Any], within_seconds: float = 30.0) -> Outcome:
        outcome = Outcome(deferred)
        self.run_until(lambda: outcome.is_over, "an answer", within_seconds)
        return outcome

    # --- looking ---------------------------------------------------------------------------------

    def running(self) -> list[Member]:
        return [member for member in self.members.values() if member.transport.is_listening]

    def leader(self) -> Member | None:
        """The leader of the highest term, if there is one."""
        leaders = [member for member in self.running() if member.role is Role.LEADER]
        return max(leaders, key=lambda member: member.service.status().term, default=None)

    def the_leader(self) -> Member:
        leader = self.leader()
        assert leader is not None
        return leader

    def followers(self) -> list[Member]:
        leader = self.the_leader()
        return [member for member in self.running() if member is not leader]

    def elect(self, other_than: Member | None = None) -> Member:
        self.run_until(lambda: self.leader() not in (None, other_than), "a new leader")
        return self.the_leader()

    def is_settled(self) -> bool:
        """One leader, known to all, and everything applied everywhere."""
        leader = self.leader()
        if leader is None:
            return False
        last_index = leader.service.status().last.index
        return all(
            member.service.status().leader_id == leader.node_id and member.service.status().applied_index == last_index
            for member in self.running()
        )

    def settle(self) -> None:
        self.run_until(self.is_settled, "all agree")

    def write(self, key: str, value: str) -> Outcome:
        return self.wait_for(self.the_leader().service.propose(set_command(key, value)))

    def write_many(self, count: int, prefix: str = "k") -> None:
        outcomes = [Outcome(self.the_leader().service.propose(set_command(f"{prefix}{n}", str(n)))) for n in range(count)]
        self.run_until(lambda: all(outcome.is_over for outcome in outcomes), "all written")
        assert all(outcome.error is None for outcome in outcomes), outcomes

    def states(self) -> set[str]:
        """The hashes of the nodes' state machines: one, when they agree."""
        hashes = set()
        for member in self.running():
            store = member.service.state_machine
            assert isinstance(store, KeyValueStore)
            hashes.add(store.state_hash())
        return hashes

    def stop(self) -> None:
        """Stop every node at once; afterwards nothing may be left to do."""
        stops = [Outcome(member.service.stopService()) for member in self.running()]
        self.run_until(lambda: all(stop.is_over for stop in stops), "all stopped")
        self.run(1.0)
        assert self.clock.getDelayedCalls() == [], self.clock.getDelayedCalls()


#: Snapshots soon and little log behind them, so that a short test needs one.
EAGER = SnapshotPolicy(entries_count=20, log_bytes=1 << 30, kept_entries_count=2, kept_bytes=1 << 20)


def losing(kind: type, chance: float, dice: Random) -> Callable[[Envelope | ChunkEnvelope], bool]:
    """For `Network.lets_pass`: lose some of one kind of message."""
    return lambda envelope: not isinstance(envelope.message, kind) or dice.random() >= chance
