"""One thing that was looked at: how it is, what was seen, and what to do. Knows nothing of what can be looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is. The worst of all findings is the command's exit code."""

    OK = 0
    #: It works, and will not under circumstances that are to be expected.
    WARNING = 1
    #: Something does not work, or is about to be lost.
    PROBLEM = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at, `subject` on which node or where; `advice` is empty where there is nothing to do."""

    level: Level
    check: str
    subject: str
    seen: str
    advice: str = ""


def worst(findings: Iterable[Finding]) -> Level:
    return max((finding.level for finding in findings), default=Level.OK)
