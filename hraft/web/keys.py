"""hraftd's contract: /key, /join and /status, so that a client written for hraftd works unchanged.

Here is the one routing table, and the functions that answer; two ways lead to them, `hraft.web.front` and `hraft.web.tree`.
docs/http-api.md says where and why we differ. Knows nothing of sockets, limits on them, and the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast
from urllib.parse import unquote_to_bytes

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import parse_qs

from hraft.errors import HraftError
from hraft.kv.commands import Command, Delete, encode_command
from hraft.kv.results import Refused, result_of
from hraft.kv.store import KeyValueStore
from hraft.web.answers import DONE, JSON, TEXT, Answer, go_json, header, headers_of
from hraft.web.asked import Asked
from hraft.web.bodies import parse_join, parse_pairs
from hraft.web.node import Applied, Node
from hraft.web.problems import NOT_DONE, UNKNOWN, Problem, problem_of
from hraft.web.status import status_document

#: What answers a request. May raise, or fail, with whatever went wrong: `KeyApi.ask` makes an answer of it.
Function: TypeAlias = Callable[[Asked], "Answer | Deferred[Answer]"]

_log = Logger(namespace="hraft.web")

_KEY_PATH = b"/key/"
_EXISTS = headers_of(TEXT, (b"X-Hraft-Exists", b"true"))
_MISSING = headers_of(TEXT, (b"X-Hraft-Exists", b"false"))
_JSON = headers_of(JSON)


class KeyApi:
    """The HTTP face of one node. With `forward`, writes that come to a follower are passed to the leader."""

    def __init__(self, node: Node, forward: bool = False) -> None:
        self.node = self._node = node
        self._forward = forward
        #: Path -> method -> what answers. All that begins with /key/ is /key.
        self.routes: Mapping[bytes, Mapping[bytes, Function]] = {
            b"/key": {b"GET": self._get, b"HEAD": self._get, b"POST": self._post, b"DELETE": self._delete},
            b"/status": {b"GET": self._status, b"HEAD": self._status},
            b"/join": {b"POST": self._join},
        }

    def find(self, method: bytes, path: bytes) -> Function | None:
        """What answers this, if there is anything."""
        functions = self.routes.get(route_of(path))
        return None if functions is None else functions.get(method)

    def ask(self, function: Function, asked: Asked) -> Answer | Deferred[Answer]:
        """Call a function of the table. Every error becomes an answer: this never raises, and its Deferred never fails.

        Cancelling the Deferred ends the wait of a client that has hung up, and not what it asked for (C7).
        """
        try:
            answer = function(asked)
        except Problem as problem:
            return problem.answer(asked.method)
        except Exception:
            return self.failed(Failure(), asked.method, asked.path)
        if isinstance(answer, Deferred):
            answer.addErrback(self.failed, asked.method, asked.path)
        return answer

    # --- keys ------------------------------------------------------------------------------------

    def _get(self, asked: Asked) -> Answer | Deferred[Answer]:
        """The value here and now; with ?level=linearizable, not before whatever was acknowledged is here."""
        key = _key(asked)
        if _level(asked) == b"stale":
            return self._value(key)
        return self._node.confirm_read().addCallback(lambda _: self._value(key))

    def _value(self, key: str) -> Answer:
        record = cast(KeyValueStore, self._node.state_machine).get(key.encode())
        if record is None:
            return Answer(200, _MISSING, go_json({key: ""}))
        return Answer(200, _EXISTS, go_json({key: record.value.decode("utf-8", "replace")}))

    def _post(self, asked: Asked) -> Answer | Deferred[Answer]:
        """Set all keys of the body as one entry. The path after /key means nothing, as in hraftd."""
        command = parse_pairs(asked.body)
        return DONE if command is None else self._write(command)

    def _delete(self, asked: Asked) -> Deferred[Answer]:
        """Delete one key; a key that is not there is no error."""
        return self._write(Delete(_key(asked).encode()))

    def _write(self, command: Command) -> Deferred[Answer]:
        """Wait until the command is applied, here or where the leader is."""
        if not self._forward:
            return self._node.propose(encode_command(command)).addCallback(_written)
        leader = self._node.leader()

        def served(applied: Applied) -> Answer:
            answer, by = _written(applied), leader or self._node.leader()
            if by is None:
                return answer
            return msgspec.structs.replace(answer, headers=(*answer.headers, header(b"X-Hraft-Served-By", by.node_id)))

        return self._node.submit(encode_command(command)).addCallback(served)

    # --- the cluster -----------------------------------------------------------------------------

    def _status(self, asked: Asked) -> Answer:
        """How this node sees the cluster."""
        return Answer(200, _JSON, go_json(status_document(self._node)))

    def _join(self, asked: Asked) -> Deferred[Answer]:
        """Take a node in, on whichever node this is. 202: it is a learner so far, and becomes a voter when it has caught up."""
        joiner = parse_join(asked.body)

        def joined(outcome: Any) -> Answer:
            return DONE if outcome.role == "voter" else Answer(202, _JSON, go_json({"role": outcome.role}))

        return self._node.join(joiner.id or joiner.addr, joiner.addr, joiner.empty_log).addCallback(joined)

    # --- what goes wrong -------------------------------------------------------------------------

    def failed(self, failure: Failure, method: bytes, path: bytes) -> Answer:
        """Every error ends here, as JSON. What nobody foresaw is logged, and told to the client in one word."""
        problem = self._problem(failure.value)
        if problem is None:
            _log.failure("{method} {path} failed", failure, method=method, path=path)
            problem = Problem(500, "internal", "this node failed to answer; its log says why")
        return problem.answer(method)

    def _problem(self, error: BaseException | None) -> Problem | None:
        if isinstance(error, Problem):
            return error
        if isinstance(error, HraftError):
            return problem_of(error, self._node.node_id, self._node.leader())
        if isinstance(error, CancelledError):
            # The client has hung up, so nobody reads this.
            return Problem(503, "outcome_unknown", "nobody waits for the outcome any more", outcome=UNKNOWN)
        return None


def route_of(path: bytes) -> bytes:
    """The path in the routing table that stands for this one."""
    return b"/key" if path.startswith(_KEY_PATH) else path


def _written(applied: Applied) -> Answer:
    result = result_of(applied.result)
    if isinstance(result, Refused):
        return Problem(500, "command_refused", f"the leader's store refused it: {result.reason}", outcome=NOT_DONE).answer()
    return DONE


def _key(asked: Asked) -> str:
    """The key that a path names: all that follows /key/, slashes included."""
    try:
        key = unquote_to_bytes(asked.path[len(_KEY_PATH) :]).decode() if asked.path.startswith(_KEY_PATH) else ""
    except UnicodeDecodeError as error:
        raise Problem(400, "bad_key", "the key is not UTF-8, so it cannot have been set here") from error
    if not key:
        raise Problem(400, "bad_key", "the path names no key: /key/foo does")
    return key


def _level(asked: Asked) -> bytes:
    """How fresh a read must be."""
    levels = parse_qs(asked.query, True).get(b"level", [b"stale"]) if asked.query else [b"stale"]
    if levels not in ([b"stale"], [b"linearizable"]):
        shown = ", ".join(level.decode("utf-8", "replace")[:40] for level in levels)
        raise Problem(400, "bad_level", f"level must be stale or linearizable, once, and not {shown!r}")
    return cast(bytes, levels[0])
