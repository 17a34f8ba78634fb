"""What faults work on: the nodes, which of them some fault has in hand, and the conditions of the network."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.links import Conditions, Network
from chaos.nodes import Node


class Stage:
    """One cluster under faults. Used from one thread, but for `nodes`, which is only ever replaced as a whole."""

    def __init__(
        self, network: Network, folder: Path, chance: random.Random, has_clocks: bool, say: Callable[[str], None]
    ) -> None:
        self.network = network
        self.folder = folder
        self.chance = chance
        self.say = say
        self.has_clocks = has_clocks
        self.nodes: tuple[Node, ...] = ()
        self.violations: list[str] = []
        self.injected: Counter[str] = Counter()
        self._in_hand: set[str] = set()
        self._conditions: dict[int, Conditions] = {}

    def add_node(self, join: list[Node]) -> Node:
        """One more node, started."""
        node = Node(self.network, self.folder, f"node{len(self.nodes) + 1}", join, self.has_clocks)
        node.start()
        self.nodes = (*self.nodes, node)
        return node

    @property
    def is_whole(self) -> bool:
        """Whether no fault has any node in hand."""
        return not self._in_hand

    def free(self) -> list[Node]:
        """The nodes that no fault has in hand, the leader first if it is among them."""
        found = [node for node in self.nodes if node.name not in self._in_hand]
        self.look_after(found)
        self.chance.shuffle(found)
        leader = self.leader_name(found)
        return sorted(found, key=lambda node: node.name != leader)

    def leader_name(self, nodes: list[Node]) -> str:
        """Whom the newest term's nodes take for the leader; empty where none says."""
        told = [status for node in nodes if (status := node.status(0.5))]
        newest = max(told, key=lambda status: int(status["term"]), default={})
        return str((newest.get("leader") or {}).get("id", ""))

    def look_after(self, nodes: list[Node]) -> None:
        """A node that nobody killed must run. One that has ended is started again, since the run goes on."""
        for node in nodes:
            if not node.is_running():
                assert node.process is not None
                status = node.process.returncode
                self.violations.append(f"{node.name} ended by itself with status {status}; see {node.log_path.name}")
                node.start()

    @contextmanager
    def taking(self, nodes: list[Node]) -> Iterator[None]:
        """No other fault touches these processes meanwhile."""
        names = {node.name for node in nodes}
        self._in_hand |= names
        try:
            yield
        finally:
            self._in_hand -= names

    @contextmanager
    def under(self, conditions: Conditions) -> Iterator[None]:
        """The network is so meanwhile, beside whatever else it is."""
        token = id(conditions)
        self._conditions[token] = conditions
        try:
            self.network.apply(Conditions.together(self._conditions.values()))
            yield
        finally:
            del self._conditions[token]
            self.network.apply(Conditions.together(self._conditions.values()))

    def inject(self, kind: str, words: str) -> None:
        """Count it and tell it."""
        self.injected[kind] += 1
        self.say(f"{kind}: {words}")

    def end(self) -> None:
        """End every process."""
        for node in self.nodes:
            node.kill()
