"""Threads that ask the cluster and write down what they were told: the evidence.

Keys change every few seconds, so that however long a run is each part of its history is judged in moments.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chaos.nodes import Connection, Node, Reply
from hraft.simulation.history import History, Kind, seen

CLIENTS_COUNT = 6
KEYS_COUNT = 5
EPOCH_SECONDS = 10.0
#: Long waits too, so that some ask a node before it is stopped and hear from it when it wakes up.
TIMEOUTS_SECONDS = (0.3, 1.0, 5.0)
PAUSE_SECONDS = (0.005, 0.03)
#: Who was refused waits a little, or a node that is down would be asked all the time.
REFUSED_SECONDS = 0.05
#: One write in so many also sets a key that is never written again.
WRITES_PER_KEPT_KEY = 8
KEPT_KEYS_COUNT = 5000


@dataclass
class Epoch:
    """The keys of some seconds, and all that was asked of them."""

    number: int
    history: History = field(default_factory=lambda: History(time.monotonic_ns))

    @property
    def keys(self) -> list[str]:
        """Few, so that operations meet."""
        return [f"epoch{self.number}-key{place}" for place in range(KEYS_COUNT)]


class Record:
    """All that the clients of a run were told. Used from many threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.epochs = [Epoch(0)]
        #: Acknowledged, and never written again.
        self.kept: dict[str, str] = {}
        self.outcomes: Counter[str] = Counter()
        self.surprises: list[str] = []
        self.longest_gap_seconds = 0.0
        self._last_write_at: float | None = None

    def begin_epoch(self) -> None:
        """From now on other keys."""
        with self.lock:
            self.epochs.append(Epoch(len(self.epochs)))

    def invoke(self, client: str, kind: Kind, key: str, value: str | None, epoch: Epoch) -> int:
        """Just before the request is sent."""
        with self.lock:
            return epoch.history.invoke(client, kind, key, values=() if value is None else (value,))

    def close(self, epoch: Epoch, token: int, outcome: str, answer: Reply | None, key: str, is_read: bool) -> None:
        """Just after the answer came, or did not."""
        with self.lock:
            self.outcomes[outcome] += 1
            if outcome == "ok" and is_read:
                assert answer is not None
                is_there = answer.headers.get("x-hraft-exists") == "true"
                epoch.history.done(token, seen(answer.json()[key] if is_there else None))
            elif outcome == "ok":
                epoch.history.done(token)
                self._written()
            elif outcome == "not done":
                epoch.history.not_done(token)
            else:
                epoch.history.unknown(token)

    def _written(self) -> None:
        now = time.monotonic()
        if self._last_write_at is not None:
            self.longest_gap_seconds = max(self.longest_gap_seconds, now - self._last_write_at)
        self._last_write_at = now


class Client(threading.Thread):
    """Asks one thing after the other, mostly whom it takes for the leader, until told to stop."""

    def __init__(self, name: str, record: Record, nodes: Callable[[], Sequence[Node]], seed: str) -> None:
        super().__init__(name=name, daemon=True)
        self._record = record
        self._nodes = nodes
        self._chance = random.Random(seed)
        self._is_over = threading.Event()
        self._connections: dict[str, Connection] = {}
        self._leader: Node | None = None
        self._serial = 0

    def stop(self) -> None:
        """What is under way is still waited for."""
        self._is_over.set()

    def run(self) -> None:
        """Whatever goes wrong here is a defect of the run, and must not look like peace."""
        try:
            pause_seconds = 0.0
            while not self._is_over.wait(pause_seconds):
                is_ok = self._operate()
                pause_seconds = self._chance.uniform(*PAUSE_SECONDS) + (0.0 if is_ok else REFUSED_SECONDS)
        except Exception as error:
            self._record.surprises.append(f"{self.name} failed: {error!r}")
        finally:
            for connection in self._connections.values():
                connection.close()

    def _operate(self) -> bool:
        epoch = self._record.epochs[-1]
        kind = self._chance.choices([Kind.GET, Kind.SET, Kind.DELETE], [45, 45, 10])[0]
        key = self._chance.choice(epoch.keys)
        value = kept = None
        body = None
        path = f"/key/{key}"
        if kind is Kind.SET:
            self._serial += 1
            value = f"{self.name}-{self._serial}"
            pairs = {key: value}
            if self._serial % WRITES_PER_KEPT_KEY == 0 and len(self._record.kept) < KEPT_KEYS_COUNT:
                kept = f"kept-{value}"
                pairs[kept] = value
            path, body = "/key", json.dumps(pairs).encode()
        elif kind is Kind.GET:
            path += "?level=linearizable"
        method = {Kind.GET: "GET", Kind.SET: "POST", Kind.DELETE: "DELETE"}[kind]
        node = self._leader if self._leader is not None and self._chance.random() < 0.7 else self._chance.choice(self._nodes())
        token = self._record.invoke(self.name, kind, key, value, epoch)
        outcome, answer = self._ask(node, method, path, body)
        self._record.close(epoch, token, outcome, answer, key, kind is Kind.GET)
        if outcome == "ok" and kept is not None and value is not None:
            self._record.kept[kept] = value
        self._learn(node, outcome, answer)
        return outcome == "ok"

    def _ask(self, node: Node, method: str, path: str, body: bytes | None) -> tuple[str, Reply | None]:
        """What the client may believe: ok, not done or unknown."""
        seconds = self._chance.choice(TIMEOUTS_SECONDS)
        connection = self._connections.pop(node.name, None)
        if connection is None:
            try:
                connection = Connection(node.network, node.place, seconds)
            except OSError:
                return "not done", None
        try:
            answer = connection.ask(method, path, body, seconds)
        except (OSError, http.client.HTTPException):
            connection.close()
            return "unknown", None
        if answer.headers.get("connection", "").lower() == "close":
            connection.close()
        else:
            self._connections[node.name] = connection
        return self._outcome(node, method, path, answer), answer

    def _outcome(self, node: Node, method: str, path: str, answer: Reply) -> str:
        if answer.status == 200:
            return "ok"
        if answer.status not in (421, 503):
            self._record.surprises.append(f"{node.name} answered {method} {path} with {answer.status} {answer.body[:200]!r}")
        if method == "GET":
            return "not done"
        return "not done" if answer.json().get("outcome") == "not done" else "unknown"

    def _learn(self, node: Node, outcome: str, answer: Reply | None) -> None:
        if answer is not None and answer.status == 421:
            told = (answer.json().get("leader") or {}).get("id")
            self._leader = next((other for other in self._nodes() if other.name == told), None)
        elif outcome != "ok" and node is self._leader:
            self._leader = None
