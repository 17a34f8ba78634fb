"""What holds for every test: marks that name real scenarios, no test that passes without running, a clean reactor after each."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Generated input is the same in every run, and no verdict depends on how busy the machine is.
# `--hypothesis-profile explore` draws anew each time: for a person who looks for more.
# Some suites are run once more by classes that inherit them, on another way into the same code.
SUPPRESSED = [HealthCheck.too_slow, HealthCheck.differing_executors]
settings.register_profile("same", derandomize=True, deadline=None, database=None, suppress_health_check=SUPPRESSED)
settings.register_profile("explore", deadline=None, suppress_health_check=SUPPRESSED)
settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent
# At the end: what is tested is the hraft that is installed, and chaos/ and fuzz/ stand beside it in a checkout only.
sys.path.append(str(ROOT))
SCENARIO_ROW = re.compile(r"^\| ([ELDRMTSCNOX]\d+) \|", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the unit tests run on another reactor, and tell the process suite to start its nodes with it."""
    parser.addoption("--reactor", default="default", choices=("default", "asyncio"), help="Twisted reactor to test on")


def pytest_configure(config: pytest.Config) -> None:
    """Install the reactor before any import of a test can install another."""
    if config.getoption("--reactor") == "asyncio":
        from twisted.internet import asyncioreactor

        asyncioreactor.install()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests that would prove nothing."""
    known = set(SCENARIO_ROW.findall((ROOT / "docs" / "scenarios.md").read_text("utf-8")))
    wrong = [complaint for item in items if (complaint := complaint_about(item, known))]
    if wrong:
        raise pytest.UsageError("\n".join(wrong))


def complaint_about(item: pytest.Item, known: set[str]) -> str | None:
    """Say what is wrong with the look of a test, if anything is."""
    function = getattr(item, "obj", None)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return f"{item.nodeid} would pass without running: nothing awaits or iterates it"
    for mark in item.iter_markers("scenario"):
        unknown = sorted(set(mark.args) - known)
        if unknown or not mark.args:
            return f"{item.nodeid}: docs/scenarios.md has no scenario {', '.join(map(repr, unknown)) or '(none is named)'}"
    return None


@pytest.fixture(autouse=True)
def clean_reactor() -> Iterator[None]:
    """Fail a test that leaves a timer or a socket in the reactor, where it would disturb a later test."""
    before = _in_reactor()
    yield
    left = [thing for thing in _in_reactor() if thing not in before]
    if left and before is not _NO_REACTOR:
        pytest.fail(f"left in the reactor: {left}")


_NO_REACTOR: list[Any] = []


def _in_reactor() -> list[Any]:
    reactor = sys.modules.get("twisted.internet.reactor")
    if reactor is None:
        return _NO_REACTOR
    things = [*reactor.getDelayedCalls(), *reactor.getReaders(), *reactor.getWriters()]  # type: ignore[attr-defined]
    # The reactor's own wakers come and go with each run of it; on asyncio they are made anew each time.
    return [thing for thing in things if type(thing).__module__ != "twisted.internet._signals"]
