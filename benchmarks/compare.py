"""`python -m benchmarks compare`: systems in turn, A B A B, under the same loads; medians over the rounds, and ratios.

Machines drift, so a ratio is taken within one round and never between two runs. Any answer but 200 makes a figure worthless,
and is shown.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.fairness import fairness
from benchmarks.floor import Floor, measure_floor
from benchmarks.load import Figure, wrk_script
from benchmarks.plot import bars, save_png
from benchmarks.systems import ROOT, Etcd, Hraft, System

#: Keys that the writes go round.
KEYS_COUNT = 10_000
VALUE = "a value of thirty-two bytes, yes."
WARM_UP_SECONDS = 1.0
FAIRNESS_CLIENTS_COUNT = 256


@dataclass(frozen=True)
class Load:
    """So many clients that ask the same thing."""

    what: str
    clients: int

    @property
    def name(self) -> str:
        return f"{self.what}, {self.clients} client{'s' if self.clients > 1 else ''}"

    def script(self, system: System) -> str:
        """What wrk is to send, in its own language."""
        # One of the first that are written, but not the very first: wrk makes a request to look at it, and does not send that.
        key, numbered = "key-8", "key-@"
        if self.what == "write":
            method, path, body = system.write(numbered, VALUE)
            if "key-@" not in body:
                # etcd's keys are in base64, which nothing can count in: ten thousand bodies are made beforehand.
                bodies = [system.write(f"key-{number}", VALUE)[2] for number in range(KEYS_COUNT)]
                listed = ",".join(f"'{each}'" for each in bodies)
                return _LISTED % {"bodies": listed, "method": method, "path": path}
            first, last = body.split("key-@")
            return _COUNTED % {"method": method, "path": path, "first": first, "last": last, "keys": KEYS_COUNT}
        if self.what == "read":
            method, path, body = system.plain_read(key)
        else:
            method, path, body = system.read(key, self.what == "linearizable read")
        return _CONSTANT % {"method": method, "path": path, "body": body}


_COUNTED = """
local count = 0
request = function()
  count = count + 1
  return wrk.format("%(method)s", "%(path)s", nil, '%(first)skey-' .. (count %% %(keys)d) .. '%(last)s')
