"""Changing who belongs to the cluster and who leads it: what each call says in a request, and makes of the answer.

Asking twice is harmless, so these calls are repeated until an answer comes, without an Idempotency-Key.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

import hraft.client.answers as answers
from hraft.client.calls import Caller
from hraft.client.exchange import Request
from hraft.client.keys import done, good

_MEMBERS = "/v1/cluster/members"


class MemberCalls:
    """The part of HraftClient that members are changed with."""

    caller: Caller

    async def add_member(self, node_id: str, raft_address: str, *, learner: bool = False) -> str:
        """Have a node that runs taken in; returns "voter" once it is one. With `learner` it stays one until it is promoted, and
        "learner" is returned; also for another that has not caught up within some seconds. Raises Refused.
        """
        body = {"id": node_id, "raft_address": raft_address, "learner": learner}
        return str((await self._ask("POST", _MEMBERS, body)).get("role", ""))

    async def remove_member(self, node_id: str) -> None:
        """Remove a member, for ever. Raises Refused, also where those who stay would have no quorum."""
        await self._ask("DELETE", f"{_MEMBERS}/{quote(node_id, safe='')}")

    async def promote_member(self, node_id: str) -> None:
        """Make a voter of a learner. Raises Refused while it has not caught up."""
        await self._ask("POST", f"{_MEMBERS}/{quote(node_id, safe='')}/promote")

    async def transfer_leadership(self, node_id: str | None = None) -> str:
        """Have a voter lead, or whichever is best; returns who leads. Raises Refused."""
        return str((await self._ask("POST", "/v1/cluster/transfer", {"to": node_id})).get("leader", ""))

    async def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = b"" if body is None else msgspec.json.encode(body)
        request = Request(method, path, body=data if method == "POST" else None, is_write=True)
        return done(good(await self.caller.call(request)), answers.read_object)
