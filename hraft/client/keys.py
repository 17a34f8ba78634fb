"""Reading and writing keys: what each call says in a request, and makes of the answer. `hraft.client.calls` makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

import hraft.client.answers as answers
from hraft.client.calls import Caller, refusal_of
from hraft.client.documents import transaction_document
from hraft.client.errors import BadAnswer, ConditionFailed, KeyNotFound, OutcomeUnknown
from hraft.client.exchange import Answer, Request
from hraft.client.paths import Pair, freshness, if_match, key_path, query_of, range_query
from hraft.client.results import DeleteResult, KeyValue, Page, PutResult, TxnResult
from hraft.client.sessions import Sessions
from hraft.client.transactions import Comparison, Operation, to_bytes

T = TypeVar("T")
Key: TypeAlias = "str | bytes"
Level: TypeAlias = Literal["linearizable", "lease", "stale"]


class KeyCalls:
    """The part of HraftClient that keys are read and written with. Without `sessions` writes have no Idempotency-Key."""

    def __init__(self, caller: Caller, sessions: Sessions | None) -> None:
        self.caller = caller
        self._sessions = sessions

    # --- reading ---------------------------------------------------------------------------------

    async def get(
        self,
        key: Key,
        *,
        level: Level = "linearizable",
        max_lag_seconds: float | None = None,
        min_revision: int | None = None,
    ) -> KeyValue | None:
        """One key; None where there is none. A stale read is answered by any node at once, if it is no older than
        `max_lag_seconds` and has seen `min_revision`.
        """
        query = query_of(freshness(level, max_lag_seconds, min_revision))
        answer = await self.caller.call(Request("GET", key_path(key), query))
        try:
            return answers.read_pair(good(answer).body)
        except KeyNotFound:
            return None

    async def get_many(
        self,
        prefix: Key | None = None,
        *,
        start: Key | None = None,
        end: Key | None = None,
        after: Key | None = None,
        limit: int | None = None,
        keys_only: bool = False,
        level: Level = "linearizable",
        max_lag_seconds: float | None = None,
        min_revision: int | None = None,
    ) -> Page:
        """The first keys that begin with `prefix`, or of [start, end), in order; `after=page.next` gives the next page."""
        query = [*range_query(prefix, start, end), *freshness(level, max_lag_seconds, min_revision)]
        if after is not None:
            query.append(("after", to_bytes(after)))
        if limit is not None:
            query.append(("limit", str(limit)))
        if keys_only:
            query.append(("keys_only", None))
        answer = good(await self.caller.call(Request("GET", "/v1/kv", query_of(query))))
        age = answer.headers.get("x-hraft-age-ms", "")
        return answers.read_page(answer.body, int(age) / 1000 if age.isdigit() else None)

    async def count(self, prefix: Key | None = None, *, start: Key | None = None, end: Key | None = None) -> int:
        """How many keys there are."""
        query = query_of([*range_query(prefix, start, end), ("count_only", None)])
        return answers.read_page(good(await self.caller.call(Request("GET", "/v1/kv", query))).body, None).count

    async def items(self, prefix: Key | None = None, **options: Any) -> AsyncIterator[KeyValue]:
        """All keys, page by page (options as for `get_many`). Each page is read when it is needed, so they may be of different
        revisions.
        """
        after: bytes | None = None
        while True:
            page = await self.get_many(prefix, **{**options, **({} if after is None else {"after": after})})
            for pair in page.pairs:
                yield pair
            after = page.next
            if after is None:
                return

    # --- writing ---------------------------------------------------------------------------------

    async def put(
        self,
        key: Key,
        value: str | bytes,
        *,
        lease: int | None = None,
        if_revision: int | None = None,
        if_absent: bool = False,
        want_previous: bool = False,
    ) -> PutResult:
        """Set a key, attached to a lease if one is given.

        Only if its mod_revision is `if_revision`, or it is not there, where that is demanded: else ConditionFailed. Raises
        LeaseNotFound.
        """
        query: list[Pair] = [("lease", str(lease))] if lease is not None else []
        query += [("prev", None)] if want_previous else []
        headers = (("If-None-Match", "*"),) if if_absent else if_match(if_revision)
        request = Request("PUT", key_path(key), query_of(query), headers, to_bytes(value), is_redirected=True)
        return done(await self.write(request), answers.read_put)

    async def delete(self, key: Key, *, if_revision: int | None = None, want_previous: bool = False) -> DeleteResult:
        """Take a key away; one that is not there is no error, unless `if_revision` demands otherwise (ConditionFailed)."""
        query = query_of([("prev", None)] if want_previous else [])
        request = Request("DELETE", key_path(key), query, if_match(if_revision), is_redirected=True)
        answer = await self._sent(request)
        try:
            return done(good(answer), answers.read_deleted)
        except KeyNotFound as error:
            if if_revision is not None:
                raise ConditionFailed(error.detail, error.code, error.status, error.members) from error
            return DeleteResult(0, int(answer.headers.get("x-hraft-revision", "0")))

    async def delete_prefix(self, prefix: Key) -> DeleteResult:
        """Take all keys away that begin so, as one step. Raises LimitReached."""
        return await self._delete_all(range_query(prefix, None, None))

    async def delete_range(self, start: Key, end: Key) -> DeleteResult:
        """Take all keys of [start, end) away, up to the last where `end` is empty, as one step. Raises LimitReached."""
        return await self._delete_all(range_query(None, start, end))

    async def _delete_all(self, query: list[Pair]) -> DeleteResult:
        return done(await self.write(Request("DELETE", "/v1/kv", query_of(query), is_redirected=True)), answers.read_deleted)

    async def txn(
        self, compare: Sequence[Comparison] = (), then: Sequence[Operation] = (), otherwise: Sequence[Operation] = ()
    ) -> TxnResult:
        """If all of `compare` holds do `then`, else `otherwise`; as one step, at one revision."""
        body = msgspec.json.encode(transaction_document(tuple(compare), tuple(then), tuple(otherwise)))
        return done(await self.write(Request("POST", "/v1/txn", body=body, is_redirected=True)), answers.read_transaction)

    async def write(self, request: Request, within_seconds: float | None = None) -> Answer:
        """Make any write, at most once. Raises what the cluster's refusal is, Unavailable, OutcomeUnknown."""
        return good(await self._sent(request, within_seconds))

    async def _sent(self, request: Request, within_seconds: float | None = None) -> Answer:
        deadline = self.caller.deadline(within_seconds)
        if self._sessions is None:
            return await self.caller.call(replace(request, is_write=True, is_repeatable=False), deadline)
        return await self._sessions.write(replace(request, is_write=True), deadline)


def good(answer: Answer) -> Answer:
    if answer.status >= 300:
        raise refusal_of(answer)
    return answer


def done(answer: Answer, read: Callable[[bytes], T]) -> T:
    """What a write gave; an answer that cannot be read says nothing of what was done."""
    try:
        return read(answer.body)
    except BadAnswer as error:
        raise OutcomeUnknown(str(error)) from error
