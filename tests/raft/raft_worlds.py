"""One seed, one world: a cluster, a cruel network, disks that stall, and everything checked after every event.

`World(seed).run()` plays a first act full of faults and a second one without, in which the cluster must recover. Whatever
may never be raises InvariantBroken; a world that does not recover raises Stuck. A seed is a bug report:

    python tests/raft/raft_worlds.py SEED            tells the story of one seed
    python tests/raft/raft_worlds.py FIRST LAST      runs many, and prints those that fail
"""

from __future__ import annotations

import heapq
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from raft_cluster import Cluster, Server, voters

from hraft.errors import ChangeRefused, NotLeader, ProposalDropped, ReadFailed
from hraft.raft.entry import EntryKind
from hraft.raft.invariants import InvariantBroken, require
from hraft.raft.messages import Envelope, InstallSnapshot
from hraft.raft.ready import Role
from hraft.raft.settings import Settings

CHAOS_TICKS = 200
RECOVERY_TIMEOUTS = 40
COMMIT_TIMEOUTS = 5


class Stuck(AssertionError):
    """The faults are over, and yet the cluster does not come to rest."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad one world is. Probabilities are per message, or per tick."""

    servers_count: int
    entries_per_message: int
    emphasis: str
    election_timeout_ticks: int
    loss: float
    duplicates: float
    delay_ticks: float
    late: float
    save_ticks: float
    stall: float
    crash: float
    restart_ticks: float
    survives: float
    cut: float
    heal: float
    pause: float
    wipe: float
    change: float
    transfer: float
    rivals: bool
    snapshot_entries_count: int
    kept_entries_count: int
    writes: float
    reads: float

    @classmethod
    def of(cls, chance: random.Random) -> Weather:
        """Some worlds are calm in one respect or another, so that every fault also gets to be alone; some dwell on one thing."""

        def sometimes(low: float, high: float, probability: float = 0.6) -> float:
            return chance.uniform(low, high) if chance.random() < probability else 0.0

        weather = cls(
            servers_count=chance.choice((1, 2, 3, 3, 3, 3, 4, 5, 5)),
            emphasis=chance.choice(("", "elections", "elections", "logs", "terms", "members", "snapshots", "reads")),
            election_timeout_ticks=10,
            entries_per_message=chance.choice((1, 2, 8, 100)),
            loss=sometimes(0.01, 0.3),
            duplicates=sometimes(0.01, 0.5),
            delay_ticks=chance.choice((0.05, 0.3, 1.0, 3.0)),
            late=sometimes(0.01, 0.1),
            save_ticks=chance.choice((0.0, 0.1, 0.5, 2.0, 6.0)),
            stall=sometimes(0.005, 0.05, 0.4),
            crash=sometimes(0.005, 0.06),
            restart_ticks=chance.choice((1.0, 5.0, 20.0)),
            survives=chance.choice((0.0, 0.5)),
            cut=sometimes(0.01, 0.08),
            heal=chance.choice((0.02, 0.05, 0.2)),
            pause=sometimes(0.005, 0.03, 0.3),
            wipe=sometimes(0.005, 0.01, 0.1),
            change=sometimes(0.02, 0.15, 0.5),
            transfer=sometimes(0.01, 0.1, 0.4),
            rivals=chance.random() < 0.3,
            snapshot_entries_count=chance.choice((3, 8, 20, 10_000)),
            kept_entries_count=chance.choice((0, 0, 2, 10)),
            writes=chance.choice((0.1, 0.5, 1.0, 3.0)),
            reads=chance.choice((0.0, 0.2, 1.0)),
        )
        emphasis = weather.emphasis
        if emphasis == "elections":
            weather = replace(weather, servers_count=3, election_timeout_ticks=6, rivals=True, writes=0.1, change=0.0, cut=0.0)
            weather = replace(weather, save_ticks=chance.choice((2.0, 4.0)), delay_ticks=chance.choice((0.3, 1.0)), pause=0.2)
            weather = replace(weather, crash=chance.choice((0.0, 0.2, 0.5)), restart_ticks=0.5, survives=0.0, late=0.1)
        elif emphasis == "logs":
            weather = replace(weather, servers_count=5, cut=0.15, heal=0.1, writes=1.0, crash=0.05, restart_ticks=5.0)
        elif emphasis == "terms":
            weather = replace(weather, servers_count=5, election_timeout_ticks=6, entries_per_message=1, writes=0.2, change=0.0)
            weather = replace(
                weather, crash=0.15, survives=0.5, restart_ticks=4.0, loss=chance.choice((0.1, 0.3)), save_ticks=0.5
            )
            weather = replace(weather, snapshot_entries_count=10_000, delay_ticks=0.3, cut=0.05, heal=0.1, pause=0.0, wipe=0.0)
        elif emphasis == "members":
            weather = replace(weather, servers_count=chance.choice((1, 2, 3)), change=0.4, cut=0.08, crash=0.03, wipe=0.0)
        elif emphasis == "snapshots":
            weather = replace(weather, snapshot_entries_count=2, kept_entries_count=0, cut=0.1, save_ticks=2.0, writes=0.5)
        elif emphasis == "reads":
            weather = replace(weather, servers_count=3, pause=0.08, late=0.1, reads=1.0, writes=1.0, delay_ticks=0.3)
            weather = replace(weather, save_ticks=0.1, stall=0.0, crash=0.0, wipe=0.0, change=0.0)
        return weather


