"""/v1/cluster/members and /v1/cluster/transfer: who belongs to the cluster, and who leads it, changed by an operator.

On any node: the leader is asked. What is safe is decided there; knows nothing of keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final
from urllib.parse import unquote_to_bytes

import msgspec
from twisted.internet.defer import Deferred

from hraft.questions import Change
from hraft.web.answers import Answer
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.bodies import decoded
from hraft.web.documents import json_answer
from hraft.web.node import Node
from hraft.web.parameters import Wants, bad
from hraft.web.permissions import ADMIN

_NOTHING: Final = Wants()
_CODES: Final = ("change_refused", "wrong_peer")
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class AddMember(msgspec.Struct, forbid_unknown_fields=True):
    """A node that runs, and is to be taken in. With `learner` it stays one until it is promoted."""

    id: _Text
    raft_address: _Text
    learner: bool = False


class TransferTo(msgspec.Struct, forbid_unknown_fields=True):
    """Who is to lead; without `to`, the voter that has most."""

    to: str | None = None


class MemberAddedDocument(msgspec.Struct):
    """`role` is voter, or learner where it is to stay one, or has not caught up yet."""

    id: str
    role: str


class MemberChangedDocument(msgspec.Struct):
    """By which entry; 0 where it was so already."""

    id: str
    index: int


class LeaderChangedDocument(msgspec.Struct):
    """Who leads now."""

    leader: str


_adding = msgspec.json.Decoder(AddMember)
_transfers = msgspec.json.Decoder(TransferTo)


class MemberApi:
    """Asks the node, which asks the leader."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        about = "Take a node in: it is dialled back, is a learner first, and a voter when it has caught up"
        answers: dict[int, Any] = {200: MemberAddedDocument, 202: MemberAddedDocument}
        yield Route(b"POST", b"/v1/cluster/members", self._add, about, _NOTHING, AddMember, answers, _CODES, ADMIN)
        path, changed = b"/v1/cluster/members/{node}", {200: MemberChangedDocument}
        yield Route(b"DELETE", path, self._remove, "Remove a member, for ever", _NOTHING, None, changed, _CODES[:1], ADMIN)
        about = "Make a voter of a learner that has caught up"
        yield Route(b"POST", path + b"/promote", self._promote, about, _NOTHING, None, changed, _CODES[:1], ADMIN)
        about, answers = "Have another voter lead", {200: LeaderChangedDocument}
        yield Route(b"POST", b"/v1/cluster/transfer", self._transfer, about, _NOTHING, TransferTo, answers, _CODES[:1], ADMIN)

    def _add(self, asked: Asked) -> Deferred[Answer]:
        _NOTHING.of(asked)
        wanted = decoded(_adding, asked.body, 'JSON like {"id":"node3","raft_address":"host3:12000"}')

        def joined(outcome: Any) -> Answer:
            is_done = outcome.role == "voter" or wanted.learner
            return json_answer(MemberAddedDocument(wanted.id, outcome.role), 200 if is_done else 202)

        return self._node.join(wanted.id, wanted.raft_address, None, wanted.learner).addCallback(joined)

    def _remove(self, asked: Asked) -> Deferred[Answer]:
        return self._change(Change.REMOVE, asked)

    def _promote(self, asked: Asked) -> Deferred[Answer]:
        return self._change(Change.PROMOTE, asked)

    def _change(self, change: Change, asked: Asked) -> Deferred[Answer]:
        _NOTHING.of(asked)

        def changed(outcome: Any) -> Answer:
            return json_answer(MemberChangedDocument(outcome.node_id, outcome.index))

        return self._node.change_member(change, _member_in(asked.path)).addCallback(changed)

    def _transfer(self, asked: Asked) -> Deferred[Answer]:
        _NOTHING.of(asked)
        wanted = decoded(_transfers, asked.body, 'JSON like {"to":"node1"}, or empty') if asked.body else TransferTo()

        def transferred(outcome: Any) -> Answer:
            return json_answer(LeaderChangedDocument(outcome.node_id))

        return self._node.change_member(Change.TRANSFER, wanted.to or "").addCallback(transferred)


def _member_in(path: bytes) -> str:
    """The id that stands between the fourth and the fifth slash, percent-encoded."""
    try:
        return unquote_to_bytes(path.split(b"/")[4]).decode()
    except UnicodeDecodeError as error:
        raise bad(f"a member's id is UTF-8: {error}") from error
