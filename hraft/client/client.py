"""`HraftClient`: every call of the store, as coroutines for Twisted programs.

    async with HraftClient("http://10.0.0.1:11000,10.0.0.2:11000") as client:
        await client.put("greeting", "hello")

Calls are `async def`: await them, or give them to `Deferred.fromCoroutine` to have them under way at once. Nothing happens
before that. Cancelling such a Deferred ends the wait, and not a write that was sent. What a call means is here; how it is made,
in `hraft.client.calls`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from random import Random, SystemRandom
from types import TracebackType
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec
from twisted.web.iweb import IAgent

import hraft.client.answers as answers
from hraft import limits
from hraft.client.calls import Caller, Patience, refusal_of
from hraft.client.documents import transaction_document
from hraft.client.elections import LeaderElection
from hraft.client.endpoints import EndpointList, parse_endpoint
from hraft.client.errors import BadAnswer, ClientError, ConditionFailed, KeyNotFound, OutcomeUnknown
from hraft.client.exchange import Answer, Request, Wire, agent_of
from hraft.client.leases import Lease
from hraft.client.locks import Lock
from hraft.client.paths import Pair, freshness, if_match, key_path, query_of, range_query
from hraft.client.results import (
    ClusterView,
    DeleteResult,
    KeyValue,
    LeaseListed,
    LeaseTimes,
    Page,
    PutResult,
    TransactionResult,
)
from hraft.client.sessions import Sessions
from hraft.client.transactions import Comparison, Operation, to_bytes
from hraft.client.watches import Watch

T = TypeVar("T")
Key: TypeAlias = "str | bytes"
Level: TypeAlias = Literal["linearizable", "lease", "stale"]

_LAST_CALLS_SECONDS = 2.0


class HraftClient:
    """A client of one cluster. Any number of calls may be under way at once.

    `endpoints`: nodes, as http://host:port with commas between them or as a list; the leader is found by itself. Each attempt
    may take `timeout_seconds`, a whole call `deadline_seconds`. With `idempotent`, writes carry an Idempotency-Key and are
    repeated when their outcome is unknown; without it that is OutcomeUnknown at once. A test gives `agent`, `clock` and
    `chance`.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str],
        reactor: Any = None,
        *,
        timeout_seconds: float = limits.CLIENT_TIMEOUT_SECONDS,
        deadline_seconds: float = limits.CLIENT_DEADLINE_SECONDS,
        idempotent: bool = True,
        agent: IAgent | None = None,
        clock: Any = None,
        chance: Random | None = None,
    ) -> None:
        if reactor is None and clock is None:
            from twisted.internet import reactor
        # A reactor's own clock is the wall's, unless its program has put it right.
        seconds: Callable[[], float] = time.monotonic if clock is None else clock.seconds
        drawn = chance or SystemRandom()
        self._pool = None
        if agent is None:
            agent, self._pool = agent_of(reactor)
        timers = reactor if clock is None else clock
        nodes = EndpointList(endpoints, seconds, first=drawn.randrange(1024))
        patience = Patience(timeout_seconds, deadline_seconds)
        self.caller = Caller(Wire(agent, timers), nodes, timers, seconds, drawn.random, patience)
        self._sessions = Sessions(self.caller) if idempotent else None

    async def __aenter__(self) -> HraftClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session and the connections. Calls and watches under way fail with Closed; leases live on for their time."""
        if self.caller.is_closed:
            return
        try:
            if self._sessions is not None:
                await self._sessions.close(self.caller.deadline(_LAST_CALLS_SECONDS))
        except ClientError:
            # A cluster that cannot be told forgets this client in time.
            pass
        finally:
            self.caller.is_closed = True
            if self._pool is not None:
                await self._pool.closeCachedConnections()

    # --- reading ---------------------------------------------------------------------------------

    async def get(self, key: Key, *, level: Level = "linearizable", max_lag_seconds: float | None = None) -> KeyValue | None:
        """One key; None where there is none. A stale read is answered by any node at once, if it is no older than
        `max_lag_seconds`.
        """
        answer = await self.caller.call(Request("GET", key_path(key), query_of(freshness(level, max_lag_seconds))))
        try:
            return answers.read_pair(_good(answer).body)
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
    ) -> Page:
        """The first keys that begin with `prefix`, or of [start, end), in order; `after=page.next` gives the next page."""
        query = [*range_query(prefix, start, end), *freshness(level, max_lag_seconds)]
        if after is not None:
            query.append(("after", to_bytes(after)))
        if limit is not None:
            query.append(("limit", str(limit)))
        if keys_only:
            query.append(("keys_only", None))
        answer = _good(await self.caller.call(Request("GET", "/v1/kv", query_of(query))))
        age = answer.headers.get("x-hraft-age-ms", "")
        return answers.read_page(answer.body, int(age) / 1000 if age.isdigit() else None)

    async def count(self, prefix: Key | None = None, *, start: Key | None = None, end: Key | None = None) -> int:
        """How many keys there are."""
        query = query_of([*range_query(prefix, start, end), ("count_only", None)])
        return answers.read_page(_good(await self.caller.call(Request("GET", "/v1/kv", query))).body, None).count

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
        return _done(await self.write(request), answers.read_put)

    async def delete(self, key: Key, *, if_revision: int | None = None, want_previous: bool = False) -> DeleteResult:
        """Take a key away; one that is not there is no error, unless `if_revision` demands otherwise (ConditionFailed)."""
        query = query_of([("prev", None)] if want_previous else [])
        request = Request("DELETE", key_path(key), query, if_match(if_revision), is_redirected=True)
        answer = await self._sent(request)
        try:
            return _done(_good(answer), answers.read_deleted)
        except KeyNotFound as error:
            if if_revision is not None:
                raise ConditionFailed(error.detail, error.code, error.status, error.members) from error
            return DeleteResult(0, int(answer.headers.get("x-hraft-revision", "0")))

    async def delete_many(self, prefix: Key | None = None, *, start: Key | None = None, end: Key | None = None) -> DeleteResult:
        """Take all keys away that begin with `prefix`, or of [start, end), as one step. Raises LimitReached."""
        query = query_of(range_query(prefix, start, end))
        return _done(await self.write(Request("DELETE", "/v1/kv", query, is_redirected=True)), answers.read_deleted)

    async def transact(
        self, compare: Sequence[Comparison] = (), then: Sequence[Operation] = (), otherwise: Sequence[Operation] = ()
    ) -> TransactionResult:
        """If all of `compare` holds do `then`, else `otherwise`; as one step, at one revision."""
        body = msgspec.json.encode(transaction_document(tuple(compare), tuple(then), tuple(otherwise)))
        return _done(await self.write(Request("POST", "/v1/txn", body=body, is_redirected=True)), answers.read_transaction)

    async def write(self, request: Request, within_seconds: float | None = None) -> Answer:
        """Make any write, at most once. Raises what the cluster's refusal is, Unavailable, OutcomeUnknown."""
        return _good(await self._sent(request, within_seconds))

    async def _sent(self, request: Request, within_seconds: float | None = None) -> Answer:
        deadline = self.caller.deadline(within_seconds)
        if self._sessions is None:
            return await self.caller.call(replace(request, is_write=True, is_repeatable=False), deadline)
        return await self._sessions.write(replace(request, is_write=True), deadline)

    # --- watching, leases, recipes ---------------------------------------------------------------

    def watch(
        self,
        key: Key | None = None,
        *,
        prefix: Key | None = None,
        start: Key | None = None,
        end: Key | None = None,
        since: int | None = None,
        previous: bool = False,
        patience_seconds: float | None = None,
    ) -> Watch:
        """All changes after revision `since` (from now on, without it) of a key, of those that begin with `prefix`, or of
        [start, end).

        Once each and in order, whatever happens to nodes and connections: see Watch. Without a connection for
        `patience_seconds` (the client's deadline, by default) it fails with Unavailable.
        """
        query: list[Pair] = range_query(prefix, start, end) if key is None else [("key", to_bytes(key))]
        query += [("prev", None)] if previous else []
        patience = self.caller.patience.deadline_seconds if patience_seconds is None else patience_seconds
        return Watch(self.caller, query, since, patience)

    async def lease(self, ttl_seconds: int = limits.CLIENT_LEASE_TTL_SECONDS) -> Lease:
        """A new lease. Nobody keeps it alive before `lease.keep()`, or `async with lease`. Raises LimitReached."""
        asked_at = self.caller.seconds()
        body = msgspec.json.encode({"ttl": ttl_seconds})
        granted = _done(await self.write(Request("POST", "/v1/leases", body=body)), answers.read_lease)
        return Lease(self, granted.lease, granted.ttl_seconds, asked_at)

    async def lease_times(self, lease: int) -> LeaseTimes:
        """How long a lease has to live, and the keys that depend on it. Raises LeaseNotFound."""
        return answers.read_lease(_good(await self.caller.call(Request("GET", f"/v1/leases/{lease}"))).body)

    async def leases(self) -> tuple[LeaseListed, ...]:
        """All leases."""
        return answers.read_leases(_good(await self.caller.call(Request("GET", "/v1/leases"))).body)

    async def keep_alive(self, lease: int, within_seconds: float | None = None) -> LeaseTimes:
        """Let a lease live for its whole time again. Raises LeaseNotFound."""
        request = Request("POST", f"/v1/leases/{lease}/keepalive", body=b"")
        return answers.read_lease(_good(await self.caller.call(request, self.caller.deadline(within_seconds))).body)

    async def revoke(self, lease: int, within_seconds: float | None = None) -> DeleteResult:
        """End a lease, and take away the keys that depend on it. Raises LeaseNotFound."""
        return _done(await self.write(Request("DELETE", f"/v1/leases/{lease}"), within_seconds), answers.read_deleted)

    def lock(self, name: Key, *, ttl_seconds: int = limits.CLIENT_LEASE_TTL_SECONDS) -> Lock:
        """A lock that one holder at a time has, in the order of asking."""
        return Lock(self, name, ttl_seconds)

    def election(self, name: Key, *, ttl_seconds: int = limits.CLIENT_LEASE_TTL_SECONDS) -> LeaderElection:
        """An office that one candidate at a time has."""
        return LeaderElection(self, name, ttl_seconds)

    # --- the cluster -----------------------------------------------------------------------------

    async def cluster(self, endpoint: str | None = None) -> ClusterView:
        """The members, as some node sees them, or that at `endpoint`."""
        return answers.read_cluster((await self.ask("GET", "/v1/cluster", endpoint=endpoint)).body)

    async def status(self, endpoint: str | None = None) -> dict[str, Any]:
        """How a node is, in hraft's own words (docs/http-api.md): some node, or that at `endpoint`."""
        return answers.read_object((await self.ask("GET", "/v1/status", endpoint=endpoint)).body)

    async def ask(self, method: str, path: str, query: Sequence[Pair] = (), *, endpoint: str | None = None) -> Answer:
        """Make any call that changes nothing, for what has no method here; of one node, where `endpoint` names it."""
        request = Request(method, path, query_of(query))
        if endpoint is None:
            return _good(await self.caller.call(request))
        return _good(await self.caller.ask_one(parse_endpoint(endpoint), request))


def _good(answer: Answer) -> Answer:
    if answer.status >= 300:
        raise refusal_of(answer)
    return answer


def _done(answer: Answer, read: Callable[[bytes], T]) -> T:
    """What a write gave; an answer that cannot be read says nothing of what was done."""
    try:
        return read(answer.body)
    except BadAnswer as error:
        raise OutcomeUnknown(str(error)) from error
