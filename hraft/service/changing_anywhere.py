"""A change of members that is asked of any node: done here where it leads, or else by the leader, whoever that is by then."""

from __future__ import annotations

from hraft.errors import NotLeader, PeerUnreachable
from hraft.questions import ChangeOutcome, ForwardChange
from hraft.raft.ready import Role
from hraft.service.running import Running

#: A leader that is to be removed hands over first, and another election may come between.
_TRIES_COUNT = 5
_LEADERLESS_SECONDS = 2.0
#: The others learn a moment later who leads.
_PAUSE_SECONDS = 0.1


async def change_anywhere(running: Running, request: ForwardChange) -> ChangeOutcome:
    """Ask the leader, and its successor where it has one. Raises ChangeRefused, NotLeader, PeerUnreachable or OutcomeUnknown."""
    for tries_left in reversed(range(_TRIES_COUNT)):
        try:
            if running.node.role is Role.LEADER:
                return await running.changing.change(request)
            return await running.forwarding.change(request)
        except (NotLeader, PeerUnreachable):
            if not tries_left or running.loop.is_stopped:
                raise
        await running.milestones.until(lambda: False, _PAUSE_SECONDS)
        await running.milestones.until(lambda: running.leader_id is not None, _LEADERLESS_SECONDS)
    raise AssertionError("the last try returns or raises")
