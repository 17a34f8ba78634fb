"""What is to find a planted bug: the unit tests of the package that it is in, and whole simulated worlds.

Each runs in a process of its own with the planted copy in front of everything else. Knows nothing of the table.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from planted_bug import ROOT

TESTS_TIMEOUT_SECONDS = 600
#: How much of a core one world may take before it counts as one that has no end.
WORLD_CPU_SECONDS = 60
_MEMORY_BYTES = 4 << 30

#: Whose tests to ask, by package. What storage breaks, the service's tests with real storage may see.
TESTS = {
    "raft": ("raft", "simulation/test_lease_reads.py"),
    "storage": ("storage", "service"),
    "service": ("service", "simulation/test_lease_reads.py"),
    "leases.py": ("simulation/test_lease_clock.py",),
    "peers": ("peers",),
    "kv": ("kv",),
    "tls": ("tls", "peers"),
    "auth": ("auth",),
    "web": ("web/test_permissions.py", "web/test_guard.py", "web/test_hosts.py", "web/test_dashboard.py"),
    "client": ("client/test_credentials.py",),
    "credentials.py": ("cli/test_users_command.py",),
    "founding.py": ("test_founding.py",),
    "gathering.py": ("test_gathering.py",),
    "one_thread.py": ("test_one_thread.py",),
    "offline": ("offline/test_new_clusters.py",),
}
#: Those that name a rule come before those that find anything and say little.
_LAST = ("test_transcripts.py", "test_step_fuzz.py")
_NEVER = ("test_worlds.py",)

_WORLDS = f"""
import json, resource, signal, sys, time
from hraft.simulation.command import run_quietly
from hraft.simulation.shape import Selection

class NoEnd(Exception):
    pass

def no_end(*_):
    raise NoEnd("a world of {WORLD_CPU_SECONDS} s of processor time")

resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY_BYTES}, {_MEMORY_BYTES}))
signal.signal(signal.SIGPROF, no_end)
seeds_count, seconds, deadline = int(sys.argv[1]), float(sys.argv[2]), time.monotonic() + float(sys.argv[3])
seed = 0
while seed < seeds_count and time.monotonic() < deadline:
    signal.setitimer(signal.ITIMER_PROF, {WORLD_CPU_SECONDS}, 1)
    outcome = run_quietly(Selection(seed, seconds))
    signal.setitimer(signal.ITIMER_PROF, 0)
    seed += 1
    if not outcome.is_good:
        lines = outcome.what.strip().splitlines() or [""]
        print(json.dumps([seed, outcome.rule, lines[-1 if "Traceback" in lines[0] else 0]]))
        break
else:
    print(json.dumps([seed, "", ""]))
"""


@dataclass(frozen=True, slots=True)
class Worlds:
    """How many worlds were run, up to the first that failed; and which rule that one says is broken, if there was one."""

    count: int
    rule: str
    what: str


def found_by_simulator(folder: Path, seeds_count: int, seconds: float, limit_seconds: float) -> Worlds:
    """Run worlds of so many simulated `seconds`, from seed 0 on; begin none after `limit_seconds`."""
    timeout_seconds = limit_seconds + 10 * WORLD_CPU_SECONDS
    arguments = (str(seeds_count), str(seconds), str(limit_seconds))
    status, output = run_planted(folder, [sys.executable, "-c", _WORLDS, *arguments], timeout_seconds)
    if status:
        raise RuntimeError(f"the simulator itself ends with status {status}: {output[-1000:]}")
    return Worlds(*json.loads(output.splitlines()[-1]))


def found_by_tests(folder: Path, area: str) -> str:
    """The name of the first unit test that fails; empty if none does."""
    arguments = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    for part in TESTS[area]:
        place = ROOT / "tests" / part
        files = [place] if place.is_file() else sorted(place.glob("test_*.py"), reverse=True)
        files.sort(key=lambda path: path.name in _LAST)
        names = [str(path) for path in files if path.name not in _NEVER]
        status, output = run_planted(folder, [sys.executable, "-m", "pytest", *arguments, *names], TESTS_TIMEOUT_SECONDS)
        if status:
            failed = re.search(r"^(?:FAILED|ERROR|SUBFAILED).*?test_\w+\.py((?:::\w+)+)", output, re.MULTILINE)
            return failed.group(1).removesuffix("::runTest").rpartition("::")[2] if failed else "pytest itself ends"
    return ""


def run_planted(folder: Path, command: list[str], timeout_seconds: float) -> tuple[int, str]:
    """The status and output of a command that imports the planted hraft."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
    }
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            text=True,
            timeout=timeout_seconds,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no end after {timeout_seconds:g} s"
    return done.returncode, done.stdout.strip()
