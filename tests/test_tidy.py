"""House rules as tests: small modules and functions, plain names, a docstring wherever a reader enters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from unittest import TestCase

TestCase.maxDiff = None
ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES_COUNT = 320
FUNCTION_LINES_COUNT = 55
GLANCE_LINES_COUNT = 8
#: "path" or "path:function" -> why it may be longer.
LONGER_WITH_REASON: dict[str, str] = {}
BANNED_NAMES = {"manager", "handler", "engine", "utils", "util", "helpers", "helper", "misc", "common", "core"}
#: A leftover, spelt so that this file does not find itself.
UNFINISHED = re.compile("TO" + "DO|FIX" + "ME|XX" + "X")
MACHINE_PATH = re.compile(r"/(home|root|work|Users|usr/local|opt)/|/tmp/(?!\.\.\.)")
#: Where blocking the thread, or chance and the clock from outside, would break the reactor or a simulated run.
BANNED_CALLS = {
    "time.sleep": {"tests/process"},
    "time.time": {"tests/process"},
    "random.random": set(),
    "random.randint": set(),
    "random.choice": set(),
    "random.uniform": set(),
    "random.shuffle": set(),
    "random.randrange": set(),
}


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Every Python file below some folders: its path in the project, its text."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text("utf-8")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a module."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Modules, public classes and public functions that do not say what they are for.

    These may go without: a function short enough to be read at a glance, an override of Twisted's (camelCase), what carries out
    a Protocol's method, and `on_<message>`, of which the message's class tells.
    """
    if ast.get_docstring(tree) is None and tree.body:
        yield "the module"
    for scope in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        for node in scope.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
                continue
            if ast.get_docstring(node) is None and not _says_all(node):
                yield node.name


def _says_all(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if isinstance(node, ast.ClassDef):
        return _is_plain_record(node)
    is_short = (node.end_lineno or 0) - node.lineno < GLANCE_LINES_COUNT
    return is_short or node.name != node.name.lower() or node.name.startswith("on_") or node.name in promised_methods()


@cache
def promised_methods() -> frozenset[str]:
    """Every method of a Protocol in hraft: what it must do is said there, once."""
    classes = [node for _, text in sources("hraft") for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    protocols = [node for node in classes if any(ast.unparse(base) == "Protocol" for base in node.bases)]
    return frozenset(part.name for node in protocols for part in node.body if isinstance(part, ast.FunctionDef))


def _is_plain_record(node: ast.AST) -> bool:
    """A dataclass of fields alone, or an error without a body of its own, next to others that explain it."""
    return isinstance(node, ast.ClassDef) and all(isinstance(part, ast.AnnAssign | ast.Pass) for part in node.body)


class SizeTests(TestCase):
    """Every Raft code base has one overgrown file in its heart; this one has not."""

    def test_modules_are_small(self) -> None:
        """A module is read in one sitting."""
        long = {path: text.count("\n") for path, text in sources("hraft", "scripts") if text.count("\n") > MODULE_LINES_COUNT}
        self.assertEqual({}, {path: count for path, count in long.items() if path not in LONGER_WITH_REASON})

    def test_functions_are_small(self) -> None:
        """A function is one level of thought."""
        long = [
            f"{path}:{function.name} has {(function.end_lineno or 0) - function.lineno + 1} lines"
            for path, text in sources("hraft", "scripts")
            for function in functions(ast.parse(text))
            if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES_COUNT
            and f"{path}:{function.name}" not in LONGER_WITH_REASON
        ]
        self.assertEqual([], long)

    def test_exceptions_are_needed(self) -> None:
        """A reason to be long goes when its module or function does."""
        there = {path for path, _ in sources("hraft", "scripts")}
        self.assertEqual([], [name for name in LONGER_WITH_REASON if name.partition(":")[0] not in there])


class WordTests(TestCase):
    """What names and texts may not say."""

    def test_docstrings(self) -> None:
        """Whoever opens a module, a public class or a public function is told what it is for."""
        missing = [f"{path}: {name}" for path, text in sources("hraft", "scripts") for name in undocumented(ast.parse(text))]
        self.assertEqual([], missing)

    def test_tests_say_why(self) -> None:
        """A test's name is the rule, and its docstring the reason."""
        silent = [
            f"{path}: {function.name}"
            for path, text in sources("tests")
            for function in functions(ast.parse(text))
            if function.name.startswith("test_") and ast.get_docstring(function) is None
        ]
        self.assertEqual([], silent)

    def test_no_empty_names(self) -> None:
        """A file or class called a manager of something could be anything."""
        wrong = []
        for path, text in sources("hraft", "scripts", "tests"):
            names = [Path(path).stem, *(node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef))]
            for name in names:
                words = re.findall(r"[A-Z]?[a-z]+", name)
                wrong += [f"{path}: {name}" for word in words if word.lower() in BANNED_NAMES]
        self.assertEqual([], wrong)

    def test_nothing_unfinished(self) -> None:
        """What is left to do is an issue, not a comment."""
        found = [path for path, text in sources("hraft", "scripts", "tests", "twisted") if UNFINISHED.search(text)]
        self.assertEqual([], found)

    def test_no_machine_paths(self) -> None:
        """Nothing depends on where somebody once had a file."""
        found = [
            f"{path}: {match.group()}"
            for path, text in sources("hraft", "scripts", "twisted")
            for match in MACHINE_PATH.finditer(text)
        ]
        self.assertEqual([], found)


class CallTests(TestCase):
    """What code may not call."""

    def test_no_sleep_chance_or_wall_clock(self) -> None:
        """A sleeping reactor is a dead node; chance and time come in as arguments."""
        wrong = []
        for path, text in sources("hraft", "tests", "twisted"):
            tree = ast.parse(text)
            # An argument called `random` is a seeded generator that was handed in.
            arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
            for node in ast.walk(tree):
                name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                if name not in BANNED_CALLS or name.partition(".")[0] in arguments:
                    continue
                if not any(path.startswith(folder) for folder in BANNED_CALLS[name]):
                    wrong.append(f"{path}:{node.lineno} calls {name}")
        self.assertEqual([], wrong)

    def test_no_print(self) -> None:
        """A node speaks through its log; only scripts print."""
        found = [
            f"{path}:{node.lineno}"
            for path, text in sources("hraft", "twisted")
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        ]
        self.assertEqual([], found)
