"""A cluster for each test of real processes; what the nodes logged is shown when the test fails."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from cluster import Cluster

LOG_CHARACTERS_COUNT = 6000

# A shell has what it runs in the background ignore Ctrl-C, and so would every process that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Nodes below a directory of their own, all ended at the end."""
    made = Cluster(tmp_path, request.config.getoption("--reactor"))
    yield made
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the nodes' logs to the report of a failure."""
    report = yield
    made = getattr(item, "funcargs", {}).get("cluster")
    if report.when == "call" and report.failed and made is not None:
        report.sections += [(f"log of {node.name}", node.log()[-LOG_CHARACTERS_COUNT:]) for node in made.nodes]
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real processes may take longer than the pure tests that the default time-out is made for."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))
