"""What went wrong, as JSON by RFC 9457: one `Problem` per refused request, whatever refused it.

Knows how errors of `hraft.errors` read to an HTTP client; knows nothing of routes and bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

import msgspec

from hraft import errors
from hraft.addresses import url_of
from hraft.web.answers import REASONS, Answer, header, headers_of, response
from hraft.web.node import Leader

CONTENT_TYPE: Final = b"application/problem+json"

#: A leader is usually elected, or room found, within about this time.
RETRY_AFTER_SECONDS: Final = 1

#: How one may say who asks (RFC 7617, RFC 6750).
CHALLENGE: Final = 'Basic realm="hraft", charset="UTF-8", Bearer realm="hraft"'

NOT_DONE: Final = "not done"
UNKNOWN: Final = "unknown"


class Problem(Exception):
    """A request was refused or failed. `code` names the kind for programs; `members` are further members of the JSON object."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[bytes, str] | None = None, **members: object
    ) -> None:
        super().__init__(f"{status} {detail}")
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members: dict[str, object] = {"code": code, **members}

    def body(self, method: bytes = b"") -> bytes:
        """The JSON object. `type` is about:blank, as RFC 9457 has it where `title` is that of the status."""
        first = {"type": "about:blank", "title": REASONS.get(self.status, "Error"), "status": self.status, "detail": self.detail}
        document = {**first, **self.members}
        if method in (b"GET", b"HEAD"):
            # A read has no outcome that a client could wonder about.
            document.pop("outcome", None)
        return msgspec.json.encode(document)

    def answer(self, method: bytes = b"") -> Answer:
        """What the client of a request with this method is told."""
        headers = headers_of(CONTENT_TYPE, *(header(name, value) for name, value in self.headers.items()))
        return Answer(self.status, headers, self.body(method))

    def response(self) -> bytes:
        """A whole HTTP response that ends its connection, for where there is no request to answer yet."""
        return response(self.answer(), b"Connection: close\r\n")


def retry_later(code: str, detail: str, **members: object) -> Problem:
    """503, and when to come back."""
    return Problem(503, code, detail, {b"Retry-After": str(RETRY_AFTER_SECONDS)}, **members)


def problem_of(error: errors.HraftError, node_id: str, leader: Leader | None) -> Problem | None:
    """What a client is told of this error, as seen from node `node_id`; None for an error that no client should meet."""
    detail = str(error)
    if isinstance(error, errors.NotLeader):
        return _not_leader(node_id, leader)
    if isinstance(error, errors.NodeRemoved):
        # No Retry-After: not here, ever. 503 has clients and balancers ask another node.
        return Problem(503, "node_removed", detail, outcome=NOT_DONE, removed_index=error.index)
    if isinstance(error, errors.OutcomeUnknown):
        # No Retry-After: whether a repetition is harmless, only the client knows.
        return Problem(503, "outcome_unknown", detail, outcome=UNKNOWN)
    if isinstance(error, errors.LoginNeeded):
        return Problem(401, "unauthorized", detail, {b"WWW-Authenticate": CHALLENGE}, outcome=NOT_DONE)
    if isinstance(error, errors.TooManyLogins):
        return Problem(429, "too_many_logins", detail, {b"Retry-After": str(ceil(error.seconds))}, outcome=NOT_DONE)
    if isinstance(error, errors.ChangeRefused):
        if error.temporary:
            return retry_later("change_refused", detail, outcome=NOT_DONE)
        return Problem(409, "change_refused", detail, outcome=NOT_DONE)
    if isinstance(error, errors.WrongPeer):
        return Problem(409, "wrong_peer", detail, outcome=NOT_DONE)
    if isinstance(error, errors.BadAddress):
        return Problem(400, "bad_address", detail, outcome=NOT_DONE)
    if isinstance(error, errors.BadCommand):
        return Problem(400, "bad_command", detail, outcome=NOT_DONE)
    if isinstance(error, errors.LeaseNotFound):
        return Problem(404, "lease_not_found", detail, outcome=NOT_DONE)
    if isinstance(error, errors.ReadFailed):
        return retry_later("read_failed", detail, outcome=NOT_DONE)
    if isinstance(error, errors.DiskFull):
        return Problem(507, "disk_full", detail, outcome=NOT_DONE)
    for kind, code in _NOT_DONE_CODES.items():
        if isinstance(error, kind):
            return retry_later(code, detail, outcome=NOT_DONE)
    return None


_NOT_DONE_CODES: Final = {
    errors.ProposalDropped: "proposal_dropped",
    errors.PeerUnreachable: "peer_unreachable",
    errors.StorageFull: "storage_full",
    errors.LoginsBusy: "logins_busy",
}


def _not_leader(node_id: str, leader: Leader | None) -> Problem:
    # A node that thinks it leads, and yet could not do it, is about to learn better: never send a client round in a circle.
    if leader is None or leader.node_id == node_id:
        return retry_later("no_leader", "this node is not the leader, and no leader is known at the moment", outcome=NOT_DONE)
    address = leader.http_address
    where = url_of(address) if address else f"its HTTP address is not known yet; its raft address is {leader.raft_address}"
    return Problem(
        421,
        "not_leader",
        f"this node is not the leader; ask {leader.node_id} at {where}" if address else f"ask {leader.node_id}; {where}",
        {b"X-Hraft-Leader": url_of(address)} if address else None,
        outcome=NOT_DONE,
        leader={"id": leader.node_id, "address": leader.raft_address, "http_address": address or ""},
    )
