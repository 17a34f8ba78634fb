"""The node as a service: the one loop around the pure core, and everything that waits for something to come out of it.

Knows the contracts of `hraft.interfaces`; never a file, a socket or the key-value store.
"""

from hraft.interfaces import ReadLevel
from hraft.service.node_service import NodeService
from hraft.service.proposals import Applied
from hraft.service.view import LeaderHint

__all__ = ["Applied", "LeaderHint", "NodeService", "ReadLevel"]
