"""Writes on their way to the log: exactly once where the client asks for that, here or where the leader is.

Knows how a write may be refused; knows nothing of what is written and of how success reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec
from twisted.internet.defer import Deferred

from hraft.addresses import url_of
from hraft.errors import NotLeader
from hraft.kv.commands import Once, Simple, encode_command
from hraft.kv.results import NotDone, Refused, Result, result_of
from hraft.web.answers import Answer, header
from hraft.web.asked import Asked
from hraft.web.node import Applied, Leader, Node
from hraft.web.parameters import Flag
from hraft.web.problems import NOT_DONE, UNKNOWN, Problem

#: What the store answers when it refuses -> the status, and what is then known of the write.
_REFUSALS: Final = {
    "lease_not_found": (404, NOT_DONE),
    "too_many_leases": (429, NOT_DONE),
    "too_many_keys": (422, NOT_DONE),
    "result_too_large": (422, NOT_DONE),
    "serial_reused": (422, NOT_DONE),
    # Whether it was done before it was forgotten, nobody knows any more.
    "session_expired": (409, UNKNOWN),
    "serial_expired": (409, UNKNOWN),
}

REDIRECT: Final = Flag("redirect", "on a node that does not lead: send to the leader (307) and do not pass the write on")
IDEMPOTENCY_KEY: Final = b"idempotency-key"

_KEY = re.compile(rb"([1-9][0-9]{0,17})/([1-9][0-9]{0,17})")


class Writes:
    """Of one node. With `forward`, those that come to a follower are passed to the leader."""

    def __init__(self, node: Node, forward: bool) -> None:
        self._node = node
        self._forward = forward

    def write(
        self, asked: Asked, command: Simple, done: Callable[[Result], Answer], is_redirected: bool = False
    ) -> Answer | Deferred[Answer]:
        """Have the command applied; `done` makes the answer of its result. Fails with a Problem where the store refuses.

        `is_redirected`: where this node does not lead, send the client to the leader instead.
        """
        if is_redirected and (elsewhere := self._redirection(asked)) is not None:
            return elsewhere
        line = encode_command(_once(asked, command))
        leader = self._node.leader() if self._forward else None
        writing = self._node.submit(line) if self._forward else self._node.propose(line)
        return writing.addCallback(self._written, leader, done)

    def _redirection(self, asked: Asked) -> Answer | None:
        """To the leader, with the same method and body. None where this node leads. Raises NotLeader for lack of an address."""
        leader = self._node.leader()
        if leader is None or not leader.http_address:
            raise NotLeader(None if leader is None else leader.node_id)
        if leader.node_id == self._node.node_id:
            return None
        query = b"?" + asked.query if asked.query else b""
        location = url_of(leader.http_address).encode() + asked.path + query
        return Answer(307, varying=(header(b"Location", location.decode("latin-1")),))

    def _written(self, applied: Applied, leader: Leader | None, done: Callable[[Result], Answer]) -> Answer:
        result = result_of(applied.result)
        if isinstance(result, NotDone):
            status, outcome = _REFUSALS[result.code]
            raise Problem(status, result.code, result.detail, outcome=outcome)
        if isinstance(result, Refused):
            # It is in the log for good, and a node of a later version carries it out.
            raise Problem(500, "command_refused", f"the leader's store refused it: {result.reason}", outcome=UNKNOWN)
        answer = done(result)
        if not self._forward:
            return answer
        by = leader or self._node.leader()
        if by is None:
            return answer
        return msgspec.structs.replace(answer, headers=(*answer.headers, header(b"X-Hraft-Served-By", by.node_id)))


def _once(asked: Asked, command: Simple) -> Simple | Once:
    """With the client and serial of an Idempotency-Key, if there is one."""
    key = asked.header(IDEMPOTENCY_KEY) if asked.headers else None
    if key is None:
        return command
    found = _KEY.fullmatch(key)
    if found is None:
        shown = key[:60].decode("utf-8", "replace")
        detail = f"an Idempotency-Key is client/serial, two numbers from 1, like 17/1, and not {shown!r}"
        raise Problem(400, "bad_idempotency_key", detail, outcome=NOT_DONE)
    client, serial = map(int, found.groups())
    return Once(client, serial, command)
