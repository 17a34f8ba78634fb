"""Plants each bug in a copy of hraft, and shows which unit test finds it, and after how many simulated worlds the simulator does.

    python -m tests.planted                          all of them, an hour or two
    python -m tests.planted --jobs 2 --write         and write docs/planted-bugs.md
    python -m tests.planted --worlds-only D1a S2c    some

Exits with 1 if a bug was found by neither, or a world should have shown it and none did.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from finders import found_by_simulator, found_by_tests
from findings import PAGE, Finding, write
from planted_bug import PlantedBug, plant
from table import BUGS


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="python -m tests.planted", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--seeds", type=int, default=300, help="worlds to try for each bug (default 300)")
    options.add_argument("--seconds", type=float, default=60.0, help="simulated, of each world (default 60)")
    options.add_argument("--limit", type=float, default=300.0, help="real seconds for the worlds of one bug (default 300)")
    options.add_argument("--jobs", type=int, default=1, help="bugs to plant at a time (default 1)")
    options.add_argument("--tests-only", action="store_true", help="no worlds")
    options.add_argument("--worlds-only", action="store_true", help="no unit tests")
    options.add_argument("--all-worlds", action="store_true", help="worlds also for what they are not thought to show")
    options.add_argument("--write", action="store_true", help="write what is found into docs/planted-bugs.md")
    options.add_argument("rules", nargs="*", help="E1a, L4, ...; default: all")
    return options


def find(bug: PlantedBug, options: argparse.Namespace) -> Finding:
    """Plant one bug and have it looked for."""
    test = worlds = broken = ""
    with tempfile.TemporaryDirectory() as folder:
        plant(bug, Path(folder))
        if not options.worlds_only:
            test = found_by_tests(Path(folder), bug.area)
        if not options.tests_only and (options.all_worlds or not bug.unseen):
            found = found_by_simulator(Path(folder), options.seeds, options.seconds, options.limit)
            worlds, broken = (str(found.count), found.rule) if found.rule else (f"> {found.count}", "")
            if found.rule == "an exception escaped":
                broken += f": {found.what.partition(':')[0].rpartition('.')[2]}"
    return Finding(test, worlds, broken)


def tell(bug: PlantedBug, finding: Finding) -> None:
    """Three lines."""
    sys.stdout.write(f"{bug.rule:7} {bug.what}\n        test:   {finding.test or '-'}\n")
    sys.stdout.write(f"        worlds: {finding.worlds or '-'} {finding.broken or bug.unseen}\n")
    sys.stdout.flush()


def main() -> int:
    """See the module's docstring."""
    options = parser().parse_args()
    unknown = sorted(set(options.rules) - {bug.rule for bug in BUGS})
    if unknown:
        sys.stdout.write(f"no such bug: {', '.join(unknown)}\n")
        return 64
    bugs = [bug for bug in BUGS if not options.rules or bug.rule in options.rules]
    missed = []
    with ThreadPoolExecutor(options.jobs) as pool:
        running = {pool.submit(find, bug, options): bug for bug in bugs}
        try:
            for done in as_completed(running):
                bug, finding = running[done], done.result()
                tell(bug, finding)
                if finding.worlds_count is None and (not finding.test or (not bug.unseen and not options.tests_only)):
                    missed.append(bug.rule)
                if options.write:
                    PAGE.write_text(write(PAGE.read_text("utf-8"), {bug.rule: finding}), "utf-8")
        finally:
            pool.shutdown(cancel_futures=True)
    sys.stdout.write(f"{len(bugs) - len(missed)} of {len(bugs)} found; not found: {', '.join(missed) or 'none'}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
