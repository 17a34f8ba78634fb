"""The application of docs/embedding.md and its test, run as they stand there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import TestCase

from hraft.testing import Cluster, hraft_cluster  # noqa: F401 - the fixture is found by its name

PAGE = Path(__file__).resolve().parent.parent / "docs" / "embedding.md"
APPLICATION, ITS_TEST = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def test_the_example(hraft_cluster: Callable[..., Cluster]) -> None:  # noqa: F811
    """What the page promises to those who copy it."""
    namespace: dict[str, Any] = {"__name__": "tally"}
    exec(compile(APPLICATION + ITS_TEST, str(PAGE), "exec"), namespace)
    namespace["test_votes_survive_the_leader"](hraft_cluster)


class PageTests(TestCase):
    def test_it_is_short(self) -> None:
        """An application that cannot be read at a glance would not be an example."""
        self.assertLess(len([line for line in APPLICATION.splitlines() if line.strip()]), 60)

    def test_it_can_be_typed(self) -> None:
        """Nothing but what an install of hraft brings."""
        imported = set(re.findall(r"^(?:from|import) (\w+)", APPLICATION, re.MULTILINE))
        self.assertLessEqual(imported - {"klein", "twisted", "hraft"}, set(sys.stdlib_module_names))
