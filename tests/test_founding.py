"""Several new nodes that are started with one command line begin one cluster, and never two."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from random import Random
from unittest import TestCase

import pytest

from hraft.founding import Founding, Verdict, View

IDS = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Place:
    """One address of the model: its process, if it runs; the answers of its present round; and what its disk has."""

    node_id: str
    lives_count: int = 0
    #: What a process remembers, as `Founding` has it; None: it is down.
    memory: tuple[object, ...] | None = None
    heard: tuple[View | None, ...] = ()
    #: The cluster of which it is a member, by the number of the founding.
    cluster: int | None = None

    def founding(self, expected_count: int) -> Founding:
        founding = Founding(self.node_id, f"{self.node_id}.{self.lives_count}", expected_count)
        if self.memory:
            founding._sees, founding._founder, founding._has_founded = self.memory  # type: ignore[assignment]
        return founding

    def view(self, expected_count: int) -> View | None:
        if self.memory is None:
            return None
        if self.cluster is not None:
            return View(self.node_id, "", is_member=True)
        return self.founding(expected_count).view()


NOTHING = ((), None, False)


@dataclass(frozen=True)
class Model:
    """All places, and how many clusters were ever founded. `targets[n]` are the addresses that the node at `n` asks."""

    places: tuple[Place, ...]
    expected_count: int
    founded_count: int = 0
    crashes_left: int = 0

    def with_place(self, number: int, place: Place) -> Model:
        return replace(self, places=(*self.places[:number], place, *self.places[number + 1 :]))

    def started(self, number: int) -> Model:
        place = self.places[number]
        return self.with_place(number, replace(place, memory=NOTHING, heard=(), lives_count=place.lives_count + 1))

    def crashed(self, number: int) -> Model:
        model = self.with_place(number, replace(self.places[number], memory=None, heard=()))
        return replace(model, crashes_left=self.crashes_left - 1)

    def asked(self, number: int, is_lost: bool = False) -> Model:
        """One question more of the present round; the last makes up the round's verdict."""
        place = self.places[number]
        heard = (*place.heard, None if is_lost else self.places[len(place.heard)].view(self.expected_count))
        if len(heard) < self.expected_count:
            return self.with_place(number, replace(place, heard=heard))
        founding = place.founding(self.expected_count)
        verdict = founding.heard(heard)
        memory = (founding._sees, founding._founder, founding._has_founded)
        after = replace(place, heard=(), memory=memory)
        if verdict is Verdict.FOUND:
            founded = self.with_place(number, replace(after, cluster=self.founded_count))
            return replace(founded, founded_count=self.founded_count + 1)
        clusters = [other.cluster for other in self.places if other.cluster is not None and other.memory is not None]
        if verdict is Verdict.JOIN and clusters:
            return self.with_place(number, replace(after, cluster=clusters[0]))
        return self.with_place(number, after)

    def steps(self) -> Iterator[Model]:
        for number, place in enumerate(self.places):
            if place.memory is None:
                yield self.started(number)
                continue
            if self.crashes_left:
                yield self.crashed(number)
            if place.cluster is None:
                yield self.asked(number)


def model(count: int, crashes_count: int) -> Model:
    return Model(tuple(Place(node_id) for node_id in IDS[:count]), count, crashes_left=crashes_count)


