"""`HraftClient`: every call of the store, as coroutines for Twisted programs.

    async with HraftClient("http://10.0.0.1:11000,10.0.0.2:11000") as client:
        await client.put("greeting", "hello")

Calls are `async def`: await them, or give them to `Deferred.fromCoroutine` to have them under way at once. Nothing happens
before that. Cancelling such a Deferred ends the wait, and not a write that was sent. What a call means is here; how it is made,
in `hraft.client.calls`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from random import Random, SystemRandom
from types import TracebackType
from typing import Any

import msgspec
from twisted.web.iweb import IAgent

import hraft.client.answers as answers
from hraft import limits
from hraft.client.calls import Caller, Patience
from hraft.client.downloads import download
from hraft.client.elections import LeaderElection
from hraft.client.endpoints import EndpointList, parse_endpoint
from hraft.client.errors import ClientError
from hraft.client.exchange import Answer, Request, Wire, agent_of
from hraft.client.keys import Key, KeyCalls, done, good
from hraft.client.leases import Lease
from hraft.client.locks import Lock
from hraft.client.members import MemberCalls
from hraft.client.paths import Pair, query_of, range_query
from hraft.client.results import (
    ClusterView,
    DeleteResult,
    LeaseListed,
    LeaseTimes,
)
from hraft.client.sessions import Sessions
from hraft.client.transactions import to_bytes
from hraft.client.watches import Watch
from hraft.credentials import Credentials
from hraft.tls.files import CertificateFiles

_LAST_CALLS_SECONDS = 2.0


class HraftClient(KeyCalls, MemberCalls):
    """A client of one cluster. Any number of calls may be under way at once.

    `endpoints`: nodes, as http://host:port with commas between them or as a list; the leader is found by itself. Each attempt
    may take `timeout_seconds`, a whole call `deadline_seconds`. With `idempotent`, writes carry an Idempotency-Key and are
    repeated when their outcome is unknown; without it that is OutcomeUnknown at once. For https, `cacert` is a file of the
    authorities that vouch for the nodes (the system's, by default), `cert` and `key` are this client's own, where nodes want
    one; raises CertificateUnusable. `credentials` say who asks, where nodes want to know: Credentials.of_password(user,
    password) or Credentials.of_token(token). A test gives `agent`, `clock` and `chance`.
    """

    def __init__(
        self,
        endpoints: str | Iterable[str],
        reactor: Any = None,
        *,
        timeout_seconds: float = limits.CLIENT_TIMEOUT_SECONDS,
        deadline_seconds: float = limits.CLIENT_DEADLINE_SECONDS,
        idempotent: bool = True,
        cacert: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        credentials: Credentials | None = None,
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
            agent, self._pool = agent_of(reactor, CertificateFiles(cert, key, cacert))
        timers = reactor if clock is None else clock
        nodes = EndpointList(endpoints, seconds, first=drawn.randrange(1024))
        patience = Patience(timeout_seconds, deadline_seconds)
        caller = Caller(Wire(agent, timers, credentials), nodes, timers, seconds, drawn.random, patience)
        super().__init__(caller, Sessions(caller) if idempotent else None)

    async def __aenter__(self) -> HraftClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session, the watches and the connections. Leases are not kept alive any more, and end by themselves."""
        if self.caller.is_closed:
            return
        self.caller.let_go()
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
        granted = done(await self.write(Request("POST", "/v1/leases", body=body)), answers.read_lease)
        return Lease(self, granted.lease, granted.ttl_seconds, asked_at)

    async def lease_times(self, lease: int) -> LeaseTimes:
        """How long a lease has to live, and the keys that depend on it. Raises LeaseNotFound."""
        return answers.read_lease(good(await self.caller.call(Request("GET", f"/v1/leases/{lease}"))).body)

    async def leases(self) -> tuple[LeaseListed, ...]:
        """All leases."""
        found: list[LeaseListed] = []
        query: list[Pair] = []
        while True:
            page, following = answers.read_leases(
                good(await self.caller.call(Request("GET", "/v1/leases", query_of(query)))).body
            )
            found += page
            if following is None:
                return tuple(found)
            query = [("after", str(following))]

    async def keep_alive(self, lease: int, within_seconds: float | None = None) -> LeaseTimes:
        """Let a lease live for its whole time again. Raises LeaseNotFound."""
        request = Request("POST", f"/v1/leases/{lease}/keepalive", body=b"")
        return answers.read_lease(good(await self.caller.call(request, self.caller.deadline(within_seconds))).body)

    async def revoke(self, lease: int, within_seconds: float | None = None) -> DeleteResult:
        """End a lease, and take away the keys that depend on it. Raises LeaseNotFound."""
        return done(await self.write(Request("DELETE", f"/v1/leases/{lease}"), within_seconds), answers.read_deleted)

    def lock(self, name: Key, *, ttl_seconds: int = limits.CLIENT_LEASE_TTL_SECONDS) -> Lock:
        """A lock that one holder at a time has, in the order of asking."""
        return Lock(self, name, ttl_seconds)

    def elect(self, name: Key, *, ttl_seconds: int = limits.CLIENT_LEASE_TTL_SECONDS) -> LeaderElection:
        """An office that one candidate at a time has."""
        return LeaderElection(self, name, ttl_seconds)

    # --- the cluster -----------------------------------------------------------------------------

    async def cluster(self, endpoint: str | None = None) -> ClusterView:
        """The members, as some node sees them, or that at `endpoint`."""
        return answers.read_cluster((await self.ask("GET", "/v1/cluster", endpoint=endpoint)).body)

    async def status(self, endpoint: str | None = None) -> dict[str, Any]:
        """How a node is, in hraft's own words (docs/http-api.md): some node, or that at `endpoint`."""
        return answers.read_object((await self.ask("GET", "/v1/status", endpoint=endpoint)).body)

    async def snapshot(self, write: Callable[[bytes], object]) -> None:
        """A consistent backup, from whichever node gives one: `write` is given its bytes, piece by piece (docs/operating.md).

        They are a snapshot file, whose last line has its checksum. Raises Unavailable, also where it broke off in the midst.
        """
        await download(self.caller, "/v1/snapshot", write)

    async def ask(self, method: str, path: str, query: Sequence[Pair] = (), *, endpoint: str | None = None) -> Answer:
        """Make any call that changes nothing, for what has no method here; of one node, where `endpoint` names it."""
        request = Request(method, path, query_of(query))
        if endpoint is None:
            return good(await self.caller.call(request))
        return good(await self.caller.ask_one(parse_endpoint(endpoint), request))
