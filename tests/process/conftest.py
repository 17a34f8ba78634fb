"""Every test of real processes has its cluster from `cluster_of_a_test`, may be interrupted, and may take its time."""

from __future__ import annotations

import signal

import pytest
from cluster_of_a_test import cluster, pytest_runtest_makereport

__all__ = ["cluster", "pytest_runtest_makereport"]

# A shell has what it runs in the background ignore Ctrl-C, and so would every process that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real processes may take longer than the pure tests that the default time-out is made for."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))
