"""A cluster under attack: what its writers see meanwhile, what its processes take, and what must not happen."""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from chaos.hostile_attacks import ATTACKS, AttackProcess
from chaos.hostile_clients import BIG_KEY, Target
from chaos.hostile_load import Figures, Load
from chaos.hostile_watch import Memory, Recorder
from chaos.nodes import DEFECTS
from hraft import limits
from tests.process.cluster import Cluster, wait_until

MEBIBYTE = 1024 * 1024
#: G23: what a node may grow by, beside what an attack has a right to.
GROWTH_BYTES = 64 * MEBIBYTE
#: Beside that: the log in memory, until there is a snapshot of it and behind it, and what waits for a peer that does not read.
KEPT_BYTES = limits.SNAPSHOT_LOG_BYTES + limits.KEPT_BYTES + limits.PEER_QUEUE_BYTES
#: What most systems permit; a node must do with it.
FILES_COUNT = 1024
WRITERS_COUNT = 16
#: No busy machine is so slow; a node that serves nobody is.
GAP_SECONDS = 10.0
#: By so much a busy machine may be late to cut a connection.
SLACK_SECONDS = 15.0


def _too_large(outcome: Outcome, budget_bytes: int) -> list[str]:
    grew = f"{outcome.growth_bytes / MEBIBYTE:.0f} MiB"
    return [f"a node grew by {grew}"] if outcome.growth_bytes > GROWTH_BYTES + budget_bytes else []


@dataclass
class Outcome:
    """One attack, or several at once: the writers' figures without it, under it and after it, and what was wrong."""

    name: str
    baseline: Figures
    under: Figures
    growth_bytes: int
    counts: Counter[str] = field(default_factory=Counter)
    longest_seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    @property
    def rate_ratio(self) -> float:
        """1 is no loss."""
        return self.under.per_second / self.baseline.per_second if self.baseline.per_second else 0.0

    @property
    def p99_ratio(self) -> float:
        """1 is no loss."""
        return self.under.p99_ms / self.baseline.p99_ms


