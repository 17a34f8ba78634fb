"""One call: ask, follow the leader, and repeat what may be repeated, until there is an answer or the deadline.

Three things can come of a write: it was done, it was not, or nobody knows (`outcome` in an answer that is a problem; an answer
that does not come). The third is never repeated unless the request says that this is harmless. Knows nothing of what requests
mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from hraft import limits
from hraft.client.answers import read_record
from hraft.client.endpoints import EndpointList
from hraft.client.errors import BY_CODE, BadAnswer, ClientError, Closed, ConditionFailed, OutcomeUnknown, Refused, Unavailable
from hraft.client.exchange import Answer, Body, NotSent, Request, Unanswered, Wire, headers_of
from hraft.client.timing import within

_P = TypeVar("_P", bound=Protocol)
#: How long the body of a refusal may take.
_PROBLEM_SECONDS = 1.0


class _Verdict(Enum):
    FINAL = auto()
    ELSEWHERE = auto()
    #: Certainly not done; it may be, a little later.
    LATER = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for one answer, and for a whole call."""

    timeout_seconds: float = limits.CLIENT_TIMEOUT_SECONDS
    deadline_seconds: float = limits.CLIENT_DEADLINE_SECONDS


class Caller:
    """Makes calls. `seconds` is a monotonic clock, `clock` has the timers, `chance` gives numbers in [0, 1)."""

    def __init__(
        self,
        wire: Wire,
        endpoints: EndpointList,
        clock: IReactorTime,
        seconds: Callable[[], float],
        chance: Callable[[], float],
        patience: Patience,
    ) -> None:
        self.wire = wire
        self.endpoints = endpoints
        self.clock = clock
        self.seconds = seconds
        self.chance = chance
        self.patience = patience
        self.is_closed = False
        #: What goes on by itself, and is to end with the client.
        self.going_on: dict[object, Callable[[], object]] = {}

    def let_go(self) -> None:
        """End what goes on by itself."""
        going_on, self.going_on = self.going_on, {}
        for end in going_on.values():
            end()

    def deadline(self, within_seconds: float | None = None) -> float:
        """Of a call that begins now."""
        return self.seconds() + (self.patience.deadline_seconds if within_seconds is None else within_seconds)

    async def call(self, request: Request, deadline: float | None = None) -> Answer:
        """The answer that a node gave for good, be it a refusal. Raises Unavailable, OutcomeUnknown, Closed."""
        return await _Call(self, request, self.deadline() if deadline is None else deadline).run()

    async def ask_one(self, url: str, request: Request) -> Answer:
        """Ask this node alone, once. Raises Unavailable, also where secrets would leave without TLS; for reads only."""
        self.check_safe(url)
        try:
            return await self.wire.exchange(url, request, self.patience.timeout_seconds)
        except (NotSent, Unanswered) as error:
            raise Unavailable(str(error)) from error

    async def stream(self, url: str, request: Request, reader: Callable[[], _P]) -> _P | Answer:
        """Ask this node alone, once. The body of a 200 goes to the reader that is made for it, as it comes; any other answer is
        returned whole. Raises NotSent, Unanswered, TimedOut."""
        response = await self.wire.open(url, request, self.patience.timeout_seconds)
        if response.code == 200:
            protocol = reader()
            response.deliverBody(protocol)
            return protocol
        body = Body()
        response.deliverBody(body)
        return Answer(url, response.code, headers_of(response), await within(self.clock, _PROBLEM_SECONDS, body.done))

    def check_safe(self, url: str) -> None:
        """Raises Unavailable for a node that must not be told who asks: its address came from others, and has no TLS."""
        if self.wire.credentials is not None and self.endpoints.is_less_safe(url):
            raise Unavailable(f"{url} has no TLS, as the named endpoints have, so it is not told who asks")

    def back_off(self, count: int) -> float:
        """How long to wait after `count` rounds in vain: longer each time, and never all clients at once."""
        longest = min(limits.CLIENT_RETRY_LAST_SECONDS, limits.CLIENT_RETRY_FIRST_SECONDS * 2.0 ** min(count, 16))
        return longest * (0.5 + self.chance() / 2)


