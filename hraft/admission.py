"""A new node's way in: ask any member over HTTP which cluster it is of, then to be taken into it.

Tries for ever where trying again may help (a member that is not up yet, no leader at the moment), and says so in the log, but
not at every try. What no repetition can change is an error: ChangeRefused, or WrongPeer for another cluster.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import treq
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from hraft.addresses import Address, Endpoint, url_of
from hraft.credentials import Credentials
from hraft.errors import ChangeRefused, WrongPeer
from hraft.limits import JOIN_TIMEOUT_SECONDS

Target = Address | Endpoint
T = TypeVar("T")

STATUS_TIMEOUT_SECONDS = 3.0
#: The member that is asked answers within JOIN_TIMEOUT_SECONDS; the rest is for the way there and back.
ANSWER_TIMEOUT_SECONDS = JOIN_TIMEOUT_SECONDS + 5.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
PAUSE_GROWTH = 1.6
SECONDS_BETWEEN_WORDS = 10.0
ANSWER_BYTES = 256 * 1024

_log = Logger(namespace="hraft.admission")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a member said: the HTTP status, and the JSON object of the body (empty if it is none)."""

    code: int
    body: dict[str, Any]

    @property
    def reason(self) -> str:
        """In words, for people."""
        detail = self.body.get("detail") or self.body.get("title") or ""
        return f"{self.code} {detail}".strip()


#: ask(target, path, JSON to post or None to get): fails with any exception when there is no answer.
Ask = Callable[[Target, str, dict[str, Any] | None], Awaitable[Answer]]


class _NotNow(Exception):
    """This target could not help this time."""


