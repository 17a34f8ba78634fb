"""What no system can go below at one client: the disk, and the way to another process and back, measured beside the systems.

A write by Raft is durable on a majority before it is acknowledged, so at least one `fdatasync` and one round trip lie between
its question and its answer; the leader's own disk works beside them. Knows nothing of systems.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

#: As many bytes as a batch of one small write has.
_BATCH = b"x" * 240
_TIMES_COUNT = 500
_ECHO = """
import socket, sys
echo = socket.socket(fileno=int(sys.argv[1]))
peer, _ = echo.accept()
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while data := peer.recv(4096):
    peer.sendall(data)
"""


@dataclass(frozen=True)
class Floor:
    """Medians, in milliseconds."""

    fdatasync_ms: float
    round_trip_ms: float

    @property
    def total_ms(self) -> float:
        return self.fdatasync_ms + self.round_trip_ms

    def share(self, latency_ms: float) -> float:
        """How much of a latency it is, from 0 to 1."""
        return self.total_ms / latency_ms if latency_ms else 0.0

    def __str__(self) -> str:
        return f"one fdatasync {self.fdatasync_ms:.3f} ms, one round trip on loopback {self.round_trip_ms:.3f} ms"


def measure_floor(directory: str | None) -> Floor:
    """On the disk that `directory` is on; None: where temporary files are, as the data directories of a benchmark are."""
    return Floor(_fdatasync_ms(directory), _round_trip_ms())


def _fdatasync_ms(directory: str | None) -> float:
    """Of a small batch in a file that is padded ahead, as the log is."""
    with tempfile.TemporaryDirectory(dir=directory) as folder, (Path(folder) / "log").open("wb", buffering=0) as file:
        file.write(bytes(len(_BATCH) * _TIMES_COUNT))
        os.fsync(file.fileno())
        times = []
        for number in range(_TIMES_COUNT):
            began = time.perf_counter()
            os.pwrite(file.fileno(), _BATCH, number * len(_BATCH))
            os.fdatasync(file.fileno())
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def _round_trip_ms() -> float:
    """To a process that does nothing else, and back."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        handle, address = listening.fileno(), listening.getsockname()
        command = [sys.executable, "-c", _ECHO, str(handle)]
        with subprocess.Popen(command, pass_fds=[handle]), socket.create_connection(address) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            times = []
            for _ in range(_TIMES_COUNT):
                began = time.perf_counter()
                client.sendall(_BATCH)
                client.recv(4096)
                times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)
