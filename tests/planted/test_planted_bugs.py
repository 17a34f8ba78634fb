"""The table of planted bugs is kept true, and a few are planted to see that tests and simulators still bite."""

from __future__ import annotations

import ast
import sys
import tempfile
from collections import Counter
from pathlib import Path
from unittest import TestCase

import pytest
from finders import found_by_simulator, found_by_tests, run_planted
from findings import PAGE, Finding, read, write
from planted_bug import ROOT, plant, planted
from table import BUGS

BY_RULE = {bug.rule: bug for bug in BUGS}


class TableTests(TestCase):
    """`python -m tests.planted` plants them all, which takes long; this much is looked at each time."""

    def test_every_bug_can_be_planted(self) -> None:
        """What a row takes out stands in the code, once, and what remains is still Python."""
        self.assertEqual({}, {rule: count for rule, count in Counter(bug.rule for bug in BUGS).items() if count > 1})
        for bug in BUGS:
            with self.subTest(rule=bug.rule):
                for text in planted(bug).values():
                    ast.parse(text)

    def test_the_page_has_every_bug(self) -> None:
        """A row was added or removed without the page: `python -m tests.planted --write RULE` runs it and says what finds it."""
        self.assertEqual([bug.rule for bug in BUGS], list(read(PAGE.read_text("utf-8"))))

    def test_the_page_is_read_as_it_is_written(self) -> None:
        """A run of a few rows must not change the others."""
        findings = {"E1a": Finding("test_it", "7", "one vote a term"), "L4": Finding("", "> 300", "")}
        text = write("head\n\n## Findings\n", findings)
        found = read(text)
        self.assertEqual(findings, {rule: found[rule] for rule in findings})
        self.assertEqual(text, write(text, {}))
        self.assertEqual(Finding("test_it", "3", "x"), findings["E1a"].updated(Finding("", "3", "x")))


class BiteTests(TestCase):
    """One bug for each that is to find bugs."""

    def test_worlds_of_the_core_bite(self) -> None:
        """Reads that join a round which began before them are stale sooner or later."""
        with tempfile.TemporaryDirectory() as folder:
            plant(BY_RULE["R2"], Path(folder))
            command = [sys.executable, str(ROOT / "tests/raft/raft_worlds.py"), "0", "60"]
            self.assertIn("a stale read", run_planted(Path(folder), command, 60)[1])

    def test_unit_tests_bite(self) -> None:
        """A vote that leaves before it is on disk is seen by the test that is named after the rule."""
        with tempfile.TemporaryDirectory() as folder:
            plant(BY_RULE["E1a"], Path(folder))
            self.assertIn("test_e1_vote_is_on_disk_before_the_answer", found_by_tests(Path(folder), "raft"))


@pytest.mark.parametrize("rule", ["L6a", "D14a", "R7"])
def test_simulator_bites(rule: str) -> None:
    """The core, the disk and the service are all in a world: what is taken out of one of them is named by a judge."""
    with tempfile.TemporaryDirectory() as folder:
        plant(BY_RULE[rule], Path(folder))
        found = found_by_simulator(Path(folder), seeds_count=40, seconds=20.0, limit_seconds=45.0)
        assert found.rule not in ("", "an exception escaped"), found
