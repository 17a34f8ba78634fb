"""The manual pages say what the commands take, and a formatter has nothing to complain of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs" / "man").glob("*.1"))


def test_they_are_up_to_date() -> None:
    """An option that is not in the page does not exist for whoever asks `man`. `python -m scripts.man_pages` writes them."""
    command = [sys.executable, "-m", "scripts.man_pages", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (0, "up to date\n") == (done.returncode, done.stdout), done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff here")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_they_can_be_read(page: Path) -> None:
    """A line that begins with a dot would vanish, and a lone backslash eat the letter behind it."""
    command = ["groff", "-man", "-ww", "-Tascii", "-P-cbu", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (0, "") == (done.returncode, done.stderr)
    assert {"hraft.1": "hraft log verify DIRECTORY", "twist-hraft.1": "--raddr-adv VALUE"}[page.name] in done.stdout


def test_there_are_two() -> None:
    """One for each command."""
    assert ["hraft.1", "twist-hraft.1"] == [page.name for page in PAGES]
