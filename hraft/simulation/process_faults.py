"""Faults of processes and machines: killed, without power, stopped for a while. Each does one fault and sees to its end."""

from __future__ import annotations

from random import Random

from hraft.raft.entry import HardState
from hraft.raft.quorum import majority_count
from hraft.raft.ready import Save
from hraft.simulation import network_faults
from hraft.simulation.disk import Fault, PowerCut
from hraft.simulation.node import SimulatedNode
from hraft.simulation.world import World

_ALONE_SHARE = 0.5
_START_CUT_SHARE = 0.15
_OPERATIONS_OF_A_START_COUNT = 30


def crash(world: World, random: Random) -> None:
    """One node is killed, or its machine loses its power."""
    up = world.up()
    if up:
        _crash(world, random, random.choice(up))


def crash_leader(world: World, random: Random) -> None:
    leader = world.leader()
    if leader is not None:
        _crash(world, random, leader)


def crash_after_save(world: World, random: Random) -> None:
    """The next node whose vote becomes durable, or at times anything, loses its power before it can say so (E2)."""
    wants_vote = random.random() < 0.7

    def trap(node: SimulatedNode, save: Save, before: HardState) -> None:
        is_vote = save.hard_state != before and save.hard_state.voted_for is not None
        if node.is_up and (is_vote or not wants_vote):
            world.trap = None
            world.clock.schedule(0.0, None, _crash, (world, random, node))

    world.trap = trap


def crash_new_leader(world: World, random: Random) -> None:
    """The next leader crashes, or is cut off, soon after it is elected: reigns too short to replicate what they began (L1)."""

    def trap(node: SimulatedNode) -> None:
        fault = _crash if random.random() < 0.6 else _isolate
        world.clock.schedule(random.choice((0.001, 0.01, 0.1)) * random.random(), None, fault, (world, random, node))

    world.leader_trap = trap


def crash_after_answer(world: World, random: Random) -> None:
    """The leader crashes, or is cut off, just after a client was told that its write is done, before others know."""

    def trap(node: SimulatedNode) -> None:
        world.clock.schedule(0.0, None, _crash if random.random() < 0.6 else _isolate, (world, random, node))

    world.answer_trap = trap


def _isolate(world: World, random: Random, node: SimulatedNode) -> None:
    network_faults.isolate(world, node.node_id, random.choice((1.0, 10.0)) * random.random())


def power_cut(world: World, random: Random) -> None:
    """All machines lose their power at once (D14), and come back one by one in any order (N13)."""
    nodes = world.up()
    world.marks.hit("all nodes lost their power at once")
    for node in nodes:
        node.crash(world.shape.loss_chance)
    random.shuffle(nodes)
    for node in nodes:
        world.clock.schedule(random.uniform(0.1, 3.0), None, start, (world, random, node))


def pause(world: World, random: Random) -> None:
    """One node, often the leader, is stopped for a while (SIGSTOP, garbage collection, a migration of its machine: N6, X6)."""
    leader = world.leader()
    up = world.up()
    if up:
        node = leader if leader is not None and random.random() < 0.5 else random.choice(up)
        seconds = _pause(world, random, [node])
        if random.random() < _ALONE_SHARE:
            # When it wakes up it believes that it still leads, and nobody has told it otherwise (R6).
            network_faults.isolate(world, node.node_id, seconds + random.uniform(0.1, 2.0))


def pause_quorum(world: World, random: Random) -> None:
    up = world.up()
    _pause(world, random, random.sample(up, min(len(up), majority_count(len(world.nodes)))))


def pause_all(world: World, random: Random) -> None:
    world.marks.hit("all nodes were paused")
    _pause(world, random, world.up())


def _crash(world: World, random: Random, node: SimulatedNode) -> None:
    node.crash(world.shape.loss_chance if random.random() < 0.7 else 0.0)
    down_seconds = random.choice((0.1, 1.0, 10.0)) * random.uniform(0.5, 2.0)
    world.clock.schedule(down_seconds, None, start, (world, random, node))


def start(world: World, random: Random, node: SimulatedNode) -> None:
    """Start a node, and start it again until that works; now and then the power goes while it starts (D13)."""
    if node.is_up:
        return
    if random.random() < _START_CUT_SHARE and node.disk.fault is None:
        node.disk.fault = _cut_after(random.randrange(_OPERATIONS_OF_A_START_COUNT))
    is_started = node.start()
    node.disk.fault = None
    if not is_started:
        world.clock.schedule(random.uniform(0.2, 2.0), None, start, (world, random, node))


def _cut_after(operations_count: int) -> Fault:
    left = operations_count

    def fault(operation: str, path: str) -> None:
        nonlocal left
        if left == 0:
            raise PowerCut(f"{operation} {path}")
        left -= 1

    return fault


def _pause(world: World, random: Random, nodes: list[SimulatedNode]) -> float:
    seconds = world.shape.election_timeout_seconds * random.choice((0.5, 4.0, 8.0)) * random.uniform(0.5, 2.0)
    for node in nodes:
        life = node.life
        if life is not None:
            node.pause()
            world.clock.schedule(seconds * random.uniform(0.9, 1.1), None, node.resume)
    return seconds
