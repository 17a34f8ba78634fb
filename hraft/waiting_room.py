"""Both ports of a node that has no cluster yet: open, so that nobody else takes them, with nothing behind them.

Knows nothing of how a node comes into its cluster.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.web.resource import Resource

from hraft.service.health import Check
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

    def render(self, request: Any) -> bytes:
        detail = "this node has not joined its cluster yet, and keeps trying"
        if request.path == LIVEZ:
            return give(request, health_answer("livez", (Check("ping", True),), b"verbose" in request.args))
        if request.path == READYZ:
            return give(request, health_answer("readyz", (Check("member", False, detail),), True))
        return give(request, retry_later("joining", detail, outcome=NOT_DONE).answer(request.method))
