"""A long answer, given on piece by piece as it comes: whoever takes the pieces slowly has the node wait.

Knows nothing of what is in it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from hraft import limits
from hraft.client.calls import Caller, problem_of, refusal_of
from hraft.client.errors import Unavailable
from hraft.client.exchange import NotSent, Request, Unanswered
from hraft.client.timing import TimedOut


class _Pieces(Protocol):
    """`done` fires when the answer has come whole; it fails when it did not, or when `write` does."""

    def __init__(self, write: Callable[[bytes], object], clock: IReactorTime) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._hang_up())
        self._write = write
        self._silence = clock.callLater(limits.CLIENT_WATCH_SILENCE_SECONDS, self._silent)

    def dataReceived(self, data: bytes) -> None:
        if self.done.called:
            return
        self._silence.reset(limits.CLIENT_WATCH_SILENCE_SECONDS)
        try:
            self._write(data)
        except Exception:
            self._end(Failure())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end(None if reason.check(ResponseDone) else reason)

    def _silent(self) -> None:
        self._end(Failure(TimedOut(f"nothing came for {limits.CLIENT_WATCH_SILENCE_SECONDS:g} s")))

    def _end(self, failure: Failure | None) -> None:
        if self._silence.active():
            self._silence.cancel()
        if self.done.called:
            return
        if failure is None:
            self.done.callback(None)
        else:
            self._hang_up()
            self.done.errback(failure)

    def _hang_up(self) -> None:
        if self._silence.active():
            self._silence.cancel()
        if self.transport is not None:
            self.transport.loseConnection()


async def download(caller: Caller, path: str, write: Callable[[bytes], object]) -> None:
    """Have some node answer, and give its answer to `write`. Raises Unavailable, also where it broke off: then what was written
    is a part; Refused; and what `write` raises.
    """
    deadline, last, rounds_count = caller.deadline(), "nothing was tried", 0
    while True:
        for _ in range(len(caller.endpoints)):
            pieces = await _begun(caller, path, write)
            if isinstance(pieces, _Pieces):
                await _whole(pieces)
                return
            last = pieces
        seconds = caller.back_off(rounds_count)
        rounds_count += 1
        if caller.seconds() + seconds >= deadline:
            raise Unavailable(f"no answer to GET {path} in time; last: {last}")
        await deferLater(caller.clock, seconds)


async def _begun(caller: Caller, path: str, write: Callable[[bytes], object]) -> _Pieces | str:
    """Ask the next node; why it does not answer now, if so. Raises Refused where none will."""
    url = caller.endpoints.choose(to_leader=False)
    try:
        answer = await caller.stream(url, Request("GET", path), lambda: _Pieces(write, caller.clock))
    except (NotSent, Unanswered, TimedOut) as error:
        caller.endpoints.failed(url, is_unreachable=isinstance(error, NotSent))
        return str(error)
    if isinstance(answer, _Pieces):
        return answer
    if answer.status not in (408, 421, 429) and answer.status < 500:
        raise refusal_of(answer)
    caller.endpoints.failed(url)
    return f"{url}: {answer.status} {problem_of(answer).get('detail', '')}".rstrip()


async def _whole(pieces: _Pieces) -> None:
    try:
        await pieces.done
    except OSError:  # of `write`, for its caller
        raise
    except Exception as error:
        raise Unavailable(f"the answer broke off: {str(error) or type(error).__name__}") from error
