"""Changes of members and of leaders, in the midst of everything else. Each begins one; what becomes of it is Raft's affair."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from twisted.python.failure import Failure

from hraft.errors import ChangeRefused, NodeRemoved, NotLeader, OutcomeUnknown, PeerUnreachable
from hraft.questions import Change, ChangeOutcome
from hraft.raft.node import RaftNode
from hraft.raft.quorum import majority_count
from hraft.simulation import network_faults
from hraft.simulation.shape import NODES_COUNT_LIMIT
from hraft.simulation.story import Violation
from hraft.simulation.world import World

#: For so long after it was asked for, a change may still come.
_CHANGE_SECONDS = 15.0
#: How often the leader is cut off when it is asked for a change.
_ALONE_SHARE = 0.4
#: How often a second change is asked for before the first can be committed (M1).
_TWICE_SHARE = 0.3


def join(world: World, random: Random) -> None:
    """A new node asks to be taken in."""
    if len(world.nodes) >= NODES_COUNT_LIMIT:
        return
    world.member_change_ends_at = float("inf")
    node = world.add_node()
    node.start()
    world.story.tell("%s asks to join", node.node_id)
    world.join(node)
    world.marks.hit("a node joined under faults")


def remove(world: World, random: Random) -> None:
    """The leader is asked to remove a member: itself, a voter, or a learner."""
    configuration = world.configuration
    healthy = [voter for voter in configuration.voters if not world.nodes[voter].is_wiped]
    candidates = [
        node_id
        for node_id in configuration.members
        if world.nodes[node_id].is_wiped or len(healthy) - (node_id in healthy) >= majority_count(len(configuration.voters) - 1)
    ]
    if len(healthy) > 1 and candidates:
        gone = random.choice(candidates)
        if len(configuration.members) % 2:
            _ask_leader(world, f"remove {gone}", lambda leader: leader.remove(gone))
        else:
            _ask_any(world, Change.REMOVE, gone)
        leader = world.leader()
        if leader is not None and random.random() < _ALONE_SHARE:
            # The change is in its log only, and will be rolled back (M3).
            network_faults.isolate(world, leader.node_id, random.choice((1.0, 10.0)) * random.uniform(0.5, 2.0))
        if random.random() < _TWICE_SHARE:
            other = random.choice(candidates)
            _ask_leader(world, f"remove {other}", lambda leader: leader.remove(other))


def transfer(world: World, random: Random) -> None:
    """The leader is asked to hand over, to a member or to whoever is best."""
    voters = list(world.configuration.voters)
    target = random.choice(voters) if voters and random.random() < 0.7 else None
    if len(voters) % 2 == 0:
        _ask_any(world, Change.TRANSFER, target or "")
        return
    _ask_leader(world, f"hand over to {target}", lambda leader: leader.transfer(target))


def _ask_any(world: World, change: Change, node_id: str) -> None:
    """As an operator does: some member is asked, passes it on, and answers when it is done, or says why it is not."""
    asked = next((member for member in world.members() if member.is_up), None)
    if asked is None or asked.life is None:
        return
    world.story.tell("%s is asked over HTTP to %s %s", asked.node_id, change.value, node_id)
    world.member_change_ends_at = max(world.member_change_ends_at, world.clock.now + _CHANGE_SECONDS)
    service = asked.service

    def done(outcome: ChangeOutcome) -> None:
        if change is Change.REMOVE:
            world.clock.schedule(0.0, None, check)  # What is committed in this event is known after it.

    def check() -> None:
        if node_id not in world.configuration.removed:
            raise Violation("a removal is told when it is committed", f"{asked.node_id} says that {node_id} is removed")

    def refused(failure: Failure) -> None:
        failure.trap(ChangeRefused, NotLeader, NodeRemoved, OutcomeUnknown, PeerUnreachable)
        world.marks.failed(failure.value)

    def ask() -> None:
        service.change_member(change, node_id).addCallbacks(done, refused).addErrback(world.broken)

    asked.life.process.callLater(0, ask)


def _ask_leader(world: World, words: str, ask: Callable[[RaftNode], object]) -> None:
    leader = world.leader()
    if leader is None or leader.life is None:
        return
    world.story.tell("%s is asked to %s", leader.node_id, words)
    world.member_change_ends_at = max(world.member_change_ends_at, world.clock.now + _CHANGE_SECONDS)

    service = leader.service

    def asked() -> None:
        running = service._running
        assert running is not None
        try:
            ask(running.node)
        except (ChangeRefused, NotLeader) as error:
            world.marks.failed(error)
        running.loop.wake()

    leader.life.process.callLater(0, asked)
