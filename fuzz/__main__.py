"""`python -m fuzz [--target NAME] [--seconds 30] [--atheris]`: feed every target, one process each. Exit status 1: a finding.

Without --atheris inputs are valid samples with random damage; with it, coverage of hraft's own lines leads atheris on from them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fuzz.target import Target

_INPUT_BYTES = 4096
#: Of what libFuzzer tells, where it ends without a report of ours.
_TOLD_LINES_COUNT = 30


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--target", action="append", help="which, several times for several [default: all]; --list tells them")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each target [default: %(default)g]")
    parser.add_argument("--seed", type=int, default=1, help="of the damage [default: %(default)s]")
    parser.add_argument("--atheris", action="store_true", help="guided by coverage (pip install atheris)")
    parser.add_argument("--input", help="feed one input, in hexadecimal (- for none), to one target")
    parser.add_argument("--list", action="store_true", help="tell the targets")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    found = parser.parse_args(words)
    if found.input is not None and len(found.target or ()) != 1:
        parser.error("--input needs one --target")
    return found


class _Count:
    """Runs of one target, until its time is over."""

    def __init__(self, target: Target, seconds: float) -> None:
        self._target = target
        self._begun = time.monotonic()
        self._seconds = seconds
        self._runs_count = 0
        self._longest_seconds = 0.0
        self._at_first_kib = _resident_kib()

    @property
    def is_over(self) -> bool:
        return time.monotonic() - self._begun >= self._seconds

    def feed(self, data: bytes) -> None:
        self._longest_seconds = max(self._longest_seconds, self._target.check(data))
        self._runs_count += 1

    def line(self, coverage: str = "") -> str:
        seconds = time.monotonic() - self._begun
        grown_mib = (_resident_kib() - self._at_first_kib) / 1024
        return (
            f"{self._target.name:21}{self._runs_count:9} runs {self._runs_count / seconds:8.0f}/s   "
            f"longest {1000 * self._longest_seconds:6.1f} ms   grown by {grown_mib:3.0f} MiB{coverage}"
        )


def _resident_kib() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# --- in the process of one target -----------------------------------------------------------------


def _damage(target: Target, seconds: float, seed: int) -> None:
    from fuzz.mutation import Mutator

    samples = target.samples()
    count = _Count(target, seconds)
    for sample in samples:
        count.feed(sample)
    mutator = Mutator(samples, seed)
    while not count.is_over:
        count.feed(mutator.next())
    print(count.line(), flush=True)


def _guided(atheris: Any, target: Target, seconds: float, seed: int, folder: str) -> None:
    """Ends the process: libFuzzer does not give it back."""
    from fuzz.mutation import WORDS
    from fuzz.target import Broken

    corpus = Path(folder) / "corpus"
    corpus.mkdir()
    for number, sample in enumerate(target.samples()):
        (corpus / str(number)).write_bytes(sample[:_INPUT_BYTES])
    words = Path(folder) / "words"
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS if 0 < len(word) <= 64)
    words.write_text("".join(f'"{word}"\n' for word in escaped), "ascii")
    count = _Count(target, seconds)

    def one(data: bytes) -> None:
        try:
            count.feed(data)
        except Broken as error:
            _end(1, str(error))
        if count.is_over:
            _end(0, count.line())

    # A run of our own is timed by processor time; libFuzzer's own limits are for what never comes back.
    limits = (f"-max_len={_INPUT_BYTES}", f"-seed={seed}", "-timeout=60", "-rss_limit_mb=2048", f"-artifact_prefix={folder}/")
    atheris.Setup([sys.argv[0], *limits, f"-dict={words}", str(corpus)], one)
    atheris.Fuzz()


def _end(status: int, told: str) -> None:
    print(told, flush=True)
    sys.stderr.flush()
    os._exit(status)


def _alone(arguments: argparse.Namespace) -> int:
    """Feed one target in this process."""
    name = arguments.target[0]
    if arguments.atheris:
        import atheris

        with atheris.instrument_imports(include=["hraft"], enable_loader_override=False):
            from fuzz.table import TARGETS

        with tempfile.TemporaryDirectory(prefix="hraft-fuzz-") as folder:
            _guided(atheris, TARGETS[name], arguments.seconds, arguments.seed, folder)
    from fuzz.table import TARGETS
    from fuzz.target import Broken

    try:
        _damage(TARGETS[name], arguments.seconds, arguments.seed)
    except Broken as error:
        print(error)
        return 1
    return 0


# --- in the first process -------------------------------------------------------------------------


def _fed(name: str, arguments: argparse.Namespace) -> int:
    """Feed one target in a process of its own, and say how it went."""
    more = ["--atheris"] if arguments.atheris else []
    numbers = ["--seconds", str(arguments.seconds), "--seed", str(arguments.seed)]
    with tempfile.TemporaryDirectory(prefix="hraft-fuzz-") as folder:
        ended = subprocess.run(
            [sys.executable, "-m", "fuzz", "--alone", "--target", name, *numbers, *more],
            capture_output=True,
            text=True,
            errors="backslashreplace",
            env={**os.environ, "TMPDIR": folder},
            check=False,
        )
    coverage = re.findall(r"cov: (\d+) ft: (\d+)", ended.stderr)
    reached = f"   {coverage[0][0]} to {coverage[-1][0]} branches" if coverage else ""
    print(f"{ended.stdout.rstrip()}{reached if ended.returncode == 0 else ''}", flush=True)
    if ended.returncode and not ended.stdout.strip():
        print("\n".join(ended.stderr.splitlines()[-_TOLD_LINES_COUNT:]))
    return int(ended.returncode != 0)


def main(words: list[str] | None = None) -> int:
    """See the module."""
    arguments = _arguments(words)
    if arguments.alone:
        return _alone(arguments)
    from fuzz.table import TARGETS
    from fuzz.target import Broken

    if unknown := sorted(set(arguments.target or ()) - set(TARGETS)):
        raise SystemExit(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if arguments.list:
        print("\n".join(f"{target.name:21}{target.fed}" for target in TARGETS.values()))
        return 0
    if arguments.input is not None:
        try:
            seconds = TARGETS[arguments.target[0]].check(bytes.fromhex(arguments.input.strip("-")))
        except Broken as error:
            print(error)
            return 1
        print(f"nothing is wrong with it; it took {1000 * seconds:.1f} ms")
        return 0
    if arguments.atheris:
        try:
            import atheris  # noqa: F401
        except ImportError:
            raise SystemExit('there is no atheris: pip install -e ".[fuzz]", or leave --atheris out') from None
    return max(_fed(name, arguments) for name in arguments.target or TARGETS)


if __name__ == "__main__":
    sys.exit(main())
