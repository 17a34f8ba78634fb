"""Is one client among many starved? wrk tells of all together; this tells of each.

Every client sends its next write when it has its answer. Slower than wrk, for each client is looked at in Python.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Fairness:
    """Answers of the client that got fewest, and of the one in the middle; and the longest that any had to wait."""

    clients: int
    fewest_count: int
    median_count: float
    longest_ms: float

    def __str__(self) -> str:
        share = self.fewest_count / self.median_count if self.median_count else 0.0
        return (
            f"the slowest of {self.clients} clients got {self.fewest_count} answers, the median one {self.median_count:.0f} "
            f"({share:.2f} of it); nobody waited longer than {self.longest_ms:.0f} ms"
        )


class _Client:
    def __init__(self, port: int, request_line: str, body: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answers_count = 0
        self.longest_seconds = 0.0
        self._request = f"{request_line} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        self._asked_at = 0.0

    def ask(self) -> None:
        self._asked_at = time.perf_counter()
        self.socket.sendall(self._request)

    def heard(self) -> None:
        """One answer: those to a write are short, and come in one piece."""
        answer = self.socket.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"an answer other than 200 makes the figure worthless: {answer[:200]!r}")
        self.longest_seconds = max(self.longest_seconds, time.perf_counter() - self._asked_at)
        self.answers_count += 1


def fairness(port: int, request_line: str, body: str, clients_count: int, seconds: float) -> Fairness:
    """Let so many clients ask the same for so long; `request_line` is method and path."""
    clients = [_Client(port, request_line, body) for _ in range(clients_count)]
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask()
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            for key, _ in selector.select(1.0):
                key.data.heard()
                key.data.ask()
    for client in clients:
        client.socket.close()
    counts = [client.answers_count for client in clients]
    longest_seconds = max(client.longest_seconds for client in clients)
    return Fairness(clients_count, min(counts), statistics.median(counts), 1000 * longest_seconds)
