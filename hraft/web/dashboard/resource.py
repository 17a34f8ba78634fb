# mypy: allow-untyped-calls
"""/v1/events as twisted.web serves it: how this node and its cluster are, once a second, as server-sent events.

It tells of a node that has no leader, too, so it never waits for one. Knows nothing of what is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.counting import Histogram
from hraft.web.answers import Answer
from hraft.web.dashboard.feed import Feed, Page
from hraft.web.dashboard.pulse import Pulse
from hraft.web.node import Node
from hraft.web.problems import Problem
from hraft.web.streams import EventStream, StreamResource

PATH: Final = b"/v1/events"
_EVENTS: Final = b"text/event-stream"


class EventsResource(StreamResource):
    """Every page that listens to one node. `writes` are the durations of all writes that it has answered."""

    def __init__(
        self,
        node: Node,
        clock: IReactorTime,
        failed: Callable[[Failure, bytes, bytes], Answer],
        writes: Histogram,
        pages_count: int = limits.EVENT_STREAMS_COUNT,
    ) -> None:
        super().__init__(failed)
        self._node = node
        self.feed = Feed(clock, Pulse(node, clock, writes), lambda: node.chronicle, pages_count)

    async def answer(self, request: Any) -> None:
        """Begin a stream. Raises Problem."""
        if request.method not in (b"GET", b"HEAD"):
            raise Problem(405, "method_not_allowed", "events are got with GET", {b"Allow": "GET, HEAD"})
        if b"?" in request.uri:
            raise Problem(400, "bad_request", "the events are the same for everybody: there are no parameters")
        self.feed.check()
        request.setHeader(b"X-Hraft-Term", b"%d" % self._node.term)
        request.setHeader(b"X-Content-Type-Options", b"nosniff")
        if request.method == b"HEAD":
            request.setHeader(b"Content-Type", _EVENTS)
            request.finish()
            return
        stream: EventStream[Page] = EventStream(request, self.feed)
        stream.begin(_EVENTS, self.feed.add)
