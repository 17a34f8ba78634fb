"""The JSON of answers, as the client's values. docs/http-api.md is the authority.

Members that this version does not know are passed over; what does not read is BadAnswer. Pure: knows nothing of requests.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any, TypeVar

import msgspec

from hraft.client.errors import BadAnswer
from hraft.client.results import (
    Change,
    ClusterView,
    DeleteDone,
    DeleteResult,
    Event,
    GetDone,
    KeyValue,
    LeaseListed,
    LeaseTimes,
    Member,
    OperationDone,
    Page,
    PutDone,
    PutResult,
    TxnResult,
)
from hraft.client.transactions import to_bytes

T = TypeVar("T")


class _Bytes(msgspec.Struct):
    key: str | None = None
    key_base64: str | None = None

    def key_bytes(self) -> bytes:
        return _joined("key", self.key, self.key_base64)


class _Record(_Bytes):
    value: str | None = None
    value_base64: str | None = None
    create_revision: int = 0
    mod_revision: int = 0
    version: int = 0
    lease: int | None = None

    def pair(self) -> KeyValue:
        has_value = self.value is not None or self.value_base64 is not None
        value = _joined("value", self.value, self.value_base64) if has_value else b""
        return KeyValue(self.key_bytes(), value, self.create_revision, self.mod_revision, self.version, self.lease or None)


class _Put(_Bytes):
    revision: int = 0
    create_revision: int = 0
    version: int = 0
    lease: int | None = None
    prev: _Record | None = None


class _Deleted(msgspec.Struct):
    deleted: int
    revision: int = 0
    prev: _Record | None = None


class _Page(msgspec.Struct):
    revision: int
    count: int
    kvs: list[_Record] = []
    next: str | None = None
    next_base64: str | None = None


class _TxnPut(_Record):
    prev: _Record | None = None


class _TxnDelete(msgspec.Struct):
    deleted: int
    prevs: list[_Record] = []


class _TxnGet(msgspec.Struct):
    count: int
    kvs: list[_Record] = []


class _TxnResult(msgspec.Struct):
    put: _TxnPut | None = None
    delete: _TxnDelete | None = None
    get: _TxnGet | None = None


class _Txn(msgspec.Struct):
    succeeded: bool
    revision: int
    results: list[_TxnResult] = []


class _Lease(msgspec.Struct):
    id: int
    ttl: float
    remaining: float | None = None
    keys: list[str | dict[str, str]] = []
    keys_count: int = 0


class _Leases(msgspec.Struct):
    leases: list[_Lease]
    next: int | None = None


class _Session(msgspec.Struct):
    client: str


class _Event(_Record):
    type: str = "put"
    prev: _Record | None = None


class _Message(msgspec.Struct):
    type: str
    revision: int = 0
    events: list[_Event] = []


class _Node(msgspec.Struct):
    id: str
    raft_address: str = ""
    http_address: str | None = None
    voter: bool = False
    replica: bool = False
    leader: bool = False
    match_index: int | None = None
    lag: int | None = None
    last_contact_ms: float | None = None


class _Cluster(msgspec.Struct):
    cluster_id: str
    term: int
    leader: _Node | None = None
    members: list[_Node] = []


def _read(kind: type[T], body: bytes) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadAnswer(f"this is no answer of hraft's: {error}: {body[:80]!r}") from error


def _joined(name: str, text: str | None, encoded: str | None) -> bytes:
    if text is not None:
        return text.encode()
    if encoded is None:
        raise BadAnswer(f"an answer has neither {name} nor {name}_base64")
    try:
        return b64decode(encoded, validate=True)
    except ValueError as error:
        raise BadAnswer(f"the {name}_base64 of an answer is no base64: {encoded[:80]!r}") from error


def read_object(body: bytes) -> dict[str, Any]:
    """Any JSON object."""
    return _read(dict[str, Any], body)


def read_pair(body: bytes) -> KeyValue:
    """GET of a key."""
    return _read(_Record, body).pair()


def read_put(body: bytes) -> PutResult:
    """PUT of a key."""
    put = _read(_Put, body)
    previous = put.prev.pair() if put.prev else None
    return PutResult(put.key_bytes(), put.revision, put.create_revision, put.version, put.lease or None, previous)


def read_deleted(body: bytes) -> DeleteResult:
    """DELETE of a key, a range, or a lease."""
    deleted = _read(_Deleted, body)
    return DeleteResult(deleted.deleted, deleted.revision, deleted.prev.pair() if deleted.prev else None)


def read_page(body: bytes, age_seconds: float | None) -> Page:
    """GET of a range."""
    page = _read(_Page, body)
    is_last = page.next is None and page.next_base64 is None
    following = None if is_last else _joined("next", page.next, page.next_base64)
    return Page(tuple(record.pair() for record in page.kvs), following, page.count, page.revision, age_seconds)


def read_transaction(body: bytes) -> TxnResult:
    """POST of a transaction."""
    done = _read(_Txn, body)
    return TxnResult(done.succeeded, done.revision, tuple(map(_operation_done, done.results)))


def _operation_done(result: _TxnResult) -> OperationDone:
    if result.put is not None:
        return PutDone(result.put.pair(), result.put.prev.pair() if result.put.prev else None)
    if result.delete is not None:
        return DeleteDone(result.delete.deleted, tuple(record.pair() for record in result.delete.prevs))
    if result.get is not None:
        return GetDone(tuple(record.pair() for record in result.get.kvs), result.get.count)
    raise BadAnswer("an operation of a transaction was neither a put nor a delete nor a get")


def read_lease(body: bytes) -> LeaseTimes:
    """What is said of one lease."""
    lease = _read(_Lease, body)
    keys = tuple(to_bytes(key) if isinstance(key, str) else _joined("key", None, key.get("base64")) for key in lease.keys)
    return LeaseTimes(lease.id, lease.ttl, lease.ttl if lease.remaining is None else lease.remaining, keys)


def read_leases(body: bytes) -> tuple[list[LeaseListed], int | None]:
    """A page of the list of leases, and what the next one comes after."""
    page = _read(_Leases, body)
    return [LeaseListed(lease.id, lease.ttl, lease.keys_count) for lease in page.leases], page.next


def read_session(body: bytes) -> str:
    """The client's id that a new session has."""
    return _read(_Session, body).client


def read_message(line: bytes) -> tuple[str, Change]:
    """One line of a watch: its type, and its revision with the events."""
    message = _read(_Message, line)
    return message.type, Change(message.revision, tuple(map(_event, message.events)))


def _event(event: _Event) -> Event:
    if event.type == "delete":
        return Event("delete", event.key_bytes(), event.mod_revision, None, event.prev.pair() if event.prev else None)
    return Event("put", event.key_bytes(), event.mod_revision, event.pair(), event.prev.pair() if event.prev else None)


def read_record(value: object) -> KeyValue | None:
    """The `current` of a problem: a record, or null."""
    try:
        return None if value is None else msgspec.convert(value, _Record).pair()
    except msgspec.ValidationError as error:
        raise BadAnswer(f"this is no record of hraft's: {error}") from error


def read_cluster(body: bytes) -> ClusterView:
    """GET /v1/cluster."""
    view = _read(_Cluster, body)
    return ClusterView(view.cluster_id, view.term, view.leader.id if view.leader else None, tuple(map(_member, view.members)))


def _member(node: _Node) -> Member:
    contact_seconds = None if node.last_contact_ms is None else node.last_contact_ms / 1000
    return Member(
        node.id,
        node.raft_address,
        node.http_address,
        node.voter,
        node.leader,
        node.match_index,
        node.lag,
        contact_seconds,
        node.replica,
    )
