"""Real nodes are started and waited for as in the process suite, whose modules are found by its folder."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "process"))

from cluster_of_a_test import cluster, pytest_runtest_makereport

__all__ = ["cluster", "pytest_runtest_makereport"]
