"""Tells pages how the cluster is, all of them the same once a second, and each what has happened since it was last told.

Figures are of now: a page that does not read misses some, and nothing is kept for it but the number of what it was last told.
Knows nothing of HTTP, and of what the figures are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hraft import limits
from hraft.service.chronicle import Chronicle
from hraft.web.problems import RETRY_AFTER_SECONDS, Problem
from hraft.web.watch.endings import stopping
from hraft.web.watch.hub import Stream

#: After a connection is lost, a browser waits so long. (The HTML standard, 9.2.6)
_RETRY = b"retry: 1000\n\n"


class Source(Protocol):
    """Where figures come from."""

    def begin(self) -> None:
        """The first page listens again."""

    def document(self) -> Any: ...


@dataclass(eq=False, slots=True)
class Page:
    """One that listens. It was told what happened up to `number`."""

    stream: Stream
    number: int = 0
    full_since_seconds: float | None = None


class Feed:
    """All pages of one node. Its timer runs only while there are some."""

    def __init__(
        self,
        clock: IReactorTime,
        source: Source,
        chronicle: Callable[[], Chronicle],
        pages_count: int = limits.EVENT_STREAMS_COUNT,
    ) -> None:
        self._clock = clock
        self._source = source
        self._chronicle = chronicle
        self._pages_count = pages_count
        self._pages: dict[Page, None] = {}
        self._timer: IDelayedCall | None = None
        self._is_stopped = False

    def check(self) -> None:
        """Raise the Problem that one more would meet."""
        if self._is_stopped:
            raise stopping()
        if len(self._pages) >= self._pages_count:
            headers = {b"Retry-After": str(RETRY_AFTER_SECONDS)}
            detail = f"{self._pages_count} pages are told already how this node is, and that is the limit; ask another one"
            raise Problem(429, "too_many_streams", detail, headers)

    def add(self, stream: Stream) -> Page:
        """Tell this one at once, and from then on. To be checked before."""
        page = Page(stream)
        if not self._pages:
            self._source.begin()
            self._timer = self._clock.callLater(limits.EVENTS_INTERVAL_SECONDS, self._beat)
        self._pages[page] = None
        stream.send(_RETRY)
        self._tell(page, _message("figures", self._source.document()))
        return page

    def remove(self, page: Page) -> None:
        """It has gone, or is about to. Harmless for one that has."""
        self._pages.pop(page, None)
        if not self._pages and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def is_full(self, page: Page) -> None:
        """It does not read: its time runs."""
        page.full_since_seconds = self._clock.seconds()

    def has_room(self, page: Page) -> None:
        """It is told the rest with the next figures."""
        page.full_since_seconds = None

    def stop(self) -> None:
        """The node is about to stop."""
        self._is_stopped = True
        for page in list(self._pages):
            self._cut(page, stopping())

    def _beat(self) -> None:
        self._timer = self._clock.callLater(limits.EVENTS_INTERVAL_SECONDS, self._beat)
        figures, now = _message("figures", self._source.document()), self._clock.seconds()
        for page in list(self._pages):
            if page.full_since_seconds is not None and now - page.full_since_seconds >= limits.WATCH_UNREAD_SECONDS:
                self._cut(page, Problem(408, "too_slow", f"nothing was read within {limits.WATCH_UNREAD_SECONDS:g} s"))
            else:
                self._tell(page, figures)

    def _tell(self, page: Page, figures: bytes) -> None:
        """First what has happened, so that a page that shows these figures knows why."""
        chronicle = self._chronicle()
        if chronicle.number > page.number and not page.stream.is_full:
            happenings = chronicle.after(page.number)
            page.number = chronicle.number
            page.stream.send(_message("happenings", happenings))
        if not page.stream.is_full:
            page.stream.send(figures)

    def _cut(self, page: Page, problem: Problem) -> None:
        self.remove(page)
        page.stream.end(b"event: error\ndata: %b\n\n" % problem.body(b"GET"))


def _message(kind: str, document: object) -> bytes:
    """One server-sent event. JSON has no line end of its own."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(document))
