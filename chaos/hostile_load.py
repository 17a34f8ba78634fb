"""Writers that are not hostile: how fast they are served, for how long they are not, and what they were promised."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.hostile_clients import HOST
from tests.process.cluster import Node

_SECONDS_BEFORE_AGAIN = 0.05
_LOOK_SECONDS = 0.05
#: Longer than a node may take for any answer.
_ANSWER_SECONDS = 30.0


@dataclass
class Figures:
    """What the writers of one stretch of time were told."""

    seconds: float
    times: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    longest_gap_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Acknowledged writes."""
        return len(self.times) / self.seconds

    @property
    def p99_ms(self) -> float:
        """Of the acknowledged ones."""
        return 1000 * sorted(self.times)[int(0.99 * len(self.times))] if self.times else float("inf")


class Load:
    """So many clients, each of which writes its own key with rising numbers, `ahead` at a time; in a thread of its own."""

    def __init__(self, node: Node, clients: int, name: str, ahead: int = 1, padding_bytes: int = 0) -> None:
        self._port = node.http_port
        self._name = name
        self._ahead = ahead
        self._padding = "x" * padding_bytes
        self.sent = [0] * clients
        self.acknowledged = [0] * clients
        self.bytes_count = 0
        self._figures = Figures(0.0)
        self._last_at = time.monotonic()
        self._is_over = False
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._tasks = [self._loop.create_task(self._write(number)) for number in range(clients)]
        self._thread = threading.Thread(target=self._loop.run_forever, name="load", daemon=True)
        self._thread.start()

    def key(self, number: int) -> str:
        """The key of a client."""
        return f"{self._name}-{number}"

    def measure(self, seconds: float, is_enough: Callable[[], bool] = lambda: False) -> Figures:
        """What happens from now on for so long, or until it is enough, but for a second at least."""
        with self._lock:
            figures = self._figures = Figures(seconds)
            self._last_at = began = time.monotonic()
        while time.monotonic() < began + seconds and not (time.monotonic() > began + 1.0 and is_enough()):
            time.sleep(_LOOK_SECONDS)
        with self._lock:
            figures.seconds = time.monotonic() - began
            self._note_gap()
            self._figures = Figures(0.0)
        return figures

    def lost(self, node: Node) -> list[str]:
        """Keys of which a write was acknowledged that this node, asked for what is certain, does not have."""
        found = []
        for number, acknowledged in enumerate(self.acknowledged):
            if acknowledged:
                told = node.ask("GET", f"/key/{self.key(number)}?level=linearizable").json()[self.key(number)]
                if not acknowledged <= int(told.partition(" ")[0] or 0) <= self.sent[number]:
                    found.append(f"{self.key(number)}: {acknowledged} was acknowledged, and {told[:20]!r} is there")
        return found

    def close(self) -> None:
        """Stop writing; what was sent and not answered may be done. Harmless twice."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(60)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    async def _end(self) -> None:
        # Before Python 3.12 `wait_for` may forget that it was cancelled.
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note_gap(self) -> None:
        now = time.monotonic()
        self._figures.longest_gap_seconds = max(self._figures.longest_gap_seconds, now - self._last_at)
        self._last_at = now

    async def _write(self, number: int) -> None:
        while not self._is_over:
            try:
                reader, writer = await asyncio.open_connection(HOST, self._port)
            except OSError:
                self._figures.outcomes["no connection"] += 1
                await asyncio.sleep(_SECONDS_BEFORE_AGAIN)
                continue
            try:
                while await self._exchange(number, reader, writer) and not self._is_over:
                    pass
            except (OSError, EOFError, asyncio.TimeoutError):
                self._figures.outcomes["no answer"] += 1
            finally:
                writer.transport.abort()
            await asyncio.sleep(_SECONDS_BEFORE_AGAIN)

    async def _exchange(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Some writes and their answers; whether the connection is good for more."""
        first = self.sent[number] + 1
        self.sent[number] += self._ahead
        began = time.perf_counter()
        for serial in range(first, first + self._ahead):
            body = f'{{"{self.key(number)}":"{serial} {self._padding}"}}'.encode()
            writer.write(b"POST /key HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            self.bytes_count += len(body)
        is_open = True
        for serial in range(first, first + self._ahead):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _ANSWER_SECONDS)
            lower = head.lower()
            length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            await reader.readexactly(length)
            is_open = is_open and b"connection: close" not in lower
            status = head[9:12].decode()
            with self._lock:
                self._figures.outcomes[status] += 1
                if status == "200":
                    self.acknowledged[number] = max(self.acknowledged[number], serial)
                    self._figures.times.append(time.perf_counter() - began)
                    self._note_gap()
        if not is_open or status != "200":
            await asyncio.sleep(_SECONDS_BEFORE_AGAIN)
        return is_open
