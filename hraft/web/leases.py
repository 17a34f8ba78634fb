"""/v1/leases: times that keys can be attached to, and that their holders prolong.

Knows nothing of how time is kept: that is the leader's (`hraft.leases`).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nsmallest
from typing import Annotated, Any, Final, Protocol, cast

import msgspec
from twisted.internet.defer import Deferred

from hraft import limits
from hraft.errors import LeaseNotFound
from hraft.kv.commands import GrantLease, RevokeLease
from hraft.kv.results import LeaseEnded, LeaseGranted, Result
from hraft.kv.store import KeyValueStore
from hraft.web.answers import Answer
from hraft.web.api import REVISION, Route
from hraft.web.asked import Asked
from hraft.web.bodies import decoded
from hraft.web.documents import DeletedDocument, json_answer
from hraft.web.node import Node
from hraft.web.parameters import Number, Wants, number_in
from hraft.web.permissions import ANY_WRITER, OfLease, Touch, every_key, reads, writes
from hraft.web.reads import FRESHNESS, Reads
from hraft.web.writes import IDEMPOTENCY_KEY, REDIRECT, Writes

PATH: Final = b"/v1/leases"
_ONE: Final = PATH + b"/{id}"

AFTER: Final = Number("after", "only leases with a higher id: the `next` of the page before")
LIMIT: Final = Number("limit", "how many leases at most", lowest=1, highest=limits.PAGE_KEYS_COUNT)

_WRITE: Final = Wants((REDIRECT,), (IDEMPOTENCY_KEY,))
_LIST: Final = Wants((AFTER, LIMIT, *FRESHNESS))
_NOTHING: Final = Wants()

_NOT_FOUND: Final = ("lease_not_found",)


class LeaseTimes(Protocol):
    """What the leader's clock says of a lease."""

    @property
    def ttl_seconds(self) -> int: ...
    @property
    def remaining_seconds(self) -> float: ...


class LeaseClock(Protocol):
    """Who knows how long leases still have. Deferreds fire with LeaseTimes, and fail with errors of `hraft.errors`."""

    def keep_alive(self, lease: int) -> Deferred[Any]: ...

    def times(self, lease: int) -> Deferred[Any]: ...


class LeaseBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a grant."""

    ttl: Annotated[int, msgspec.Meta(ge=1, le=limits.LEASE_TTL_SECONDS)]


class GrantedDocument(msgspec.Struct):
    """A new lease, and its time in seconds."""

    id: int
    ttl: int


class TimesDocument(GrantedDocument):
    """How many seconds a lease still has."""

    remaining: float


class LeaseDocument(TimesDocument):
    """The first keys that end with it, in order: texts, or `{"base64":"..."}`; and how many there are."""

    keys: list[str | dict[str, bytes]]
    keys_count: int


class ListedDocument(GrantedDocument):
    """One of many."""

    keys_count: int


class LeasesDocument(msgspec.Struct):
    """All that have not ended, in the order of their ids. `next` is what the next page comes after; null: this was the last."""

    leases: list[ListedDocument]
    next: int | None = None


_wanted: msgspec.json.Decoder[LeaseBody] = msgspec.json.Decoder(LeaseBody)


class LeaseApi:
    """Grants, prolongs, shows and ends leases."""

    def __init__(self, node: Node, reads: Reads, writes: Writes, clock: LeaseClock) -> None:
        self._node = node
        self._reads = reads
        self._writes = writes
        self._clock = clock

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        granted, full = {201: GrantedDocument}, ("too_many_leases",)
        yield Route(b"POST", PATH, self._grant, "Make a lease", _WRITE, LeaseBody, granted, full, ANY_WRITER)
        about, listed = "All leases, by page", {200: LeasesDocument}
        yield Route(b"GET", PATH, self._list, about, _LIST, None, listed, ("too_stale",), reads(every_key))
        about, found = "A lease, its time and its keys", {200: LeaseDocument}
        yield Route(b"GET", _ONE, self._get, about, _NOTHING, None, found, _NOT_FOUND, reads(_touched))
        about, ended = "End a lease, and its keys with it", {200: DeletedDocument}
        yield Route(b"DELETE", _ONE, self._revoke, about, _WRITE, None, ended, _NOT_FOUND, writes(_touched))
        about, path, kept = "Prolong a lease", _ONE + b"/keepalive", {200: TimesDocument}
        yield Route(b"POST", path, self._keep_alive, about, _NOTHING, None, kept, _NOT_FOUND, writes(_touched))

    def _grant(self, asked: Asked) -> Answer | Deferred[Answer]:
        given = _WRITE.of(asked)
        wanted = decoded(_wanted, asked.body, f'JSON like {{"ttl":30}}, with 1 to {limits.LEASE_TTL_SECONDS} seconds')

        def done(result: Result) -> Answer:
            assert isinstance(result, LeaseGranted)
            where = (b"Location", b"%b/%d" % (PATH, result.lease))
            return json_answer(GrantedDocument(result.lease, result.ttl_seconds), 201, where)

        return self._writes.write(asked, GrantLease(wanted.ttl, asked.user), done, REDIRECT.of(given))

    def _revoke(self, asked: Asked) -> Answer | Deferred[Answer]:
        given, lease = _WRITE.of(asked), number_in(asked.path, "a lease")

        def done(result: Result) -> Answer:
            assert isinstance(result, LeaseEnded)
            document = DeletedDocument(result.deleted_count, result.revision)
            return json_answer(document, 200, (REVISION, b"%d" % result.revision))

        return self._writes.write(asked, RevokeLease(lease), done, REDIRECT.of(given))

    def _keep_alive(self, asked: Asked) -> Deferred[Answer]:
        _NOTHING.of(asked)
        lease = number_in(asked.path, "a lease")

        def kept(times: LeaseTimes) -> Answer:
            return json_answer(TimesDocument(lease, times.ttl_seconds, times.remaining_seconds))

        return self._clock.keep_alive(lease).addCallback(kept)

    def _get(self, asked: Asked) -> Deferred[Answer]:
        _NOTHING.of(asked)
        lease = number_in(asked.path, "a lease")

        def told(times: LeaseTimes) -> Deferred[Answer]:
            return self._node.confirm_read().addCallback(lambda _: read(times))

        def read(times: LeaseTimes) -> Answer:
            found = cast(KeyValueStore, self._node.state_machine).lease(lease)
            if found is None:
                raise LeaseNotFound(f"there is no lease {lease} (any more)")
            keys = [_key_document(key) for key in nsmallest(limits.PAGE_KEYS_COUNT, found.keys)]
            return json_answer(LeaseDocument(lease, times.ttl_seconds, times.remaining_seconds, keys, len(found.keys)))

        return self._clock.times(lease).addCallback(told)

    def _list(self, asked: Asked) -> Answer | Deferred[Answer]:
        given = _LIST.of(asked)
        after, limit = AFTER.of(given) or 0, LIMIT.of(given) or limits.PAGE_KEYS_DEFAULT_COUNT

        def read() -> Answer:
            store = cast(KeyValueStore, self._node.state_machine)
            ids = store.leases_after(after)
            page = [(lease, found) for lease in ids[:limit] if (found := store.lease(lease)) is not None]
            listed = [ListedDocument(lease, found.ttl_seconds, len(found.keys)) for lease, found in page]
            return json_answer(LeasesDocument(listed, ids[limit - 1] if len(ids) > limit else None))

        return self._reads.serve(given, read)


def _touched(asked: Asked) -> Iterator[Touch]:
    yield OfLease(number_in(asked.path, "a lease"))


def _key_document(key: bytes) -> str | dict[str, bytes]:
    try:
        return key.decode()
    except UnicodeDecodeError:
        return {"base64": key}
