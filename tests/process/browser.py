"""A headless Chromium that looks at a node's dashboard, and notes whatever a page complains about.

Playwright drives it. The browser is the system's: distributions have one, and its own download is not to be had everywhere.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster import PATIENCE_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Pictures of the page as the tests saw it; not for version control.
OUTPUT = Path(__file__).resolve().parent.parent / ".output"


def browser_path() -> str:
    """Skip the test, with what is missing, where there is no browser."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed; with Debian: apt-get install chromium")
    return found


@contextmanager
def chromium() -> Iterator[Any]:
    """A Playwright browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright: it drives the browser")
    path = browser_path()
    # A sandbox of Chromium's needs rights that root in a container has not; what it shows here is our own page.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=options, timeout=1000 * PATIENCE_SECONDS)
        yield browser
        browser.close()


class Looker:
    """One tab on one node's dashboard."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.context.set_default_timeout(1000 * PATIENCE_SECONDS)
        self.page = self.context.new_page()
        #: Errors, and violations of the Content-Security-Policy, of which Chromium tells on the console.
        self.complaints: list[str] = []
        self.page.on("console", lambda message: message.type in ("error", "warning") and self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        #: Everything that is not the node itself.
        self.foreign: list[str] = []
        self.page.on("request", lambda request: request.url.startswith(f"http://{address}/") or self.foreign.append(request.url))
        self.page.goto(f"http://{address}/")

    def wait_for(self, selector: str, text: str) -> None:
        """Until the element says so. Not by a function of ours: the page's policy lets nobody evaluate one again and again."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_contain_text(text, timeout=1000 * PATIENCE_SECONDS)

    def wait_for_value(self, selector: str, value: str) -> None:
        """Until a field has it."""
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_value(value, timeout=1000 * PATIENCE_SECONDS)

    def text(self, selector: str) -> str:
        said: str = self.page.inner_text(selector)
        return said

    def picture(self, name: str, whole: bool = True) -> None:
        OUTPUT.mkdir(exist_ok=True)
        self.page.screenshot(path=OUTPUT / f"{name}.png", full_page=whole)
