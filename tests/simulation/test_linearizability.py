"""The checker itself: small histories that are known to be good or bad, and what a person is told of a bad one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from unittest import TestCase

from linearizability_twin import Worlds, is_linearizable, known_bad

from hraft.simulation.history import MISSING, Kind, Operation, Outcome, Result, Seen, Written, seen
from hraft.simulation.linearizability import Judgement, Verdict, check
from hraft.simulation.models import Model

LOST = None


def op(
    client: str,
    kind: Kind,
    keys: str,
    values: str,
    times: tuple[float, float | None],
    result: Result,
    outcome: Outcome | None = None,
    expected: tuple[Seen, ...] = (),
) -> Operation:
    """An operation from words: its keys and values are single letters; without a second time its outcome is unknown."""
    outcome = outcome or (Outcome.UNKNOWN if times[1] is None else Outcome.OK)
    written = (None,) * len(keys) if kind is Kind.DELETE else tuple(values)
    return Operation(client, kind, tuple(keys), written, expected, *times, outcome, result)


def put(client: str, keys: str, values: str, invoked_at: float, returned_at: float | None, **told: int) -> Operation:
    return op(client, Kind.SET, keys, values, (invoked_at, returned_at), LOST if returned_at is None else Written(True, **told))


def get(client: str, keys: str, found: str, invoked_at: float, returned_at: float) -> Operation:
    """A read; "-" is a key that was missing."""
    answers = tuple(seen(None if value == "-" else value) for value in found)
    return op(client, Kind.GET, keys, "", (invoked_at, returned_at), answers)


def look(client: str, key: str, answer: Seen, invoked_at: float, returned_at: float) -> Operation:
    return op(client, Kind.GET, key, "", (invoked_at, returned_at), (answer,))


def delete(client: str, keys: str, invoked_at: float, returned_at: float | None, **told: int) -> Operation:
    return op(client, Kind.DELETE, keys, "", (invoked_at, returned_at), LOST if returned_at is None else Written(True, **told))


def swap(client: str, key: str, demand: Seen, value: str, times: tuple[float, float | None], succeeded: bool = True) -> Operation:
    """A compare-and-set; without a second time its outcome is unknown."""
    result = LOST if times[1] is None else Written(succeeded)
    return op(client, Kind.COMPARE_AND_SET, key, value, times, result, expected=(demand,))


class KnownHistoriesTests(TestCase):
    """Small histories whose verdict a person can see. The twin must see it too, so that its own verdicts can be trusted below."""

    def judge(self, verdict: Verdict, history: Sequence[Operation]) -> None:
        judgement = check(history)
        self.assertEqual(verdict, judgement.verdict, judgement.story())
        self.assertEqual(verdict is Verdict.LEGAL, is_linearizable(history))

    def test_nothing_happened(self) -> None:
        """A run in which no client came to ask anything has nothing wrong."""
        self.judge(Verdict.LEGAL, [])

    def test_overlapping_operations_may_be_in_either_order(self) -> None:
        """A read beside a write may find it or not, but not first find it and then not."""
        write = put("w", "a", "1", 1, 10)
        self.judge(Verdict.LEGAL, [write, get("r", "a", "-", 2, 3), get("r", "a", "1", 4, 5)])
        self.judge(Verdict.ILLEGAL, [write, get("r", "a", "1", 2, 3), get("r", "a", "-", 4, 5)])

    def test_touching_times_overlap(self) -> None:
        """A clock too coarse to tell the order of two events must not make a good history look bad."""
        self.judge(Verdict.LEGAL, [put("w", "a", "1", 1, 2), get("r", "a", "-", 2, 3)])
        self.judge(Verdict.ILLEGAL, [put("w", "a", "1", 1, 2), get("r", "a", "-", 2.1, 3)])

    def test_stale_read(self) -> None:
        """A leader that was paused and does not know that it was deposed answers from the past."""
        writes = [put("w", "a", "1", 1, 2), put("w", "a", "2", 3, 4)]
        self.judge(Verdict.ILLEGAL, [*writes, get("r", "a", "1", 5, 6)])
        self.judge(Verdict.ILLEGAL, [*writes, get("r", "a", "2", 5, 6), get("s", "a", "1", 7, 8)])
        self.judge(Verdict.LEGAL, [*writes, get("r", "a", "2", 5, 6)])

    def test_lost_acknowledged_write(self) -> None:
        """What was acknowledged cannot be gone, nor can what was acknowledged as deleted be back."""
        self.judge(Verdict.ILLEGAL, [put("w", "a", "1", 1, 2), get("r", "a", "-", 3, 4)])
        self.judge(Verdict.ILLEGAL, [put("w", "a", "1", 1, 2), delete("w", "a", 3, 4), get("r", "a", "1", 5, 6)])
        self.judge(Verdict.LEGAL, [put("w", "a", "1", 1, 2), delete("w", "a", 3, 4), get("r", "a", "-", 5, 6)])

    def test_lost_update(self) -> None:
        """Of two compare-and-sets with one demand only one can succeed; and a refusal needs a reason."""
        start = put("w", "a", "0", 1, 2)
        both = [swap("c", "a", seen("0"), "1", (3, 6)), swap("d", "a", seen("0"), "2", (4, 5))]
        self.judge(Verdict.ILLEGAL, [start, *both])
        self.judge(Verdict.LEGAL, [start, both[0], swap("d", "a", seen("0"), "2", (4, 5), False)])
        self.judge(Verdict.ILLEGAL, [start, swap("c", "a", seen("0"), "1", (3, 4), False)])
        liar = op("c", Kind.COMPARE_AND_SET, "a", "1", (3, 4), Written(False, None, 1), expected=(seen("7"),))
        self.judge(Verdict.ILLEGAL, [start, liar])
        self.judge(Verdict.LEGAL, [start, put("x", "a", "9", 3, None), swap("c", "a", seen("0"), "1", (4, 5), False)])
        self.judge(Verdict.ILLEGAL, [swap("c", "a", MISSING, "1", (1, 2)), swap("d", "a", MISSING, "2", (3, 4))])
        self.judge(Verdict.LEGAL, [start, swap("c", "a", seen("0"), "1", (3, None)), get("r", "a", "1", 8, 9)])
        self.judge(Verdict.ILLEGAL, [start, swap("c", "a", seen("7"), "1", (3, None)), get("r", "a", "1", 8, 9)])

    def test_value_that_nobody_wrote(self) -> None:
        """Also a value that is only written later, or under another key."""
        self.judge(Verdict.ILLEGAL, [get("r", "a", "1", 1, 2)])
        self.judge(Verdict.ILLEGAL, [get("r", "a", "1", 1, 2), put("w", "a", "1", 3, 4)])
        self.judge(Verdict.ILLEGAL, [put("w", "b", "1", 1, 2), get("r", "a", "1", 3, 4)])
        self.judge(Verdict.ILLEGAL, [get("r", "a", "1", 1, 2), put("w", "a", "1", 3, None)])

    def test_aborted_read(self) -> None:
        """What was answered "certainly not done" is never seen, not even while it was under way (Adya's G1a)."""
        refused = op("w", Kind.SET, "a", "1", (1, 4), LOST, outcome=Outcome.NOT_DONE)
        self.judge(Verdict.LEGAL, [refused, get("r", "a", "-", 5, 6)])
        self.judge(Verdict.ILLEGAL, [refused, get("r", "a", "1", 5, 6)])
        self.judge(Verdict.ILLEGAL, [refused, get("r", "a", "1", 2, 3)])

    def test_many_keys_are_set_at_once(self) -> None:
        """A reader that finds one half must find the other, in one read or in two."""
        both = put("w", "ab", "12", 1, 9)
        self.judge(Verdict.LEGAL, [both, get("r", "a", "-", 2, 3), get("r", "ab", "12", 4, 5)])
        self.judge(Verdict.ILLEGAL, [both, get("r", "ab", "1-", 2, 3)])
        self.judge(Verdict.ILLEGAL, [both, get("r", "a", "1", 2, 3), get("r", "b", "-", 4, 5)])
        self.judge(Verdict.ILLEGAL, [both, get("r", "b", "2", 2, 3), get("s", "a", "-", 4, 5)])

    def test_keys_connected_by_others(self) -> None:
        """Parts that are judged apart must not fall apart: here each key alone is fine, and so are any two operations."""
        writes = [put("w", "ab", "11", 1, 2), put("w", "bc", "22", 3, 20), put("x", "ca", "33", 4, 20)]
        reads = [get("r", "c", "3", 5, 6), get("r", "c", "2", 7, 8), get("r", "a", "1", 9, 10)]
        self.judge(Verdict.ILLEGAL, [*writes, *reads])
        self.judge(Verdict.LEGAL, [*writes, reads[0], reads[1], get("r", "a", "3", 9, 10)])

    def test_unknown_write(self) -> None:
        """It may take effect late or never, but not early, not twice, and not be taken back."""
        writes = [put("u", "a", "1", 1, None), put("w", "a", "2", 3, 4)]
        self.judge(Verdict.LEGAL, [*writes, get("r", "a", "2", 5, 6)])
        self.judge(Verdict.LEGAL, [*writes, get("r", "a", "2", 5, 6), get("r", "a", "1", 7, 8)])
        self.judge(Verdict.ILLEGAL, [*writes, get("r", "a", "1", 5, 6), get("r", "a", "2", 7, 8)])
        self.judge(Verdict.ILLEGAL, [get("r", "a", "1", 1, 2), put("u", "a", "1", 3, None)])
        self.judge(Verdict.ILLEGAL, [put("u", "a", "1", 1, None), get("r", "a", "1", 3, 4), get("r", "a", "-", 5, 6)])
        twice = [get("r", "a", "1", 3, 4), put("w", "a", "2", 5, 6), get("r", "a", "2", 7, 8), get("r", "a", "1", 9, 10)]
        self.judge(Verdict.ILLEGAL, [put("u", "a", "1", 1, None), *twice])
        self.judge(Verdict.LEGAL, [put("u", "a", "1", 1, None), put("v", "a", "1", 2, None), *twice])

    def test_unknown_delete(self) -> None:
        """It has no value of its own that would tell whether it was done."""
        start = [put("w", "a", "1", 1, 2), delete("u", "a", 3, None)]
        self.judge(Verdict.LEGAL, [*start, get("r", "a", "1", 5, 6), get("r", "a", "-", 7, 8)])
        self.judge(Verdict.ILLEGAL, [*start, get("r", "a", "-", 5, 6), get("r", "a", "1", 7, 8)])
        again = [get("r", "a", "-", 5, 6), put("w", "a", "2", 7, 8), get("r", "a", "2", 9, 10), get("r", "a", "-", 11, 12)]
        self.judge(Verdict.ILLEGAL, [*start, *again])
        self.judge(Verdict.LEGAL, [*start, delete("v", "a", 4, None), *again])

    def test_unknown_read_tells_nothing(self) -> None:
        """It can neither be wrong nor prove anything."""
        self.judge(Verdict.LEGAL, [put("w", "a", "1", 1, 2), op("r", Kind.GET, "a", "", (3, None), LOST)])

    def test_order_across_clients(self) -> None:
        """Real time orders what different clients do, also when no two of them touch the same key at once."""
        history = [put("c", "a", "1", 1, 2), put("d", "a", "2", 3, 10), get("e", "a", "2", 4, 5), get("f", "a", "1", 6, 7)]
        self.judge(Verdict.ILLEGAL, history)
        self.judge(Verdict.LEGAL, [*history[:3], get("f", "a", "1", 4.5, 7)])

    def test_versions(self) -> None:
        """A write that was carried out twice, or not at all, shows in the version even if its value was overwritten."""
        writes = [put("w", "a", "1", 1, 2), put("w", "a", "2", 3, 4)]
        self.judge(Verdict.LEGAL, [*writes, look("r", "a", Seen("2", None, 2), 5, 6)])
        for version in (1, 3):
            self.judge(Verdict.ILLEGAL, [*writes, look("r", "a", Seen("2", None, version), 5, 6)])
        again = [delete("w", "a", 5, 6), put("w", "a", "3", 7, 8)]
        self.judge(Verdict.LEGAL, [*writes, *again, look("r", "a", Seen("3", None, 1), 9, 10)])
        self.judge(Verdict.ILLEGAL, [*writes, *again, look("r", "a", Seen(None, None, 3), 9, 10)])

    def test_versions_beside_unknown_writes(self) -> None:
        """A write of unknown outcome may have counted, even if nobody saw its value; more than that many may not."""
        writes = [put("w", "a", "1", 1, 2), put("u", "a", "8", 3, None), put("w", "a", "2", 4, 5)]
        for version in (2, 3):
            self.judge(Verdict.LEGAL, [*writes, look("r", "a", Seen("2", None, version), 6, 7)])
        for version in (1, 4):
            self.judge(Verdict.ILLEGAL, [*writes, look("r", "a", Seen("2", None, version), 6, 7)])
        self.judge(Verdict.LEGAL, [*writes, delete("x", "a", 3, None), look("r", "a", Seen("2", None, 1), 6, 7)])

    def test_counts_of_changes(self) -> None:
        """A delete that says that it deleted something must have found it."""
        self.judge(Verdict.LEGAL, [put("w", "a", "1", 1, 2), delete("w", "ab", 3, 4, changed_count=1)])
        self.judge(Verdict.ILLEGAL, [put("w", "a", "1", 1, 2), delete("w", "ab", 3, 4, changed_count=2)])
        self.judge(Verdict.ILLEGAL, [put("w", "a", "1", 1, 2), delete("w", "a", 3, 4, changed_count=0)])
        self.judge(Verdict.ILLEGAL, [delete("w", "a", 3, 4, changed_count=1)])
        self.judge(Verdict.LEGAL, [put("u", "a", "1", 1, None), delete("w", "a", 3, 4, changed_count=1)])
        maybe = [put("w", "a", "1", 1, 2), delete("u", "a", 2, None)]
        self.judge(Verdict.LEGAL, [*maybe, delete("w", "a", 3, 4, changed_count=0), get("r", "a", "-", 5, 6)])

    def test_revisions(self) -> None:
        """They rise with every change, for all keys together, and a read tells the one that its value was written at."""
        writes = [put("w", "a", "1", 1, 4, revision=2), put("x", "b", "1", 2, 3, revision=1)]
        self.judge(Verdict.LEGAL, [*writes, look("r", "a", Seen("1", 2), 5, 6)])
        self.judge(Verdict.ILLEGAL, [*writes, look("r", "a", Seen("1", 1), 5, 6)])
        self.judge(Verdict.ILLEGAL, [put("w", "a", "1", 1, 2, revision=2), put("x", "b", "1", 3, 4, revision=1)])
        self.judge(Verdict.ILLEGAL, [put("w", "a", "1", 1, 2, revision=1), put("x", "b", "1", 3, 4, revision=1)])
        order = [put("w", "a", "1", 1, 4, revision=2), put("x", "a", "2", 2, 3, revision=1)]
        self.judge(Verdict.LEGAL, [*order, get("r", "a", "1", 5, 6)])
        self.judge(Verdict.ILLEGAL, [*order, get("r", "a", "2", 5, 6)])
        unknown = [put("w", "a", "1", 1, 2, revision=1), put("u", "a", "2", 1, None)]
        self.judge(Verdict.LEGAL, [*unknown, look("r", "a", Seen("2", 2), 5, 6)])
        self.judge(Verdict.ILLEGAL, [*unknown, look("r", "a", Seen("2", 2), 5, 6), look("r", "a", Seen("2", 3), 7, 8)])

    def test_revisions_that_only_reads_tell(self) -> None:
        """The first read that tells one fixes it for the others, and for what follows."""
        write = put("w", "a", "1", 1, 2)
        self.judge(Verdict.LEGAL, [write, look("r", "a", Seen("1", 1), 3, 4), look("r", "a", Seen("1", 1), 5, 6)])
        self.judge(Verdict.ILLEGAL, [write, look("r", "a", Seen("1", 1), 3, 4), look("r", "a", Seen("1", 2), 5, 6)])
        later = [look("r", "a", Seen("1", 1), 3, 4), put("w", "a", "2", 5, 6), look("r", "a", Seen("2", 1), 7, 8)]
        self.judge(Verdict.ILLEGAL, [write, *later])

    def test_compare_with_a_revision(self) -> None:
        """Optimistic locking by revision, as HTTP's If-Match does it."""
        start = put("w", "a", "0", 1, 2, revision=1)
        self.judge(Verdict.LEGAL, [start, swap("c", "a", Seen(None, 1), "1", (3, 4)), get("r", "a", "1", 5, 6)])
        self.judge(Verdict.ILLEGAL, [start, swap("c", "a", Seen(None, 1), "1", (3, 4), False)])
        self.judge(Verdict.ILLEGAL, [start, swap("c", "a", Seen(None, 2), "1", (3, 4))])
        untold = put("w", "a", "0", 1, 2)
        self.judge(Verdict.LEGAL, [untold, swap("c", "a", Seen(None, 5), "1", (3, 4), False)])


class StoryTests(TestCase):
    """What a person is told."""

    def test_the_first_wrong_answer(self) -> None:
        """A search that looks ahead stumbles over the write; a person wants to see the stale read."""
        stale = get("r", "a", "1", 5, 6)
        history = [put("w", "a", "1", 1, 2), put("w", "a", "2", 3, 4), stale, get("r", "a", "2", 7, 8), get("s", "b", "-", 1, 2)]
        judgement = check(history)
        self.assertEqual((stale, tuple(history[:2])), (judgement.stuck, judgement.prefix))
        self.assertEqual(tuple(history[:4]), judgement.part)
        expected = """\
illegal after 3 steps; 4 operations on a
2 operations have a place, in this order:
  1 .. 2  w  set a="1": done
  3 .. 4  w  set a="2": done
no place before, between or after them for
  5 .. 6  r  get a: saw "1"

w [===]             set a="1": done
w       [===]       set a="2": done
r             [===] get a: saw "1"   <-- has no place"""
        self.assertEqual(expected.split("\n")[1:], judgement.story().split("\n")[1:])

    def test_everything_before_it_has_a_place(self) -> None:
        """The prefix is a legal order of all that was answered before the wrong answer; with the answer none is left."""
        for seed in range(30):
            bad = known_bad(Worlds(seed, unknown_share=0.1).history(80), Random(seed))[0]
            judgement = check(bad)
            stuck = judgement.stuck
            assert stuck is not None and stuck.returned_at is not None
            end = stuck.returned_at
            before = [
                operation if operation.returned_at is not None and operation.returned_at < end else unanswered(operation)
                for operation in judgement.part
                if operation.invoked_at < end
            ]
            self.assertEqual(Verdict.LEGAL, check(before).verdict)
            self.assertEqual(Verdict.ILLEGAL, check([*before, stuck]).verdict)
            answered = {operation for operation in before if operation.outcome is Outcome.OK}
            self.assertEqual(set(), {op for op in answered if not set(stuck.keys).isdisjoint(op.keys)} - set(judgement.prefix))
            self.assertIn("no place before, between or after them", judgement.story())

    def test_legal(self) -> None:
        """Nothing to tell but the cost."""
        self.assertEqual(Judgement(Verdict.LEGAL, 3), check([put("w", "a", "1", 1, 2), get("r", "a", "1", 3, 4)]))
        self.assertEqual("legal after 3 steps", Judgement(Verdict.LEGAL, 3).story())

    def test_limit_of_steps(self) -> None:
        """A check that was given up has shown nothing, and says so."""
        judgement = check(Worlds(1).history(100), steps_count=50)
        self.assertEqual(Verdict.UNDECIDED, judgement.verdict)
        self.assertIn("undecided after", judgement.story())

    def test_an_illegal_part_outweighs_an_undecided_one(self) -> None:
        """One part that is certainly wrong decides, whatever the rest would have been."""
        history = [*Worlds(1).history(100), get("r", "z", "1", 1, 2)]
        self.assertEqual(Verdict.ILLEGAL, check(history, steps_count=50).verdict)


class CounterModel(Model[int]):
    """A state machine of a user's own: every operation sets the next number, and is told it as its revision."""

    def initial(self) -> int:
        return 0

    def step(self, state: int, operation: Operation) -> tuple[bool, int]:
        result = operation.result
        if isinstance(result, tuple):
            return result[0].revision == state, state
        return result is None or result.revision == state + 1, state + 1


class OwnModelTests(TestCase):
    """`Model` with nothing but what it demands."""

    def test_counter(self) -> None:
        """Whoever embeds hraft can have histories of another state machine judged; safe defaults make it slower, never wrong."""
        lost = put("u", "n", "+", 1, None)
        first, second = put("c", "n", "+", 1, 4, revision=1), put("d", "n", "+", 2, 3, revision=2)
        self.assertEqual(Verdict.LEGAL, check([first, second], CounterModel()).verdict)
        self.assertEqual(Verdict.ILLEGAL, check([second], CounterModel()).verdict)
        self.assertEqual(Verdict.LEGAL, check([second, lost], CounterModel()).verdict)
        read = look("r", "n", Seen(None, 2), 5, 6)
        self.assertEqual(Verdict.LEGAL, check([first, lost, read], CounterModel()).verdict)
        judgement = check([first, look("r", "n", Seen(None, 1), 5, 6), read], CounterModel())
        self.assertEqual((Verdict.ILLEGAL, read), (judgement.verdict, judgement.stuck))


def unanswered(operation: Operation) -> Operation:
    """The operation as it looked while it was under way."""
    return replace(operation, returned_at=None, outcome=Outcome.UNKNOWN, result=None)
