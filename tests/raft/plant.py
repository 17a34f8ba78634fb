"""Plants each bug of `planted_bugs.py` in a copy of hraft, and shows which tests find it.

    python tests/raft/plant.py [--seeds 300] [--tests-only] [RULE ...]

First the unit tests run, then worlds, from seed 0 on. One line per bug: the first test that failed, and how many worlds it took.
Exits with 1 if any bug was found by neither.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

from planted_bugs import BUGS, PlantedBug  # noqa: E402

TIMEOUT_SECONDS = 600
WORLDS = """
import sys
from raft_worlds import World
for seed in range(int(sys.argv[1])):
    try:
        World(seed).run()
    except Exception as problem:
        print(f"{seed + 1} worlds: {type(problem).__name__}: {problem}")
        sys.exit(1)
"""


def planted(bug: PlantedBug, root: Path = ROOT) -> dict[str, str]:
    """The texts of the files that the bug is in. Raises ValueError where the code is no longer what the table says."""
    texts: dict[str, str] = {}
    for file, old, new in bug.edits:
        text = texts.get(file) or (root / file).read_text("utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{bug.rule}: {file} has {text.count(old)} times, not once: {old!r}")
        texts[file] = text.replace(old, new)
    return texts


def plant(bug: PlantedBug, folder: Path) -> None:
    """Copy the package to `folder`, with the bug."""
    shutil.copytree(ROOT / "hraft", folder / "hraft", ignore=shutil.ignore_patterns("__pycache__"))
    for file, text in planted(bug).items():
        (folder / file).write_text(text, "utf-8")


def found_by_worlds(folder: Path, seeds_count: int) -> str:
    """What the first world that fails says; empty if none does."""
    return _run(folder, [sys.executable, "-c", WORLDS, str(seeds_count)])


def found_by_tests(folder: Path) -> str:
    """The first unit test that fails; empty if none does. Those that name a rule come first, the worlds are not among them."""
    arguments = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    last = ("test_transcripts.py", "test_step_fuzz.py")
    never = ("test_worlds.py", "test_plant.py")
    first = [path.name for path in sorted(HERE.glob("test_*.py"), reverse=True) if path.name not in (*last, *never)]
    output = _run(folder, [sys.executable, "-m", "pytest", *arguments, *(str(HERE / name) for name in (*first, *last))])
    failed = re.search(r"^(?:FAILED|ERROR|SUBFAILED).*?(test_\w+\.py::\S+)", output, re.MULTILINE)
    return failed.group(1) if failed else output[-300:]


def _run(folder: Path, command: list[str]) -> str:
    """The output of a command that fails, run with the planted package; empty if it succeeds."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{HERE}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis"),
    }
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            text=True,
            timeout=TIMEOUT_SECONDS,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {TIMEOUT_SECONDS} s"
    return done.stdout.strip() if done.returncode else ""


def main() -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=300, help="worlds to try for each bug")
    parser.add_argument("--tests-only", action="store_true", help="no worlds")
    parser.add_argument("--worlds-only", action="store_true", help="no unit tests")
    parser.add_argument("rules", nargs="*", help="E1a, L4, ...; default: all")
    options = parser.parse_args()
    missed = 0
    for bug in BUGS:
        if options.rules and bug.rule not in options.rules:
            continue
        with tempfile.TemporaryDirectory() as folder:
            plant(bug, Path(folder))
            test = "" if options.worlds_only else found_by_tests(Path(folder))
            world = "" if options.tests_only else found_by_worlds(Path(folder), options.seeds)
        missed += not test and not world
        told = world.splitlines()[0][:110] if world else "-"
        sys.stdout.write(f"{bug.rule:6} {bug.what}\n       test:   {test or '-'}\n       worlds: {told}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{missed} not found\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
