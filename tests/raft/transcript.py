"""Transcripts: a run of the protocol told as commands and what came of them.

A line that does not begin with a space is a command or a `#` comment; the indented lines below it are what happened.
`UPDATE_TRANSCRIPTS=1` writes them anew: read the diff, and commit it only when you understand it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

INDENT = "    "


def run_transcript(path: Path, run: Callable[[str], list[str]]) -> tuple[str, str]:
    """Play a transcript; returns what it told and what happened, which ought to be equal."""
    told = path.read_text("utf-8")
    lines = []
    for line in told.splitlines():
        if line.startswith(INDENT):
            continue
        lines.append(line)
        if line and not line.startswith("#"):
            lines += [INDENT + outcome for outcome in run(line)]
    happened = "\n".join(lines) + "\n"
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.write_text(happened, "utf-8")
        return happened, happened
    return told, happened