class World:
    """A cluster in its weather. Time is in ticks; what happens at one time happens in an order drawn by chance."""

    def __init__(self, seed: int, tell: Callable[[str], None] | None = None) -> None:
        self.chance = random.Random(seed)
        self.weather = Weather.of(self.chance)
        self.tell = tell
        self.story = sha256()
        self.now = 0.0
        self.due: list[tuple[float, float, int, Callable[[], None]]] = []
        self.events_count = 0
        self.cuts: set[tuple[str, str]] = set()
        self.paused: dict[str, list[Envelope]] = {}
        self.is_calm = False
        self.ids_count = 0
        self.reads_asked: dict[tuple[str, int], int] = {}
        self.dropped: set[bytes] = set()
        settings = Settings(
            election_timeout_ticks=self.weather.election_timeout_ticks,
            heartbeat_interval_ticks=self.chance.choice((2, 3)),
            append_bytes=self.chance.choice((100, 300, 10_000)),
            append_entries_count=self.weather.entries_per_message,
            inflight_messages_count=self.chance.choice((1, 2, 8)),
            uncommitted_entries_count=self.chance.choice((5, 50)),
            waiting_reads_count=self.chance.choice((2, 50)),
        )
        names = [self.new_name() for _ in range(self.weather.servers_count)]
        self.cluster = Cluster(voters(*names), self._choose, settings)
        self._log(f"{self.weather} {settings}")

    @property
    def servers(self) -> dict[str, Server]:
        return self.cluster.servers

    @property
    def marks(self) -> Counter[str]:
        return self.cluster.marks

    def _choose(self, low: int, high: int) -> int:
        """Rivals' election timeouts are close together, so that votes are split often."""
        is_rival = self.weather.rivals and not self.is_calm and self.chance.random() < 0.8
        return low if is_rival else self.chance.randint(low, high)

    def run(self) -> str:
        """Play both acts; returns the hash of the story."""
        self._tick_all()
        self._until(CHAOS_TICKS * (3 if self.weather.emphasis == "elections" else 1))
        self._recover()
        return self.story.hexdigest()

    # --- time ------------------------------------------------------------------------------------

    def later(self, ticks: float, event: Callable[[], None]) -> None:
        self.events_count += 1
        heapq.heappush(self.due, (self.now + ticks, self.chance.random(), self.events_count, event))

    def _until(self, time: float, reached: Callable[[], bool] = lambda: False) -> bool:
        while self.due and self.due[0][0] <= time:
            self.now, _, _, event = heapq.heappop(self.due)
            event()
            self._pick_up()
            if reached():
                return True
        return False

    def _tick_all(self) -> None:
        """Everybody's clock moves, some a little faster or slower than others."""
        for name in list(self.servers):
            if self._is_awake(name):
                count = 1 if self.is_calm or self.chance.random() < 0.9 else self.chance.choice((0, 2))
                for _ in range(count):
                    self._act(name, "ticks", self.cluster[name].tick)
                self._pick_up()
        if not self.is_calm:
            self._fate()
            self._ask_things()
        self._take_snapshots()
        self._collect_reads()
        self.later(1.0, self._tick_all)

    # --- the network and the disks ---------------------------------------------------------------

    def _pick_up(self) -> None:
        """Take what was sent and what is to be saved, and decide when each is due."""
        wire, self.cluster.wire = self.cluster.wire, []
        for envelope in wire:
            self._send(envelope)
        for name, server in self.servers.items():
            if server.saving is not None and server.node is not None and server.planned is not server.saving:
                server.planned = server.saving
                self._plan_save(name, server)

    def _plan_save(self, name: str, server: Server) -> None:
        save, node = server.saving, server.node
        ticks = 0.05 if self.is_calm else self.weather.save_ticks * self.chance.random()
        if not self.is_calm and self.chance.random() < self.weather.stall:
            ticks = self.chance.uniform(5, 60)
            self.marks["disk stalled"] += 1

        def done() -> None:
            if server.saving is save and server.node is node and self.servers[name] is server:
                self._log(f"{name} saved {save.number if save else 0}")
                self.cluster.saved(name)

        self.later(ticks, done)

    def _send(self, envelope: Envelope) -> None:
        weather, chance = self.weather, self.chance
        is_snapshot = isinstance(envelope.message, InstallSnapshot)
        if is_snapshot:
            if (envelope.sender, envelope.to) in self.cluster.transfers:
                return
            self.cluster.transfers.add((envelope.sender, envelope.to))
        if not self.is_calm and ((envelope.sender, envelope.to) in self.cuts or chance.random() < weather.loss):
            if is_snapshot:
                self._lose_snapshot(envelope)
            return
        copies = 2 if not self.is_calm and chance.random() < weather.duplicates else 1
        for _ in range(copies):
            ticks = 0.1 if self.is_calm else chance.expovariate(1 / weather.delay_ticks)
            if not self.is_calm and chance.random() < weather.late:
                ticks += chance.uniform(5, 60)
            if is_snapshot:
                ticks += chance.uniform(0, 5)
            self.later(ticks, lambda: self._arrive(envelope))

    def _lose_snapshot(self, envelope: Envelope) -> None:
        """A transfer that ends badly; mostly the leader's service notices."""
        server = self.servers[envelope.sender]
        node = server.node
        noticed = self.chance.random() < 0.7

        def failed() -> None:
            self.cluster.transfers.discard((envelope.sender, envelope.to))
            if noticed and node is not None and self.servers[envelope.sender].node is node:
                self._act(envelope.sender, "snapshot failed", lambda: node.snapshot_failed(envelope.to))

        self.later(self.chance.uniform(0, 10), failed)

    def _arrive(self, envelope: Envelope) -> None:
        if isinstance(envelope.message, InstallSnapshot):
            self.cluster.transfers.discard((envelope.sender, envelope.to))
        server = self.servers.get(envelope.to)
        if server is None or server.node is None:
            return
        if envelope.to in self.paused:
            self.paused[envelope.to].append(envelope)
            return
        self._deliver(envelope)

    def _deliver(self, envelope: Envelope) -> None:
        self._log(f"{envelope.sender}->{envelope.to} {type(envelope.message).__name__}")
        if self.tell is not None:
            self.tell(f"{'':14} {envelope.message}")
        self.cluster.deliver(envelope)
        self._tell(envelope.to)

    def _is_awake(self, name: str) -> bool:
        return self.servers[name].node is not None and name not in self.paused

    # --- fate ------------------------------------------------------------------------------------

    def _fate(self) -> None:
        """What befalls the cluster in one tick."""
        weather, chance = self.weather, self.chance
        name = self._victim()
        if chance.random() < weather.crash and self.servers[name].node is not None:
            self._log(f"{name} crashes")
            self.cluster.crash(name, chance.random() < weather.survives)
            self._forget_reads(name)
            self.paused.pop(name, None)
            self.later(chance.expovariate(1 / weather.restart_ticks), lambda: self._restart(name))
        if chance.random() < weather.cut:
            self._cut()
        if self.cuts and chance.random() < weather.heal:
            self.cuts.clear()
        if chance.random() < weather.pause and self._is_awake(name):
            self.paused[name] = []
            self.later(chance.uniform(5, 50), lambda: self._resume(name))
        if chance.random() < weather.wipe:
            self._wipe(name)
        if chance.random() < weather.change:
            self._change()
        if chance.random() < weather.transfer:
            target = chance.choice([None, *self.servers])
            self._ask("transfer", lambda leader: self.cluster[leader].transfer(target))

    def _victim(self) -> str:
        """Leaders are more interesting than others, and so are those who are in the middle of a save."""
        luck = self.chance.random()
        if luck < 0.4:
            victims = [name for name in self.servers if self._is_awake(name) and self.cluster[name].role is Role.LEADER]
        elif luck < 0.8:
            saving = [name for name, server in self.servers.items() if self._is_awake(name) and server.saving is not None]
            voting = [name for name in saving if self.cluster[name].state.hard_state.voted_for is not None]
            victims = voting or saving
        else:
            victims = []
        return self.chance.choice(victims or list(self.servers))

    def _cut(self) -> None:
        """One way, both ways, or a node from all others."""
        names = list(self.servers)
        one, other = self._victim(), self.chance.choice(names)
        kind = self.chance.randrange(3)
        self._log(f"cut {kind} {one} {other}")
        if kind == 0:
            self.cuts.add((one, other))
        elif kind == 1:
            self.cuts |= {(one, other), (other, one)}
        else:
            self.cuts |= {(one, name) for name in names} | {(name, one) for name in names}

    def _restart(self, name: str) -> None:
        if self.servers[name].node is None:
            self._log(f"{name} restarts")
            self.cluster.restart(name)

    def _resume(self, name: str) -> None:
        """What came while the process stood still is read all at once; a client may be quicker."""
        came = self.paused.pop(name, [])
        if self.servers[name].node is not None and self.cluster[name].role is Role.LEADER and not self.is_calm:
            self._read(name)
        for envelope in came:
            if self.servers[name].node is not None:
                self._deliver(envelope)

    def _wipe(self, name: str) -> None:
        """At most one disk is lost, of a cluster that can do without it and whose members do not change."""
        if self.weather.change or len(self.servers) < 3 or any(server.is_wiped for server in self.servers.values()):
            return
        self._log(f"{name} loses its disk")
        self.paused.pop(name, None)
        self._forget_reads(name)
        self.cluster.wipe(name)
        self.marks["wiped"] += 1

    def _change(self) -> None:
        """Add a new node, or remove any."""
        if self.chance.random() < 0.5 and len(self.servers) < 7:
            name = self.new_name()
            if self._ask("add", lambda leader: self.cluster[leader].add_learner(name, f"{name}:1")):
                self.cluster.start_empty(name)
        else:
            name = self.chance.choice(list(self.servers))
            self._ask(f"remove {name}", lambda leader: self.cluster[leader].remove(name))

    def new_name(self) -> str:
        self.ids_count += 1
        return f"n{self.ids_count}"

    # --- clients ---------------------------------------------------------------------------------

    def _ask_things(self) -> None:
        """What clients do in one tick."""
        writes = self.weather.writes
        while self.chance.random() < writes:
            writes -= 1
            self._write()
        if self.chance.random() < self.weather.reads:
            self._read()

    def _take_snapshots(self) -> None:
        weather = self.weather
        for name, server in self.servers.items():
            if self._is_awake(name) and server.applied_index - server.up.state.snapshot_index >= weather.snapshot_entries_count:
                self._log(f"{name} takes a snapshot")
                self.cluster.take_snapshot(name, weather.kept_entries_count)

    def _collect_reads(self) -> None:
        for name, server in self.servers.items():
            for read in server.reads:
                self._answered(name, read.read_id, read.read_index)
            server.reads.clear()

    def _write(self) -> None:
        self.events_count += 1
        command = b"%d" % self.events_count
        try:
            if not self._ask("write", lambda leader: self.cluster[leader].propose(command)):
                self.dropped.add(command)
        except ProposalDropped:
            self.dropped.add(command)

    def _read(self, name: str | None = None) -> None:
        """A confirmed read must see all that anybody could know to be committed when it was asked."""
        self.events_count += 1
        number = self.events_count

        def ask(leader: str) -> None:
            committed_index = len(self.cluster.history)
            self.cluster[leader].read_index(number)
            self.reads_asked[leader, number] = committed_index

        self._ask("read", ask, name)

    def _answered(self, name: str, read_id: int, read_index: int | None) -> None:
        committed_index = self.reads_asked.pop((name, read_id))
        self.marks["read failed" if read_index is None else "read confirmed"] += 1
        require(
            read_index is None or read_index >= committed_index,
            f"a stale read: {name} confirmed {read_index}, but {committed_index} was committed when it was asked",
        )

    def _forget_reads(self, name: str) -> None:
        """Whoever asked a node that crashed gets no answer."""
        self._collect_reads()
        self.reads_asked = {key: index for key, index in self.reads_asked.items() if key[0] != name}

    def _ask(self, what: str, event: Callable[[str], object], name: str | None = None) -> bool:
        """Ask one of those that believe they lead; returns whether something was done."""
        leaders = [name for name in self.servers if self._is_awake(name) and self.cluster[name].role is Role.LEADER]
        if not leaders:
            return False
        leader = name or self.chance.choice(leaders)
        try:
            self._act(leader, what, lambda: event(leader))
        except (NotLeader, ProposalDropped, ChangeRefused, ReadFailed) as reason:
            self._log(f"{leader} refuses: {reason}")
            return False
        return True

    def _act(self, name: str, what: str, event: Callable[[], object]) -> None:
        if what != "ticks":
            self._log(f"{name} {what}")
        try:
            self.cluster.act(name, event)
        finally:
            self._tell(name)

    # --- the second act --------------------------------------------------------------------------

    def _recover(self) -> None:
        """No more faults: one leader, equal logs, and a new command commits in time (N12)."""
        self.is_calm = True
        self._log("calm")
        self.cuts.clear()
        for name in list(self.paused):
            self._resume(name)
        for name in self.servers:
            self._restart(name)
        ticks = self.cluster.settings.election_timeout_ticks
        for server in self.servers.values():
            server.planned = None
        self._pick_up()
        if not self._until(self.now + RECOVERY_TIMEOUTS * ticks, self._is_settled):
            raise Stuck(f"no settled leader after {RECOVERY_TIMEOUTS} election timeouts: {self.describe()}")
        leader = self.cluster.must_lead()
        index = leader.propose(b"last").index
        self.cluster.settle(leader.state.node_id)
        if not self._until(self.now + COMMIT_TIMEOUTS * ticks, lambda: self._has_all(leader.state.node_id, index)):
            raise Stuck(f"entry {index} is not everywhere after {COMMIT_TIMEOUTS} election timeouts: {self.describe()}")
        committed = {item.entry.command for item in self.cluster.history if item.entry.kind is EntryKind.COMMAND}
        require(not committed & self.dropped, "a dropped proposal was committed all the same")
        self._until(self.now + ticks)
        self._collect_reads()
        require(not self.reads_asked, f"reads wait for ever: {self.reads_asked}")

    def _is_settled(self) -> bool:
        leader = self.cluster.leader()
        if leader is None:
            return False
        state = self.cluster[leader].state
        others = [name for name in state.configuration.members if name != leader and not self.servers[name].is_wiped]
        return (
            state.commit_index == state.log.last_index
            and state.leading is not None
            and state.leading.transfer is None
            and not state.configuration.learners
            and state.configuration.is_voter(leader)
            and all(self.cluster[name].leader_id == leader for name in others)
            and self._has_all(leader, state.commit_index)
        )

    def _has_all(self, leader: str, index: int) -> bool:
        members = self.cluster[leader].configuration.members
        return all(
            self.servers[name].applied_index >= index and self.servers[name].up.state.saving.persisted_index >= index
            for name in members
            if not self.servers[name].is_wiped
        )

    # --- the story -------------------------------------------------------------------------------

    def _log(self, line: str) -> None:
        self.story.update(line.encode())
        if self.tell is not None:
            self.tell(f"{self.now:8.2f} {line}")

    def _tell(self, name: str) -> None:
        state = self.servers[name].up.state
        line = (
            f"{name} {state.role.value} {state.hard_state.term} {state.hard_state.voted_for} last {state.log.last_index} "
            f"persisted {state.saving.persisted_index} commit {state.commit_index}"
        )
        self.story.update(line.encode())
        if self.tell is not None:
            self.tell(f"{'':14} {line}")

    def describe(self) -> str:
        return "\n".join(f"{name}: {server.node.status() if server.node else 'down'}" for name, server in self.servers.items())


def main(arguments: list[str]) -> int:
    """See the module's docstring."""
    numbers = [int(argument) for argument in arguments]
    if len(numbers) == 1:
        World(numbers[0], lambda line: sys.stdout.write(line + "\n")).run()
        return 0
    failed = 0
    marks: Counter[str] = Counter()
    for seed in range(numbers[0], numbers[1]):
        world = World(seed)
        try:
            world.run()
        except (InvariantBroken, Stuck, AssertionError, LookupError, ValueError) as problem:
            failed += 1
            sys.stdout.write(f"seed {seed}: {type(problem).__name__}: {str(problem)[:600]}\n")
        marks += world.marks
    sys.stdout.write(f"{failed} of {numbers[1] - numbers[0]} failed; {dict(sorted(marks.items()))}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
