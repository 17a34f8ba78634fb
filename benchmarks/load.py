"""Load on a running cluster, and what came of it. Any answer but 200 is counted, since it makes a figure worthless."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass

from tests.process.cluster import Node

_POST_SCRIPT = """
local count = 0
request = function()
  count = count + 1
  return wrk.format("POST", "/key", nil, '{"key-' .. (count % %(keys)d) .. '":"a value of thirty-two bytes, yes."}')
end
"""


@dataclass(frozen=True)
class Figure:
    """One measurement: requests a second, latency in milliseconds, and how many answers were not 200."""

    per_second: float
    median_ms: float
    p99_ms: float
    failed_count: int

    @property
    def tail(self) -> float:
        """How many medians the slowest hundredth takes at least."""
        return self.p99_ms / self.median_ms if self.median_ms else 0.0


def sequential_posts(node: Node, count: int, keys: int = 1) -> Figure:
    """One client on one connection, one `POST /key` of so many keys after the other."""
    bodies = [
        json.dumps({f"key-{(number * keys + key) % 10_000}": "a value of thirty-two bytes, yes." for key in range(keys)})
        for number in range(max(1, 1000 // keys))
    ]
    connection = http.client.HTTPConnection("127.0.0.1", node.http_port, timeout=30)
    times, failed = [], 0
    began = time.monotonic()
    for number in range(count):
        start = time.perf_counter()
        connection.request("POST", "/key", bodies[number % len(bodies)])
        response = connection.getresponse()
        response.read()
        times.append(1000 * (time.perf_counter() - start))
        failed += response.status != 200
    elapsed = time.monotonic() - began
    connection.close()
    times.sort()
    return Figure(count / elapsed, statistics.median(times), times[int(0.99 * len(times))], failed)


def wrk(node: Node, clients: int, seconds: float, path: str = "/key", is_post: bool = True, keys: int = 10_000) -> Figure:
    """So many clients at once that post, or read one path."""
    script = _POST_SCRIPT.replace("%(keys)d", str(keys)) if is_post else f'wrk.path = "{path}"'
    return wrk_script(node.http_port, script, clients, seconds)


def wrk_script(port: int, script: str, clients: int, seconds: float) -> Figure:
    """So many clients at once that do what a script of wrk's says, in one thread of its own."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is not installed; on Debian: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = [program, "-t1", f"-c{clients}", f"-d{seconds:g}s", "--latency", "--timeout", "10s", "-s", file.name]
        told = subprocess.run([*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True)
    return _read_wrk(told.stdout)


def _read_wrk(told: str) -> Figure:
    def number(pattern: str) -> str:
        found = re.search(pattern, told)
        return found.group(1) if found else "0"

    failed = int(number(r"Non-2xx or 3xx responses: (\d+)"))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", told)
    failed += sum(map(int, errors.groups())) if errors else 0
    return Figure(
        float(number(r"Requests/sec:\s+([\d.]+)")), _ms(number(r"50%\s+([\d.]+\w+)")), _ms(number(r"99%\s+([\d.]+\w+)")), failed
    )


def _ms(text: str) -> float:
    value, unit = re.fullmatch(r"([\d.]+)([a-z]*)", text).groups()  # type: ignore[union-attr]
    return float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "": 0.0}[unit]
