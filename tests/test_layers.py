"""The layers of hraft, checked: a module imports only from layers below its own, and the pure ones touch no outside world."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase

ROOT = Path(__file__).resolve().parent.parent
#: Known to everybody: what can go wrong, and how much of anything there may be.
BASE = {"errors", "limits"}
SHAPES = {*BASE, "raft", "interfaces", "questions"}
#: The table of docs/architecture.md: a unit (a module, or a package as a whole) and the units it may import.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "limits": set(),
    "addresses": {"errors"},
    "endpoints": {"errors", "addresses"},
    "sending": set(),
    "ordinary_files": set(),
    "tls": {*BASE, "ordinary_files", "sending"},
    "hints": set(),
    "counting": set(),
    "raft": BASE,
    "kv": BASE,
    "auth": {*BASE, "kv", "ordinary_files"},
    "credentials": {"errors"},
    "client": {*BASE, "addresses", "credentials", "tls"},
    "offline": {*SHAPES, "codec", "storage", "kv", "addresses"},
    "doctor": {*BASE, "addresses", "client", "offline"},
    "cli": {
        *{*BASE, "__init__", "client", "doctor", "addresses", "auth", "codec", "credentials", "kv", "storage", "offline", "tls"},
    },
    "__main__": {"cli"},
    "questions": set(),
    "interfaces": {*BASE, "raft", "questions"},
    "codec": SHAPES,
    "storage": {*SHAPES, "codec", "counting"},
    "peers": {*SHAPES, "counting", "codec", "addresses", "endpoints", "sending", "tls", "hints"},
    "service": {*SHAPES, "codec", "counting"},
    "leases": {*BASE, "kv", "service"},
    "web": {*SHAPES, "counting", "codec", "kv", "auth", "service", "sending", "__init__", "addresses"},
    "simulation": {*SHAPES, "codec", "kv", "storage", "service", "leases"},
    "testing": {"simulation"},
    "log_file": {"limits"},
    "unhurried": {"limits"},
    "reactor_stalls": {"limits"},
    "one_thread": {"limits", "unhurried"},
    "process": {"log_file"},
    "settings": {"limits", "addresses", "interfaces", "tls"},
    "tls_options": {"settings", "tls"},
    "access_options": {"settings"},
    "node_certificates": {"addresses", "endpoints", "hints", "settings", "tls"},
    "member_options": {*BASE, "settings"},
    "options": {*BASE, "__init__", "addresses", "interfaces", "settings", "member_options", "tls_options", "access_options"},
    "admission": {*BASE, "addresses", "credentials"},
    "founding": set(),
    "gathering": {*BASE, "admission", "founding"},
    "coming_in": {*BASE, "addresses", "admission", "service", "settings", "founding", "gathering"},
    "leaving": {*BASE, "questions", "service"},
    "access": {"addresses", "auth", "credentials", "one_thread", "settings", "web"},
    "waiting_room": {"founding", "service", "web"},
    "scheduled_backups": {*SHAPES, "storage", "service", "settings"},
    "node_disk": {*SHAPES, "counting", "storage", "unhurried"},
    "node_wiring": {
        *{*SHAPES, "__init__", "kv", "leases", "node_certificates", "node_disk", "one_thread", "peers", "reactor_stalls"},
        *{"service", "settings", "web"},
    },
    "assembly": {
        *{*SHAPES, "kv", "storage", "service", "leases", "web", "endpoints", "process", "settings", "admission", "access"},
        *{"coming_in", "leaving", "waiting_room", "scheduled_backups", "reactor_stalls"},
        *{"node_certificates", "node_disk", "node_wiring"},
    },
    "supervisor": set(),
    "tap": {*BASE, "options", "process", "log_file", "assembly", "supervisor"},
}
PURE = {"raft", "kv"}
#: Where the table of docs/architecture.md begins to say what the names left of it are for.
PAGE_COLUMN = 56
FORBIDDEN_IN_PURE = {"twisted", "time", "random", "os", "socket", "threading", "datetime", "asyncio", "logging", "uuid"}


def unit_of(module: str) -> str:
    """The unit that a dotted name below hraft belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of hraft by its dotted name."""
    for path in sorted((ROOT / "hraft").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path, for_types_too: bool = True) -> Iterator[str]:
    """Every name a module imports, wherever in it; `from hraft import limits` is hraft.limits."""
    tree = ast.parse(path.read_text("utf-8"))
    if not for_types_too:
        tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "a relative import"
            elif node.module == "hraft":
                yield from ("hraft" if alias.name.startswith("__") else f"hraft.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


class LayerTests(TestCase):
    """The table above, against the code."""

    def test_every_import_goes_down(self) -> None:
        """Nothing is imported sideways or upwards, so any layer can be read and tested without those above it."""
        wrong = []
        for module, path in modules():
            unit = unit_of(module)
            for name in sorted(set(imports(path))):
                if name == "a relative import":
                    wrong.append(f"{module}: {name}")
                elif name.split(".")[0] == "hraft" and unit_of(name) not in {*MAY_IMPORT.get(unit, set()), unit}:
                    wrong.append(f"{module} imports {name}")
        self.assertEqual([], wrong)

    def test_pure_layers_touch_nothing(self) -> None:
        """A run of the algorithm or the store is a function of its inputs: no clock, chance, disk, thread or log file."""
        wrong = [
            f"{module} imports {name}"
            for module, path in modules()
            if unit_of(module) in PURE
            for name in sorted(set(imports(path)))
            if name.split(".")[0] in FORBIDDEN_IN_PURE
        ]
        self.assertEqual([], wrong)

    def test_no_cycles_between_modules(self) -> None:
        """Inside a package too, so that each module can be understood after those it imports."""
        names = {module for module, _ in modules()}
        graph = {module: sorted(set(imports(path, False)) & (names - {module})) for module, path in modules()}
        done: set[str] = set()

        def visit(module: str, trail: tuple[str, ...]) -> None:
            self.assertNotIn(module, trail, f"a cycle: {' -> '.join((*trail, module))}")
            if module not in done:
                for name in graph[module]:
                    visit(name, (*trail, module))
                done.add(module)

        for module in graph:
            visit(module, ())

    def test_table_is_sound(self) -> None:
        """Every unit has a row, every row names units, and the rows themselves have no circle."""
        self.assertEqual([], sorted({unit_of(module) for module, _ in modules()} - set(MAY_IMPORT)))
        self.assertEqual([], sorted(set().union(*MAY_IMPORT.values()) - set(MAY_IMPORT)))
        lowest = {unit for unit, below in MAY_IMPORT.items() if not below}
        while rest := {unit for unit, below in MAY_IMPORT.items() if unit not in lowest and below <= lowest}:
            lowest |= rest
        self.assertEqual([], sorted(set(MAY_IMPORT) - lowest))

    def test_the_page_shows_the_same_order(self) -> None:
        """docs/architecture.md is read first: it names every unit, below or to the right of all that it may import."""
        page = (ROOT / "docs" / "architecture.md").read_text("utf-8").split("## Layers")[1].split("\nA module imports")[0]
        shown = [name.strip("/") for line in page.splitlines() if line.startswith("    ") for name in line[:PAGE_COLUMN].split()]
        self.assertEqual(sorted(set(MAY_IMPORT) - {"__init__", "__main__"}), sorted(shown))
        places = {"__init__": -1, "__main__": len(shown), **{name: place for place, name in enumerate(shown)}}
        wrong = [f"{unit} before {name}" for unit, below in MAY_IMPORT.items() for name in below if places[name] > places[unit]]
        self.assertEqual([], sorted(wrong))
