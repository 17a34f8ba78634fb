"""/v1/kv: many keys, read in pages and deleted as one.

Knows nothing of sockets and of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import msgspec
from twisted.internet.defer import Deferred

from hraft import limits
from hraft.kv.records import Record
from hraft.kv.results import DeleteDone, Result, Transacted
from hraft.kv.store import KeyValueStore
from hraft.kv.texts import Base64, Text, split
from hraft.kv.transactions import TO_THE_LAST, DeleteRange, Transaction
from hraft.web.answers import Answer
from hraft.web.api import REVISION, Route
from hraft.web.asked import Asked
from hraft.web.documents import DeletedDocument, RecordDocument, json_answer, record_document
from hraft.web.node import Node
from hraft.web.parameters import Bytes, Flag, Number, Wants
from hraft.web.permissions import Keys, Touch, reads, writes
from hraft.web.ranges import RANGE, range_of
from hraft.web.reads import FRESHNESS, Reads
from hraft.web.writes import IDEMPOTENCY_KEY, REDIRECT, Writes

PATH: Final = b"/v1/kv"

AFTER: Final = Bytes("after", "only keys after this one: the `next` of the page before")
LIMIT: Final = Number("limit", "how many keys at most", lowest=1, highest=limits.PAGE_KEYS_COUNT)
KEYS_ONLY: Final = Flag("keys_only", "without the values")
COUNT_ONLY: Final = Flag("count_only", "how many there are, and nothing of them")

_GET: Final = Wants((*RANGE, AFTER, LIMIT, KEYS_ONLY, COUNT_ONLY, *FRESHNESS))
_DELETE: Final = Wants((*RANGE, REDIRECT), (IDEMPOTENCY_KEY,))

#: What a record takes of a page beside its key and value.
_RECORD_BYTES: Final = 100


class PageDocument(msgspec.Struct, kw_only=True):
    """Some keys, in the order of their bytes. `next` is what the next page comes after; null: this was the last.

    `count` is how many keys the whole range has.
    """

    kvs: list[RecordDocument]
    next: Text | None = None
    next_base64: Base64 = msgspec.UNSET
    count: int
    revision: int


class ListingApi:
    """Many keys at a time."""

    def __init__(self, node: Node, reads: Reads, writes: Writes) -> None:
        self._node = node
        self._reads = reads
        self._writes = writes

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        about, codes = "Read keys in order, by page", ("too_stale",)
        yield Route(b"GET", PATH, self._get, about, _GET, None, {200: PageDocument}, codes, reads(_read))
        codes = ("too_many_keys",)
        about, deleted = "Delete keys as one", {200: DeletedDocument}
        yield Route(b"DELETE", PATH, self._delete, about, _DELETE, None, deleted, codes, writes(_deleted))

    def _get(self, asked: Asked) -> Answer | Deferred[Answer]:
        given = _GET.of(asked)
        start, end = range_of(given, may_be_all=True)
        after, keys_only, count_only = AFTER.of(given), KEYS_ONLY.of(given), COUNT_ONLY.of(given)
        limit = LIMIT.of(given) or limits.PAGE_KEYS_DEFAULT_COUNT
        first = start if after is None else max(start, after + b"\0")
        last = None if end == TO_THE_LAST else end

        def read() -> Answer:
            store = cast(KeyValueStore, self._node.state_machine)
            found = [] if count_only else store.range(first, last, limit + 1)
            page = _page(found, limit, keys_only)
            document = PageDocument(
                kvs=[record_document(key, record, not keys_only) for key, record in page],
                count=store.count(start, last),
                revision=store.revision,
            )
            if len(page) < len(found):
                document.next, document.next_base64 = split(page[-1][0])
            return json_answer(document)

        return self._reads.serve(given, read)

    def _delete(self, asked: Asked) -> Answer | Deferred[Answer]:
        given = _DELETE.of(asked)
        start, end = range_of(given, may_be_all=False)

        def done(result: Result) -> Answer:
            assert isinstance(result, Transacted)
            [deleted] = result.results
            assert isinstance(deleted, DeleteDone)
            document = DeletedDocument(deleted.deleted_count, result.revision)
            return json_answer(document, 200, (REVISION, b"%d" % result.revision))

        return self._writes.write(asked, Transaction(then=(DeleteRange(start, end),)), done, REDIRECT.of(given))


def _read(asked: Asked) -> Iterator[Touch]:
    yield Keys(*range_of(_GET.of(asked), may_be_all=True))


def _deleted(asked: Asked) -> Iterator[Touch]:
    yield Keys(*range_of(_DELETE.of(asked), may_be_all=False), "write")


def _page(found: list[tuple[bytes, Record]], limit: int, keys_only: bool) -> list[tuple[bytes, Record]]:
    """As much as a page may have: at least one, so that the reader gets on."""
    size_bytes = 0
    for count, (key, record) in enumerate(found[:limit]):
        size_bytes += _RECORD_BYTES + len(key) + (0 if keys_only else len(record.value))
        if size_bytes > limits.PAGE_BYTES and count:
            return found[:count]
    return found[:limit]
