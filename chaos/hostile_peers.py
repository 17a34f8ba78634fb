"""What strangers and liars do on the raft port, each a coroutine that goes on until it is cancelled. Knows no verdict.

A liar knows the cluster's id and nodes' names, as whoever listens on the network does. None speaks Raft of its own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

from chaos.hostile_clients import Target, Told, dial, end_of
from hraft.interfaces import PeerIdentity
from hraft.peers.boxes import serialized
from hraft.peers.dialled import HELLO_SAID
from hraft.peers.hello import Purpose, hello_of

_SECONDS_BEFORE_AGAIN = 0.2
_VALUE = b"v" * 65535
_PING = serialized({b"_command": b"Ping", b"_ask": b"2"})


def _hello(cluster_id: str, node_id: str, to: str = "") -> bytes:
    said = hello_of(PeerIdentity(cluster_id, node_id, "127.0.0.1:1"), to, Purpose.MESSAGES)
    return serialized({b"_command": b"Hello", b"_ask": b"1", **HELLO_SAID.strings(said)})


async def _says(target: Target, told: Told, pieces: AsyncIterator[bytes], port: int = 0) -> None:
    """One connection: write the pieces for as long as the node takes them, and wait until it hangs up."""
    reader, writer = await dial(port or random.choice(target.raft_ports), told)
    began = time.monotonic()
    ended = asyncio.ensure_future(end_of(reader))
    try:
        async for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if ended.done():
                break
    except OSError:
        pass
    told.ended(await ended, began)
    writer.transport.abort()
    await asyncio.sleep(_SECONDS_BEFORE_AGAIN)


async def garbage(target: Target, told: Told, number: int) -> None:
    """Random bytes; every other time such as may be AMP's."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"\0" * (number % 2) + random.randbytes(random.randrange(1, 4096))

    while True:
        await _says(target, told, pieces())


async def wrong_cluster(target: Target, told: Told, number: int) -> None:
    """A node of another cluster, under the names of this one's."""

    async def pieces() -> AsyncIterator[bytes]:
        yield _hello("another-cluster", target.node_ids[number % len(target.node_ids)])

    while True:
        await _says(target, told, pieces())


async def endless_frames(target: Target, told: Told, number: int) -> None:
    """A box that never ends; every other time after a hello that is in order."""

    async def pieces() -> AsyncIterator[bytes]:
        if number % 2:
            yield _hello(target.cluster_id, f"liar{number}")
        for place in range(1000):
            key = b"key%d" % place
            yield len(key).to_bytes(2, "big") + key + len(_VALUE).to_bytes(2, "big") + _VALUE

    while True:
        await _says(target, told, pieces())


async def replay(target: Target, told: Told, number: int) -> None:
    """Word for word what was once said to a node by its peers, hellos and all, many times over."""
    recorded = bytes.fromhex(target.recorded[number % len(target.recorded)])

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(recorded), 65536):
            yield recorded[start : start + 65536]
            await asyncio.sleep(0.02)

    while True:
        await _says(target, told, pieces(), target.recorded_port)


async def silent_peer(target: Target, told: Told, number: int) -> None:
    """Connects and says nothing, not even hello."""
    while True:
        reader, writer = await dial(target.raft_ports[number % len(target.raft_ports)], told)
        began = time.monotonic()
        told.ended(await end_of(reader), began)
        writer.transport.abort()
        await asyncio.sleep(_SECONDS_BEFORE_AGAIN)


async def non_reading_peer(target: Target, told: Told, number: int) -> None:
    """Says hello as is right, asks and asks, and reads no answer."""
    while True:
        reader, writer = await dial(target.raft_ports[0], told)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        began = time.monotonic()
        try:
            writer.write(_hello(target.cluster_id, f"deaf{number}"))
            while True:
                writer.write(_PING * 50)
                await writer.drain()
                await asyncio.sleep(0.05)
        except OSError:
            pass
        told.ended("cut", began)
        writer.transport.abort()
