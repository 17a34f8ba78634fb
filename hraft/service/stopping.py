"""Stopping well: clients are answered, leadership is handed over, the disk is done. Nothing may make it take for ever (O13)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import ChangeRefused, NotLeader
from hraft.raft.ready import Role
from hraft.service.events import Events
from hraft.service.running import Running
from hraft.service.surroundings import Surroundings


async def stop(around: Surroundings, running: Running, events: Events) -> None:
    """New proposals are refused already. Each step waits for an election timeout or two at most."""
    events.stopping()
    election_timeout_seconds = around.timing.tick_seconds * around.timing.election_timeout_ticks
    if not running.loop.is_stopped:
        await running.milestones.until(lambda: len(running.proposals) == 0, election_timeout_seconds)
        await _hand_over(running, around.node_id, 2 * election_timeout_seconds)
    running.stop("this node stopped; what becomes of it is up to the others")
    await _in_time(around.clock, events, "closing the connections", maybeDeferred(around.transport.stop))
    # The writer's thread works in order, so a save that is under way ends before.
    await _in_time(around.clock, events, "closing the disk", around.run_in_writer(around.storage.close))


async def _hand_over(running: Running, node_id: str, timeout_seconds: float) -> None:
    """Have another voter lead before this one is gone, so that clients need not wait for an election timeout (Section 3.10)."""
    node = running.node
    if node.role is not Role.LEADER or set(node.configuration.voters) <= {node_id}:
        return
    try:
        node.transfer(None)
    except (NotLeader, ChangeRefused):
        return  # Nobody is there to take over (T6).
    running.loop.wake()
    await running.milestones.until(lambda: node.role is not Role.LEADER and node.leader_id is not None, timeout_seconds)


async def _in_time(clock: IReactorTime, events: Events, what: str, deferred: Deferred[Any]) -> None:
    """Wait, but not for ever; what fails now is only said."""

    def failed(failure: Failure) -> None:
        events.not_stopped_well(what, failure)

    await deferred.addTimeout(limits.STOP_TIMEOUT_SECONDS, clock).addErrback(failed)
