# mypy: allow-untyped-calls
"""/v1/watch as twisted.web serves it: looks at what is asked, waits until this node is up to date, and begins a stream.

Knows nothing of messages, and of who is told what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.kv.store import KeyValueStore
from hraft.web.answers import Answer
from hraft.web.node import Node
from hraft.web.problems import Problem
from hraft.web.streams import EventStream, StreamResource
from hraft.web.watch.hub import Hub, Watcher
from hraft.web.watch.wanted import Wanted, wanted

PATH = b"/v1/watch"


class WatchResource(StreamResource):
    """Every watch of one node."""

    def __init__(
        self,
        node: Node,
        clock: IReactorTime,
        failed: Callable[[Failure, bytes, bytes], Answer],
        watchers_count: int = limits.WATCHERS_COUNT,
    ) -> None:
        super().__init__(failed)
        self._node = node
        self.hub = Hub(clock, self._store, watchers_count)
        node.observe(self)

    async def answer(self, request: Any) -> None:
        """Up to where the stream begins."""
        if request.method not in (b"GET", b"HEAD"):
            allowed = {b"Allow": "GET, HEAD"}
            raise Problem(405, "method_not_allowed", "a watch is a GET", allowed)
        asked = wanted(request.uri.partition(b"?")[2], request.getHeader(b"accept"), request.getHeader(b"last-event-id"))
        self.hub.check(None)
        if not asked.is_stale and self._is_news(asked):
            await self._node.confirm_read()
        self.hub.check(asked.since)
        request.setHeader(b"X-Hraft-Revision", b"%d" % self._store().revision)
        request.setHeader(b"X-Hraft-Term", b"%d" % self._node.status().term)
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        if request.method == b"HEAD":
            request.setHeader(b"Content-Type", asked.view.form.value)
            request.finish()
        else:
            stream: EventStream[Watcher] = EventStream(request, self.hub)
            stream.begin(asked.view.form.value, lambda stream: self.hub.add(asked.view, asked.since, stream))

    def _is_news(self, asked: Wanted) -> bool:
        """Whether only the leader can tell what is meant: by now, or by a revision that this node has not come to."""
        return asked.since is None or asked.since > self._store().revision

    def _store(self) -> KeyValueStore:
        return cast(KeyValueStore, self._node.state_machine)

    # --- what the node tells ---------------------------------------------------------------------

    def applied(self) -> None:
        """The store has changed, or was replaced."""
        self.hub.applied()

    def leading(self, term: int | None) -> None:
        """A watch is the same on every node."""
