"""One seed from beginning to end, and what is worth telling of it."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field

from hraft.simulation.ending import end
from hraft.simulation.faults import HEALTHY, Chaos
from hraft.simulation.shape import Selection, Shape
from hraft.simulation.story import Violation
from hraft.simulation.world import World


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one world. `rule` is empty when all promises were kept."""

    selection: Selection
    shape: Shape
    rule: str = ""
    what: str = ""
    story: str = ""
    trace_hash: str = ""
    seconds: float = 0.0
    events_count: int = 0
    operations_count: int = 0
    acknowledged_count: int = 0
    marks: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not self.rule


def run(selection: Selection) -> Outcome:
    """Form a cluster, let everything go wrong, let all be well again, and judge."""
    shape = selection.shape()
    world = World(shape)
    rule = what = ""
    try:
        world.network.faults = HEALTHY
        world.form()
        world.network.faults = shape.messages
        world.add_clients(shape.clients_count)
        chaos = Chaos(world)
        chaos.start()
        world.run(shape.seconds)
        for client in world.clients:
            client.stop()
        for holder in world.holders:
            holder.stop()
        chaos.heal()
        end(world)
    except Violation as violation:
        rule, what = violation.rule, violation.what
    except Exception:  # Raised by hraft outside of any event, where a fault or the ending asked something of it.
        rule, what = "an exception escaped", traceback.format_exc()
    return Outcome(
        selection=selection,
        shape=shape,
        rule=rule,
        what=what,
        story=world.story.last_events() if rule else "",
        trace_hash=world.story.trace_hash(),
        seconds=world.clock.now,
        events_count=world.events_count,
        operations_count=len(world.history),
        acknowledged_count=world.oracle.acknowledged_count,
        marks=dict(world.marks.counts),
    )