class NeverTwoTests(TestCase):
    @pytest.mark.scenario("M20")
    def test_every_order_of_two_nodes_and_four_crashes(self) -> None:
        """All that can happen, exhaustively: each question and answer, each start, and a crash at any moment."""
        first = model(2, 4)
        seen, waiting, founded = {first}, deque([first]), 0
        while waiting:
            for after in waiting.popleft().steps():
                self.assertLessEqual(after.founded_count, 1, after)
                founded += after.founded_count
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
        self.assertGreater(founded, 0)
        self.assertGreater(len(seen), 1000)

    @pytest.mark.scenario("M20")
    def test_three_and_four_nodes_in_any_order(self) -> None:
        """Seeded walks with crashes, lost answers, and nodes that come back under another id while they have no cluster."""
        founded_count = 0
        for seed in range(300):
            draw = Random(seed)
            now = model(draw.choice((3, 4)), draw.randrange(6))
            for _ in range(400):
                number = draw.randrange(len(now.places))
                place = now.places[number]
                if place.memory is None:
                    if place.cluster is None and draw.random() < 0.3:
                        now = now.with_place(number, replace(place, node_id=f"{draw.choice('xyzabc')}{number}"))
                    now = now.started(number)
                elif now.crashes_left and draw.random() < 0.03:
                    now = now.crashed(number)
                elif place.cluster is None:
                    now = now.asked(number, is_lost=draw.random() < 0.02)
                self.assertLessEqual(now.founded_count, 1, (seed, now))
            founded_count += now.founded_count
        self.assertGreater(founded_count, 150)

    def test_one_comes_of_it_whatever_the_order(self) -> None:
        """Started in any order and asked in turn, three nodes are soon members of one cluster."""
        for order in permutations(range(3)):
            now = model(3, 0)
            for number in order:
                now = now.started(number)
                for _ in range(3):
                    now = now.asked(number)
            for _ in range(30):
                for number in order:
                    if now.places[number].cluster is None:
                        now = now.asked(number)
            self.assertEqual([0, 0, 0], [place.cluster for place in now.places], order)


class FoundingTests(TestCase):
    """Node a of three, asked by hand."""

    def setUp(self) -> None:
        self.founding = Founding("a", "1", 3)

    def hear(self, *others: View | None) -> Verdict:
        return self.founding.heard((self.founding.view(), *others))

    def view(self, node_id: str, *sees: str, **more: object) -> View:
        return replace(View(node_id, "1", expected_count=3, sees=sees), **more)  # type: ignore[arg-type]

    def test_the_lowest_founds_when_all_see_all(self) -> None:
        """And says so from then on."""
        self.assertIs(Verdict.WAIT, self.hear(self.view("b"), None))
        self.assertEqual("2 of 3 nodes answer: a, b", self.founding.reason)
        self.assertIs(Verdict.WAIT, self.hear(self.view("b"), self.view("c", "a", "b", "c")))
        self.assertEqual("not everybody sees all yet: b", self.founding.reason)
        self.assertEqual(("a", "b", "c"), self.founding.view().sees)
        self.assertIs(Verdict.FOUND, self.hear(self.view("b", "a", "b", "c"), self.view("c", "a", "b", "c")))
        self.assertTrue(self.founding.view().is_member)

    def test_others_wait(self) -> None:
        """Also when everybody agrees."""
        founding = Founding("b", "1", 3)
        others = (self.view("a", "a", "b", "c"), self.view("c", "a", "b", "c"))
        self.assertIs(Verdict.WAIT, founding.heard((founding.view(), *others)))
        self.assertIs(Verdict.WAIT, founding.heard((founding.view(), *others)))
        self.assertEqual("a is to found the cluster", founding.reason)

    def test_whoever_has_a_cluster_is_joined(self) -> None:
        """However many are missing."""
        self.assertIs(Verdict.JOIN, self.hear(None, View("z", "", is_member=True)))

    def test_who_took_another_for_the_founder_never_founds(self) -> None:
        """That one may have founded, and be away."""
        founding = Founding("b", "1", 3)
        founding.heard((founding.view(), self.view("a"), self.view("c")))
        sees = ("b", "c", "d")
        others = (self.view("c", *sees), self.view("d", *sees))
        self.assertIs(Verdict.WAIT, founding.heard((founding.view(), *others)))
        self.assertEqual((), founding.view().sees)
        self.assertIn("a was taken for the founder before", founding.reason)

    def test_command_lines_that_do_not_fit(self) -> None:
        """Said in words; nothing is founded."""
        cases = {
            "none of the addresses in --join is that of this node": (self.view("a", life="2"), self.view("b"), self.view("c")),
            "lead to one node": (self.founding.view(), self.founding.view(), self.view("b")),
            "two nodes have one id": (self.founding.view(), self.view("a", life="2"), self.view("b")),
            "b were not started with --bootstrap-expect 3": (
                self.founding.view(),
                self.view("b", expected_count=5),
                self.view("c"),
            ),
        }
        for reason, answers in cases.items():
            with self.subTest(reason):
                self.assertIs(Verdict.WAIT, self.founding.heard(answers))
                self.assertIn(reason, self.founding.reason)
