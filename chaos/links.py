"""What the network between the nodes does at a moment, and what can make it so. Knows no processes and no Raft."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from chaos.security import Security, Users

#: Of the packets that reach a lossy node, so many are lost.
LOSS_PERCENT = 25


@dataclass(frozen=True, slots=True)
class Conditions:
    """Nothing gets through from the first to the second of each pair in `cuts`; the other two are names of nodes."""

    cuts: frozenset[tuple[str, str]] = frozenset()
    lossy: frozenset[str] = frozenset()
    slow: frozenset[str] = frozenset()

    @staticmethod
    def together(all_conditions: Iterable[Conditions]) -> Conditions:
        """All of them at once."""
        found = tuple(all_conditions)
        return Conditions(
            frozenset[tuple[str, str]]().union(*(one.cuts for one in found)),
            frozenset[str]().union(*(one.lossy for one in found)),
            frozenset[str]().union(*(one.slow for one in found)),
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node runs: its options, what comes before its command, and where clients find it."""

    options: tuple[str, ...]
    prefix: tuple[str, ...]
    http_host: str
    http_port: int


class Network(Protocol):
    """The links between nodes. Clients reach every node, whatever the links do: a node that is cut off must say so itself."""

    kind: str
    #: Of all who talk over it; None: they do so in the clear.
    security: Security | None
    users: Users | None

    def add(self, name: str) -> Place: ...

    def apply(self, conditions: Conditions) -> None:
        """From now on these and no others."""

    def dial(self, place: Place, seconds: float) -> socket.socket:
        """Connect a client to a node's HTTP port. Raises OSError."""

    def close(self) -> None:
        """Leave nothing behind; harmless twice."""
