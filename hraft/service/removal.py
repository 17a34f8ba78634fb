"""Nodes that were removed from the cluster, which must hear of it: this node, and those that still ask it (M12).

Only what is applied counts, for a change that is merely appended may be rolled back; what is applied is so for ever. Such a
node is told when it dials, so it may have been down for long; what it has dialled already is closed, a moment later, since it
may wait there for the answer to its own removal. Decides nothing about members.
"""

from __future__ import annotations

from collections.abc import Callable

from hraft.interfaces import Transport
from hraft.raft.node import RaftNode
from hraft.service.applying import Applying

_GRACE_TICKS = 10


class Removal:
    """What one node knows of it. `removed(index)` is called, maybe more than once, when this node is no member any more."""

    def __init__(
        self, node_id: str, node: RaftNode, applying: Applying, transport: Transport, removed: Callable[[int], None]
    ) -> None:
        self._node_id = node_id
        self._node = node
        self._applying = applying
        self._transport = transport
        self.removed = removed
        self._known: tuple[str, ...] = ()
        #: Whose connections are closed in so many ticks.
        self._ticks_left: dict[str, int] = {}

    def removal_of(self, node_id: str) -> int | None:
        """By which entry it was removed, if it was."""
        if node_id not in self._applying.configuration.removed:
            return None
        return self._node.state.configurations.removal_index(node_id)

    def applied(self) -> None:
        """Look at the members as of now."""
        removed = self._applying.configuration.removed
        if removed == self._known:
            return
        fresh, self._known = set(removed) - set(self._known), removed
        for node_id in fresh:
            if node_id == self._node_id:
                self.removed(self._node.state.configurations.removal_index(node_id))
            else:
                self._ticks_left[node_id] = _GRACE_TICKS

    def tick(self) -> None:
        """Have those who are still connected dial anew."""
        for node_id, ticks in list(self._ticks_left.items()):
            self._ticks_left[node_id] = ticks - 1
            if ticks <= 0:
                del self._ticks_left[node_id]
                self._transport.hang_up(node_id)
