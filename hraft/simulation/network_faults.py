"""Faults of the network: partitions of every kind, links that flap, links that clog. Each does one fault and sees to its end."""

from __future__ import annotations

from random import Random

from hraft.simulation.links import Link
from hraft.simulation.world import World

_FLAP_SECONDS = 0.2


def partition(world: World, random: Random) -> None:
    """Two groups that do not hear each other; often the leader is alone, or in the smaller one."""
    names = list(world.nodes)
    random.shuffle(names)
    leader = world.leader()
    if leader is not None and random.random() < 0.5:
        names.remove(leader.node_id)
        names.insert(0, leader.node_id)
    count = random.randint(1, max(1, len(names) // 2))
    _cut(world, random, _between(names[:count], names[count:]), f"partition of {', '.join(names[:count])}")


def isolate(world: World, alone: str, seconds: float) -> None:
    """One node that neither hears nor is heard."""
    links = _between([alone], [name for name in world.nodes if name != alone])
    _cut_for(world, links, f"{alone} is alone", seconds)


def one_way_partition(world: World, random: Random) -> None:
    """One node, often the leader, that can only speak, or only hear (N1)."""
    names = list(world.nodes)
    leader = world.leader()
    alone = leader.node_id if leader is not None and random.random() < 0.5 else random.choice(names)
    others = [name for name in names if name != alone]
    if random.random() < 0.5:
        _cut(world, random, [(other, alone) for other in others], f"{alone} hears nobody")
    else:
        _cut(world, random, [(alone, other) for other in others], f"nobody hears {alone}")


def partial_partition(world: World, random: Random) -> None:
    """Some pairs do not hear each other, though others hear both (N2): one pair, a bridge, or a ring."""
    names = list(world.nodes)
    random.shuffle(names)
    kind = random.choice(("pair", "bridge", "ring"))
    if kind == "pair" or len(names) < 4:
        links = _between(names[:1], names[1:2])
    elif kind == "bridge":
        half = (len(names) - 1) // 2
        links = _between(names[1 : 1 + half], names[1 + half :])
    else:
        places = range(len(names))
        far = [(a, b) for a in places for b in places if a < b and min(b - a, len(names) - b + a) > 1]
        links = [link for a, b in far for link in _between([names[a]], [names[b]])]
    _cut(world, random, links, f"{kind} of {', '.join(names)}")


def flapping(world: World, random: Random) -> None:
    """The links of one node go down and up, many times a second (N3)."""
    alone = random.choice(list(world.nodes))
    links = _between([alone], [name for name in world.nodes if name != alone])
    end = world.clock.now + random.uniform(1.0, 10.0)
    world.story.tell("the links of %s flap", alone)

    def down() -> None:
        if world.clock.now < end:
            world.network.cut_all(links)
            world.clock.schedule(_FLAP_SECONDS, None, up)

    def up() -> None:
        world.network.mend(links)
        world.clock.schedule(_FLAP_SECONDS, None, down)

    down()


def swizzle(world: World, random: Random) -> None:
    """Clog the nodes of a subset one by one, and unclog them in another order (N5)."""
    names = list(world.nodes)
    subset = random.sample(names, random.randint(1, len(names)))
    world.story.tell("%s are clogged one by one", ", ".join(subset))
    delay_seconds = 0.0
    for name in subset:
        delay_seconds += random.uniform(0.0, 1.0)
        world.clock.schedule(delay_seconds, None, _clog, (world, name))
    random.shuffle(subset)
    for name in subset:
        delay_seconds += random.uniform(0.0, 1.0)
        world.clock.schedule(delay_seconds, None, _unclog, (world, name))


def _clog(world: World, name: str) -> None:
    for link in _between([name], [other for other in world.nodes if other != name]):
        world.network.clog(link)


def _unclog(world: World, name: str) -> None:
    for link in _between([name], [other for other in world.nodes if other != name]):
        world.network.unclog(link)


def _between(some: list[str], others: list[str]) -> list[Link]:
    return [link for one in some for other in others for link in ((one, other), (other, one))]


def _cut(world: World, random: Random, links: list[Link], words: str) -> None:
    _cut_for(world, links, words, random.choice((0.5, 2.0, 10.0)) * random.uniform(0.5, 2.0))


def _cut_for(world: World, links: list[Link], words: str, seconds: float) -> None:
    world.story.tell("cut: %s", words)
    world.network.cut_all(links)
    world.clock.schedule(seconds, None, _mend, (world, links, words))


def _mend(world: World, links: list[Link], words: str) -> None:
    world.story.tell("mended: %s", words)
    world.network.mend(links)
