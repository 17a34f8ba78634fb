"""A node that asks to be taken into the cluster, as `hraft.admission` does over HTTP: any member, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from hraft.errors import ChangeRefused, NodeRemoved, NotLeader, PeerUnreachable, WrongPeer
from hraft.questions import JoinOutcome
from hraft.simulation.story import Violation

if TYPE_CHECKING:
    from hraft.simulation.node import SimulatedNode
    from hraft.simulation.world import World

_RETRY_SECONDS = 0.5


class Joiner:
    """Ends when its node is in, or was refused for good."""

    def __init__(self, world: World, node: SimulatedNode) -> None:
        self._world = world
        self._node = node
        self._random = world.stream(f"joiner/{node.node_id}/{node.starts_count}")
        self.is_over = False
        self.refused: ChangeRefused | None = None

    def start(self) -> None:
        """Ask now."""
        self._ask()

    def _ask(self) -> None:
        if self.is_over:
            return
        self._world.clock.schedule(self._random.uniform(0.5, 1.5) * _RETRY_SECONDS, None, self._ask)
        node = self._node
        members = [other for other in self._world.members() if other is not node and other.is_up]
        if not node.is_up or not members:
            return
        member = self._random.choice(members)
        assert member.life is not None
        member.life.process.callLater(0, self._ask_member, member, node.service.has_empty_log)

    def _ask_member(self, member: SimulatedNode, has_empty_log: bool) -> None:
        asked = member.service.join(self._node.node_id, self._node.address, has_empty_log)
        asked.addCallbacks(self._taken_in, self._refused, errbackArgs=(has_empty_log,)).addErrback(self._world.broken)

    def _taken_in(self, outcome: JoinOutcome) -> None:
        self.is_over = True
        if outcome.role == "voter":
            self._world.clock.schedule(0.0, None, self._check)  # What is committed in this event is known after it.
        self._world.story.tell("%s is taken in as a %s", self._node.node_id, outcome.role)

    def _check(self) -> None:
        if not self._world.ledger.has_been_voter(self._node.node_id, self._node.address):
            raise Violation("a joiner is told what is committed", f"{self._node.node_id} was told that it is a voter")

    def _may_be_refused(self, error: ChangeRefused) -> None:
        """Whoever is refused for good ends, and may be the voter without whom there is no quorum."""
        is_removed = any(self._node.node_id in node.state.configuration.removed for node in self._world.up())
        if not (is_removed or self._node.is_wiped):
            raise Violation("only who was removed or lost its disk is refused for good", f"{self._node.node_id}: {error}")

    def _refused(self, failure: Failure, said_empty: bool) -> None:
        error = failure.value
        self._world.marks.failed(error)
        if said_empty and not (self._node.is_up and self._node.service.has_empty_log):
            return  # It has become a member since, or died: it asks again.
        if isinstance(error, ChangeRefused) and not error.temporary:
            self._may_be_refused(error)
            self.is_over = True
            self.refused = error
            self._world.story.tell("%s is refused: %s", self._node.node_id, error)
        elif not isinstance(error, ChangeRefused | NodeRemoved | NotLeader | PeerUnreachable | WrongPeer):
            failure.raiseException()
