"""The command `python -m hraft.simulation`: one world, many worlds on several cores, or the smallest world that still fails.

python -m hraft.simulation --seed 17               one world, told in a line
python -m hraft.simulation --seed 17 --shrink      and if it fails, a smaller one that fails in the same way
python -m hraft.simulation --seeds 200 --jobs 2    many, with a summary; status 1 if one fails or a mark is missed
python -m hraft.simulation --minutes 60 --jobs 2   as many as that time allows
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing import get_context
from typing import TextIO

from twisted.logger import globalLogBeginner

from hraft.simulation.marks import NAMES
from hraft.simulation.run import Outcome, run
from hraft.simulation.shape import ALL_KINDS, WORLD_SECONDS, Selection
from hraft.simulation.shrink import shrink

EXIT_FAILED = 1
EXIT_USAGE = 64
#: So many worlds must hit all marks, or the summary complains: fewer may miss one by chance.
SEEDS_FOR_ALL_MARKS_COUNT = 200

#: How often the progress is told to what is no terminal.
SECONDS_BETWEEN_LINES = 60.0


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="python -m hraft.simulation", description="Simulated hraft clusters, from seeds.")
    options.add_argument("--seed", type=int, help="run this world")
    options.add_argument("--seeds", type=int, metavar="COUNT", help="run so many worlds")
    options.add_argument("--first", type=int, default=0, metavar="SEED", help="the first of them (default 0)")
    options.add_argument("--minutes", type=float, help="begin no world after so many real minutes")
    options.add_argument("--jobs", type=int, default=1, metavar="COUNT", help="processes to run them in (default 1)")
    options.add_argument("--seconds", type=float, default=WORLD_SECONDS, help=f"simulated, of each world ({WORLD_SECONDS:g})")
    options.add_argument(
        "--twice", type=int, default=0, metavar="COUNT", help="run the first so many twice: both times the same must happen"
    )
    options.add_argument("--shrink", action="store_true", help="look for a smaller world that fails in the same way")
    options.add_argument("--nodes", type=int, metavar="COUNT", help="instead of what the seed says")
    options.add_argument("--clients", type=int, metavar="COUNT", help="instead of what the seed says")
    options.add_argument("--faults", metavar="KIND,...", help=f"only these, of {', '.join(ALL_KINDS)}; or none")
    return options


def selection_for(seed: int, options: argparse.Namespace) -> Selection:
    """The world of a seed, as the options want it."""
    kinds = options.faults and tuple(kind for kind in options.faults.split(",") if kind != "none")
    return Selection(seed, options.seconds, options.nodes, options.clients, kinds)


def main(arguments: Sequence[str] | None = None, out: TextIO = sys.stdout) -> int:
    """Run what is asked for; return the exit status."""
    options = parser().parse_args(arguments)
    unknown = set((options.faults or "none").split(",")) - {*ALL_KINDS, "none"}
    if unknown:
        out.write(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(ALL_KINDS)}\n")
        return EXIT_USAGE
    if options.seed is not None:
        return _one(options, out)
    return _many(options, out)


def _one(options: argparse.Namespace, out: TextIO) -> int:
    outcome = run_quietly(selection_for(options.seed, options))
    out.write(_line(outcome) + "\n")
    if outcome.is_good:
        return 0
    out.write(failure_text(outcome) + "\n")
    if options.shrink:
        _shrink(outcome, out)
    return EXIT_FAILED


def _many(options: argparse.Namespace, out: TextIO) -> int:
    begin = time.monotonic()
    summary, told_at = Summary(), 0.0
    for outcome in _outcomes(options, begin):
        failure = summary.add(outcome)
        if failure is not None:
            out.write("\r" + failure_text(failure) + "\n")
        elapsed = time.monotonic() - begin
        if out.isatty():
            out.write("\r" + summary.progress(elapsed))
        elif elapsed >= told_at + SECONDS_BETWEEN_LINES:
            told_at = elapsed
            out.write(summary.progress(elapsed) + "\n")
        out.flush()
    out.write("\r" + summary.text(time.monotonic() - begin))
    if summary.failures and options.shrink:
        _shrink(summary.failures[0], out)
    is_complete = not summary.missed or summary.worlds_count < SEEDS_FOR_ALL_MARKS_COUNT
    return 0 if not summary.failures and is_complete else EXIT_FAILED


def _outcomes(options: argparse.Namespace, begin: float) -> Iterator[Outcome]:
    """Run worlds, several at once; yields each when it is done. Both runs of one are begun together, so that they are likely to
    be in two processes, which have hashes of strings of their own."""
    deadline = float("inf") if options.minutes is None else begin + 60 * options.minutes
    last = float("inf") if options.seeds is None and options.minutes is not None else options.first + (options.seeds or 1)
    seed, running = options.first, set[Future[Outcome]]()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        while True:
            while len(running) < 2 * options.jobs and seed < last and time.monotonic() < deadline:
                for _ in range(2 if seed < options.first + options.twice else 1):
                    running.add(pool.submit(run_quietly, selection_for(seed, options)))
                seed += 1
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def run_quietly(selection: Selection) -> Outcome:
    """Run one world; what its nodes log goes nowhere."""
    global _is_quiet
    if not _is_quiet:
        _is_quiet = True
        globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    return run(selection)


_is_quiet = False


class Summary:
    """What many worlds came to."""

    def __init__(self) -> None:
        self.worlds_count = 0
        #: Of every world that was run; those that were run twice must have the same both times (X5).
        self._trace_hashes: dict[int, str] = {}
        self.repeated_count = 0
        self.failures: list[Outcome] = []
        self.seconds = 0.0
        self.events_count = 0
        self.operations_count = 0
        self.acknowledged_count = 0
        self.marks: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> Outcome | None:
        """One more world is done, or one of them once more. Returns the failure, if this is one and was not known."""
        seed = outcome.selection.seed
        if seed not in self._trace_hashes:
            self._trace_hashes[seed] = outcome.trace_hash
            self._count(outcome)
        elif self._trace_hashes[seed] != outcome.trace_hash:
            what = f"its trace was {self._trace_hashes[seed]}, and then {outcome.trace_hash}"
            outcome = replace(outcome, rule="one seed is one world", what=what)
        else:
            self.repeated_count += 1
            return None
        if outcome.is_good:
            return None
        self.failures.append(outcome)
        return outcome

    def _count(self, outcome: Outcome) -> None:
        self.worlds_count += 1
        self.seconds += outcome.seconds
        self.events_count += outcome.events_count
        self.operations_count += outcome.operations_count
        self.acknowledged_count += outcome.acknowledged_count
        self.marks.update(outcome.marks)

    @property
    def missed(self) -> list[str]:
        return [name for name in NAMES if name not in self.marks]

    def progress(self, real_seconds: float) -> str:
        """One line."""
        speed = self.seconds / max(real_seconds, 1e-9)
        failed = f"{len(self.failures)} failed" if self.failures else "none failed"
        marks = f"{len(NAMES) - len(self.missed)} of {len(NAMES)} marks"
        return (
            f"{self.worlds_count} worlds, {failed}, {self.seconds / 3600:.1f} simulated hours, {speed:.0f} x real time, {marks} "
        )

    def text(self, real_seconds: float) -> str:
        """All of it, at the end."""
        lines = [
            self.progress(real_seconds),
            f"{self.events_count} events, {self.operations_count} operations of clients, "
            f"{self.acknowledged_count} acknowledged writes, {real_seconds:.0f} s",
        ]
        lines += [f"{self.repeated_count} worlds twice, with the same trace"] if self.repeated_count else []
        lines += [f"never: {name}" for name in self.missed]
        lines += [f"failed: seed {failure.selection.seed}: {failure.rule}" for failure in self.failures]
        return "\n".join(lines) + "\n"


def _line(outcome: Outcome) -> str:
    shape = outcome.shape
    verdict = "all promises kept" if outcome.is_good else outcome.rule
    return (
        f"seed {shape.seed}: {verdict}; {shape.nodes_count} nodes, {outcome.seconds:.1f} s, {outcome.events_count} events, "
        f"{outcome.operations_count} operations, {len(outcome.marks)} marks, trace {outcome.trace_hash}; "
        f"faults: {', '.join(shape.kinds) or 'none'}"
    )


def failure_text(outcome: Outcome) -> str:
    """What a person needs: what was broken, what came before it, and how to see it again."""
    return (
        f"\n{outcome.story}\n\nseed {outcome.selection.seed} failed: {outcome.rule}\n{outcome.what}\n\n"
        f"to see it again: {outcome.selection.command()}\n"
    )


def _shrink(failure: Outcome, out: TextIO) -> None:
    out.write("looking for a smaller world that fails in the same way\n")

    def tell(outcome: Outcome) -> None:
        out.write(_line(outcome) + "\n")
        out.flush()

    out.write(failure_text(shrink(failure, run_quietly, tell=tell)))
