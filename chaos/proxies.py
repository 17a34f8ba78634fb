"""The same where namespaces are not permitted: on loopback, every connection between two nodes goes through a proxy of ours.

A proxy knows who dialled from the hello that the dialler says first. What TCP would do about lost packets it does itself: what is
cut waits, what is lossy now and then stands still for as long as a retransmission takes. It cannot reorder inside a connection.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Coroutine
from typing import Any

from chaos.links import LOSS_PERCENT, Conditions, Place
from chaos.ports import free_ports
from chaos.security import Security, Users
from hraft.limits import PEER_HELLO_BYTES
from hraft.peers.boxes import BoxParser

_PIECE_BYTES = 64 * 1024
_LOOK_SECONDS = 0.01
_RETRANSMISSION_SECONDS = (0.2, 0.6)
_SLOW_DELAY_SECONDS, _SLOW_BYTES_A_SECOND = 0.05, 128 * 1024


class Proxies:
    """A `Network` of TCP proxies, all in one thread of their own."""

    kind = "TCP proxies on loopback"
    security: Security | None = None
    users: Users | None = None

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._conditions = Conditions()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def add(self, name: str) -> Place:
        """A proxy before one more node."""
        http_port, raft_port = free_ports(2)

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await self._carry(name, raft_port, reader, writer)
            finally:
                self._tasks.discard(task)

        server = self._call(asyncio.start_server(accepted, "127.0.0.1", 0))
        told = server.sockets[0].getsockname()[1]
        options = ("--haddr", f"127.0.0.1:{http_port}", "--raddr", f"127.0.0.1:{raft_port}", "--raddr-adv", f"127.0.0.1:{told}")
        return Place(options, (), "127.0.0.1", http_port)

    def apply(self, conditions: Conditions) -> None:
        self._conditions = conditions

    async def _carry(self, target: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from the hello to the end."""
        far: asyncio.StreamWriter | None = None
        try:
            said, source = await self._hello(reader)
            await self._wait_for(source, target)
            far_reader, far = await asyncio.open_connection("127.0.0.1", port)
            far.write(said)
            ways = [self._pipe(source, target, reader, far), self._pipe(target, source, far_reader, writer)]
            # Half a connection is none: AMP has no use for it.
            tasks = [asyncio.ensure_future(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, far):
                if end is not None:
                    end.transport.abort()

    async def _hello(self, reader: asyncio.StreamReader) -> tuple[bytes, str]:
        parser, said = BoxParser(PEER_HELLO_BYTES), b""
        while True:
            piece = await reader.read(_PIECE_BYTES)
            if not piece:
                raise EOFError
            said += piece
            for box in parser.feed(piece):
                return said, box.get(b"node_id", b"").decode("ascii", "replace")

    async def _pipe(self, source: str, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE_BYTES):
                await self._wait_for(source, target)
                if target in self._conditions.lossy and self._chance.randrange(100) < LOSS_PERCENT:
                    await asyncio.sleep(self._chance.uniform(*_RETRANSMISSION_SECONDS))
                if {source, target} & self._conditions.slow:
                    await asyncio.sleep(_SLOW_DELAY_SECONDS + len(piece) / _SLOW_BYTES_A_SECOND)
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass

    async def _wait_for(self, source: str, target: str) -> None:
        while (source, target) in self._conditions.cuts:
            await asyncio.sleep(_LOOK_SECONDS)

    def dial(self, place: Place, seconds: float) -> socket.socket:
        return socket.create_connection((place.http_host, place.http_port), seconds)

    def close(self) -> None:
        if self._thread.is_alive():
            self._call(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    async def _end(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
