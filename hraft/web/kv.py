"""/v1/kv/{key}: one key, of any bytes, read and written with conditions.

A write is a transaction of the store even where it has no condition, since it tells what the key has become. Knows nothing of
sockets and of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import UNSET, UnsetType
from twisted.internet.defer import Deferred

from hraft import limits
from hraft.kv.results import DeleteDone, GetDone, PutDone, Result, Transacted
from hraft.kv.store import KeyValueStore
from hraft.kv.texts import split
from hraft.kv.transactions import DeleteRange, GetRange, Put, Transaction
from hraft.web.answers import Answer, headers_of
from hraft.web.api import REVISION, Route
from hraft.web.asked import PERCENT, Asked
from hraft.web.conditions import IF_MATCH, IF_NONE_MATCH, comparisons, etag, is_unchanged
from hraft.web.documents import DeletedDocument, KeyDocument, RecordDocument, json_answer, pair_document, record_document
from hraft.web.node import Node
from hraft.web.parameters import Flag, Number, Wants, bad_key
from hraft.web.permissions import Keys, OfLease, Touch, reads, writes
from hraft.web.problems import NOT_DONE, Problem
from hraft.web.reads import FRESHNESS, Reads
from hraft.web.writes import IDEMPOTENCY_KEY, REDIRECT, Writes

PATH: Final = b"/v1/kv/{key}"
_BEGIN: Final = PATH[: -len(b"{key}")]

RAW: Final = Flag("raw", "answer with the bytes of the value, and nothing else")
PREV: Final = Flag("prev", "tell what was there before")
LEASE: Final = Number("lease", "the lease that the key ends with", lowest=1)

_GET: Final = Wants((*FRESHNESS, RAW), (IF_NONE_MATCH,))
_PUT: Final = Wants((LEASE, PREV, REDIRECT), (IF_MATCH, IF_NONE_MATCH, IDEMPOTENCY_KEY))
_DELETE: Final = Wants((PREV, REDIRECT), (IF_MATCH, IDEMPOTENCY_KEY))

#: A value is whatever somebody has stored: nobody's browser is to guess what it might be.
_RAW_HEADERS = headers_of(b"application/octet-stream")


class PutDocument(KeyDocument, kw_only=True):
    """What a key has become. `prev` is what it was, if that was asked for."""

    revision: int
    create_revision: int
    version: int
    lease: int | None
    prev: RecordDocument | UnsetType | None = UNSET


class KeyValueApi:
    """One key at a time."""

    def __init__(self, node: Node, reads: Reads, writes: Writes) -> None:
        self._node = node
        self._reads = reads
        self._writes = writes

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        found = {200: RecordDocument, 304: None}
        yield Route(b"GET", PATH, self._get, "Read a key", _GET, None, found, ("key_not_found", "too_stale"), reads(_read))
        codes: tuple[str, ...] = ("condition_failed", "lease_not_found", "too_many_keys", "result_too_large")
        about = "Set a key; the body is its value"
        yield Route(b"PUT", PATH, self._put, about, _PUT, bytes, {200: PutDocument}, codes, writes(_written))
        codes = ("condition_failed", "key_not_found", "result_too_large")
        yield Route(b"DELETE", PATH, self._delete, "Delete a key", _DELETE, None, {200: DeletedDocument}, codes, writes(_deleted))

    # --- reading ---------------------------------------------------------------------------------

    def _get(self, asked: Asked) -> Answer | Deferred[Answer]:
        key, given = key_of(asked.path), _GET.of(asked)
        is_raw = RAW.of(given)

        def read() -> Answer:
            record = cast(KeyValueStore, self._node.state_machine).get(key)
            if record is None:
                raise _not_found(key)
            if asked.headers and is_unchanged(asked, record.mod_revision):
                return Answer(304, varying=(etag(record.mod_revision),))
            if is_raw:
                return Answer(200, _RAW_HEADERS, record.value, (etag(record.mod_revision),))
            return json_answer(record_document(key, record), 200, etag(record.mod_revision))

        return self._reads.serve(given, read)

    # --- writing ---------------------------------------------------------------------------------

    def _put(self, asked: Asked) -> Answer | Deferred[Answer]:
        key, given = key_of(asked.path), _PUT.of(asked)
        wants_previous = PREV.of(given)
        put = Put(key, asked.body, LEASE.of(given) or 0, wants_previous)

        def done(result: Result) -> Answer:
            revision, operation = _first(result, key)
            assert isinstance(operation, PutDone)
            record = operation.record
            text, base64 = split(key)
            document = PutDocument(
                key=text,
                key_base64=base64,
                revision=revision,
                create_revision=record.create_revision,
                version=record.version,
                lease=record.lease or None,
                prev=pair_document(operation.previous) if wants_previous else UNSET,
            )
            return json_answer(document, 200, (REVISION, b"%d" % revision), etag(record.mod_revision))

        return self._writes.write(asked, _conditional(asked, key, put), done, REDIRECT.of(given))

    def _delete(self, asked: Asked) -> Answer | Deferred[Answer]:
        key, given = key_of(asked.path), _DELETE.of(asked)
        wants_previous = PREV.of(given)
        delete = DeleteRange(key, None, wants_previous)

        def done(result: Result) -> Answer:
            revision, operation = _first(result, key)
            assert isinstance(operation, DeleteDone)
            if not operation.deleted_count:
                raise _not_found(key, revision)
            document = DeletedDocument(operation.deleted_count, revision)
            if wants_previous:
                document.prev = pair_document(operation.previous[0])
            return json_answer(document, 200, (REVISION, b"%d" % revision))

        return self._writes.write(asked, _conditional(asked, key, delete), done, REDIRECT.of(given))


def _read(asked: Asked) -> Iterator[Touch]:
    yield Keys(key_of(asked.path))


def _written(asked: Asked) -> Iterator[Touch]:
    yield Keys(key_of(asked.path), None, "write")
    lease = LEASE.of(_PUT.of(asked))
    if lease:
        yield OfLease(lease)


def _deleted(asked: Asked) -> Iterator[Touch]:
    yield Keys(key_of(asked.path), None, "write")


def _conditional(asked: Asked, key: bytes, operation: Put | DeleteRange) -> Transaction:
    """Do it if the headers' conditions hold; else tell what is there instead."""
    compare = comparisons(asked, key) if asked.headers else ()
    return Transaction(compare, (operation,), (GetRange(key),) if compare else ())


