"""Every test of real processes has its cluster from `cluster_of_a_test`, may be interrupted, and may take its time."""

from __future__ import annotations

import signal

from cluster_of_a_test import cluster, pytest_runtest_makereport

__all__ = ["cluster", "pytest_runtest_makereport"]

# A shell has what it runs in the background ignore Ctrl-C, and so would every process that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
