"""What goes wrong in a world, and when: each kind of fault comes again and again, and passes.

The kinds are in `network_faults`, `process_faults`, `disk_faults` and `member_faults`: functions that do one fault and see to its
end. Here is only when they are called, and that all is well again at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from hraft.simulation import disk_faults, member_faults, network_faults, process_faults
from hraft.simulation.network import Faults
from hraft.simulation.shape import FAULT_KINDS
from hraft.simulation.world import World

#: Does one fault to a world, with the chance it is given.
Fault = Callable[[World, Random], None]

FAULTS: Mapping[str, Fault] = {
    "partition": network_faults.partition,
    "one_way_partition": network_faults.one_way_partition,
    "partial_partition": network_faults.partial_partition,
    "flapping": network_faults.flapping,
    "swizzle": network_faults.swizzle,
    "crash": process_faults.crash,
    "crash_leader": process_faults.crash_leader,
    "crash_after_save": process_faults.crash_after_save,
    "crash_new_leader": process_faults.crash_new_leader,
    "crash_after_answer": process_faults.crash_after_answer,
    "power_cut": process_faults.power_cut,
    "slow_disk": disk_faults.slow_disk,
    "stalled_disk": disk_faults.stalled_disk,
    "failing_disk": disk_faults.failing_disk,
    "full_disk": disk_faults.full_disk,
    "pause": process_faults.pause,
    "pause_quorum": process_faults.pause_quorum,
    "pause_all": process_faults.pause_all,
    "wipe": disk_faults.wipe,
    "join": member_faults.join,
    "remove": member_faults.remove,
    "transfer": member_faults.transfer,
}
assert set(FAULTS) == set(FAULT_KINDS)

HEALTHY = Faults(delay_seconds=(0.0005, 0.003))


class Chaos:
    """All faults of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_over = False

    def start(self) -> None:
        """Begin: each kind of the world's shape comes at intervals of its own."""
        for kind in self._world.shape.faults:
            self._schedule(kind, self._world.stream(f"fault/{kind}"))

    def _schedule(self, kind: str, random: Random) -> None:
        every_seconds = self._world.shape.faults[kind]
        self._world.clock.schedule(random.expovariate(1 / every_seconds), None, self._do, (kind, random))

    def _do(self, kind: str, random: Random) -> None:
        if not self._is_over:
            FAULTS[kind](self._world, random)
            self._schedule(kind, random)

    def heal(self) -> None:
        """Nothing fails any more: links, disks and processes are well again, and who was down starts."""
        self._is_over = True
        world = self._world
        world.trap = world.leader_trap = world.answer_trap = None
        world.network.is_calm = True
        world.story.tell("all is well from now on")
        world.network.faults = HEALTHY
        world.network.heal()
        for node in world.nodes.values():
            disk_faults.heal(node)
            node.resume()
        for node in world.nodes.values():
            node.start()
