"""Faults of disks: slow, stalled, failing, full, and gone. Each does one fault and sees to its end."""

from __future__ import annotations

import errno
from random import Random

from hraft.simulation.node import SimulatedNode
from hraft.simulation.world import World

_FAILING_OPERATIONS = ("write", "fdatasync", "fsync", "fsync_directory", "create", "rename")
#: What a process does after it learns that its disk is full must fit into so much.
_ROOM_BYTES = 2_000


def slow_disk(world: World, random: Random) -> None:
    """One disk takes a hundred times as long."""
    node = random.choice(list(world.nodes.values()))
    node.disk_seconds = (0.02, random.choice((0.1, 0.5)))
    world.story.tell("the disk of %s is slow", node.node_id)
    world.clock.schedule(random.uniform(1.0, 15.0), None, _usual, (world, node))


def _usual(world: World, node: SimulatedNode) -> None:
    node.disk_seconds = world.shape.disk_seconds


def stalled_disk(world: World, random: Random) -> None:
    """One disk, often the leader's, hangs for longer than an election timeout (D15)."""
    leader = world.leader()
    node = leader if leader is not None and random.random() < 0.5 else random.choice(list(world.nodes.values()))
    node.stall_disk()
    world.story.tell("the disk of %s hangs", node.node_id)
    seconds = world.shape.election_timeout_seconds * random.choice((0.5, 3.0, 10.0)) * random.uniform(0.5, 2.0)
    world.clock.schedule(seconds, None, _unstall, (world, node))


def _unstall(world: World, node: SimulatedNode) -> None:
    world.story.tell("the disk of %s goes on", node.node_id)
    node.unstall_disk()


def failing_disk(world: World, random: Random) -> None:
    """The next write or sync of one disk fails; its node must stop at once (D1)."""
    up = [node for node in world.up() if node.disk.fault is None]
    if not up:
        return
    node = random.choice(up)
    operation_to_fail = random.choice(_FAILING_OPERATIONS)

    def fault(operation: str, path: str) -> None:
        if operation == operation_to_fail:
            # Not the disk of now: the one that the node has by then, after whatever crashes.
            node.disk.fault = None
            node.disk.has_failed = True
            world.story.tell("%s of the disk of %s fails", operation, node.node_id)
            raise OSError(errno.EIO, "the simulated disk failed", path)

    node.disk.fault = fault


def full_disk(world: World, random: Random) -> None:
    """One disk has hardly any room left, for a while (D3, D4)."""
    node = random.choice(list(world.nodes.values()))
    if node.disk.room_bytes is not None:
        return
    used_bytes = sum(map(len, node.disk.contents().values()))
    node.disk.room_bytes = used_bytes + random.randint(0, _ROOM_BYTES)
    world.story.tell("the disk of %s has no room", node.node_id)
    world.clock.schedule(random.choice((2.0, 10.0)) * random.uniform(0.5, 2.0), None, _room, (world, node))


def _room(world: World, node: SimulatedNode) -> None:
    if node.is_short_of_room:
        world.marks.hit("a disk was full")
        world.marks.hit("a disk was full and had room again")
    world.story.tell("the disk of %s has room again", node.node_id)
    node.disk.room_bytes = None


def wipe(world: World, random: Random) -> None:
    """A voter comes back with an empty disk under its old id (D19). Once in a world, and only where those who stay healthy are a
    majority, so that nothing is lost for good reasons."""
    if any(node.is_wiped for node in world.nodes.values()) or not _may_lose_one(world):
        return
    up = [node for node in world.up() if world.configuration.is_voter(node.node_id)]
    if not up:
        return
    node = random.choice(up)
    node.crash(world.shape.loss_chance)
    node.wipe()
    node.start()
    world.marks.hit("a wiped disk came back under its old id")
    world.join(node)


def _may_lose_one(world: World) -> bool:
    """No change of members is under way anywhere, and they are enough."""
    if len(world.configuration.voters) < 3 or world.member_change_ends_at > world.clock.now:
        return False
    return all(
        node.is_up and (node.state.configuration == world.configuration or not world.configuration.is_member(node.node_id))
        for node in world.nodes.values()
        if world.configuration.is_member(node.node_id)
    )


def heal(node: SimulatedNode) -> None:
    """Nothing is wrong with this disk any more."""
    node.disk.fault = None
    node.disk.room_bytes = None
    node.disk_seconds = node.world.shape.disk_seconds
    node.unstall_disk()