class Admission:
    """One node asking to be taken in."""

    def __init__(
        self,
        clock: IReactorTime,
        ask: Ask,
        targets: tuple[Target, ...],
        node_id: str,
        raft_address: str,
        is_learner: bool = False,
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._targets = targets
        self._node_id = node_id
        self._raft_address = raft_address
        #: What only a learner says, so that members of an earlier release take in all others.
        self._role = {"learner": True} if is_learner else {}
        self._last_words_seconds: float | None = None

    async def cluster_id(self) -> str:
        """Which cluster the targets are of. Raises WrongPeer when they are of several."""
        return await self._first_answer(self._cluster_id_of)

    async def check_cluster(self, cluster_id: str) -> None:
        """Raises WrongPeer when a target is of another cluster than the one this node's directory names."""
        found = await self.cluster_id()
        if found != cluster_id:
            raise WrongPeer(f"the cluster at --join is {found}, but this node's data directory belongs to cluster {cluster_id}")

    async def ask_to_join(self, has_empty_log: Callable[[], bool]) -> None:
        """Until a member says that this node is in, or on its way. Raises ChangeRefused."""

        async def ask_one(target: Target) -> None:
            # An earlier try whose answer was lost may have made it a member since, whom the leader feeds: it must not be taken
            # for a voter that lost its disk, neither for what it says now nor for what it said when this question left (D19).
            said_empty = has_empty_log()
            request = {"addr": self._raft_address, "id": self._node_id, "empty_log": said_empty, **self._role}
            answer = await self._answer(target, "/join", request)
            _check_login(target, answer)
            if answer.code in (400, 403, 409):
                if said_empty and not has_empty_log():
                    raise _NotNow(answer.reason)
                raise ChangeRefused(f"{target} refused to take {self._node_id} in: {answer.reason}")
            if not 200 <= answer.code < 300:
                raise _NotNow(answer.reason)

        await self._first_answer(ask_one)

    async def _cluster_id_of(self, target: Target) -> str:
        answer = await self._answer(target, "/status", None)
        _check_login(target, answer)
        cluster_id = answer.body.get("cluster_id")
        if answer.code != 200:
            raise _NotNow(answer.reason)
        if not isinstance(cluster_id, str) or not cluster_id:
            raise _NotNow("it does not answer as a hraft node does")
        return cluster_id

    async def _answer(self, target: Target, path: str, request: dict[str, Any] | None) -> Answer:
        try:
            return await self._ask(target, path, request)
        except CancelledError:
            raise
        except Exception as error:  # of the network, of HTTP, of a name that does not resolve
            raise _NotNow(" ".join(str(error).split()) or type(error).__name__) from error

    async def _first_answer(self, ask_one: Callable[[Target], Awaitable[T]]) -> T:
        """Go round the targets until one can help."""
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            reasons = []
            for target in self._targets:
                try:
                    return await ask_one(target)
                except _NotNow as error:
                    reasons.append(f"{target}: {error}")
            self._say("; ".join(reasons))
            await deferLater(self._clock, pause_seconds)
            pause_seconds = min(pause_seconds * PAUSE_GROWTH, LONGEST_PAUSE_SECONDS)

    def _say(self, reasons: str) -> None:
        now = self._clock.seconds()
        if self._last_words_seconds is None or now - self._last_words_seconds >= SECONDS_BETWEEN_WORDS:
            self._last_words_seconds = now
            _log.warn("{node}: has not joined yet and keeps trying: {reasons}", node=self._node_id, reasons=reasons)


def _check_login(target: Target, answer: Answer) -> None:
    """Asking again would not make it right, and would count as one more wrong login."""
    if answer.code == 401 or answer.body.get("code") == "forbidden":
        advice = "name a file with an admin's user:password, or token, by --join-auth"
        raise ChangeRefused(f"{target} refused to take this node in: {answer.reason}; {advice}")
    if answer.body.get("code") == "host_not_allowed":
        raise ChangeRefused(f"{target} refused to take this node in: {answer.reason}")


@implementer(IAgentEndpointFactory)
class _OneEndpoint:
    """Dials the target whatever the URL says, since a target may be an endpoint string."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self._endpoint


class _QuietPool(HTTPConnectionPool):
    """Twisted's would log two lines at every try."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, persistent=False)  # type: ignore[no-untyped-call]
        quiet: Any = type("_QuietFactory", (self._factory,), {"noisy": False})
        self._factory = quiet


def ask_over_http(
    reactor: Any, endpoint_of: Callable[[Target], IStreamClientEndpoint], credentials: Credentials | None = None
) -> Ask:
    """The real way to ask: treq, a connection for each question, and never for longer than a member needs to answer.

    `endpoint_of` makes what a target is dialled with, TLS and all. `credentials` are shown to it.
    """
    headers = Headers({} if credentials is None else {"Authorization": [credentials.authorization]})

    async def ask(target: Target, path: str, request: dict[str, Any] | None) -> Answer:
        agent = Agent.usingEndpointFactory(reactor, _OneEndpoint(endpoint_of(target)), _QuietPool(reactor))
        client = HTTPClient(agent)
        url = url_of(str(target) if isinstance(target, Address) else "localhost") + path

        async def exchange() -> Answer:
            if request is None:
                response = await client.get(url, headers=headers, allow_redirects=False, unbuffered=True)
            else:
                response = await client.post(url, json=request, headers=headers, allow_redirects=False, unbuffered=True)
            return Answer(response.code, await _json_object(response))

        seconds = STATUS_TIMEOUT_SECONDS if request is None else ANSWER_TIMEOUT_SECONDS
        return await Deferred.fromCoroutine(exchange()).addTimeout(seconds, reactor)

    return ask


def ask_while(is_wanted: Callable[[], object], ask: Ask) -> Ask:
    """The same, until nobody wants to know any more: then a question on its way ends with CancelledError, whatever became of it.

    A connection that is cancelled while it is made says something else, which would be taken for a member that is not up yet.
    """

    async def asking(target: Target, path: str, request: dict[str, Any] | None) -> Answer:
        try:
            return await ask(target, path, request)
        except Exception as error:
            if is_wanted():
                raise
            raise CancelledError from error

    return asking


async def _json_object(response: Any) -> dict[str, Any]:
    """The body as a JSON object; an empty one for anything else."""
    parts: list[bytes] = []
    size_bytes = 0

    def collect(data: bytes) -> None:
        nonlocal size_bytes
        size_bytes += len(data)
        if size_bytes > ANSWER_BYTES:
            raise ValueError(f"the answer is longer than {ANSWER_BYTES} bytes")
        parts.append(data)

    await treq.collect(response, collect)
    try:
        found = json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
