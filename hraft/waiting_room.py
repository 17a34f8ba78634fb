"""Both ports of a node that has no cluster yet: open, so that nobody else takes them, with nothing behind them.

Knows nothing of how a node comes into its cluster.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
from twisted.internet.protocol import Factory
from twisted.web.resource import Resource

from hraft.founding import Founding
from hraft.service.health import Check, liveness
from hraft.web.answers import JSON, Answer, headers_of
from hraft.web.cluster import DISCOVERY
from hraft.web.health import LIVEZ, READYZ, health_answer
from hraft.web.problems import NOT_DONE, retry_later
from hraft.web.tree import give


class RaftPort(Factory):
    """Listens before there is anything to talk to: whoever comes too early is closed, and will come again."""

    noisy = False

    def __init__(self) -> None:
        self._inner: Any = None

    def open(self, inner: Any) -> None:
        self._inner = inner

    def buildProtocol(self, addr: Any) -> Any:
        return None if self._inner is None else self._inner.buildProtocol(addr)


class WaitingRoom(Resource):
    """What clients are told until the node knows which cluster it belongs to: it lives, and is not ready."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._founding: Founding | None = None

    def take_part(self, node_id: str, expected_count: int) -> Founding:
        """From now on this node says at DISCOVERY what it sees of those that it founds a cluster with."""
        self._founding = Founding(node_id, uuid4().hex, expected_count)
        return self._founding

    def render(self, request: Any) -> bytes:
        """Twisted's way in."""
        detail = "this node has not joined its cluster yet, and keeps trying"
        if request.path == LIVEZ or request.path.startswith(LIVEZ + b"/"):
            return give(request, health_answer(LIVEZ, liveness(False, ""), b"verbose" in request.args))
        # Whichever check is asked for, and whichever is not to count: without a cluster nothing is ready.
        if request.path == READYZ or request.path.startswith(READYZ + b"/"):
            return give(request, health_answer(READYZ, (Check("member", False, detail),), True))
        if request.path == DISCOVERY and self._founding is not None:
            return give(request, Answer(200, headers_of(JSON), msgspec.json.encode(self._founding.view())))
        return give(request, retry_later("joining", detail, outcome=NOT_DONE).answer(request.method))
