"""Whole worlds from seeds: all promises kept, the same seed the same world, and enough happened in them to mean something.

A sample; `python -m hraft.simulation --seeds 200 --jobs 2` is the run that every commit must pass.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from unittest import TestCase

import pytest

from hraft.simulation import command
from hraft.simulation.marks import NAMES
from hraft.simulation.run import Outcome, run
from hraft.simulation.shape import ALL_KINDS, FAULT_KINDS, Selection, draw_shape
from hraft.simulation.shrink import shrink
from hraft.simulation.story import Violation

ROOT = Path(__file__).resolve().parent.parent.parent


class WorldTests(TestCase):
    @pytest.mark.scenario("E22", "L19", "L21", "C4", "N12", "X4")
    def test_a_sample_of_worlds(self) -> None:
        """Whatever the seeds think of, everything promised is kept, and most of what can happen has happened."""
        marks: set[str] = set()
        for seed in range(30):
            outcome = run(Selection(seed, 40.0))
            self.assertEqual("", outcome.rule, f"{outcome.story}\n{outcome.what}\n{outcome.selection.command()}")
            marks.update(outcome.marks)
        self.assertGreaterEqual(len(marks), 40, sorted(set(NAMES) - marks))

    def test_every_kind_alone(self) -> None:
        """Each kind of fault can be told apart from all others."""
        for number, kind in enumerate(ALL_KINDS):
            selection = Selection(number, 10.0, 3, 1, (kind,))
            outcome = run(selection)
            self.assertEqual("", outcome.rule, f"{kind}: {outcome.what}\n{selection.command()}")

    def test_shapes(self) -> None:
        """Every kind is in some worlds and not in others; what is given changes nothing else."""
        shapes = [draw_shape(seed) for seed in range(200)]
        for kind in ALL_KINDS:
            self.assertIn(sum(kind in shape.kinds for shape in shapes), range(20, 180), kind)
        self.assertTrue(all(set(shape.faults) <= set(FAULT_KINDS) for shape in shapes))
        self.assertEqual({1, 2, 3, 4, 5}, {shape.nodes_count for shape in shapes})
        given = draw_shape(5, nodes_count=4)
        self.assertEqual((4, draw_shape(5).timing, draw_shape(5).kinds), (given.nodes_count, given.timing, given.kinds))


class DeterminismTests(TestCase):
    @pytest.mark.scenario("X5")
    def test_one_seed_is_one_world(self) -> None:
        """In other processes, with other hashes of strings, to the last event: a seed is a bug report."""
        for seed in (3, 14):
            hashes = {self.trace(seed, hash_seed) for hash_seed in ("1", "77")}
            hashes.add(run(Selection(seed, 20.0)).trace_hash)
            self.assertEqual(1, len(hashes))
        self.assertNotEqual(run(Selection(3, 20.0)).trace_hash, run(Selection(4, 20.0)).trace_hash)

    def trace(self, seed: int, hash_seed: str) -> str:
        words = [sys.executable, "-m", "hraft.simulation", "--seed", str(seed), "--seconds", "20"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=ROOT, check=True)
        found = re.search(r"trace ([0-9a-f]{32})", done.stdout)
        assert found is not None, done.stdout
        return found[1]


def broken_where(selection: Selection) -> Outcome:
    """A world that fails where there are crashes and at least three nodes, whatever else there is."""
    shape = selection.shape()
    fails = "crash" in shape.kinds and shape.nodes_count >= 3
    return Outcome(selection, shape, rule="a rule" if fails else "", what="what", story="story", trace_hash="0" * 32)


class ShrinkTests(TestCase):
    def test_what_matters_is_left(self) -> None:
        """Of a world of twenty faults those are left that it takes, and no more nodes, clients and seconds than it takes."""
        failure = broken_where(Selection(1, 300.0, 5, 4, ALL_KINDS))
        seed = next(seed for seed in range(99) if "crash" in draw_shape(seed).kinds)
        failure = broken_where(Selection(seed, 300.0, 5, 4, ALL_KINDS))
        heard: list[Outcome] = []
        smallest = shrink(failure, broken_where, tell=heard.append)
        self.assertEqual((("crash",), 3, 1, 5.0), self.measures(smallest))
        self.assertEqual(smallest, heard[-1])
        self.assertEqual("", run(smallest.selection).rule)

    def measures(self, outcome: Outcome) -> tuple[object, ...]:
        return outcome.shape.kinds, outcome.shape.nodes_count, outcome.shape.clients_count, outcome.selection.seconds

    def test_another_failure_is_not_taken_for_it(self) -> None:
        """A smaller world that fails in another way says nothing about this one."""

        def other(selection: Selection) -> Outcome:
            return Outcome(selection, selection.shape(), rule="another rule")

        failure = broken_where(Selection(1, 10.0, 3, 1, ()))
        self.assertIs(failure, shrink(failure, other, worlds_count=40))


class CommandTests(TestCase):
    def command(self, *words: str) -> tuple[int, str]:
        out = StringIO()
        return command.main(words, out), out.getvalue()

    def test_one_seed(self) -> None:
        """One line, with all that tells this world from others."""
        status, text = self.command("--seed", "4", "--seconds", "5", "--nodes", "3", "--faults", "crash,loss")
        self.assertEqual(0, status, text)
        self.assertRegex(text, r"^seed 4: all promises kept; 3 nodes, .* trace [0-9a-f]{32}; faults: ")

    def test_many_seeds(self) -> None:
        """A summary of what was done, and of which marks were missed; these count against a run that is long enough."""
        status, text = self.command("--seeds", "3", "--seconds", "5", "--jobs", "2")
        self.assertEqual(0, status, text)
        self.assertRegex(text, r"3 worlds, none failed, .* simulated hours, .* x real time, \d+ of \d+ marks")
        self.assertIn("never: ", text)

    def test_some_seeds_twice(self) -> None:
        """The first of many are run twice, and counted once."""
        status, text = self.command("--first", "7", "--seeds", "3", "--seconds", "5", "--jobs", "2", "--twice", "2")
        self.assertEqual(0, status, text)
        self.assertRegex(text, r"3 worlds, none failed, ")
        self.assertIn("2 worlds twice, with the same trace", text)

    def test_a_seed_of_two_worlds(self) -> None:
        """Whatever the two came to: a seed that does not repeat what happened is no bug report."""
        selection = Selection(7)
        summary = command.Summary()
        for trace_hash in ("1" * 32, "2" * 32):
            failure = summary.add(Outcome(selection, selection.shape(), trace_hash=trace_hash))
        assert failure is not None
        self.assertEqual(("one seed is one world", 1, 1), (failure.rule, summary.worlds_count, len(summary.failures)))

    def test_an_unknown_fault(self) -> None:
        """A word misspelt would leave a fault out in silence."""
        status, text = self.command("--faults", "crsh")
        self.assertEqual(64, status)
        self.assertIn("no such fault: crsh", text)

    def test_a_failure_can_be_seen_again(self) -> None:
        """What is printed repeats the same world, whatever was chosen by hand."""
        selection = Selection(8, 12.5, 4, 2, ("crash", "loss"))
        words = selection.command().split()[3:]
        self.assertEqual(selection, command.selection_for(8, command.parser().parse_args(words)))
        outcome = Outcome(selection, selection.shape(), rule="a rule", what="what", story="the last events")
        text = command.failure_text(outcome)
        self.assertIn("the last events", text)
        self.assertIn("python -m hraft.simulation --seed 8 --seconds 12.5 --nodes 4 --clients 2 --faults crash,loss", text)

    def test_violations_are_errors_of_assertion(self) -> None:
        """A test that drives a world by hand fails like any other."""
        self.assertEqual("rule: what", str(Violation("rule", "what")))
