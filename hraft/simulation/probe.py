"""Reads by those who watch, and what must hold of every read: it sees all that was committed before it was asked for.

Knows nothing of keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from hraft.errors import NotLeader, ReadFailed
from hraft.simulation.story import Violation

if TYPE_CHECKING:
    from hraft.simulation.node import SimulatedNode
    from hraft.simulation.world import World


class Probe:
    """One read, at a moment when an answer may be wrong: just elected, just resumed, just started."""

    def __init__(self, world: World, node: SimulatedNode) -> None:
        self._world = world
        self._node = node
        self._committed_index = 0

    def start(self) -> None:
        """Ask, in the process' next event."""
        life = self._node.life
        assert life is not None
        life.process.callLater(0, self._ask)

    def _ask(self) -> None:
        self._committed_index = self._world.ledger.commit_index
        asked = self._node.service.confirm_read()
        asked.addCallbacks(self._confirmed, self._not_read).addErrback(self._world.broken)

    def _confirmed(self, read_index: int) -> None:
        check_read(self._world, self._node, read_index, self._committed_index)

    def _not_read(self, failure: Failure) -> None:
        self._world.marks.failed(failure.value)
        failure.trap(NotLeader, ReadFailed)


def check_read(world: World, node: SimulatedNode, read_index: int, committed_index: int) -> None:
    """What was committed before a read was asked for is in its answer, and the answer is of a state that has it all."""
    if read_index < committed_index:
        what = f"{node.node_id} reads at {read_index}, but {committed_index} was committed before it was asked"
        raise Violation("a read sees all that was committed before it", what)
    applied_index = node.service.status().applied_index
    if applied_index < read_index:
        raise Violation("a read waits for its index", f"{node.node_id} answers at {applied_index} for {read_index}")
