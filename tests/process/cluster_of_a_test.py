"""A cluster for each test that wants one, and what its nodes logged when the test fails; for the conftests of real processes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from cluster import Cluster

LOG_CHARACTERS_COUNT = 6000


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
