"""Looks on: how much memory nodes take, and what is said to one of them. Knows no attacks."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import threading
from collections.abc import Sequence

from chaos.hostile_clients import HOST
from chaos.ports import free_ports
from tests.process.cluster import Node

_RECORDED_BYTES = 256 * 1024
_LOOK_SECONDS = 0.2


def resident_bytes(node: Node) -> int:
    """What its process has in memory; 0 where that cannot be told."""
    assert node.process is not None
    try:
        with open(f"/proc/{node.process.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


class Memory:
    """Looks all the time how much memory nodes have at the most."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self.before = {node.name: resident_bytes(node) for node in nodes}
        self.most = dict(self.before)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._is_over.wait(_LOOK_SECONDS):
            for node in self._nodes:
                self.most[node.name] = max(self.most[node.name], resident_bytes(node))

    def growth(self) -> int:
        """The growth of the node that grew most, in bytes. Ends the looking."""
        self._is_over.set()
        self._thread.join()
        return max(self.most[name] - self.before[name] for name in self.before)


class Recorder:
    """Stands before a node's raft port and keeps what its peers say to it."""

    def __init__(self) -> None:
        self.port, self._node_port = free_ports(1)[0], 0
        self.said: list[bytearray] = []
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop.run_until_complete(asyncio.start_server(self._accepted, HOST, self.port))
        self._thread = threading.Thread(target=self._loop.run_forever, name="recorder", daemon=True)
        self._thread.start()

    def stand_before(self, node: Node) -> None:
        """Where to pass on what comes."""
        self._node_port = node.raft_port

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Of a task that is cancelled asyncio's server would log a traceback.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            far_reader, far = await asyncio.open_connection(HOST, self._node_port)
            said = bytearray()
            self.said.append(said)
            await asyncio.gather(self._pass_on(reader, far, said), self._pass_on(far_reader, writer, None))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytearray | None) -> None:
        try:
            while data := await reader.read(65536):
                if said is not None and len(said) < _RECORDED_BYTES:
                    said += data
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    def close(self) -> None:
        """With all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
        self._loop.close()
