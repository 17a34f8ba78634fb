"""A node that is stopped for good: removed from its cluster first, where that is safe, in bounded time.

Knows nothing of how a node stops otherwise.
"""

from __future__ import annotations

from twisted.internet.defer import TimeoutError as Late
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hraft import limits
from hraft.errors import HraftError
from hraft.questions import Change
from hraft.service import NodeService

_log = Logger(namespace="hraft.leaving")


async def leave(node: NodeService, clock: IReactorTime) -> bool:
    """Whether this node is no member any more. Where it has to stay one, the log says why."""
    node_id = node.node_id
    if node.removal is not None or not node.status().configuration.is_member(node_id):
        return True
    try:
        await node.change_member(Change.REMOVE, node_id).addTimeout(limits.LEAVE_TIMEOUT_SECONDS, clock)
    except (HraftError, Late) as error:
        if node.removal is not None:
            return True
        reason = str(error) if isinstance(error, HraftError) else f"no answer within {limits.LEAVE_TIMEOUT_SECONDS:g} s"
        _log.warn("{node}: stops, and stays a member of its cluster: {reason}", node=node_id, reason=reason)
        return False
    _log.info("{node}: has left its cluster", node=node_id)
    return True
