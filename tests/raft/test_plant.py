"""The table of planted bugs is kept true, and two of them are planted to see that worlds and tests still bite."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path
from unittest import TestCase

from plant import found_by_tests, found_by_worlds, plant, planted
from planted_bugs import BUGS

BY_RULE = {bug.rule: bug for bug in BUGS}


class PlantedBugTests(TestCase):
    """`python tests/raft/plant.py` plants them all, which takes long; this much is done each time."""

    def test_every_bug_can_be_planted(self) -> None:
        """What a row takes out stands in the code, once, and what remains is still Python."""
        self.assertEqual(len(BUGS), len(BY_RULE))
        for bug in BUGS:
            with self.subTest(rule=bug.rule):
                for text in planted(bug).values():
                    ast.parse(text)

    def test_worlds_bite(self) -> None:
        """Reads that join a round which began before them are stale sooner or later."""
        with tempfile.TemporaryDirectory() as folder:
            plant(BY_RULE["R2"], Path(folder))
            self.assertIn("a stale read", found_by_worlds(Path(folder), 60))

    def test_unit_tests_bite(self) -> None:
        """A vote that leaves before it is on disk is seen by the test that is named after the rule."""
        with tempfile.TemporaryDirectory() as folder:
            plant(BY_RULE["E1a"], Path(folder))
            self.assertIn("test_e1_vote_is_on_disk_before_the_answer", found_by_tests(Path(folder)))
