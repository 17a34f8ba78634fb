"""docs/operating.md has a row for every refusal: each code of HTTP, and each sentence that stops a start, a change or a tool."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from hraft.kv.results import Code
from hraft.web import openapi, problems

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "operating.md").read_text("utf-8").partition("## Every refusal and what to do")[2]
#: Errors whose sentences operators meet. Those of a damaged file say file, line and damage, and have one row together.
KINDS = {"UsageError", "DirectoryUnusable", "PortUnusable", "BadAddress", "FormatUnknown"}
KINDS |= {"CertificateUnusable", "BadUserFile", "WrongPeer", "ChangeRefused"}
#: Where the argument of a call is a code.
CODE_PLACES = {"Problem": 1, "retry_later": 0}
GAP = "…"
#: A sentence with less of its own passes on another's.
OWN_LETTERS_COUNT = 12
LOGGED = {"critical", "error"}


@cache
def sources() -> list[tuple[str, ast.AST]]:
    """Every node of every module's tree, but of those that no operator runs, and of the `hraft` command."""
    found: list[tuple[str, ast.AST]] = []
    for path in sorted((ROOT / "hraft").rglob("*.py")):
        if not {"simulation", "client", "cli"} & set(path.parts):
            found += ((path.relative_to(ROOT).as_posix(), node) for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    return found


def called(node: ast.AST | None) -> str:
    return ast.unparse(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""


def sentence(node: ast.AST) -> str:
    """A message with gaps where its values go."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(sentence(part) for part in node.values)
    return sentence(node.left) + sentence(node.right) if isinstance(node, ast.BinOp) else GAP


def rows() -> list[list[str]]:
    """The cells of each row of the page's tables."""
    return [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]


def pattern(phrase: str) -> str:
    """What a phrase of the page matches: `...` stands for anything, and a name in quotes for any name."""
    anything = re.sub(r"'\w+'", "...", phrase)
    return ".*".join(re.escape(part) for part in anything.split("..."))


PHRASES = [phrase for row in rows() for phrase in re.findall("`([^`]+)`", row[0])]


def refusals() -> list[tuple[str, str]]:
    """Where each sentence is, and the sentence."""
    found = []
    for path, node in sources():
        if isinstance(node, ast.Raise) and called(node.exc) in KINDS and isinstance(node.exc, ast.Call) and node.exc.args:
            text = sentence(node.exc.args[0])
            if sum(letter.isalpha() for letter in text) >= OWN_LETTERS_COUNT:
                found.append((f"{path}:{node.lineno}", text))
    return found


def codes() -> set[str]:
    """Every code that a client can be told."""
    found = {*get_args(Code), *openapi._STATUS_OF, *problems._NOT_DONE_CODES.values()}
    for _, node in sources():
        place = CODE_PLACES.get(called(node))
        if place is not None and isinstance(node, ast.Call) and len(node.args) > place:
            argument = node.args[place]
            found |= {argument.value} if isinstance(argument, ast.Constant) else set()
        if isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant):
            found.add(str(node.value.value))
    return {code for code in found if isinstance(code, str)}


def test_every_code_has_a_row() -> None:
    """Whoever meets a code in a program's log finds what to do about it; and no row is of the past."""
    told = {phrase for row in rows() if re.fullmatch("(`[a-z_]+`(, )?)+", row[0]) for phrase in re.findall("`([a-z_]+)`", row[0])}
    assert set() == codes() - told, "add them to `Over HTTP, by code` in docs/operating.md"
    assert set() == told - codes()
    assert len(told) > 40


@pytest.mark.parametrize(("where", "text"), refusals(), ids=lambda value: str(value)[:60])
def test_every_refusal_has_a_row(where: str, text: str) -> None:
    """A sentence that stops a start, a change or a tool: some phrase of a table is in it. Add a new one to docs/operating.md."""
    shown = text.replace(GAP, "....")
    assert [phrase for phrase in PHRASES if re.search(pattern(phrase), shown)], f"{where}: {text}"


def test_what_the_log_says_of_trouble_has_a_row() -> None:
    """Lines of level error and critical, which an operator is woken by."""
    said = [
        sentence(node.args[0])
        for _, node in sources()
        if isinstance(node, ast.Call) and called(node) in LOGGED and "_log" in ast.unparse(node.func) and node.args
    ]
    assert len(said) > 4
    assert [] == [text for text in said if not any(re.search(pattern(phrase), text) for phrase in PHRASES)]


def test_no_row_is_of_the_past() -> None:
    """A phrase that no part of hraft says any more only wastes a reader's time. Codes are looked at above."""
    texts = [sentence(node) for _, node in sources() if isinstance(node, ast.Constant | ast.JoinedStr)]
    everything = "\n".join(text.replace(GAP, "....") for text in texts)
    ours = [phrase for phrase in PHRASES if not re.fullmatch("[a-z_]+", phrase)]
    #: The system's own words, Twisted's, the command's.
    others = {"cannot listen on ...: Address already in use", "not recognized", "nothing was done; say --yes"}
    assert [] == [phrase for phrase in ours if phrase not in others and not re.search(pattern(phrase), everything)]
