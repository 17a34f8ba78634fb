"""What a node says of itself, whoever asks: how far it is, who leads, what its state machine has.

Looks, and changes nothing; what a node does for those who ask is in `hraft.service.node_service`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred

from hraft.errors import NodeRemoved
from hraft.interfaces import StateMachine
from hraft.raft.ready import NodeStatus
from hraft.service.alarms import Alarms
from hraft.service.chronicle import Chronicle
from hraft.service.counts import Counts, counts_of
from hraft.service.events import Events
from hraft.service.health import Check, Facts, liveness, readiness
from hraft.service.running import Running
from hraft.service.shared_view import MemberView
from hraft.service.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class LeaderHint:
    """Where the leader is. `http_address` is None until it has said so."""

    node_id: str
    raft_address: str
    http_address: str | None


#: Why nothing is taken in by a node that must not go on.
HALTED = "this node has met a failure and must stop"


class NodeView:
    """One node, before its start and after."""

    def __init__(self, around: Surroundings, raft_address: str, http_address: str, state_machine: StateMachine) -> None:
        self.node_id = around.node_id
        self.cluster_id = around.cluster_id
        self.raft_address = raft_address
        self.http_address = http_address
        self._around = around
        self._state_machine = state_machine
        #: Set once this node was removed from its cluster: what everybody is told from then on.
        self.removal: NodeRemoved | None = None
        self._running: Running | None = None
        self._events = Events(around.node_id)
        #: What an operator must look at.
        self.alarms = Alarms(around.clock, self._events)
        #: Why nothing is taken in: not started yet, stopping, or halted.
        self._closed_reason = "this node has not started"

    def status(self) -> NodeStatus:
        """One look at the node; `applied_index` is what its state machine has seen."""
        running = self._started()
        return replace(running.node.status(), applied_index=running.applying.applied_id.index)

    def age_seconds(self) -> float | None:
        """How old what this node serves may be: since when it lacks nothing that was acknowledged. None: it never was in touch.

        By the clock, pauses included. A leader's is certain; a follower believes its leader, which may be cut off from the
        others for an election timeout before it notices, and does not know how long a message took.
        """
        return self._started().age_seconds()

    @property
    def chronicle(self) -> Chronicle:
        """What happened to this node since its start."""
        return self._events.chronicle

    def liveness(self) -> tuple[Check, ...]:
        """What must hold for this process to go on."""
        return liveness(self._closed_reason == HALTED, self._closed_reason)

    def readiness(self) -> tuple[Check, ...]:
        """What must hold for clients to be sent here."""
        running, timing = self._started(), self._around.timing
        return readiness(
            Facts(
                status=self.status(),
                leader_id=running.leader_id,
                age_seconds=running.age_seconds(),
                hears_leader=running.node.state.hears_leader,
                election_timeout_ticks=timing.election_timeout_ticks,
                alarms=self.alarms,
                closed_reason=self._closed_reason,
                has_failed=self._closed_reason == HALTED,
            )
        )

    def counts(self) -> Counts:
        """What was counted since the start."""
        return counts_of(self._started(), self._events.elections_count, self._events.leader_changes_count)

    def leader(self) -> LeaderHint | None:
        """Who leads, if that is known and it is a member (C6)."""
        running = self._started()
        leader_id = running.leader_id
        if leader_id is None:
            return None
        return LeaderHint(leader_id, running.node.configuration.members[leader_id], self.http_address_of(leader_id))

    def member_views(self) -> Mapping[str, MemberView]:
        """How far each member is: known to the leader, and to who has asked it within the last seconds; elsewhere of none."""
        return self._started().shared_view.members()

    def http_address_of(self, node_id: str) -> str | None:
        """Where a member says it serves HTTP (`host:port`), if it has said so."""
        return self.http_address if node_id == self.node_id else self._around.transport.http_address(node_id)

    @property
    def term(self) -> int:
        """Raft's current term, for less than the whole status costs."""
        return self._started().node.state.term

    @property
    def tick_seconds(self) -> float:
        return self._around.timing.tick_seconds

    @property
    def state_machine(self) -> StateMachine:
        """The present one: a received snapshot puts another in its place, so it is not to be kept."""
        return self._state_machine if self._running is None else self._running.applying.state_machine

    @property
    def has_empty_log(self) -> bool:
        """No entry and no snapshot: this node never was a member of a cluster."""
        return self._started().node.last_index == 0

    def when_member(self, as_learner: bool = False) -> Deferred[None]:
        """Fires when this node has applied a configuration in which it is a voter, or with `as_learner` a learner; never fires if
        it stops before."""
        return self._started().when_member(as_learner)

    def _started(self) -> Running:
        if self._running is None:
            raise RuntimeError(f"the service of node {self.node_id!r} has not been started")
        return self._running
