"""The documentation as a site: it builds without a warning, every page is reachable, and none needs another server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytest.importorskip("mkdocs", reason="the site is built where the extra `docs` is installed")
pytest.importorskip("mkdocstrings", reason="the site is built where the extra `docs` is installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as mkdocs.yml says, which makes an error of every warning: dead links, dead anchors, pages that nothing leads to."""
    made = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(made)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [] == [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
    return made


def test_every_page_is_there(site: Path) -> None:
    """A page that is left out of the navigation is a warning; this sees that nobody switched those off."""
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}
    assert len(pages) > 15


def test_no_page_asks_another_server(site: Path) -> None:
    """It is read on machines without a way out, and nobody learns who reads it."""
    asked = [
        f"{page.name}: {found}"
        for page in site.glob("*.html")
        for found in re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?:https?:)?//[^\"]+", page.read_text("utf-8"))
    ]
    assert [] == asked


def test_the_reference_has_the_client(site: Path) -> None:
    """Signatures and docstrings come from the code."""
    text = (site / "reference.html").read_text("utf-8")
    missing = [name for name in ("HraftClient.put", "BlockingClient", "HraftService.submit", "NodeSettings") if name not in text]
    assert [] == missing
