"""A cluster in memory that speaks /v1 to a client's agent: the real store, nodes that go down, and answers that get lost.

All nodes share one store; one of them leads. Faults wait in `faults`, one for each request to come.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web._newclient import ResponseNeverReceived
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from hraft.kv import commands, results
from hraft.kv.bounds import DEFAULTS, StoreLimits
from hraft.kv.records import KeyValue, Record
from hraft.kv.store import KeyValueStore
from hraft.kv.transactions import Compare, DeleteRange, GetRange, Put, Transaction, prefix_end

REFUSALS = {"lease_not_found": 404, "too_many_leases": 429, "session_expired": 409, "serial_expired": 409}


@dataclass
class Asked:
    """One request, as it came to a node."""

    node: str
    method: str
    path: str
    query: dict[str, bytes]
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str | None:
        return self.headers.get("idempotency-key")


Fault = Callable[[Asked], "Deferred[Any] | None"]


class Pausable(StringTransport):
    """Knows whether its sender is to wait."""

    is_paused = False
    lost: Callable[[], None] = staticmethod(lambda: None)

    def pauseProducing(self) -> None:
        self.is_paused = True

    def resumeProducing(self) -> None:
        self.is_paused = False

    def loseConnection(self) -> None:
        self.lost()


@implementer(IResponse)
class Response:
    """An answer; with `stream` its body goes on."""

    def __init__(
        self, code: int, document: Any = None, headers: dict[str, str] | None = None, stream: Stream | None = None
    ) -> None:
        self.code = code
        self.headers = Headers({name: [value] for name, value in (headers or {}).items()})
        self.body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.stream = stream

    def deliverBody(self, protocol: Any) -> None:
        if self.stream is not None:
            self.stream.begin(protocol)
            return
        protocol.makeConnection(Pausable())
        protocol.dataReceived(self.body)
        protocol.connectionLost(Failure(ResponseDone()))


@dataclass
class Stream:
    """A watch that is being answered."""

    cluster: FakeCluster
    node: str
    start: bytes
    end: bytes | None
    since: int
    wants_previous: bool
    transport: Pausable = field(default_factory=Pausable)
    protocol: Any = None

    def begin(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport.lost = self.end_now
        protocol.makeConnection(self.transport)
        self.cluster.streams.append(self)
        self.send({"type": "progress", "revision": self.since})
        self.go_on()

    def send(self, message: dict[str, Any]) -> None:
        if self.protocol is not None:
            self.protocol.dataReceived(json.dumps(message).encode() + b"\n")

    def go_on(self) -> None:
        for change in list(self.cluster.store.changes_after(self.since)):
            if self.transport.is_paused or self.protocol is None:
                return
            self.since = change.revision
            events = [self._event(event) for event in change.events if _is_in(event.key, self.start, self.end)]
            if events:
                self.send({"type": "change", "revision": change.revision, "events": events})

    def _event(self, event: Any) -> dict[str, Any]:
        if event.record is None:
            shown = {"type": "delete", **named("key", event.key), "mod_revision": event.revision}
        else:
            shown = {"type": "put", **shown_record(event.key, event.record)}
        if self.wants_previous:
            shown["prev"] = event.previous and shown_record(event.key, event.previous)
        return shown

    def end_now(self, reason: Exception | None = None) -> None:
        protocol, self.protocol = self.protocol, None
        if self in self.cluster.streams:
            self.cluster.streams.remove(self)
        if protocol is not None:
            protocol.connectionLost(Failure(reason or ConnectionDone()))


@implementer(IAgent)
class FakeCluster:
    """Give it to a client as its agent. `leader` is an index, or None while there is none."""

    def __init__(self, count: int = 3, store_limits: StoreLimits = DEFAULTS) -> None:
        self.clock = Clock()
        self.store = KeyValueStore(store_limits)
        self.nodes = [f"http://node{number}:11000" for number in range(count)]
        self.down: set[str] = set()
        self.leader: int | None = 0
        self.knows_addresses = True
        self.faults: deque[Fault] = deque()
        self.asked: list[Asked] = []
        self.streams: list[Stream] = []
        self.deadlines: dict[int, float] = {}
        self.index = 0

    @property
    def endpoints(self) -> str:
        return ",".join(self.nodes)

    def apply(self, command: Any) -> Any:
        """One committed entry."""
        self.index += 1
        result = self.store.apply(self.index, commands.encode_command(command))
        for stream in list(self.streams):
            stream.go_on()
        return result

    def advance(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass, for the client and for leases."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            overdue = tuple(lease for lease, deadline in self.deadlines.items() if deadline <= self.clock.seconds())
            for lease in overdue:
                del self.deadlines[lease]
            if overdue:
                self.apply(commands.ExpireLeases(overdue))

    def kill(self, number: int) -> None:
        """A node goes down, and its watches break."""
        self.down.add(self.nodes[number])
        for stream in [each for each in self.streams if each.node == self.nodes[number]]:
            stream.end_now(ConnectionLost())

    # --- faults ----------------------------------------------------------------------------------

    def lose_answer(self, asked: Asked) -> Deferred[Any]:
        """It is done, and nobody is told."""
        self.answer(asked)
        return fail(ResponseNeverReceived([Failure(ConnectionLost())]))

    def lose_request(self, asked: Asked) -> Deferred[Any]:
        """It was sent, and not done."""
        return fail(ResponseNeverReceived([Failure(ConnectionLost())]))

    def hang(self, asked: Asked) -> Deferred[Any]:
        """It is done, and no answer comes until the client loses patience."""
        self.answer(asked)
        return Deferred(lambda it: it.errback(ResponseNeverReceived([Failure(CancelledError())])))

    def passed(self, asked: Asked) -> None:
        """No fault."""

    def say(self, status: int, code: str, outcome: str | None = None, **more: Any) -> Fault:
        """A problem in place of an answer."""
        members = {"code": code, "detail": f"told to say {code}", **({"outcome": outcome} if outcome else {}), **more}
        return lambda asked: succeed(Response(status, members))

    # --- requests --------------------------------------------------------------------------------

    def request(self, method: bytes, uri: bytes, headers: Headers | None = None, body_producer: Any = None) -> Deferred[Any]:
        url = urlsplit(uri.decode("ascii"))
        query = {
            name: unquote_to_bytes(value) for name, _, value in (part.partition("=") for part in url.query.split("&") if part)
        }
        sent = {name.decode().lower(): values[-1].decode() for name, values in (headers or Headers()).getAllRawHeaders()}
        taken = StringTransport()
        if body_producer is not None:
            body_producer.startProducing(taken)
        asked = Asked(f"{url.scheme}://{url.netloc}", method.decode(), url.path, query, sent, taken.value())
        if asked.node in self.down or asked.node not in self.nodes:
            return fail(ConnectError(string="refused"))
        self.asked.append(asked)
        fault = self.faults.popleft()(asked) if self.faults else None
        return succeed(self.answer(asked)) if fault is None else fault

    def answer(self, asked: Asked) -> Response:
        """What a sound node would say."""
        is_write = asked.method in ("PUT", "DELETE") or (asked.path in ("/v1/txn", "/v1/leases") and asked.method == "POST")
        if self.leader is None:
            return self._problem(503, "no_leader", **({"outcome": "not done"} if is_write else {}))
        leader = self.nodes[self.leader]
        if is_write and "redirect" in asked.query and asked.node != leader:
            if not self.knows_addresses:
                return self._problem(421, "not_leader", outcome="not done")
            return Response(307, {}, {"Location": f"{leader}{asked.path}?redirect"})
        answer = self._route(asked)
        answer.headers.setRawHeaders("X-Hraft-Revision", [str(self.store.revision)])
        return answer

    def _route(self, asked: Asked) -> Response:
        path = asked.path
        if path.startswith("/v1/kv/"):
            key = unquote_to_bytes(path[len("/v1/kv/") :])
            return {"GET": self._get, "PUT": self._put, "DELETE": self._delete}[asked.method](asked, key)
        if path == "/v1/kv":
            return self._range(asked)
        if path == "/v1/txn":
            return self._transact(asked)
        if path == "/v1/watch":
            return self._watch(asked)
        if path == "/v1/cluster":
            members = [
                {"id": f"node{n}", "raft_address": f"node{n}:1", "http_address": url[7:], "voter": True}
                for n, url in enumerate(self.nodes)
            ]
            return Response(200, {"cluster_id": "c1", "term": 3, "leader": members[self.leader or 0], "members": members})
        if path == "/v1/status":
            return Response(200, {"me": asked.node, "revision": self.store.revision})
        if path == "/v1/sessions":
            return Response(201, {"client": str(self.apply(commands.OpenSession()).client)})
        if path.startswith("/v1/sessions/"):
            self.apply(commands.CloseSession(int(path.rpartition("/")[2])))
            return Response(200, {})
        return self._lease(asked)

    def _once(self, asked: Asked, command: Any) -> Any:
        if asked.key is not None:
            client, serial = map(int, asked.key.split("/"))
            command = commands.Once(client, serial, command)
        return self.apply(command)

    def _problem(self, status: int, code: str, **more: Any) -> Response:
        return Response(status, {"code": code, "detail": code.replace("_", " "), **more})

    def _refused(self, result: results.NotDone) -> Response:
        return self._problem(REFUSALS.get(result.code, 422), result.code)

    def _get(self, asked: Asked, key: bytes) -> Response:
        record = self.store.get(key)
        return self._problem(404, "key_not_found") if record is None else Response(200, shown_record(key, record))

    def _put(self, asked: Asked, key: bytes) -> Response:
        compare = condition(asked, key)
        put = Put(key, asked.body, int(asked.query.get("lease", b"0")), "prev" in asked.query)
        done = self._once(asked, Transaction(compare, (put,), (GetRange(key),)))
        if isinstance(done, results.NotDone):
            return self._refused(done)
        if not done.succeeded:
            pairs = done.results[0].pairs
            return self._problem(412, "condition_failed", current=shown_pair(pairs[0]) if pairs else None)
        record = done.results[0].record
        shown = {
            **named("key", key),
            "revision": done.revision,
            "create_revision": record.create_revision,
            "version": record.version,
        }
        previous = {"prev": done.results[0].previous and shown_pair(done.results[0].previous)} if "prev" in asked.query else {}
        return Response(200, {**shown, "lease": record.lease or None, **previous})

    def _delete(self, asked: Asked, key: bytes) -> Response:
        done = self._once(asked, Transaction(condition(asked, key), (DeleteRange(key, None, True),), (GetRange(key),)))
        if isinstance(done, results.NotDone):
            return self._refused(done)
        if not done.succeeded:
            pairs = done.results[0].pairs
            return self._problem(412, "condition_failed", current=shown_pair(pairs[0]) if pairs else None)
        if not done.results[0].deleted_count:
            return self._problem(404, "key_not_found")
        return Response(200, {"deleted": 1, "revision": done.revision, "prev": shown_pair(done.results[0].previous[0])})

    def _range(self, asked: Asked) -> Response:
        start, end = bounds(asked.query)
        if asked.method == "DELETE":
            done = self._once(asked, Transaction((), (DeleteRange(start, end),), ()))
            return Response(200, {"deleted": done.results[0].deleted_count, "revision": done.revision})
        count = self.store.count(start, end or None)
        first = asked.query["after"] + b"\0" if "after" in asked.query else start
        limit = int(asked.query.get("limit", b"3"))
        found = [] if "count_only" in asked.query else self.store.range(first, end or None, limit + 1)
        more = named("next", found[limit - 1][0]) if len(found) > limit else {"next": None}
        keys_only = "keys_only" in asked.query
        shown = [shown_record(key, record, keys_only) for key, record in found[:limit]]
        headers = {"X-Hraft-Age-Ms": "1500"} if asked.query.get("level") == b"stale" else {}
        return Response(200, {"kvs": shown, "count": count, "revision": self.store.revision, **more}, headers)

    def _transact(self, asked: Asked) -> Response:
        document = json.loads(asked.body)
        compare = tuple(
            Compare(
                plain("key", each),
                each["target"],
                each["op"],
                plain("value", each) if each["target"] == "value" else each[each["target"]],
            )
            for each in document["compare"]
        )
        branches = [tuple(operation(each) for each in document[name]) for name in ("then", "else")]
        done = self._once(asked, Transaction(compare, *branches))
        if isinstance(done, results.NotDone):
            return self._refused(done)
        shown = []
        for result in done.results:
            if isinstance(result, results.PutDone):
                shown.append({"put": shown_record(b"?", result.record, True)})
            elif isinstance(result, results.DeleteDone):
                shown.append(
                    {"delete": {"deleted": result.deleted_count, "prevs": [shown_pair(each) for each in result.previous]}}
                )
            else:
                shown.append({"get": {"kvs": [shown_pair(each) for each in result.pairs], "count": result.count}})
        return Response(200, {"succeeded": done.succeeded, "revision": done.revision, "results": shown})

    def _lease(self, asked: Asked) -> Response:
        parts = asked.path.split("/")[3:]
        if not parts:
            if asked.method == "GET":
                after = self.store.leases_after(int(asked.query.get("after", b"0")))
                ids = after[:2]
                listed = [{"id": lease, "ttl": 9, "keys_count": 0} for lease in ids]
                return Response(200, {"leases": listed, "next": ids[-1] if len(after) > 2 else None})
            granted = self._once(asked, commands.GrantLease(json.loads(asked.body)["ttl"]))
            if isinstance(granted, results.NotDone):
                return self._refused(granted)
            self.deadlines[granted.lease] = self.clock.seconds() + granted.ttl_seconds
            return Response(201, {"id": granted.lease, "ttl": granted.ttl_seconds})
        number = int(parts[0])
        lease = self.store.lease(number)
        if asked.method == "DELETE":
            self.deadlines.pop(number, None)
            ended = self._once(asked, commands.RevokeLease(number))
            if isinstance(ended, results.NotDone):
                return self._refused(ended)
            return Response(200, {"deleted": ended.deleted_count, "revision": ended.revision})
        if lease is None:
            return self._problem(404, "lease_not_found")
        if parts[1:] == ["keepalive"]:
            self.deadlines[number] = self.clock.seconds() + lease.ttl_seconds
        remaining = self.deadlines[number] - self.clock.seconds()
        keys = [key.decode() if key.isascii() else {"base64": base64.b64encode(key).decode()} for key in lease.keys]
        return Response(200, {"id": number, "ttl": lease.ttl_seconds, "remaining": remaining, "keys": keys})

    def _watch(self, asked: Asked) -> Response:
        since = int(asked.query.get("since", str(self.store.revision).encode()))
        if since < self.store.oldest_revision:
            return self._problem(410, "compacted", oldest_revision=self.store.oldest_revision)
        start, end = bounds(asked.query)
        stream = Stream(self, asked.node, start, end, since, "prev" in asked.query)
        return Response(200, b"", stream=stream)


def named(name: str, value: bytes) -> dict[str, Any]:
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}


def plain(name: str, document: dict[str, Any]) -> bytes:
    return document[name].encode() if name in document else base64.b64decode(document[f"{name}_base64"])


def shown_record(key: bytes, record: Record, keys_only: bool = False) -> dict[str, Any]:
    numbers = {"create_revision": record.create_revision, "mod_revision": record.mod_revision, "version": record.version}
    return {**named("key", key), **({} if keys_only else named("value", record.value)), **numbers, "lease": record.lease or None}


def shown_pair(pair: KeyValue) -> dict[str, Any]:
    return shown_record(pair.key, pair.record)


def condition(asked: Asked, key: bytes) -> tuple[Compare, ...]:
    if asked.headers.get("if-none-match") == "*":
        return (Compare(key, "version", "=", 0),)
    if "if-match" in asked.headers:
        return (Compare(key, "mod_revision", "=", int(asked.headers["if-match"].strip('"'))),)
    return ()


def bounds(query: dict[str, bytes]) -> tuple[bytes, bytes | None]:
    """None as an end: the one key."""
    if "key" in query:
        return query["key"], None
    if "prefix" in query:
        return query["prefix"], prefix_end(query["prefix"])
    return query.get("start", b""), query.get("end", b"")


def operation(document: dict[str, Any]) -> Any:
    [(kind, body)] = document.items()
    if kind == "put":
        return Put(plain("key", body), plain("value", body), body.get("lease", 0), body.get("prev", False))
    if "prefix" in body:
        start, end = plain("prefix", body), prefix_end(plain("prefix", body))
    elif "key" in body or "key_base64" in body:
        start, end = plain("key", body), None
    else:
        start, end = plain("start", body), plain("end", body) if "end" in body else b""
    if kind == "delete":
        return DeleteRange(start, end, body.get("prev", False))
    return GetRange(start, end, body.get("limit"), body.get("keys_only", False))


def _is_in(key: bytes, start: bytes, end: bytes | None) -> bool:
    return key == start if end is None else start <= key and (end == b"" or key < end)
