"""What hostile HTTP clients do, each a coroutine that goes on until it is cancelled. Knows ports, and no verdict."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

#: A key whose value is large, which the readers that do not read ask for.
BIG_KEY = "hostile-big"
HOST = "127.0.0.1"
IDLE_COUNT = 10_000
#: A value of Linux's, of which `socket` has no name: with it, close says nothing to the other end.
_TCP_REPAIR = 19
_SECONDS_BEFORE_AGAIN = 0.2
_PIECE = b"x" * 65536


@dataclass(frozen=True)
class Target:
    """A cluster as its enemies know it. The first port of each is the leader's."""

    http_ports: list[int]
    raft_ports: list[int]
    node_ids: list[str]
    cluster_id: str
    #: What was once said to one of the nodes, connection by connection, in hexadecimal; and to which.
    recorded: list[str] = field(default_factory=list)
    recorded_port: int = 0


@dataclass
class Told:
    """What became of an attack's connections."""

    counts: Counter[str] = field(default_factory=Counter)
    longest_seconds: float = 0.0

    def ended(self, how: str, began: float) -> None:
        """One connection, opened at that time, was ended by the node."""
        self.counts[how] += 1
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)


Attacker = Callable[[Target, Told, int], Awaitable[None]]


async def dial(port: int, told: Told) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Try until there is a connection."""
    while True:
        try:
            connection = await asyncio.open_connection(HOST, port)
        except OSError:
            told.counts["refused"] += 1
            await asyncio.sleep(_SECONDS_BEFORE_AGAIN)
        else:
            told.counts["opened"] += 1
            return connection


async def end_of(reader: asyncio.StreamReader) -> str:
    """How the node ended a connection: the last status that it sent, or `cut`."""
    last = "cut"
    try:
        while data := await reader.read(65536):
            if data.startswith(b"HTTP/1.1 "):
                last = data[9:12].decode()
    except OSError:
        pass
    return last


async def _drip(target: Target, told: Told, head: bytes) -> None:
    """One byte a second, without end."""
    while True:
        reader, writer = await dial(target.http_ports[0], told)
        began = time.monotonic()
        ended = asyncio.ensure_future(end_of(reader))
        writer.write(head)
        while not ended.done():
            writer.write(b"a")
            await asyncio.wait({ended}, timeout=1.0)
        told.ended(await ended, began)
        writer.transport.abort()
        await asyncio.sleep(1.0)


async def slow_headers(target: Target, told: Told, number: int) -> None:
    """A head of which a byte comes each second (slow loris)."""
    await _drip(target, told, b"GET /status HTTP/1.1\r\nHost: h\r\nX-Slow: ")


async def slow_bodies(target: Target, told: Told, number: int) -> None:
    """The same with a body."""
    await _drip(target, told, b"POST /key HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")


async def non_reader(target: Target, told: Told, number: int) -> None:
    """Asks and asks for much, and reads nothing."""
    loop = asyncio.get_running_loop()
    request = f"GET /key/{BIG_KEY} HTTP/1.1\r\nHost: h\r\n\r\n".encode() * 20
    while True:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            began = time.monotonic()
            try:
                await loop.sock_connect(sock, (HOST, target.http_ports[0]))
                told.counts["opened"] += 1
                while True:
                    await loop.sock_sendall(sock, request)
            except OSError:
                told.ended("cut", began)
        await asyncio.sleep(_SECONDS_BEFORE_AGAIN)


async def half_open(target: Target, told: Told, number: int) -> None:
    """Asks for a write, and vanishes without a word before the answer: no FIN, and to what comes later a reset at the best."""
    while True:
        sock = socket.create_connection((HOST, target.http_ports[0]), 5)
        told.counts["opened"] += 1
        body = b'{"hostile-vanished":"yes"}'
        whole = b"POST /key HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        sock.sendall(whole if number % 2 else whole[:-1])
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
        sock.close()
        told.counts["vanished"] += 1
        await asyncio.sleep(1.0)


async def idler(target: Target, told: Told, number: int) -> None:
    """Connects and says nothing; after a while again, when it was turned away."""
    await asyncio.sleep(number / 2000)
    while True:
        reader, writer = await dial(target.http_ports[0], told)
        began = time.monotonic()
        told.ended(await end_of(reader), began)
        writer.transport.abort()
        await asyncio.sleep(30)


async def _repeat(target: Target, told: Told, said: bytes, more: bytes, number: int) -> None:
    """Say it, and more of it as long as the other end listens; hear why not; again."""
    await asyncio.sleep(number / 50)
    while True:
        reader, writer = await dial(target.http_ports[0], told)
        began = time.monotonic()
        ended = asyncio.ensure_future(end_of(reader))
        try:
            writer.write(said)
            for _ in range(40):
                writer.write(more)
                await writer.drain()
        except OSError:
            pass
        told.ended(await ended, began)
        writer.transport.abort()
        await asyncio.sleep(_SECONDS_BEFORE_AGAIN)


async def oversize_headers(target: Target, told: Told, number: int) -> None:
    """One header of 64 KiB, or a thousand headers."""
    many = b"".join(b"X-%d: y\r\n" % place for place in range(1000))
    headers = many if number % 2 else b"X-Long: " + _PIECE
    await _repeat(target, told, b"GET /status HTTP/1.1\r\nHost: h\r\n" + headers, b"y", number)


async def oversize_bodies(target: Target, told: Told, number: int) -> None:
    """Ten gigabytes are announced, or come in chunks unannounced."""
    head = b"POST /key HTTP/1.1\r\nHost: h\r\n"
    if number % 2:
        await _repeat(target, told, head + b"Content-Length: 10000000000\r\n\r\n", _PIECE, number)
    else:
        await _repeat(target, told, head + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + _PIECE + b"\r\n", number)


async def pipeline(target: Target, told: Told, number: int) -> None:
    """Requests without end, of whose answers a few are read each second; every other time such as only twisted.web knows."""
    request = b"GET %b/key/hostile-none HTTP/1.1\r\nHost: h\r\n\r\n" % (b"http://h" if number % 2 else b"") * 100
    while True:
        reader, writer = await dial(target.http_ports[0], told)
        began = time.monotonic()

        async def send(writer: asyncio.StreamWriter = writer) -> None:
            while True:
                writer.write(request)
                await writer.drain()

        sending = asyncio.ensure_future(send())
        try:
            while await reader.read(16384):
                told.counts["pieces of answers"] += 1
                await asyncio.sleep(1.0)
        except OSError:
            pass
        finally:
            sending.cancel()
        told.ended("cut", began)
        writer.transport.abort()


def half_open_objection() -> str | None:
    """Why a client cannot vanish here without a word."""
    try:
        with socket.socket() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
            # Closed in repair mode it would be no different; this shows only that it is permitted.
            struct.unpack("i", sock.getsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 4))
    except OSError as error:
        return f"TCP_REPAIR is not permitted ({error.strerror})"
    return None
