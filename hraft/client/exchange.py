"""One HTTP request to one node and its answer, over connections that are kept; whether it was sent at all, where none came.

Knows nothing of repeating and of what requests mean. It is Twisted's Agent and not treq's client that asks, since that takes a
URL's bytes as they are (keys are any bytes); nothing here follows a redirect, or repeats a request by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet import error as network
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web import client as web
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from hraft import limits
from hraft.client.dialling import Dialling
from hraft.client.errors import BadAnswer, ClientError
from hraft.client.timing import TimedOut, within
from hraft.credentials import Credentials
from hraft.errors import HandshakeFailed
from hraft.tls.files import CertificateFiles
from hraft.tls.reasons import in_words, is_refusal

T = TypeVar("T")

#: Where the request certainly did not reach anybody.
_NOT_SENT = (
    network.ConnectError,
    network.DNSLookupError,
    network.ConnectingCancelledError,
    web.RequestNotSent,  # type: ignore[attr-defined]
    HandshakeFailed,
)


class NotSent(ClientError):
    """No connection: the node has not seen the request."""


class Unanswered(ClientError):
    """The request was sent, at least in part, and no whole answer came."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask. `path` and `query` are percent-encoded already; `is_write`: it changes something."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    is_write: bool = False
    #: It may be sent again though it may have been done.
    is_repeatable: bool = True
    #: Nodes may answer it with the leader's address (`?redirect`), rather than forward it.
    is_redirected: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. `was_in_doubt`: an earlier attempt of the same call may have been done."""

    url: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    was_in_doubt: bool = False


@implementer(IBodyProducer)
class _Bytes:
    """A body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class Body(Protocol):
    """An answer's body, collected up to a limit. `done` fires with it; cancelling it ends the connection."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._stop())
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def _stop(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self._size_bytes += len(data)
        self._parts.append(data)
        if self._size_bytes > limits.CLIENT_ANSWER_BYTES and not self.done.called:
            self.done.errback(BadAnswer(f"the answer is longer than {limits.CLIENT_ANSWER_BYTES} bytes"))
            self._stop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(web.ResponseDone):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(reason)


class Wire:
    """Sends requests with an agent. `clock` times them out. `credentials` are shown with each."""

    def __init__(self, agent: IAgent, clock: IReactorTime, credentials: Credentials | None = None) -> None:
        self._agent = agent
        self.credentials = credentials
        self._always = {b"User-Agent": [b"hraft-client"]}
        if credentials is not None:
            self._always[b"Authorization"] = [credentials.authorization.encode("ascii")]
        self._clock = clock

    async def exchange(self, url: str, request: Request, timeout_seconds: float) -> Answer:
        """Ask one node, once. Raises NotSent, Unanswered, BadAnswer; CancelledError when the caller has given up."""

        async def whole() -> Answer:
            response = await self._agent.request(*self._asked(url, request))
            body = Body()
            response.deliverBody(body)
            return Answer(url, response.code, headers_of(response), await body.done)

        return await self._in_time(url, whole, timeout_seconds)

    async def open(self, url: str, request: Request, timeout_seconds: float) -> IResponse:
        """The same, up to the first byte of the body."""

        async def begun() -> IResponse:
            response: IResponse = await self._agent.request(*self._asked(url, request))
            return response

        return await self._in_time(url, begun, timeout_seconds)

    async def _in_time(self, url: str, ask: Callable[[], Coroutine[Any, Any, T]], timeout_seconds: float) -> T:
        try:
            return await within(self._clock, timeout_seconds, Deferred.fromCoroutine(ask()))
        except (ClientError, CancelledError):
            raise
        except TimedOut as error:
            raise _no_answer(url, str(error), error.__cause__) from error
        except Exception as error:
            raise _no_answer(url, _in_words(error), error) from error

    def _asked(self, url: str, request: Request) -> tuple[bytes, bytes, Headers, IBodyProducer | None]:
        uri = f"{url}{request.path}{'?' if request.query else ''}{request.query}".encode("ascii")
        headers = Headers(self._always)
        for name, value in request.headers:
            headers.addRawHeader(name.encode(), value.encode())
        return request.method.encode(), uri, headers, None if request.body is None else _Bytes(request.body)


def agent_of(reactor: Any, files: CertificateFiles) -> tuple[IAgent, web.HTTPConnectionPool]:
    """An agent that keeps connections, and the pool that has them. Raises CertificateUnusable."""
    dialling = Dialling(reactor, files)
    pool = web.HTTPConnectionPool(reactor, persistent=True)
    # Twisted would repeat a DELETE by itself when a kept connection breaks: it may have been done.
    pool.retryAutomatically = False
    pool.maxPersistentPerHost = limits.CLIENT_CONNECTIONS_COUNT
    pool.cachedConnectionTimeout = round(limits.CLIENT_IDLE_SECONDS)
    return web.Agent.usingEndpointFactory(reactor, dialling, pool), pool


def headers_of(response: IResponse) -> dict[str, str]:
    """An answer's headers by their names in small letters; of several with one name, the last."""
    return {name.lower().decode("latin-1"): values[-1].decode("latin-1") for name, values in response.headers.getAllRawHeaders()}


def _no_answer(url: str, reason: str, error: BaseException | None) -> ClientError:
    was_refused = any(is_refusal(failure.value) for failure in getattr(error, "reasons", ()))
    return (NotSent if was_refused or isinstance(error, _NOT_SENT) else Unanswered)(f"{url}: {reason}")


def _in_words(error: BaseException) -> str:
    reasons = [in_words(failure.value) for failure in getattr(error, "reasons", ())]
    return "; ".join(reasons) or in_words(error)
