"""Watching keys: every change once and in order, over as many connections as it takes.

A watch knows the last revision that it has told of, or that the cluster said was quiet, and goes on after it at the next node
when a connection breaks, goes silent, or is ended by its node. Knows nothing of what the changes mean.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from hraft import limits
from hraft.client.answers import read_message, read_object
from hraft.client.calls import Caller, problem_of, refusal_of
from hraft.client.errors import BY_CODE, BadAnswer, Closed, Refused, Unavailable
from hraft.client.exchange import NotSent, Request, Unanswered
from hraft.client.paths import Pair, query_of
from hraft.client.results import Change
from hraft.client.streams import Lines
from hraft.client.timing import TimedOut

#: Ends of a connection after which the next one may go on.
_PASSING_CODES = ("too_slow", "stopping")


class Watch(AsyncIterator[Change]):
    """An async iterator of Change.

        async with client.watch(prefix="jobs/", since=page.revision) as watch:
            async for change in watch:
                ...

    Without `since` it begins with what comes after `__aenter__` (or, without `async with`, after the first step). A reader that
    takes its time has the cluster wait, and in the end cut it off: then the watch goes on by itself from where it was, if the
    cluster still has those changes. Compacted: it has not; read the keys anew. Unavailable: there was no connection for too
    long; a new watch with `since=watch.revision` misses nothing. After either it is over. `close()` may be called at any time,
    from anywhere.
    """

    def __init__(self, caller: Caller, query: Sequence[Pair], since: int | None, patience_seconds: float) -> None:
        self._caller = caller
        self._query = list(query)
        #: All changes up to it have been given, or there were none. None: it is not known yet where this begins.
        self.revision = since
        self._patience_seconds = patience_seconds
        self._lines: Lines | None = None
        self._url = ""
        self._under_way: Deferred[Any] | None = None
        self._is_closed = False
        self._failures_count = 0
        self._without_since: float | None = None
        self._last = "nothing was tried"
        caller.going_on[self] = self.close

    async def __aenter__(self) -> Watch:
        await self.begin()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Change:
        change: Change = await self._step(self._next())
        return change

    async def begin(self) -> None:
        """Connect, if that has not happened; afterwards `revision` is known, and all later changes will be given."""
        if self.revision is None:
            try:
                await self._step(self._begun())
            except StopAsyncIteration:
                raise Closed("the watch is closed") from None

    def close(self) -> None:
        """End it, and the connection. Who waits for a change gets StopAsyncIteration."""
        self._is_closed = True
        self._caller.going_on.pop(self, None)
        if self._lines is not None:
            self._lines.close()
            self._lines = None
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.cancel()

    async def _step(self, step: Any) -> Any:
        if self._under_way is not None:
            step.close()
            raise RuntimeError("this watch is waited for already: take one change after the other")
        under_way = self._under_way = Deferred.fromCoroutine(step)
        try:
            return await under_way
        except CancelledError:
            if self._is_closed:
                raise StopAsyncIteration from None
            raise
        except (Refused, Unavailable, BadAnswer):
            self.close()
            raise
        finally:
            if self._under_way is under_way:
                self._under_way = None

    async def _begun(self) -> None:
        while self.revision is None:
            await self._message()

    async def _next(self) -> Change:
        while True:
            change = await self._message()
            if change is not None:
                return change

    async def _message(self) -> Change | None:
        """Take one message, on a new connection if need be: a change that is new, or nothing."""
        if self._is_closed:
            raise StopAsyncIteration
        if self._caller.is_closed:
            raise Closed("the client is closed")
        if self._lines is None:
            self._lines = await self._connected()
        line = await self._lines.next()
        if line is None:
            self._lost("the connection ended")
            return None
        kind, change = read_message(line)
        if kind == "error":
            self._ended_by_node(line)
            return None
        self._without_since = None
        self._failures_count = 0
        is_new = self.revision is None or change.revision > self.revision
        if is_new:
            self.revision = change.revision
        return change if is_new and kind == "change" else None

    def _ended_by_node(self, line: bytes) -> None:
        problem = read_object(line)
        code, detail = str(problem.get("code", "")), str(problem.get("detail", ""))
        if code not in _PASSING_CODES:
            raise BY_CODE.get(code, Refused)(detail, code, 0, problem)
        self._lost(detail or code)

    def _lost(self, why: str) -> None:
        lines, self._lines = self._lines, None
        if lines is not None:
            lines.close()
        self._caller.endpoints.failed(self._url)
        self._last = why
        if self._without_since is None:
            self._without_since = self._caller.seconds()

    async def _connected(self) -> Lines:
        """A connection to some node that goes on where this is. Raises Refused, Unavailable, BadAnswer."""
        caller = self._caller
        if self._without_since is None:
            self._without_since = caller.seconds()
        while True:
            if self._failures_count:
                rounds_count, is_in_round = divmod(self._failures_count, len(caller.endpoints))
                seconds = 0.0 if is_in_round else caller.back_off(rounds_count)
                if caller.seconds() + seconds - self._without_since >= self._patience_seconds:
                    raise Unavailable(f"no connection to watch on for {self._patience_seconds:.3g} s; last: {self._last}")
                if seconds:
                    await deferLater(caller.clock, seconds)
            # Counts as a failure until something has come: a node that accepts watches and ends them is no better than none.
            self._failures_count += 1
            self._url = caller.endpoints.choose(to_leader=False)
            lines = await self._asked(self._url)
            if lines is not None:
                return lines
            caller.endpoints.failed(self._url)

    async def _asked(self, url: str) -> Lines | None:
        caller = self._caller
        query = query_of([*self._query, *([] if self.revision is None else [("since", str(self.revision))])])
        request = Request("GET", "/v1/watch", query, (("Accept", "application/x-ndjson"),))
        try:
            answer = await caller.stream(url, request, lambda: Lines(caller.clock, limits.CLIENT_WATCH_SILENCE_SECONDS))
        except (NotSent, Unanswered, TimedOut) as error:
            self._last = str(error)
            return None
        if isinstance(answer, Lines):
            return answer
        if answer.status in (307, 308, 408, 421, 429) or answer.status >= 500:
            self._last = f"{url}: {answer.status} {problem_of(answer).get('detail', '')}".rstrip()
            return None
        raise refusal_of(answer)
