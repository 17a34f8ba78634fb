"""A witness may settle what the search could not, and nothing else: whatever it says, no bad history becomes good."""

from __future__ import annotations

from collections.abc import Sequence
from unittest import TestCase

from test_linearizability import get, put

from hraft.simulation.history import Operation, Outcome
from hraft.simulation.linearizability import Verdict
from hraft.simulation.witness import Witness, judge

#: Two writes at once, and reads of each; by their tokens.
GOOD = (put("a", "x", "1", 0, 10), put("b", "x", "2", 0, 10), get("c", "x", "2", 2, 3), get("c", "x", "1", 4, 5))
#: One of the writes took effect first, and one of the reads came between them.
TRUTH = {1: (1, False), 2: (1, True), 0: (2, False), 3: (2, True)}


def verdict(operations: Sequence[Operation], places: dict[int, tuple[int, bool]], steps_count: int = 0) -> Verdict:
    """By a search that is given up at once, and a witness of these places: an index, and whether it is a read's."""
    witness = Witness()
    for token, (index, is_read) in places.items():
        (witness.saw if is_read else witness.took_effect)(token, index)
    return judge(operations, witness, steps_count).verdict


class WitnessTests(TestCase):
    def test_settles_what_the_search_could_not(self) -> None:
        """A history that is too hard is no defect of the store."""
        self.assertIs(Verdict.UNDECIDED, verdict(GOOD, {}))
        self.assertIs(Verdict.LEGAL, verdict(GOOD, TRUTH))

    def test_wrong_order_shows_nothing(self) -> None:
        """What it says is judged: here the first read would have seen a write that came later."""
        self.assertIs(Verdict.UNDECIDED, verdict(GOOD, TRUTH | {0: (1, False), 1: (2, False)}))

    def test_keeps_to_time(self) -> None:
        """An order that would satisfy a store, but not the clients: the reads were one after the other."""
        swapped = (*GOOD[:2], get("c", "x", "2", 4, 5), get("c", "x", "1", 2, 3))
        self.assertIs(Verdict.UNDECIDED, verdict(swapped, TRUTH))

    def test_tells_all_that_was_answered(self) -> None:
        """An answer that it passes over might be the wrong one."""
        for missing in TRUTH:
            with self.subTest(GOOD[missing]):
                places = {token: place for token, place in TRUTH.items() if token != missing}
                self.assertIs(Verdict.UNDECIDED, verdict(GOOD, places))

    def test_tells_what_became_of_unknown_writes(self) -> None:
        """Those that took effect count; without them the read saw what nobody wrote."""
        operations = (put("a", "x", "1", 0, None), get("c", "x", "1", 2, 3))
        self.assertIs(Verdict.LEGAL, verdict(operations, {0: (1, False), 1: (1, True)}))
        self.assertIs(Verdict.UNDECIDED, verdict(operations, {1: (1, True)}))

    def test_cannot_make_a_bad_history_good(self) -> None:
        """A stale read, and a witness who swears that it came early enough."""
        stale = (put("a", "x", "1", 0, 1), put("a", "x", "2", 2, 3), get("c", "x", "1", 4, 5))
        places = {0: (1, False), 2: (1, True), 1: (2, False)}
        self.assertIs(Verdict.ILLEGAL, verdict(stale, places, 1000))
        self.assertIs(Verdict.UNDECIDED, verdict(stale, places))

    def test_what_certainly_was_not_done_is_not_told(self) -> None:
        """Whatever the witness believes to have seen of it."""
        refused = Operation("a", GOOD[0].kind, ("x",), ("1",), (), 0, 1, Outcome.NOT_DONE, None)
        self.assertIs(Verdict.UNDECIDED, verdict((refused, get("c", "x", "1", 2, 3)), {0: (1, False), 1: (1, True)}))
