"""The cluster over HTTP: who is in it, how this node sees it, and taking a node in.

Knows nothing of keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred

from hraft.web.answers import DONE, JSON, Answer, go_json, headers_of
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.bodies import parse_join
from hraft.web.node import Node
from hraft.web.status import status_document

_JSON = headers_of(JSON)


class ClusterApi:
    """hraftd's /status and /join."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        yield Route(b"GET", b"/status", self._status)
        yield Route(b"POST", b"/join", self._join)

    def _status(self, asked: Asked) -> Answer:
        """How this node sees the cluster."""
        return Answer(200, _JSON, go_json(status_document(self._node)))

    def _join(self, asked: Asked) -> Deferred[Answer]:
        """Take a node in, on whichever node this is. 202: it is a learner so far, and becomes a voter when it has caught up."""
        joiner = parse_join(asked.body)

        def joined(outcome: Any) -> Answer:
            return DONE if outcome.role == "voter" else Answer(202, _JSON, go_json({"role": outcome.role}))

        return self._node.join(joiner.id or joiner.addr, joiner.addr, joiner.empty_log).addCallback(joined)
