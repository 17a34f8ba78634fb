"""Changes of members that are already there, on the leader: begun, waited for, and told when they are certain.

What is safe is decided by `hraft.raft.membership`; here it is only decided how long to wait, and for what. Asking twice is
harmless: what is so already is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from hraft import limits
from hraft.errors import ChangeRefused, NotLeader, OutcomeUnknown
from hraft.interfaces import Timing
from hraft.questions import Change, ChangeOutcome, ForwardChange
from hraft.raft.configuration import Configuration
from hraft.raft.entry import EntryId
from hraft.raft.node import RaftNode
from hraft.raft.ready import Role
from hraft.service.loop import Loop

_T = TypeVar("_T")

#: A leader of a moment ago has not heard everybody yet, and a change before this one is committed soon, or never.
_ELECTION_TIMEOUTS_COUNT = 2


class Changing:
    """The changes of one leader. `until(holds, seconds)` fires with True once that holds, with False when it is too late."""

    def __init__(
        self, node: RaftNode, loop: Loop, timing: Timing, until: Callable[[Callable[[], bool], float], Deferred[bool]]
    ) -> None:
        self._node = node
        self._loop = loop
        self._until = until
        self._tick_seconds = timing.tick_seconds
        self._tries_count = _ELECTION_TIMEOUTS_COUNT * timing.election_timeout_ticks
        self._patience_seconds = self._tries_count * timing.tick_seconds

    async def change(self, request: ForwardChange) -> ChangeOutcome:
        """Raises NotLeader, ChangeRefused, and OutcomeUnknown where the change may still be rolled back."""
        if self._node.role is not Role.LEADER:
            raise NotLeader(self._node.leader_id)
        if request.change == Change.REMOVE.value:
            return await self._remove(request.node_id)
        if request.change == Change.PROMOTE.value:
            return await self._promote(request.node_id)
        if request.change == Change.TRANSFER.value:
            return await self._transfer(request.node_id)
        raise ChangeRefused(f"this release of hraft cannot {request.change[:40]!r} a member")

    async def _remove(self, node_id: str) -> ChangeOutcome:
        node = self._node
        if node_id in node.configuration.removed and node.is_configuration_committed:
            return ChangeOutcome(0, node_id)
        if node_id == node.state.node_id:
            await self._hand_over()
        entry_id = await self._begun(lambda: node.remove(node_id))
        return await self._committed(entry_id, node_id, lambda members: node_id in members.removed)

    async def _hand_over(self) -> None:
        """This leader is to go: without a pause, if another can take over; or else it steps down when its removal is committed.

        Raises NotLeader when another leads, who can do the rest.
        """
        node = self._node
        await self._begun(lambda: node.check_removal(node.state.node_id))
        try:
            node.transfer(None)
        except ChangeRefused:
            return
        self._loop.wake()
        await self._until(lambda: node.role is not Role.LEADER and node.leader_id is not None, self._patience_seconds)
        if node.role is not Role.LEADER:
            raise NotLeader(node.leader_id)

    async def _promote(self, node_id: str) -> ChangeOutcome:
        node = self._node
        entry_id = await self._begun(lambda: node.promote(node_id))
        if entry_id is None:
            return ChangeOutcome(0, node_id)
        return await self._committed(entry_id, node_id, lambda members: members.is_voter(node_id))

    async def _transfer(self, node_id: str) -> ChangeOutcome:
        node = self._node
        if node_id == node.state.node_id:
            return ChangeOutcome(0, node_id)
        await self._begun(lambda: node.transfer(node_id or None))
        await self._until(lambda: node.role is not Role.LEADER and node.leader_id is not None, self._patience_seconds)
        if node.role is Role.LEADER:
            raise ChangeRefused(f"{node_id or 'no other voter'} did not take over in time: {node.state.node_id} leads on")
        return ChangeOutcome(0, node.leader_id or "")

    async def _begun(self, begin: Callable[[], _T]) -> _T:
        """Begin it, again and again while only the moment is wrong. Raises ChangeRefused, for good, and NotLeader."""
        for tries_left in reversed(range(self._tries_count)):
            try:
                begun = begin()
            except ChangeRefused as refusal:
                if not refusal.temporary or not tries_left or self._loop.is_stopped:
                    raise ChangeRefused(str(refusal)) from refusal
                await self._until(lambda: False, self._tick_seconds)
            else:
                self._loop.wake()
                return begun
        raise AssertionError("the last try returns or raises")

    async def _committed(self, entry_id: EntryId, node_id: str, holds: Callable[[Configuration], bool]) -> ChangeOutcome:
        node = self._node

        def is_decided() -> bool:
            return (node.is_configuration_committed and holds(node.configuration)) or node.current_term != entry_id.term

        await self._until(is_decided, limits.JOIN_TIMEOUT_SECONDS)
        if not (node.is_configuration_committed and holds(node.configuration)):
            raise OutcomeUnknown(
                f"the change is entry {entry_id.index}, and may or may not be committed; asking again is harmless"
            )
        return ChangeOutcome(entry_id.index, node_id)
