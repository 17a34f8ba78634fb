"""The routing table of `hraft.web.api` as a Klein application: the way in that understands every request.

Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from hraft.web.answers import REASONS, Answer
from hraft.web.api import Api, Function
from hraft.web.asked import MEANINGFUL, Asked, address_of
from hraft.web.problems import Problem


class KleinTree(Resource):
    """What to give to an HttpSite.

    Of a path Klein sees what the table calls it: keys in paths are bytes, of which a URL router understands too much.
    """

    isLeaf = True

    def __init__(self, api: Api, streams: Mapping[bytes, Any] | None = None) -> None:
        """`streams`: the resources, by their paths, whose answers are no Answer since they have no end."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._api = api
        self._streams = streams or {}
        app = Klein()
        for path, functions in api.routes.items():
            methods = [method.decode() for method in functions]
            app.route(path.decode(), methods=methods, endpoint=path.decode())(self._asking(functions))
        app.handle_errors(Exception)(self._failed)
        self._routes = app.resource()

    def render(self, request: Any) -> Any:
        """Twisted's way in."""
        try:
            request.getRequestHostname().decode()
        except UnicodeDecodeError:  # Klein would log a traceback, and answer with HTML.
            return give(request, _bad_request().answer(request.method))
        if request.path in self._streams:
            closed = self._api.closed(request.method, request.path)
            if closed is not None:
                return give(request, closed)
            return self._streams[request.path].render(request)
        path = self._api.path_of(request.path)
        if path is None:
            return give(request, self._api.refused(_not_found(), request.method, request.path))
        request.postpath = [path[1:]]
        try:
            return self._routes.render(request)
        except Exception:
            # Before Klein's own handling: a Host that is none, for one.
            return self._failed(request, Failure())

    def _asking(self, functions: Mapping[bytes, Function]) -> Callable[[Any], Any]:
        def ask(request: Any) -> Any:
            asked = asked_of(request)
            answer = self._api.ask(functions[asked.method], asked)
            if isinstance(answer, Deferred):
                return answer.addCallback(lambda answer: give(request, answer))
            return give(request, answer)

        return ask

    def _failed(self, request: Any, failure: Failure) -> bytes:
        """Only what went wrong before a function was found."""
        problem = _problem(request.method, failure.value)
        if problem is None:
            return give(request, self._api.failed(failure, request.method, request.path))
        return give(request, self._api.refused(problem, request.method, request.path))


def give(request: Any, answer: Answer) -> bytes:
    """Put an answer on a request; return the body for Twisted to write."""
    request.setResponseCode(answer.status, REASONS.get(answer.status, "Error").encode())
    if answer.has_length:
        request.setHeader(b"Content-Length", b"%d" % len(answer.body))
    for name, value in (*answer.headers, *answer.varying):
        request.setHeader(name, value)
    return answer.body


def asked_of(request: Any) -> Asked:
    """A request of twisted.web's, as functions see it."""
    method = request.method.upper()  # As Werkzeug takes it.
    query = request.uri.partition(b"?")[2]
    host = b", ".join(request.requestHeaders.getRawHeaders(b"host") or ())
    peer = address_of(request.getClientAddress())
    return Asked(method, request.path, query, request.content.read(), _meaningful(request), host, peer)


def _meaningful(request: Any) -> tuple[tuple[bytes, bytes], ...]:
    headers = request.requestHeaders
    return tuple((name, value) for name in MEANINGFUL for value in headers.getRawHeaders(name) or ())


def _problem(method: bytes, error: BaseException | None) -> Problem | None:
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        detail = f"{method.decode('latin-1')[:40]} is not allowed here; allowed: {allowed}"
        return Problem(405, "method_not_allowed", detail, {b"Allow": allowed})
    if isinstance(error, HTTPException):
        return _not_found() if error.code == 404 else _bad_request()
    return None


def _bad_request() -> Problem:
    return Problem(400, "bad_request", "the request's Host or method cannot be read")


def _not_found() -> Problem:
    return Problem(404, "not_found", "nothing is served at this path; docs/http-api.md has all that may be")
