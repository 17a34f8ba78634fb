"""The whole table: every part of the HTTP interface of a node, put together.

Knows nothing of the parts' insides.
"""

from __future__ import annotations

from hraft.web.api import Api
from hraft.web.cluster import ClusterApi
from hraft.web.keys import KeyApi
from hraft.web.node import Node
from hraft.web.writes import Writes


def node_api(node: Node, forward: bool = False) -> Api:
    """The HTTP face of this node. With `forward`, writes to /key that come to a follower are passed to the leader."""
    parts = (KeyApi(node, Writes(node, forward)), ClusterApi(node))
    return Api(node, (route for part in parts for route in part.routes()))
