"""One who watches the store on one node after the other: whatever changes, he is told once and in order, or that it is too late.

What he was told is held against the changes that the committed commands make. Knows nothing of connections.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from hraft.kv.history import Change
from hraft.kv.store import KeyValueStore
from hraft.raft.entry import EntryKind
from hraft.simulation.story import Violation

if TYPE_CHECKING:
    from hraft.simulation.node import SimulatedNode
    from hraft.simulation.world import World

_BETWEEN_LOOKS_SECONDS = (0.01, 2.0)
_STAY_CHANCE = 0.8


class Watcher:
    """Stays with a node for a while, then goes on at another one from where he was."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._random: Random = world.stream(f"watcher/{name}")
        self._node: SimulatedNode | None = None
        self._revision = 0
        self.told: list[Change] = []

    def start(self) -> None:
        """Begin to look, and go on until the world ends."""
        self._world.clock.schedule(self._random.uniform(*_BETWEEN_LOOKS_SECONDS), None, self._look)

    def _look(self) -> None:
        node = self._choose_node()
        if node is not None and node.life is not None:
            node.life.process.callLater(0, self._ask, node)
        self.start()

    def _choose_node(self) -> SimulatedNode | None:
        up = self._world.up()
        if self._node in up and self._random.random() < _STAY_CHANCE:
            return self._node
        before, self._node = self._node, self._random.choice(up) if up else None
        if before is not None and self._node not in (None, before) and self.told:
            self._world.marks.hit("a watcher went on at another node")
        return self._node

    def _ask(self, node: SimulatedNode) -> None:
        store = node.state_machine
        assert isinstance(store, KeyValueStore)
        if self._revision < store.oldest_revision:
            self._world.marks.hit("a watcher came too late")
            self._revision = store.revision
        # A node that lags behind has nothing to tell yet.
        for change in store.changes_after(self._revision):
            if change.revision != self._revision + 1:
                what = f"{node.node_id} tells of {change.revision} after {self._revision}"
                raise Violation("a watcher is told of every revision, once and in order", what)
            self.told.append(change)
            self._revision = change.revision


def look_at_watchers(world: World) -> None:
    """All that anybody was told is what the committed commands did. Raises Violation."""
    model = KeyValueStore(world.shape.store_limits)
    changes: dict[int, Change] = {}
    for entry in world.ledger.committed:
        if entry.kind is EntryKind.COMMAND:
            revision = model.revision
            model.apply(entry.index, entry.command)
            changes.update((change.revision, change) for change in model.changes_after(max(revision, model.oldest_revision)))
    for watcher in world.watchers:
        for change in watcher.told:
            if change != changes[change.revision]:
                raise Violation("a watcher is told what happened", f"{change}, and not {changes[change.revision]}")
