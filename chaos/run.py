"""One run: a cluster, clients, faults as the seed has them, and the judgement."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chaos import ending
from chaos.clients import CLIENTS_COUNT, EPOCH_SECONDS, Client, Record
from chaos.faults import FAULTS, Fault
from chaos.links import Network
from chaos.stage import Stage

START_SECONDS = 60.0
#: How many faults there are at once at most, and how long until there is one more.
FAULTS_AT_ONCE_COUNT = 2
CALM_SECONDS = (0.5, 3.0)
#: How much longer a run may be that has not had all of its faults.
EXTRA_SECONDS = 60.0
_LOOK_SECONDS = 0.05


@dataclass
class Report:
    """What came of a run. No violation: it passed."""

    operations_count: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    injected: dict[str, int] = field(default_factory=dict)
    elections_count: int = 0
    longest_gap_seconds: float = 0.0
    settle_seconds: float = 0.0
    kept_count: int = 0
    nodes_count: int = 0
    violations: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For a person."""
        told = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.injected.items()))
        return [
            f"operations: {self.operations_count} ({told})",
            f"faults: {sum(self.injected.values())} ({faults})",
            f"elections: {self.elections_count}; longest time without an acknowledged write: {self.longest_gap_seconds:.2f} s",
            f"settled {self.settle_seconds:.1f} s after the last fault; {self.kept_count} keys that were written once are on all "
            f"{self.nodes_count} nodes"
            if not self.violations
            else f"{len(self.violations)} violations:",
            *self.violations,
            "verdict: " + ("linearizable, nothing lost, all nodes equal" if not self.violations else "FAILED"),
        ]


class Run:
    """Used once. `close` ends every process, whatever happened; the network is the caller's."""

    def __init__(
        self,
        network: Network,
        folder: Path,
        nodes_count: int,
        seconds: float,
        seed: int,
        faults: list[str],
        say: Callable[[str], None],
    ) -> None:
        self._seconds = seconds
        self._seed = seed
        self._kinds = faults
        self._nodes_count = nodes_count
        self.record = Record()
        self.stage = Stage(network, folder, random.Random(f"faults of {seed}"), "clock" in faults, say)
        self._clients: list[Client] = []
        self._deck: list[str] = []
        self._active: dict[str, tuple[Fault, float]] = {}

    def run(self) -> Report:
        """Raises OSError where the cluster cannot even be started."""
        self._start()
        first_term = int(self.stage.nodes[0].status()["term"])
        for number in range(CLIENTS_COUNT):
            self._clients.append(Client(f"client{number}", self.record, lambda: self.stage.nodes, f"{self._seed} {number}"))
        for client in self._clients:
            client.start()
        try:
            self._torment()
        finally:
            self._heal()
        return self._judge(first_term)

    def _start(self) -> None:
        first = self.stage.add_node([])
        if ending.wait_until_settled([first], START_SECONDS) is None:
            raise OSError(f"the first node does not start; see {first.log_path}:\n{first.log_path.read_text()[-2000:]}")
        for _ in range(self._nodes_count - 1):
            self.stage.add_node([first])
        if ending.wait_until_settled(self.stage.nodes, START_SECONDS) is None:
            raise OSError(f"{self._nodes_count} nodes do not become a cluster: {ending.story_of(self.stage.nodes)}")

    def _torment(self) -> None:
        begun = time.monotonic()
        calm_until, epoch_ends = begun + 1.0, begun + EPOCH_SECONDS
        while self._goes_on((now := time.monotonic()) - begun) and not self.stage.violations:
            for kind in [kind for kind, (_, due_at) in self._active.items() if due_at <= now]:
                self._go_on(kind)
            if now >= epoch_ends:
                self.record.begin_epoch()
                epoch_ends = now + EPOCH_SECONDS
            if now >= calm_until and len(self._active) < FAULTS_AT_ONCE_COUNT:
                self._begin_one()
                calm_until = time.monotonic() + self.stage.chance.uniform(*CALM_SECONDS)
            time.sleep(_LOOK_SECONDS)

    def _goes_on(self, seconds: float) -> bool:
        """A slow machine is given the time for one fault of each kind."""
        is_missing = any(kind not in self.stage.injected for kind in self._kinds)
        return seconds < self._seconds or (is_missing and seconds < self._seconds + EXTRA_SECONDS)

    def _begin_one(self) -> None:
        """Each kind once, in any order, before there is one again: a short run too has all that it was asked for."""
        if not self._deck:
            self._deck = self.stage.chance.sample(self._kinds, len(self._kinds))
        kind = self._deck[-1]
        if kind not in self._active:
            self._deck.pop()
            self._active[kind] = (FAULTS[kind](self.stage), 0.0)
            self._go_on(kind)

    def _go_on(self, kind: str) -> None:
        fault = self._active[kind][0]
        try:
            self._active[kind] = (fault, next(fault) + time.monotonic())
        except StopIteration:
            del self._active[kind]

    def _heal(self) -> None:
        for fault, _ in self._active.values():
            fault.close()
        self._active.clear()
        for client in self._clients:
            client.stop()
        for client in self._clients:
            client.join(60)

    def _judge(self, first_term: int) -> Report:
        stage, record, nodes = self.stage, self.record, self.stage.nodes
        stage.say("healed; judging")
        begun = time.monotonic()
        violations = list(stage.violations)
        if not ending.takes_a_write(nodes, ending.SETTLE_SECONDS):
            seconds = f"{ending.SETTLE_SECONDS:g} s"
            violations.append(f"no write is acknowledged {seconds} after the last fault: {ending.story_of(nodes)}")
        status = ending.wait_until_settled(nodes)
        settle_seconds = time.monotonic() - begun
        stage.look_after(list(nodes))
        violations += [words for words in stage.violations if words not in violations]
        if status is None:
            violations.append(f"not settled {ending.SETTLE_SECONDS:g} s after the last fault: {ending.story_of(nodes)}")
        else:
            violations += ending.last_reads(record, nodes)
            violations += ending.differences(record, nodes)[:20]
        violations += ending.judged(record)
        violations += record.surprises
        term = max([int(one["term"]) for node in nodes if (one := node.status())], default=first_term)
        for node in nodes:
            node.terminate()
        violations += ending.unequal_disks(nodes) if status is not None else []
        violations += [defect for node in nodes for defect in node.defects()]
        return Report(
            operations_count=sum(len(epoch.history) for epoch in record.epochs),
            outcomes=dict(record.outcomes),
            injected=dict(stage.injected),
            elections_count=term - first_term,
            longest_gap_seconds=record.longest_gap_seconds,
            settle_seconds=settle_seconds,
            kept_count=len(record.kept),
            nodes_count=len(nodes),
            violations=violations,
        )

    def close(self) -> None:
        """Harmless twice."""
        for client in self._clients:
            client.stop()
        self.stage.end()