end
"""
_LISTED = """
local count, bodies = 0, {%(bodies)s}
request = function()
  count = count + 1
  return wrk.format("%(method)s", "%(path)s", nil, bodies[count %% #bodies + 1])
end
"""
_CONSTANT = """
wrk.method = "%(method)s"
wrk.path = "%(path)s"
wrk.body = '%(body)s'
"""


@dataclass(frozen=True)
class Row:
    """One system under one load in one round."""

    system: str
    load: str
    round: int
    figure: Figure
    cpu_seconds_per_1000: float


def compare(arguments: argparse.Namespace) -> None:
    """Measure, print, and write down what was asked for."""
    loads = [Load(what, clients) for what in arguments.loads.split(",") for clients in map(int, arguments.clients.split(","))]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        systems = list(_systems(arguments, Path(folder)))
        try:
            for system in systems:
                system.start(arguments.nodes)
                wrk_script(system.port, Load("write", 8).script(system), 8, WARM_UP_SECONDS)
            for number in range(arguments.rounds):
                for load in loads:
                    # Whoever goes first changes from round to round.
                    for system in systems if number % 2 == 0 else reversed(systems):
                        rows.append(_measure(system, load, number, arguments.seconds))
                        print(_line(rows[-1]), flush=True)
                for system in systems if arguments.fairness else ():
                    print(f"round {number + 1}  {system.name}: {_fairness(system, arguments.seconds)}", flush=True)
            floor = measure_floor(arguments.directory)
            memory = {system.name: round(system.resident_mib(), 1) for system in systems}
        finally:
            for system in systems:
                system.stop()
    print()
    print("\n".join(table(rows, [load.name for load in loads], [system.name for system in systems])))
    print()
    print("\n".join(bars(_medians(rows))))
    print(f"\nphysical limit: {floor}")
    print("\n".join(_shares(rows, floor)))
    # How it was compiled makes more of a difference than anything in it; see docs/performance.md, "Which Python".
    print(f"hraft's interpreter: {platform.python_implementation()} {sys.version.splitlines()[0]}")
    print("resident memory of the largest node, MiB: " + ", ".join(f"{name} {size}" for name, size in memory.items()))
    if arguments.json:
        document = {"rows": [asdict(row) for row in rows], "resident_mib": memory, "nodes": arguments.nodes}
        document["floor"] = asdict(floor)
        document["interpreter"] = sys.version
        Path(arguments.json).write_text(json.dumps(document, indent=1), "utf-8")
    if arguments.plot:
        save_png(_medians(rows), arguments.plot)


def _systems(arguments: argparse.Namespace, folder: Path) -> Iterator[System]:
    reactor = arguments.reactor
    for name in arguments.systems.split(","):
        place = folder / name.replace("/", "-")
        place.mkdir()
        if name == "etcd":
            yield Etcd(name, place)
        elif name == "hraft":
            yield Hraft(name, place, reactor=reactor)
        else:
            checkout = place / "checkout"
            archive = subprocess.run(
                ["git", "-C", str(ROOT), "archive", name, "hraft", "twisted"], capture_output=True, check=False
            )
            if archive.returncode:
                raise SystemExit(f"{name!r} is neither hraft, nor etcd, nor a commit of this repository")
            checkout.mkdir()
            subprocess.run(["tar", "-x", "-C", str(checkout)], input=archive.stdout, check=True)
            yield Hraft(name, place, checkout, reactor=reactor)


def _measure(system: System, load: Load, number: int, seconds: float) -> Row:
    before = system.cpu_seconds()
    figure = wrk_script(system.port, load.script(system), load.clients, seconds)
    used = system.cpu_seconds() - before
    requests = figure.per_second * seconds
    return Row(system.name, load.name, number, figure, 1000 * used / requests if requests else 0.0)


def _line(row: Row) -> str:
    figure = row.figure
    failed = f"  {figure.failed_count} FAILED" if figure.failed_count else ""
    return (
        f"round {row.round + 1}  {row.system:12} {row.load:32} {figure.per_second:8.0f}/s  median {figure.median_ms:7.2f} ms  "
        f"p99 {figure.p99_ms:7.2f} ms ({figure.tail:.1f} x)  {1000 * row.cpu_seconds_per_1000:6.0f} ms of CPU per 1,000{failed}"
    )


def _medians(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Requests a second, by load and system."""
    found: dict[str, dict[str, float]] = {}
    for load, system in dict.fromkeys((row.load, row.system) for row in rows):
        rates = [row.figure.per_second for row in rows if (row.load, row.system) == (load, system)]
        found.setdefault(load, {})[system] = statistics.median(rates)
    return found


def table(rows: list[Row], loads: list[str], systems: list[str]) -> Iterator[str]:
    """In Markdown: the medians of each system, and of the first one's ratios to the others, round by round, median and range."""
    first, *others = systems
    heads = [f"{name}/s (p50, p99 ms; p99/p50; CPU ms per 1,000)" for name in systems] + [f"{first} / {name}" for name in others]
    yield f"| load | {' | '.join(heads)} |"
    yield "| --- " * (len(heads) + 1) + "|"
    for load in loads:
        cells = []
        for name in systems:
            mine = [row for row in rows if (row.load, row.system) == (load, name)]
            figures = [row.figure for row in mine]
            failed = sum(figure.failed_count for figure in figures)
            rate, median_ms, p99_ms, tail = (
                statistics.median(getattr(figure, field) for figure in figures)
                for field in ("per_second", "median_ms", "p99_ms", "tail")
            )
            cpu_ms = 1000 * statistics.median(row.cpu_seconds_per_1000 for row in mine)
            cell = f"{rate:,.0f} ({median_ms:.2f}, {p99_ms:.2f}; {tail:.1f}; {cpu_ms:.0f})"
            cells.append(cell + (f" {failed} FAILED" if failed else ""))
        for name in others:
            ratios = sorted(_ratios(rows, load, first, name))
            cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        yield f"| {load} | {' | '.join(cells)} |"


def _shares(rows: list[Row], floor: Floor) -> Iterator[str]:
    """How much of the median latency of one client's writes the physical limit is."""
    load = Load("write", 1).name
    for system in dict.fromkeys(row.system for row in rows if row.load == load):
        median_ms = statistics.median(row.figure.median_ms for row in rows if (row.load, row.system) == (load, system))
        yield f"  {system}: {floor.share(median_ms):.0%} of the {median_ms:.2f} ms of one client's write"


def _fairness(system: System, seconds: float) -> str:
    method, path, body = system.write("key-@", VALUE)
    return str(fairness(system.port, f"{method} {path}", body, FAIRNESS_CLIENTS_COUNT, seconds))


def _ratios(rows: list[Row], load: str, first: str, second: str) -> Iterator[float]:
    of = {(row.system, row.round): row.figure.per_second for row in rows if row.load == load}
    for number in {row.round for row in rows}:
        yield of[first, number] / of[second, number] if of[second, number] else float("inf")
