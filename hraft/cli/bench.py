"""bench: how fast a cluster is, from where this runs. Writes keys below a prefix of its own, and deletes them afterwards.

Plain sockets, since a client that follows leaders and repeats itself would measure itself.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import monotonic
from typing import Any
from urllib.parse import quote

import click
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import connectProtocol
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from hraft.addresses import url_of
from hraft.cli.session import Session, pass_session
from hraft.client import HraftClient, Unavailable
from hraft.client.dialling import Dialling
from hraft.credentials import Credentials

PREFIX = "hraft-bench/"


class Asker(Protocol):
    """One connection that asks one thing after the other. Reads no more of an answer than where it ends."""

    def __init__(self, request: Callable[[], bytes], seconds: Callable[[], float], until: float) -> None:
        self._request = request
        self._seconds = seconds
        self._until = until
        self._unread = b""
        self._asked_at = 0.0
        self.latencies_seconds: list[float] = []
        self.failed_count = 0
        self.done: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self._ask()

    def _ask(self) -> None:
        assert self.transport is not None
        self._asked_at = self._seconds()
        self.transport.write(self._request())

    def dataReceived(self, data: bytes) -> None:
        self._unread += data
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._unread[:end].lower()
        found = head.find(b"content-length:")
        body_bytes = 0 if found < 0 else int(head[found + 15 :].split(b"\r\n", 1)[0])
        if len(self._unread) < end + 4 + body_bytes:
            return
        self._unread = self._unread[end + 4 + body_bytes :]
        self.latencies_seconds.append(self._seconds() - self._asked_at)
        self.failed_count += not head.startswith(b"http/1.1 2")
        if self._seconds() < self._until:
            self._ask()
        else:
            assert self.transport is not None
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._seconds() < self._until:
            self.failed_count += 1
        self.done.callback(None)


@click.command()
@click.option("--seconds", type=click.FloatRange(min=0.5, max=3600), default=5.0, show_default=True)
@click.option("--clients", type=click.IntRange(min=1, max=1000), default=16, show_default=True)
@click.option("--reads", is_flag=True, help="Linearizable reads, and not writes.")
@click.option("--value-bytes", type=click.IntRange(min=0, max=100_000), default=32, show_default=True)
@click.option("--keys", "keys_count", type=click.IntRange(min=1, max=20_000), default=1_000, show_default=True)
@pass_session
def bench(session: Session, seconds: float, clients: int, reads: bool, value_bytes: int, keys_count: int) -> None:
    """Measure how many requests a second the cluster's leader answers to this program. It uses keys below hraft-bench/ only."""

    async def body(client: HraftClient) -> tuple[list[float], int]:
        from twisted.internet import reactor

        view = await client.cluster()
        leader = next((member for member in view.members if member.is_leader and member.http_address), None)
        if leader is None:
            raise Unavailable("no leader is known, or it has not said its HTTP address")
        await client.put(f"{PREFIX}0", "x" * value_bytes)
        try:
            url = url_of(leader.http_address or "")
            client.caller.check_safe(url)
            request = requests(reads, value_bytes, keys_count, client.caller.wire.credentials)
            return await _measure(reactor, Dialling(reactor, session.files).endpoint(url), seconds, clients, request)
        finally:
            await client.delete_prefix(PREFIX)

    latencies, failed_count = session.run(body)
    _print(session, latencies, failed_count, seconds)
    if failed_count:
        raise SystemExit(5)


def requests(reads: bool, value_bytes: int, keys_count: int, credentials: Credentials | None = None) -> Callable[[], bytes]:
    """What makes the next request."""
    number = 0
    value = b"x" * value_bytes
    headers = b"Host: hraft\r\n"
    if credentials is not None:
        headers += b"Authorization: %b\r\n" % credentials.authorization.encode("ascii")

    def request() -> bytes:
        nonlocal number
        number += 1
        path = quote(f"/v1/kv/{PREFIX}{0 if reads else number % keys_count}").encode()
        if reads:
            return b"GET %b HTTP/1.1\r\n%b\r\n" % (path, headers)
        return b"PUT %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (path, headers, len(value), value)

    return request


async def _measure(
    reactor: Any, endpoint: IStreamClientEndpoint, seconds: float, clients: int, request: Callable[[], bytes]
) -> tuple[list[float], int]:
    until = monotonic() + seconds
    askers = [Asker(request, monotonic, until) for _ in range(clients)]
    await DeferredList([connectProtocol(endpoint, asker) for asker in askers], fireOnOneErrback=True)
    await DeferredList([asker.done for asker in askers])
    latencies = sorted(latency for asker in askers for latency in asker.latencies_seconds)
    return latencies, sum(asker.failed_count for asker in askers)


def _print(session: Session, latencies: list[float], failed_count: int, seconds: float) -> None:
    fields = {
        "requests_per_second": round(len(latencies) / seconds, 1),
        "median_ms": round(1000 * statistics.median(latencies), 3) if latencies else None,
        "p99_ms": round(1000 * latencies[int(0.99 * len(latencies))], 3) if latencies else None,
        "max_ms": round(1000 * latencies[-1], 3) if latencies else None,
        "failed": failed_count,
    }
    if session.printing.is_json:
        session.printing.document(fields)
        return
    for name, value in fields.items():
        session.printing.line(f"{name.replace('_', ' ')}\t{value}")
