"""Ports for nodes on this machine: while this process lives nobody else who asks here is given the same, in whatever process.

A port is free while its node is down, and then must not become somebody else's: tests that run at a time, and the chaos commands
that they start, share one machine. Knows no nodes.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

#: Below the ports that systems give to outgoing connections.
PORTS = range(20_000, 30_000)

_claimed: set[int] = set()


def free_ports(count: int) -> list[int]:
    """So many that nobody listens on."""
    return [free_row(1) for _ in range(count)]


def free_row(count: int) -> int:
    """The first of so many in a row; it is a multiple of their number."""
    while True:
        first = random.SystemRandom().randrange(PORTS.start, PORTS.stop - count) // count * count
        if all(_claim(port) and _is_free(port) for port in range(first, first + count)):
            return first


def _claim(port: int) -> bool:
    """For the rest of this process, with which its locks end. Towards itself it has none, so that it must remember."""
    if port in _claimed:
        return False
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _claimed.add(port)
    return True


@cache
def _claims() -> int:
    """A file that stays empty: byte n is locked by whoever has port n."""
    path = Path(tempfile.gettempdir(), f"hraft-ports-{os.getuid()}")
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _is_free(port: int) -> bool:
    try:
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
    except OSError:
        return False
    return True
