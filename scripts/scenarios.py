"""Which situations of docs/scenarios.md have a test: counted from the marks and names of the tests alone.

    python scripts/scenarios.py            coverage by letter, and what has no test yet, with the reason
    python scripts/scenarios.py --tests    also the tests of each scenario
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_WAITING = re.compile(r"^- \*\*([A-Z]\d+)\*\*: (.*)$", re.MULTILINE)
_ROW = re.compile(r"^\| ([ELDRMTSCNOX]\d+) \| (.*?) \| [A-Z() a-z]*\|$", re.MULTILINE)
_NAMED_AFTER = re.compile(r"test_([eldrmtscnox]\d+)(?:_|$)")


def statements() -> dict[str, str]:
    """Every scenario's statement by its id, in the page's order."""
    return dict(_ROW.findall((ROOT / "docs" / "scenarios.md").read_text("utf-8")))


def reasons() -> dict[str, str]:
    """Why a scenario has no test as yet, by its id."""
    return dict(_WAITING.findall((ROOT / "docs" / "scenarios.md").read_text("utf-8")))


def marked_tests() -> Iterator[tuple[str, str]]:
    """Pairs of a scenario's id and a test that carries it. A mark on a class or a module counts for that."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        where = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
                for decorator in node.decorator_list:
                    yield from ((scenario, f"{where}::{node.name}") for scenario in _marks(decorator))
                if match := _NAMED_AFTER.match(node.name):
                    yield match[1].upper(), f"{where}::{node.name}"
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                yield from ((scenario, where) for scenario in _marks(node.value))


def _marks(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.scenario":
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))  # type: ignore[misc]


def report(tests_too: bool) -> Iterator[str]:
    """The report, line by line."""
    known = statements()
    tests: dict[str, list[str]] = {}
    for scenario, test in marked_tests():
        tests.setdefault(scenario, []).append(test)
    letters = list(dict.fromkeys(scenario[0] for scenario in known))
    for letter in letters:
        mine = [scenario for scenario in known if scenario[0] == letter]
        yield f"{letter}  {sum(scenario in tests for scenario in mine):3} of {len(mine):3}"
    yield f"all {sum(scenario in tests for scenario in known):2} of {len(known)}"
    if tests_too:
        yield from (f"{scenario:4} {test}" for scenario in known for test in sorted(set(tests.get(scenario, ()))))
    why = reasons()
    yield "without a test:"
    for scenario, statement in known.items():
        if scenario not in tests:
            yield f"{scenario:4} {statement}"
            yield f"     {why[scenario]}" if scenario in why else f"no reason: {scenario}"
    yield from (f"waits no more: {scenario}" for scenario in why if scenario in tests)
    yield from (f"unknown: {scenario} in {tests[scenario][0]}" for scenario in tests if scenario not in known)


def main(arguments: list[str]) -> int:
    """Print the report; exit status 1 when a mark names no scenario, or a scenario has neither test nor reason."""
    if set(arguments) - {"--tests"}:
        sys.stderr.write(__doc__ or "")
        return 64
    lines = list(report("--tests" in arguments))
    print("\n".join(lines))
    return int(any(line.startswith(("unknown:", "no reason:")) for line in lines))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
