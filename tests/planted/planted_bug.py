"""A bug to be planted: it takes one rule out of hraft. What does not find it proves nothing about that rule.

The rows are in `bugs_of_*.py`. A text to be replaced stands in its file exactly once: rows keep it as short as that allows, so
that other changes to the file seldom touch it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """One rule taken out."""

    #: Its id in docs/scenarios.md, and a letter where there are several.
    rule: str
    what: str
    #: File, old text, new text.
    edits: tuple[tuple[str, str, str], ...]
    #: Why no simulated world can show it; empty if one should.
    unseen: str = ""

    @property
    def area(self) -> str:
        """The package that it is in: raft, storage, ..."""
        return Path(self.edits[0][0]).parts[1]


def bug(rule: str, what: str, module: str, *texts: str, unseen: str = "") -> PlantedBug:
    """Old and new texts in turn, all in one module, which is named below hraft: "raft/election"."""
    pairs = zip(texts[::2], texts[1::2], strict=True)
    return PlantedBug(rule, what, tuple((f"hraft/{module}.py", *pair) for pair in pairs), unseen)


def both(rule: str, what: str, *bugs: PlantedBug, unseen: str = "") -> PlantedBug:
    """Several lines of defence taken out together."""
    return PlantedBug(rule, what, tuple(edit for one in bugs for edit in one.edits), unseen)


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
