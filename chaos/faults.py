"""Faults, each a generator: it does its harm, yields for how many seconds it lasts, and heals in its `finally`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias

from chaos.links import Conditions
from chaos.nodes import Node
from chaos.stage import Stage

Fault: TypeAlias = Generator[float, None, None]
#: A cluster does not grow without end.
JOINERS_COUNT = 2
#: Of its leader a cluster is afraid most, so every other fault meets it.
LEADER_CHANCE = 0.5


def _names(nodes: list[Node]) -> str:
    return ", ".join(node.name for node in nodes)


def _some(stage: Stage, count: int) -> list[Node]:
    """So many nodes that no fault has in hand; often the leader among them."""
    free = stage.free()
    if free and stage.chance.random() < LEADER_CHANCE:
        return free[:count]
    return stage.chance.sample(free, min(count, len(free)))


def _minority(stage: Stage) -> int:
    return max(1, (len(stage.nodes) - 1) // 2)


def kill(stage: Stage) -> Fault:
    """kill -9 of as many as the others can do without, or now and then of one more."""
    count = _minority(stage) + (stage.chance.random() < 0.2)
    nodes = _some(stage, stage.chance.randint(1, count))
    with stage.taking(nodes):
        stage.inject("kill", _names(nodes))
        try:
            for node in nodes:
                node.kill()
            yield stage.chance.uniform(0.0, 3.0)
        finally:
            for node in nodes:
                node.start()
            stage.say(f"started again: {_names(nodes)}")


def pause(stage: Stage) -> Fault:
    """SIGSTOP of one, of some, or of all, for up to ten election timeouts."""
    count = stage.chance.choice([1, 1, _minority(stage), len(stage.nodes)])
    nodes = _some(stage, count)
    with stage.taking(nodes):
        stage.inject("pause", _names(nodes))
        try:
            for node in nodes:
                node.pause()
            yield stage.chance.uniform(0.3, 4.0)
        finally:
            for node in nodes:
                node.resume()
            stage.say(f"awake again: {_names(nodes)}")


def partition(stage: Stage) -> Fault:
    """Two halves; one alone; or a bridge, a node that sees both halves while they do not see each other."""
    nodes = stage.free()
    names = [node.name for node in (nodes if stage.chance.random() < LEADER_CHANCE else stage.chance.sample(nodes, len(nodes)))]
    others = [node.name for node in stage.nodes if node.name not in names]
    names += others
    size = stage.chance.randint(1, max(1, len(names) // 2))
    one, other = names[:size], names[size:]
    bridge = other.pop() if len(other) > 1 and stage.chance.random() < 0.25 else None
    cuts = frozenset(pair for a in one for b in other for pair in ((a, b), (b, a)))
    told = f" and {bridge} sees both" if bridge else ""
    yield from _network(stage, "partition", f"{', '.join(one)} | {', '.join(other)}{told}", Conditions(cuts=cuts))


def one_way(stage: Stage) -> Fault:
    """A node that can send and not hear, or hear and not send; or a single link of which one direction fails."""
    nodes = _some(stage, 1) or [stage.chance.choice(stage.nodes)]
    victim, others = nodes[0].name, [node.name for node in stage.nodes if node is not nodes[0]]
    if stage.chance.random() < 0.25:
        others = [stage.chance.choice(others)]
    is_deaf = stage.chance.random() < 0.5
    cuts = frozenset((other, victim) if is_deaf else (victim, other) for other in others)
    words = f"{victim} no longer {'hears' if is_deaf else 'reaches'} {', '.join(others)}"
    yield from _network(stage, "one-way", words, Conditions(cuts=cuts))


def loss(stage: Stage) -> Fault:
    """Packets are lost on their way to every node."""
    yield from _network(stage, "loss", "at every node", Conditions(lossy=frozenset(node.name for node in stage.nodes)))


def slow(stage: Stage) -> Fault:
    """The link of a node or two has little bandwidth."""
    nodes = stage.chance.sample(stage.nodes, stage.chance.randint(1, 2))
    yield from _network(stage, "slow", _names(nodes), Conditions(slow=frozenset(node.name for node in nodes)))


def flapping(stage: Stage) -> Fault:
    """One link is there and not there, 200 ms each."""
    one, other = stage.chance.sample([node.name for node in stage.nodes], 2)
    conditions = Conditions(cuts=frozenset({(one, other), (other, one)}))
    stage.inject("flapping", f"{one} - {other}")
    for _ in range(stage.chance.randint(5, 10)):
        with stage.under(conditions):
            yield 0.2
        yield 0.2


def _network(stage: Stage, kind: str, words: str, conditions: Conditions) -> Fault:
    stage.inject(kind, words)
    with stage.under(conditions):
        yield stage.chance.uniform(0.5, 5.0)
    stage.say(f"{kind} healed")


def restart_all(stage: Stage) -> Fault:
    """kill -9 of every node at once, and a cold start in any order."""
    while not stage.is_whole:
        yield 0.1
    nodes = stage.free()
    with stage.taking(nodes):
        stage.inject("restart-all", _names(nodes))
        try:
            for node in nodes:
                assert node.process is not None
                node.process.kill()
            for node in nodes:
                node.kill()
            yield stage.chance.uniform(0.0, 1.0)
        finally:
            stage.chance.shuffle(nodes)
            for node in nodes:
                node.start()


def members(stage: Stage) -> Fault:
    """A new node comes in by way of any member, whatever else goes on. It stays."""
    if stage.injected["members"] >= JOINERS_COUNT:
        return
    node = stage.add_node(list(stage.nodes))
    stage.inject("members", f"{node.name} wants to join")
    yield 0.0


def clock(stage: Stage) -> Fault:
    """The wall clock of one node or of all jumps an hour, either way, or stands still."""
    nodes = list(stage.nodes) if stage.chance.random() < 0.3 else [stage.chance.choice(stage.nodes)]
    words = stage.chance.choice(["+3600", "-3600", "2030-01-01 00:00:00"])
    stage.inject("clock", f"{words} for {_names(nodes)}")
    try:
        for node in nodes:
            node.set_clock(words)
        yield stage.chance.uniform(1.0, 4.0)
    finally:
        for node in nodes:
            node.set_clock("+0")


FAULTS: dict[str, Callable[[Stage], Fault]] = {
    "kill": kill,
    "pause": pause,
    "partition": partition,
    "one-way": one_way,
    "loss": loss,
    "slow": slow,
    "flapping": flapping,
    "restart-all": restart_all,
    "members": members,
    "clock": clock,
}
