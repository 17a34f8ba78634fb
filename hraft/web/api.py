"""The one routing table, and how its functions are called; two ways lead here, `hraft.web.front` and `hraft.web.tree`.

Every error becomes an answer here, as JSON. Knows nothing of what can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Final, TypeAlias

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hraft.errors import HraftError
from hraft.kv.store import KeyValueStore
from hraft.web.answers import Answer
from hraft.web.asked import Asked
from hraft.web.guard import Guard
from hraft.web.node import Node
from hraft.web.parameters import Wants
from hraft.web.permissions import UNSAID, Permission
from hraft.web.problems import UNKNOWN, Problem, problem_of
from hraft.web.tally import HttpTally, RouteTally

#: What answers a request. May raise, or fail, with whatever went wrong: `Api.ask` makes an answer of it.
Function: TypeAlias = Callable[[Asked], "Answer | Deferred[Answer]"]

_log = Logger(namespace="hraft.web")

#: At the end of a path it stands for all that follows, slashes too. Other parameters, anywhere, for what is between two slashes.
_KEY: Final = b"{key}"
_V1: Final = b"/v1/"
_TOLD_WHEN_REMOVED: Final = frozenset(
    (b"/", b"/status", b"/v1/status", b"/v1/discovery", b"/v1/cluster", b"/v1/openapi.json", b"/livez", b"/readyz", b"/metrics")
)
_HEALTH: Final = (b"/livez/", b"/readyz/")
REVISION: Final = b"X-Hraft-Revision"
#: Codes of what is told to those who were not let in: they learn neither the revision nor the term.
_OF_STRANGERS: Final = frozenset({"unauthorized", "too_many_logins", "logins_busy", "host_not_allowed", "foreign_origin"})


class Route(msgspec.Struct, frozen=True):
    """One row of the table: `function` answers `method` on `path`, which may have parameters in braces. HEAD comes with GET.

    The rest is for the description: what it does, what a request may have, the type of its body (bytes: anything), the types of
    answers by status (bytes: plain text; None: no body), and the codes of problems beside those that every route has.

    `needs` says who may ask, where users are known: a route that does not say it is nobody's.
    """

    method: bytes
    path: bytes
    function: Function
    about: str = ""
    wants: Wants = Wants()
    body: Any = None
    answers: Mapping[int, Any] = {}
    codes: tuple[str, ...] = ()
    needs: Permission = UNSAID


class Api:
    """The HTTP face of one node."""

    def __init__(
        self, node: Node, routes: Iterable[Route], guard: Guard | None = None, tally: HttpTally | None = None
    ) -> None:
        """`guard` stands before all of them; without one they are open to everybody. Answers are counted in `tally`."""
        self.node = node
        self.guard = guard
        self.table = tuple(routes)
        self.tally = tally or HttpTally(monotonic)
        self._tallies: dict[Function, RouteTally] = {}
        #: Path, with its parameters' names -> method -> what answers.
        self.routes: dict[bytes, dict[bytes, Function]] = {}
        for route in self.table:
            functions = self.routes.setdefault(route.path, {})
            function = route.function if guard is None else guard.around(node, route.needs, route.function)
            if function not in self._tallies:  # One function may answer several rows; they are counted as the first.
                self._tallies[function] = self.tally.route(route.path.decode(), route.method.decode())
            functions[route.method] = function
            if route.method == b"GET":
                functions[b"HEAD"] = function
        self._below_keys = tuple((path[: -len(_KEY)], path) for path in self.routes if path.endswith(_KEY))
        others = (path for path in self.routes if b"{" in path and not path.endswith(_KEY))
        self._shapes = tuple((path.split(b"/"), path) for path in others)

    def path_of(self, path: bytes) -> bytes | None:
        """The path of the table that a request's path is one of, if there is any."""
        if path in self.routes:
            return path
        for begin, found in self._below_keys:
            if path.startswith(begin):
                return found
        segments = path.split(b"/")
        for shape, found in self._shapes:
            if len(shape) == len(segments) and all(map(_fits, shape, segments)):
                return found
        return None

    def find(self, method: bytes, path: bytes) -> Function | None:
        """What answers this, if there is anything."""
        found = self.path_of(path)
        return None if found is None else self.routes[found].get(method)

    def ask(self, function: Function, asked: Asked) -> Answer | Deferred[Answer]:
        """Call a function of the table. Every error becomes an answer: this never raises, and its Deferred never fails.

        Cancelling the Deferred ends the wait of a client that has hung up, and not what it asked for (C7).
        """
        tally = self._tallies[function]
        began_seconds = self.tally.seconds()
        if self.node.removal is not None and (closed := self.closed(asked.method, asked.path)) is not None:
            return tally.answered(began_seconds, closed)
        try:
            answer = function(asked)
        except Exception as error:
            return tally.answered(began_seconds, self._refused(error, asked.method, asked.path))
        if isinstance(answer, Answer):
            return tally.answered(began_seconds, self.stamped(answer, asked.path) if asked.path.startswith(_V1) else answer)
        arguments = (tally, began_seconds, asked)
        return answer.addCallbacks(self._done, self._failed, arguments, errbackArgs=arguments)

    def _done(self, answer: Answer, tally: RouteTally, began_seconds: float, asked: Asked) -> Answer:
        return tally.answered(began_seconds, self.stamped(answer, asked.path))

    def _failed(self, failure: Failure, tally: RouteTally, began_seconds: float, asked: Asked) -> Answer:
        return tally.answered(began_seconds, self.failed(failure, asked.method, asked.path))

    def closed(self, method: bytes, path: bytes) -> Answer | None:
        """What is said in place of an answer: a node that was removed tells only how it is (M12)."""
        removal = self.node.removal
        is_told = method in (b"GET", b"HEAD") and (path in _TOLD_WHEN_REMOVED or path.startswith(_HEALTH))
        return None if removal is None or is_told else self._refused(removal, method, path)

    def stamped(self, answer: Answer, path: bytes) -> Answer:
        """Under /v1, with the revision that this node had seen when it answered; a write says its own revision itself."""
        if not path.startswith(_V1):
            return answer
        varying = (*answer.varying, (b"X-Hraft-Term", b"%d" % self.node.term))
        for name, _ in answer.headers + varying:
            if name == REVISION:
                break
        else:
            store = self.node.state_machine
            if isinstance(store, KeyValueStore):
                varying = (*varying, (REVISION, b"%d" % store.revision))
        return Answer(answer.status, answer.headers, answer.body, varying)

    # --- what goes wrong -------------------------------------------------------------------------

    def failed(self, failure: Failure, method: bytes, path: bytes) -> Answer:
        """Every error of a function, and those of the way to it, as an answer."""
        assert failure.value is not None
        return self._refused(failure.value, method, path, failure)

    def refused(self, problem: Problem, method: bytes, path: bytes) -> Answer:
        """What is wrong before a function was found."""
        return self.tally.nowhere.answered(self.tally.seconds(), self.stamped(problem.answer(method), path))

    def _refused(self, error: BaseException, method: bytes, path: bytes, failure: Failure | None = None) -> Answer:
        """What nobody foresaw is logged, and told to the client in one word."""
        problem = self._problem(error)
        if problem is None:
            _log.failure("{method} {path} failed", failure or Failure(error), method=method, path=path)
            problem = Problem(500, "internal", "this node failed to answer; its log says why", outcome=UNKNOWN)
        answer = problem.answer(method)
        return answer if problem.members["code"] in _OF_STRANGERS else self.stamped(answer, path)

    def _problem(self, error: BaseException) -> Problem | None:
        if isinstance(error, Problem):
            return error
        if isinstance(error, HraftError):
            return problem_of(error, self.node.node_id, self.node.leader())
        if isinstance(error, CancelledError):
            # The client has hung up, so nobody reads this.
            return Problem(503, "outcome_unknown", "nobody waits for the outcome any more", outcome=UNKNOWN)
        return None


def _fits(wanted: bytes, segment: bytes) -> bool:
    return segment == wanted or (wanted.startswith(b"{") and bool(segment))
