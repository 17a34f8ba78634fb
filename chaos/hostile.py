"""`python -m chaos.hostile [--attack NAME] [--seconds N]`: what hostile clients and peers cost the others.

Three real nodes, writers, attackers, all on this machine. For each attack the writers' rate and 99th percentile before it and
under it. Exit status 1: something was wrong, whatever the rates.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chaos.hostile_attacks import ATTACKS
from chaos.hostile_siege import MEBIBYTE, Outcome, Siege
from tests.process.cluster import Cluster

#: Not attacks, but trials of what a node keeps (G23) and takes on (G25).
TRIALS = ("stopped-follower", "no-quorum", "overload", "volume")
_VOLUME_BYTES = 1024 * MEBIBYTE
_GOAL_RATE, _GOAL_P99 = 0.8, 2.0


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chaos.hostile", description=__doc__)
    known = [*ATTACKS, *TRIALS]
    usual = [name for name in known if name != "volume"]
    parser.add_argument("--attack", action="append", help=f"one of {', '.join(known)}; may be repeated [default: all but volume]")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each goes on [default: %(default)g]")
    parser.add_argument("--together", action="store_true", help="the attacks that were named, all at once")
    found = parser.parse_args(words)
    found.attack = found.attack or usual
    unknown = [name for name in found.attack if name not in known]
    if unknown:
        parser.error(f"no such attack: {', '.join(unknown)}; there are {', '.join(known)}")
    return found


def _row(outcome: Outcome) -> str:
    before, under = outcome.baseline, outcome.under
    reaches = outcome.rate_ratio >= _GOAL_RATE and outcome.p99_ratio <= _GOAL_P99
    return (
        f"{outcome.name[:28]:28} {before.per_second:7.0f} {under.per_second:7.0f} {outcome.rate_ratio:5.0%} {before.p99_ms:8.1f} "
        f"{under.p99_ms:8.1f} {outcome.p99_ratio:5.1f} {outcome.growth_bytes / MEBIBYTE:6.0f} {under.longest_gap_seconds:6.2f} "
        f"{outcome.longest_seconds:6.1f}  {'yes' if reaches else 'no':4} "
        + ", ".join(f"{count} {how}" for how, count in sorted({**under.outcomes, **outcome.counts}.items()))
    )


def _outcomes(siege: Siege, names: list[str], seconds: float, together: bool) -> Iterator[Outcome]:
    if together:
        yield siege.measure([name for name in names if name in ATTACKS], seconds)
        return
    for name in names:
        if name in ATTACKS:
            objection = ATTACKS[name].objection()
            if objection:
                print(f"{name}: skipped, {objection}")
            else:
                yield siege.measure([name], seconds)
        elif name == "overload":
            outcome, after = siege.overloaded(seconds)
            yield outcome
            ratio = after.per_second / outcome.baseline.per_second
            print(f"  in the 5 s after it {after.per_second:.0f} a second, {ratio:.0%} of before")
        elif name == "volume":
            yield siege.volume(_VOLUME_BYTES)
        else:
            yield siege.stopped(1 if name == "stopped-follower" else 2, seconds)


def main(words: list[str] | None = None) -> int:
    """One cluster for all of them. Leaves the logs where something was wrong."""
    arguments = _arguments(words)
    folder = Path(tempfile.mkdtemp(prefix="hraft-hostile-"))
    cluster = Cluster(folder)
    siege: Siege | None = None
    is_kept = True
    wrong = 0
    try:
        siege = Siege(cluster)
        print(
            f"{'attack':28} {'before':>7} {'under':>7} {'':5} {'p99 ms':>8} {'under':>8} {'x':>5} {'MiB +':>6} {'gap s':>6} "
            f"{'held s':>6}  goal answers to writers, and what became of the attackers",
            flush=True,
        )
        for outcome in _outcomes(siege, arguments.attack, arguments.seconds, arguments.together):
            print(_row(outcome), flush=True)
            for violation in outcome.violations:
                wrong += 1
                print(f"  WRONG: {violation}", flush=True)
        is_kept = wrong > 0
    except KeyboardInterrupt:
        is_kept = False
        print("interrupted")
    finally:
        cluster.close()
        if siege is not None:
            siege.close()
        if is_kept:
            print(f"logs and data directories are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return int(is_kept)


if __name__ == "__main__":
    sys.exit(main())