class _Call:
    """One call under way."""

    def __init__(self, caller: Caller, request: Request, deadline: float) -> None:
        self._caller = caller
        self._request = request
        self._deadline = deadline
        # Who is in a hurry is to have repetitions as well.
        self._last_try_seconds = min(limits.CLIENT_LAST_TRY_SECONDS, (deadline - caller.seconds()) / 10)
        self._in_doubt = False
        self._rounds_count = 0
        #: Since the last pause: a few other nodes may be asked at once.
        self._hops_count = 0
        self._last = "nothing was tried"

    async def run(self) -> Answer:
        """What `Caller.call` promises."""
        while True:
            if self._caller.is_closed:
                raise Closed("the client is closed")
            remaining = self._deadline - self._caller.seconds()
            if remaining <= 0 or (self._may_give_up and remaining < self._last_try_seconds):
                raise self._given_up()
            verdict, answer = await self._attempt(min(self._caller.patience.timeout_seconds, remaining))
            if verdict is _Verdict.FINAL and answer is not None:
                return replace(answer, was_in_doubt=self._in_doubt)
            if verdict is _Verdict.UNKNOWN:
                self._in_doubt = True
                if not self._request.is_repeatable:
                    raise self._given_up()
            await self._pause(verdict)

    @property
    def _may_give_up(self) -> bool:
        """Whether every node was tried, and nothing is in doubt: one more attempt, cut short, would only hide why it failed."""
        return self._rounds_count > 0 and not (self._request.is_write and self._in_doubt)

    async def _attempt(self, timeout_seconds: float) -> tuple[_Verdict, Answer | None]:
        """Ask one node, and tell the endpoints what came of it."""
        endpoints, request = self._caller.endpoints, self._request
        url = endpoints.choose(to_leader=request.is_write)
        if request.is_redirected and endpoints.follows_leader:
            request = replace(request, query=f"{request.query}&redirect" if request.query else "redirect")
        try:
            answer = await self._caller.wire.exchange(url, request, timeout_seconds)
        except NotSent as error:
            self._last = str(error)
            endpoints.failed(url, is_unreachable=True)
            return _Verdict.LATER, None
        except (Unanswered, BadAnswer) as error:
            self._last = str(error)
            endpoints.failed(url)
            return _Verdict.UNKNOWN, None
        verdict = _verdict(answer, request.is_write)
        if verdict is not _Verdict.FINAL:
            self._last = f"{url}: {answer.status} {problem_of(answer).get('detail', '')}".rstrip()
        if verdict is _Verdict.ELSEWHERE:
            location = _origin(answer.headers.get("location")) or answer.headers.get("x-hraft-leader")
            verdict = _Verdict.ELSEWHERE if endpoints.pointed_out(location, url) else _Verdict.LATER
        elif verdict is not _Verdict.FINAL:
            endpoints.failed(url)
        return verdict, answer

    async def _pause(self, verdict: _Verdict) -> None:
        """None before another node is asked, but for a while before the next round. Raises what there is to say at the
        deadline.
        """
        self._hops_count += 1
        nodes_count = len(self._caller.endpoints)
        if self._hops_count < (nodes_count if verdict is not _Verdict.ELSEWHERE else nodes_count + 1):
            return
        seconds = self._caller.back_off(self._rounds_count)
        self._rounds_count += 1
        self._hops_count = 0
        if self._caller.seconds() + seconds >= self._deadline:
            raise self._given_up()
        await deferLater(self._caller.clock, seconds)

    def _given_up(self) -> ClientError:
        request = self._request
        asked = f"{request.method} {request.path}"
        if request.is_write and self._in_doubt:
            return OutcomeUnknown(f"nobody knows whether {asked} was done, or will be; last: {self._last}")
        return Unavailable(f"no answer to {asked} in time; last: {self._last}")


def problem_of(answer: Answer) -> dict[str, Any]:
    """The members of a problem; none where the body is something else."""
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}


def refusal_of(answer: Answer) -> Refused | BadAnswer:
    """An answer that is no success, as an error."""
    problem = problem_of(answer)
    code = problem.get("code")
    if not isinstance(code, str):
        return BadAnswer(f"{answer.url} answered {answer.status}, and not as hraft does: {answer.body[:80]!r}")
    detail = str(problem.get("detail", code))
    refused = BY_CODE.get(code, Refused)(detail, code, answer.status, problem)
    if isinstance(refused, ConditionFailed):
        refused.current = read_record(problem.get("current"))
    return refused


def _verdict(answer: Answer, is_write: bool) -> _Verdict:
    status = answer.status
    if status in (307, 308, 421):
        return _Verdict.ELSEWHERE
    problem = problem_of(answer) if status >= 400 else {}
    if status in (408, 502, 503, 504) or (status == 429 and problem.get("code") == "too_many_watchers"):
        is_certain = not is_write or problem.get("outcome") == "not done"
        return _Verdict.LATER if is_certain else _Verdict.UNKNOWN
    if status >= 500:
        return _Verdict.FINAL if problem.get("outcome") == "not done" else _Verdict.UNKNOWN
    return _Verdict.FINAL


def _origin(location: str | None) -> str | None:
    try:
        parts = urlsplit(location or "")
    except ValueError:  # Brackets that do not match, for one.
        return None
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else None