class Siege:
    """Three nodes with no more file descriptors than most systems give, and writers at the leader."""

    def __init__(self, cluster: Cluster, options: tuple[str, ...] = ()) -> None:
        self.cluster = cluster
        self._recorder = Recorder()
        self._serial = 0
        first = cluster.node(*options)
        self.recorded_node = cluster.node(*options, "--raddr-adv", f"localhost:{self._recorder.port}", join=[first])
        self.nodes = [first, cluster.node(*options, join=[first]), self.recorded_node]
        for node in self.nodes:
            node.under = ("sh", "-c", f'ulimit -n {FILES_COUNT}; exec "$@"', "sh")
            self._recorder.stand_before(self.recorded_node)
            node.start().wait_until_started()
        self._recorder.stand_before(self.recorded_node)
        self.leader = cluster.leader()
        cluster.write(BIG_KEY, "x" * 65536)

    def office(self) -> tuple[str, int]:
        """Who leads, and in which term."""
        status = wait_until(self.leader.status, "the leader answers")
        return status["leader"]["id"], status["term"]

    def load(self, clients: int = WRITERS_COUNT, ahead: int = 1, padding_bytes: int = 0) -> Load:
        """New writers, on keys of their own."""
        self._serial += 1
        return Load(self.leader, clients, f"hostile{self._serial}", ahead, padding_bytes)

    def _target(self) -> Target:
        nodes = [self.leader, *(node for node in self.nodes if node is not self.leader)]
        return Target(
            [node.http_port for node in nodes],
            [node.raft_port for node in nodes],
            [node.status()["me"]["id"] for node in nodes],
            self.leader.status()["cluster_id"],
            [said.hex() for said in self._recorder.said if said],
            self.recorded_node.raft_port,
        )

    @contextlib.contextmanager
    def attack(self, *names: str) -> Iterator[list[AttackProcess]]:
        """Under these attacks."""
        target = self._target()
        attacks = [AttackProcess(name, target) for name in names]
        try:
            wait_until(lambda: all(attack.told.counts["opened"] for attack in attacks), f"{', '.join(names)} have begun")
            yield attacks
        finally:
            for attack in attacks:
                attack.close()

    def measure(
        self,
        names: Sequence[str],
        seconds: float,
        baseline_seconds: float = 5.0,
        is_enough: Callable[[Counter[str]], bool] = lambda counts: False,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Writers without an attack, and under it until it is over or has done enough; and whether all is well then."""
        # What an attack before this one has done to the leader was told, and is no reason to spoil this one's figures.
        self.leader = self.cluster.leader()
        load, office = self.load(), self.office()
        try:
            load.measure(1.0)
            memory = Memory(self.nodes)
            baseline = load.measure(baseline_seconds)
            with self.attack(*names) as attacks:
                meanwhile()
                under = load.measure(seconds, lambda: is_enough(sum((attack.told.counts for attack in attacks), Counter())))
                outcome = Outcome(", ".join(names), baseline, under, 0)
                for attack in attacks:
                    outcome.counts.update(attack.told.counts)
                    outcome.longest_seconds = max(outcome.longest_seconds, attack.told.longest_seconds)
                    outcome.violations += self._of_the_attack(attack)
            outcome.growth_bytes = memory.growth()
        finally:
            load.close()
        budget_bytes = sum(ATTACKS[name].budget_bytes for name in names)
        outcome.violations += self.wrongs(load, outcome.under, office) + _too_large(outcome, budget_bytes)
        return outcome

    def _of_the_attack(self, attack: AttackProcess) -> list[str]:
        limit = ATTACKS[attack.name].limit_seconds
        if not attack.is_running():
            return [f"the attack {attack.name} has ended by itself"]
        if limit is not None and attack.told.longest_seconds > limit + SLACK_SECONDS:
            return [f"a connection of {attack.name} stayed for {attack.told.longest_seconds:.1f} s, and not {limit:g} s"]
        return []

    def wrongs(self, load: Load, under: Figures, office: tuple[str, int]) -> list[str]:
        """What no attack excuses: a pause, an election, a lost write, an end, a defect in the log, nodes that do not catch up."""
        found = []
        if under.longest_gap_seconds > GAP_SECONDS:
            found.append(f"no write was acknowledged for {under.longest_gap_seconds:.1f} s")
        if self.office() != office:
            found.append(f"leader and term were {office} and are {self.office()}")
        found += [f"{node.name} has ended" for node in self.nodes if not node.is_running()]
        found += load.lost(self.leader)
        end = wait_until(self.leader.status, "the leader answers")["commit_index"]
        for node in self.nodes:
            wait_until(lambda node=node: node.status().get("applied_index", 0) >= end, f"{node.name} has what was acknowledged")
        for node in self.nodes:
            found += [f"{node.name}: {line}" for line in node.log().splitlines() if any(word in line for word in DEFECTS)]
        return found

    # --- without an attacker (G23, G25) ---------------------------------------------------------

    def stopped(self, followers_count: int, seconds: float, padding_bytes: int = 16 * 1024) -> Outcome:
        """So many followers neither read nor answer, nor hang up, while clients go on to write."""
        load, office = self.load(padding_bytes=padding_bytes), self.office()
        followers = [node for node in self.nodes if node is not self.leader][:followers_count]
        try:
            baseline = load.measure(2.0)
            memory = Memory([node for node in self.nodes if node not in followers])
            for node in followers:
                node.send_signal(signal.SIGSTOP)
            try:
                under = load.measure(seconds)
            finally:
                for node in followers:
                    node.send_signal(signal.SIGCONT)
            outcome = Outcome(f"{followers_count} followers stopped", baseline, under, memory.growth())
            after = load.measure(2.0)
            self.cluster.leader()
        finally:
            load.close()
        if followers_count == 1:
            outcome.violations += self.wrongs(load, under, office)
        else:
            self.leader = self.cluster.leader()
            outcome.violations += self.wrongs(load, after, self.office())
        outcome.violations += _too_large(outcome, KEPT_BYTES)
        return outcome

    def overloaded(self, seconds: float) -> tuple[Outcome, Figures]:
        """Four times as much asked at once as keeps the leader busy; and the figures of the five seconds after it."""
        office = self.office()
        usual = self.load(64)
        try:
            usual.measure(1.0)
            memory = Memory(self.nodes)
            baseline = usual.measure(5.0)
            usual.close()
            much = self.load(256, ahead=4)
            try:
                under = much.measure(seconds)
            finally:
                much.close()
            after_load = self.load(64)
            try:
                after = after_load.measure(5.0)
            finally:
                after_load.close()
        finally:
            usual.close()
        outcome = Outcome("overload", baseline, under, memory.growth(), under.outcomes)
        for load in (usual, much, after_load):
            outcome.violations += self.wrongs(load, after, office)
        outcome.violations += _too_large(outcome, KEPT_BYTES)
        return outcome, after

    def volume(self, total_bytes: int) -> Outcome:
        """So many bytes are written, while snapshots are taken and the log is cut."""
        load, office = self.load(padding_bytes=64 * 1024), self.office()
        try:
            memory = Memory(self.nodes)
            baseline = load.measure(5.0)
            began = time.monotonic()
            under = Figures(0.0)
            while load.bytes_count < total_bytes and time.monotonic() - began < 1800:
                part = load.measure(5.0)
                gap_seconds = max(under.longest_gap_seconds, part.longest_gap_seconds)
                under = Figures(under.seconds + 5.0, under.times + part.times, under.outcomes + part.outcomes, gap_seconds)
        finally:
            load.close()
        outcome = Outcome(f"{load.bytes_count / MEBIBYTE:.0f} MiB written", baseline, under, memory.growth())
        # These writes are large enough to fill what is kept for watchers, too.
        budget_bytes = KEPT_BYTES + limits.HISTORY_BYTES
        outcome.violations += self.wrongs(load, under, office) + _too_large(outcome, budget_bytes)
        return outcome

    def close(self) -> None:
        """The nodes are the cluster's to end."""
        self._recorder.close()
