"""`python -m benchmarks.watchers PORT COUNT none|idle|busy`: a process that watches so often and reads all, until its stdin ends.

idle: each a key of its own that nobody writes. busy: all of them every key that `benchmarks.load` writes. Says when all watch.
"""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hraft.process import allow_files
from tests.process.cluster import Node


@contextmanager
def watching(node: Node, count: int, kind: str) -> Iterator[None]:
    """That process, for as long as this lasts."""
    command = [sys.executable, "-m", "benchmarks.watchers", str(node.http_port), str(count), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == b"watching\n"
        yield
        process.stdin.close()


def main(port: int, count: int, kind: str) -> None:
    allow_files(count + 100)
    with selectors.DefaultSelector() as selector:
        for number in range(count if kind != "none" else 0):
            query = f"key=idle-{number}" if kind == "idle" else "prefix=key-"
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(f"GET /v1/watch?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            data = b""
            while b"progress" not in data:
                data += client.recv(65536)
            selector.register(client, selectors.EVENT_READ, client)
        print("watching", flush=True)
        selector.register(sys.stdin, selectors.EVENT_READ, None)
        while True:
            for key, _ in selector.select():
                if key.data is None or not key.data.recv(262_144):
                    return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
