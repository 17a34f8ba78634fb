"""What was found, as the table of docs/planted-bugs.md: read back and written anew, so that a few rows can be run again alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

from planted_bug import ROOT, PlantedBug
from table import BUGS

PAGE = ROOT / "docs" / "planted-bugs.md"
HEADING = "## Findings\n"
_ROW = re.compile(r"^\| (\w*\d[^|]*) \| [^|]* \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
_NONE = "-"


@dataclass(frozen=True, slots=True)
class Finding:
    """One bug: the first test that fails; the number of worlds up to the first that fails, and what that one says. Empty where
    nothing was found or asked."""

    test: str = ""
    worlds: str = ""
    broken: str = ""

    @property
    def worlds_count(self) -> int | None:
        """None where no world failed."""
        return int(self.worlds) if self.worlds.isdigit() else None

    def updated(self, later: Finding) -> Finding:
        """With what a later run has found out, which may have asked tests only, or worlds only."""
        found = replace(self, test=later.test) if later.test else self
        return replace(found, worlds=later.worlds, broken=later.broken) if later.worlds else found


def read(text: str) -> dict[str, Finding]:
    """The findings of a page, by rule."""
    rows = _ROW.finditer(text.partition(HEADING)[2])
    cells = ([cell.strip("`").replace(_NONE, "") for cell in row.groups()] for row in rows)
    return {rule: Finding(*found) for rule, *found in cells}


def write(text: str, later: dict[str, Finding]) -> str:
    """The page with what later runs have found. What stands above the findings stays."""
    findings = read(text)
    for rule, finding in later.items():
        findings[rule] = findings.get(rule, Finding()).updated(finding)
    return "\n".join((text.partition(HEADING)[0] + HEADING, *_summary(findings), "", *_table(findings), ""))


def _summary(findings: dict[str, Finding]) -> Iterator[str]:
    found = [findings.get(bug.rule, Finding()) for bug in BUGS]
    counts = sorted(count for finding in found if (count := finding.worlds_count) is not None)
    missed = [bug.rule for bug, finding in zip(BUGS, found, strict=True) if not finding.test and finding.worlds_count is None]
    yield f"- {len(BUGS)} bugs; {sum(bool(finding.test) for finding in found)} are found by a unit test."
    if counts:
        first = sum(count == 1 for count in counts)
        yield (
            f"- {len(counts)} are found by the simulator: {first} in its first world, half of them within {median(counts):g}, "
            f"all within {counts[-1]}."
        )
    yield f"- {sum(bool(bug.unseen) for bug in BUGS)} are not to be seen in a simulation, for the reasons given."
    yield f"- Found by nothing: {', '.join(missed) or 'none'}."


def _table(findings: dict[str, Finding]) -> Iterator[str]:
    yield "| rule | what is taken out | the first unit test that fails | worlds | what the simulator says |"
    yield "| --- | --- | --- | --- | --- |"
    for bug in BUGS:
        yield _line(bug, findings.get(bug.rule, Finding()))


def _line(bug: PlantedBug, finding: Finding) -> str:
    test = f"`{finding.test}`" if finding.test else _NONE
    broken = bug.unseen if bug.unseen and not finding.broken else finding.broken
    return f"| {bug.rule} | {bug.what} | {test} | {finding.worlds or _NONE} | {broken or _NONE} |"
