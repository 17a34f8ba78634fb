"""hraftd's contract: /key, /join and /status, so that a client written for hraftd works unchanged.

docs/http-api.md says where and why we differ. Knows nothing of sockets, limits on them, and the disk.
"""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote_to_bytes

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from hraft.errors import HraftError
from hraft.kv.commands import Command, Delete, encode_command
from hraft.kv.results import Refused, result_of
from hraft.kv.store import KeyValueStore
from hraft.web.answers import JSON, answer, answer_problem, go_json
from hraft.web.bodies import parse_join, parse_pairs
from hraft.web.node import Node
from hraft.web.problems import NOT_DONE, Problem, problem_of
from hraft.web.status import status_document

_log = Logger(namespace="hraft.web")

_KEY_PATH = b"/key/"


class KeyApi:
    """The HTTP face of one node. With `forward`, writes that come to a follower are passed to the leader."""

    app = Klein()

    def __init__(self, node: Node, forward: bool = False) -> None:
        self._node = node
        self._forward = forward

    def resource(self) -> Resource:
        """What to give to an HttpSite."""
        return _Paths(self)

    # --- keys ------------------------------------------------------------------------------------

    @app.route("/key", methods=["GET"])
    async def get(self, request: Any) -> bytes:
        """The value here and now; with ?level=linearizable, not before whatever was acknowledged is here."""
        key = _key(request)
        if _level(request) == "linearizable":
            await self._node.confirm_read()
        record = cast(KeyValueStore, self._node.state_machine).get(key.encode())
        request.setHeader(b"X-Hraft-Exists", b"false" if record is None else b"true")
        value = "" if record is None else record.value.decode("utf-8", "replace")
        return answer(request, go_json({key: value}))

    @app.route("/key", methods=["POST"])
    async def post(self, request: Any) -> bytes:
        """Set all keys of the body as one entry. The path after /key means nothing, as in hraftd."""
        command = parse_pairs(request.content.read())
        if command is not None:
            await self._write(request, command)
        return answer(request)

    @app.route("/key", methods=["DELETE"])
    async def delete(self, request: Any) -> bytes:
        """Delete one key; a key that is not there is no error."""
        await self._write(request, Delete(_key(request).encode()))
        return answer(request)

    async def _write(self, request: Any, command: Command) -> None:
        """Wait until the command is applied. A client that hangs up ends this wait, and not the proposal (C7)."""
        if self._forward:
            leader = self._node.leader()
            applied = await self._node.submit(encode_command(command))
            leader = leader or self._node.leader()
            if leader is not None:
                request.setHeader(b"X-Hraft-Served-By", leader.node_id.encode())
        else:
            applied = await self._node.propose(encode_command(command))
        result = result_of(applied.result)
        if isinstance(result, Refused):
            raise Problem(500, "command_refused", f"the leader's store refused it: {result.reason}", outcome=NOT_DONE)

    # --- the cluster -----------------------------------------------------------------------------

    @app.route("/status", methods=["GET"])
    def status(self, request: Any) -> bytes:
        """How this node sees the cluster."""
        return answer(request, go_json(status_document(self._node)), JSON)

    @app.route("/join", methods=["POST"])
    async def join(self, request: Any) -> bytes:
        """Take a node in, on whichever node this is. 202: it is a learner so far, and becomes a voter when it has caught up."""
        joiner = parse_join(request.content.read())
        outcome = await self._node.join(joiner.id or joiner.addr, joiner.addr, joiner.empty_log)
        if outcome.role == "voter":
            return answer(request)
        return answer(request, go_json({"role": outcome.role}), JSON, 202)

    # --- what goes wrong -------------------------------------------------------------------------

    @app.handle_errors(Exception)
    def failed(self, request: Any, failure: Failure) -> bytes:
        """Every error ends here, as JSON. What nobody foresaw is logged, and told to the client in one word."""
        problem = self._problem(request, failure.value)
        if problem is None:
            _log.failure("{method} {path} failed", failure, method=request.method, path=request.path)
            problem = Problem(500, "internal", "this node failed to answer; its log says why")
        return answer_problem(request, problem)

    def _problem(self, request: Any, error: BaseException | None) -> Problem | None:
        if isinstance(error, Problem):
            return error
        if isinstance(error, HraftError):
            return problem_of(error, self._node.node_id, self._node.leader())
        if isinstance(error, MethodNotAllowed):
            allowed = ", ".join(sorted(error.valid_methods or ()))
            detail = f"{request.method.decode('latin-1')[:40]} is not allowed here; allowed: {allowed}"
            return Problem(405, "method_not_allowed", detail, {"Allow": allowed})
        if isinstance(error, HTTPException) and error.code == 404:
            return _not_found()
        if isinstance(error, HTTPException):
            return Problem(400, "bad_request", "the request's Host or method cannot be read")
        return None


class _Paths(Resource):
    """Lets Klein see /key alone of a key's path: what follows is bytes, of which a URL router understands too much."""

    isLeaf = True

    def __init__(self, api: KeyApi) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._api = api
        self._routes = api.app.resource()

    def render(self, request: Any) -> Any:
        """Twisted's way in."""
        try:
            if request.path.startswith(_KEY_PATH):
                request.postpath = [b"key"]
            elif b"/".join(request.postpath).decode().startswith("/"):
                return answer_problem(request, _not_found())  # Werkzeug would take //status for /status.
            return self._routes.render(request)
        except UnicodeDecodeError:
            return answer_problem(request, _not_found())
        except Exception:
            # Before Klein's own handling: a Host that is none, for one.
            return self._api.failed(request, Failure())


def _not_found() -> Problem:
    return Problem(404, "not_found", "there are /key, /join and /status")


def _key(request: Any) -> str:
    """The key that a path names: all that follows /key/, slashes included."""
    try:
        key = unquote_to_bytes(request.path[len(_KEY_PATH) :]).decode()
    except UnicodeDecodeError as error:
        raise Problem(400, "bad_key", "the key is not UTF-8, so it cannot have been set here") from error
    if not key:
        raise Problem(400, "bad_key", "the path names no key: /key/foo does")
    return key


def _level(request: Any) -> str:
    """How fresh a read must be."""
    levels = request.args.get(b"level", [b"stale"])
    if levels not in ([b"stale"], [b"linearizable"]):
        shown = ", ".join(level.decode("utf-8", "replace")[:40] for level in levels)
        raise Problem(400, "bad_level", f"level must be stale or linearizable, once, and not {shown!r}")
    return str(levels[0], "ascii")
