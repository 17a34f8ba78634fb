"""The cluster over HTTP: who is in it, how this node sees it, and taking a node in; hraftd's routes and those of /v1.

Knows nothing of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from hraft.web.answers import DONE, JSON, Answer, go_json, headers_of
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.bodies import parse_join
from hraft.web.documents import json_answer
from hraft.web.node import Node
from hraft.web.parameters import Wants
from hraft.web.permissions import ADMIN, ANY_USER, OPEN
from hraft.web.reads import Reads
from hraft.web.status import ClusterDocument, cluster_document, status_document, store_document

_JSON = headers_of(JSON)
_NOTHING = Wants()
DISCOVERY = b"/v1/discovery"


class DiscoveryDocument(msgspec.Struct):
    """What a node with a cluster says; one that has none says more (`hraft.founding`)."""

    node_id: str
    life: str = ""
    is_member: bool = True


class ClusterApi:
    """Looks at the node, and not further."""

    def __init__(self, node: Node, reads: Reads, backups: Callable[[], object]) -> None:
        """`backups` tells of those that the node makes by itself."""
        self._node = node
        self._reads = reads
        self._backups = backups

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        yield Route(b"GET", b"/status", self._status, needs=ANY_USER)
        yield Route(b"POST", b"/join", self._join, needs=ADMIN)
        about, answers = "This node: as /status, and what its store has", {200: dict[str, Any]}
        yield Route(b"GET", b"/v1/status", self._store_status, about, _NOTHING, None, answers, needs=ANY_USER)
        about = "Whether this node has a cluster, for those that found one together (--bootstrap-expect)"
        yield Route(b"GET", DISCOVERY, self._discovery, about, _NOTHING, None, {200: DiscoveryDocument}, needs=OPEN)
        about = "The members; on the leader, how far each is"
        yield Route(b"GET", b"/v1/cluster", self._cluster, about, _NOTHING, None, {200: ClusterDocument}, needs=ANY_USER)

    def _status(self, asked: Asked) -> Answer:
        """How this node sees the cluster."""
        return Answer(200, _JSON, go_json(status_document(self._node)))

    def _store_status(self, asked: Asked) -> Answer:
        """The same, with what this node's store has."""
        _NOTHING.of(asked)
        return json_answer({**store_document(self._node, self._reads.age_ms()), "backups": self._backups()})

    def _discovery(self, asked: Asked) -> Answer:
        """There is a cluster: join it."""
        _NOTHING.of(asked)
        return json_answer(DiscoveryDocument(self._node.node_id))

    def _cluster(self, asked: Asked) -> Answer:
        """Who is a member."""
        _NOTHING.of(asked)
        return json_answer(cluster_document(self._node))

    def _join(self, asked: Asked) -> Deferred[Answer]:
        """Take a node in, on whichever node this is. 202: it is a learner so far, and becomes a voter when it has caught up."""
        joiner = parse_join(asked.body)

        def joined(outcome: Any) -> Answer:
            return DONE if outcome.role == "voter" else Answer(202, _JSON, go_json({"role": outcome.role}))

        return self._node.join(joiner.id or joiner.addr, joiner.addr, joiner.empty_log, joiner.learner).addCallback(joined)
