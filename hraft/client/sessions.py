"""Writes that are done exactly once: a session with the cluster, and a serial number for each write (Section 6.3).

The session is made when the first write needs it. The cluster keeps the answers of the newest SESSION_ANSWERS_COUNT serials, so
that no write may begin while one that many numbers before it is still under way. Knows nothing of what the writes are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock

from hraft import limits
from hraft.client.answers import read_session
from hraft.client.calls import Caller, problem_of, refusal_of
from hraft.client.errors import OutcomeUnknown, Unavailable
from hraft.client.exchange import Answer, Request
from hraft.client.timing import TimedOut, within

#: A cluster that forgets new sessions at once has too many clients.
_NEW_SESSIONS_COUNT = 3
_EXPIRED = ("session_expired", "serial_expired")


@dataclass(eq=False)
class _Session:
    client_id: str
    next_serial: int = 1
    #: The serials under way, lowest first.
    under_way: dict[int, None] = field(default_factory=dict)
    waiting: list[Deferred[None]] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        """Whether the answer to the oldest write under way would still be kept after one more."""
        oldest = next(iter(self.under_way), self.next_serial)
        return self.next_serial - oldest < limits.SESSION_ANSWERS_COUNT

    def take(self) -> int:
        serial = self.next_serial
        self.next_serial += 1
        self.under_way[serial] = None
        return serial

    def done(self, serial: int) -> None:
        del self.under_way[serial]
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.callback(None)


class Sessions:
    """The session that this client has at the moment."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._session: _Session | None = None
        self._opening = DeferredLock()

    async def write(self, request: Request, deadline: float) -> Answer:
        """Make a call that has effect at most once, however often it is repeated. Raises as `Caller.call` does."""
        for _ in range(_NEW_SESSIONS_COUNT):
            session = await self._with_room(deadline)
            serial = session.take()
            try:
                key = ("Idempotency-Key", f"{session.client_id}/{serial}")
                keyed = replace(request, headers=(*request.headers, key), is_repeatable=True)
                answer = await self._caller.call(keyed, deadline)
            finally:
                session.done(serial)
            if answer.status != 409 or problem_of(answer).get("code") not in _EXPIRED:
                return answer
            if self._session is session:
                self._session = None
            if answer.was_in_doubt:
                # It may have been done while the session was known: a new one cannot tell.
                asked = f"{request.method} {request.path}"
                raise OutcomeUnknown(f"nobody knows whether {asked} was done: its session had expired when it was repeated")
        raise Unavailable(f"the cluster forgets new sessions at once: it can keep {limits.SESSIONS_COUNT}, and has more clients")

    async def close(self, deadline: float) -> None:
        """Tell the cluster that it may forget this client."""
        session, self._session = self._session, None
        if session is not None:
            await self._caller.call(Request("DELETE", f"/v1/sessions/{session.client_id}", is_write=True), deadline)

    async def _with_room(self, deadline: float) -> _Session:
        while True:
            session = self._session or await self._opened(deadline)
            if session.has_room:
                return session
            room: Deferred[None] = Deferred()
            session.waiting.append(room)
            try:
                await self._until(room, deadline, "older writes of this client are still under way")
            finally:
                if room in session.waiting:
                    session.waiting.remove(room)

    async def _opened(self, deadline: float) -> _Session:
        """A session, made by the first who needs it while the others wait."""
        await self._until(self._opening.acquire(), deadline, "no session could be had")
        try:
            if self._session is None:
                answer = await self._caller.call(Request("POST", "/v1/sessions", body=b"", is_write=True), deadline)
                if answer.status >= 300:
                    raise refusal_of(answer)
                self._session = _Session(read_session(answer.body))
            return self._session
        except OutcomeUnknown as error:
            raise Unavailable(str(error)) from error
        finally:
            self._opening.release()

    async def _until(self, awaited: Deferred[Any], deadline: float, what: str) -> None:
        try:
            await within(self._caller.clock, deadline - self._caller.seconds(), awaited)
        except TimedOut:
            raise Unavailable(f"not within the deadline: {what}") from None