def _first(result: Result, key: bytes) -> tuple[int, Any]:
    """The revision, and what the one operation gave. Raises Problem where its condition did not hold."""
    assert isinstance(result, Transacted)
    operation = result.results[0]
    if result.succeeded:
        return result.revision, operation
    assert isinstance(operation, GetDone)
    current = pair_document(operation.pairs[0]) if operation.pairs else None
    raise Problem(
        412,
        "condition_failed",
        "the key is not there" if current is None else f"the key is there, with mod_revision {current.mod_revision}",
        {REVISION: str(result.revision)},
        outcome=NOT_DONE,
        current=msgspec.to_builtins(current),
    )


def key_of(path: bytes) -> bytes:
    """The key that a path names: all that follows, percent-decoded once. Raises Problem for none, and for a long one."""
    key = path[len(_BEGIN) :]
    if PERCENT in key:
        key = unquote_to_bytes(key)
    if not key:
        raise bad_key("the path names no key: /v1/kv/foo does, and /v1/kv without a slash is all keys")
    if len(key) > limits.KEY_BYTES:
        raise bad_key(f"a key may have {limits.KEY_BYTES} bytes and not {len(key)}")
    return key


def _not_found(key: bytes, revision: int | None = None) -> Problem:
    headers = None if revision is None else {REVISION: str(revision)}
    return Problem(404, "key_not_found", f"there is no key {key[:40].decode('utf-8', 'replace')!r}", headers, outcome=NOT_DONE)
