"""Recording what clients saw, keeping it as lines of JSON, and showing it to people."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest import TestCase

from hypothesis import given, settings
from hypothesis import strategies as st

from hraft.errors import BadMessage
from hraft.simulation.history import (
    MISSING,
    History,
    Kind,
    Operation,
    Outcome,
    Seen,
    Written,
    decode_operations,
    encode_operations,
    seen,
    text,
)
from hraft.simulation.timeline import describe, timeline


def ticking(*times: float) -> Callable[[], float]:
    """A clock that shows these times, one after the other."""
    shown = iter(times)
    return lambda: next(shown)


class RecordingTests(TestCase):
    """`History` as clients use it."""

    def test_outcomes(self) -> None:
        """The four things a client can know of its request, each with its time or without one."""
        history = History(ticking(1, 2, 3, 4, 5, 6, 7))
        read = history.invoke("c1", Kind.GET, "a")
        write = history.invoke("c2", Kind.SET, "a", b"b", values=["1", b"2"])
        history.done(read, seen(None))
        history.done(write)
        lost = history.invoke("c1", Kind.DELETE, "a")
        refused = history.invoke("c2", Kind.SET, "a", values=["3"])
        history.unknown(lost)
        history.not_done(refused)
        expected = (
            Operation("c1", Kind.GET, ("a",), (), (), 1, 3, Outcome.OK, (MISSING,)),
            Operation("c2", Kind.SET, ("a", "b"), ("1", "2"), (), 2, 4, Outcome.OK, Written()),
            Operation("c1", Kind.DELETE, ("a",), (None,), (), 5, None, Outcome.UNKNOWN, None),
            Operation("c2", Kind.SET, ("a",), ("3",), (), 6, 7, Outcome.NOT_DONE, None),
        )
        self.assertEqual(expected, history.operations())
        self.assertEqual(4, len(history))

    def test_unanswered_is_unknown(self) -> None:
        """A run may end, or its process die, while requests are under way: they may have taken effect."""
        history = History(ticking(1))
        history.invoke("c1", Kind.SET, "a", values=["1"])
        self.assertEqual([Outcome.UNKNOWN], [operation.outcome for operation in history.operations()])

    def test_every_event_has_its_own_instant(self) -> None:
        """Else a write that was answered before a read was invoked would count as overlapping it, and a stale read would pass."""
        for clock, kind in ((lambda: 5.0, float), (lambda: 5, int)):
            history = History(clock)
            history.done(history.invoke("c1", Kind.SET, "a", values=["1"]))
            history.done(history.invoke("c2", Kind.GET, "a"), seen("1"))
            write, read = history.operations()
            assert write.returned_at is not None and read.returned_at is not None
            times = [write.invoked_at, write.returned_at, read.invoked_at, read.returned_at]
            self.assertEqual(sorted(set(times)), times)
            self.assertEqual({kind}, set(map(type, times)))
            self.assertLess(times[-1] - 5, 4)

    def test_a_clock_that_falls_back_reorders_nothing(self) -> None:
        """The order of the calls is the truth; a clock is only asked to tell how far apart they were."""
        history = History(ticking(10, 20, 15, 16))
        history.done(history.invoke("c1", Kind.SET, "a", values=["1"]))
        history.done(history.invoke("c1", Kind.GET, "a"), seen("1"))
        times = [(operation.invoked_at, operation.returned_at) for operation in history.operations()]
        self.assertEqual([(10, 20), (21, 22)], times)

    def test_one_request_at_a_time(self) -> None:
        """A harness that mixes up its clients makes histories that mean nothing."""
        history = History(ticking(1, 2, 3))
        token = history.invoke("c1", Kind.GET, "a")
        with self.assertRaisesRegex(ValueError, "c1 still waits for get"):
            history.invoke("c1", Kind.GET, "b")
        history.unknown(token)
        with self.assertRaisesRegex(ValueError, "operation 0 of c1 has its outcome already"):
            history.done(token, seen("1"))

    def test_a_compare_and_set_says_whether_it_succeeded(self) -> None:
        """Taking silence for success would make a refusal look like a lost update."""
        history = History(ticking(1, 2))
        token = history.invoke("c1", Kind.COMPARE_AND_SET, "a", values=["2"], expected=[seen("1")])
        with self.assertRaisesRegex(ValueError, "was told whether it succeeded"):
            history.done(token)
        history.done(token, Written(succeeded=False))
        self.assertFalse(history.operations()[0].may_write)

    def test_bytes_that_are_no_text(self) -> None:
        """Different keys of the store stay different keys of the history."""
        self.assertEqual("caf\u00e9", text("caf\u00e9".encode()))
        self.assertEqual(2, len({text(b"\xff"), text(b"\xfe")}))

    def test_impossible_operations_are_refused(self) -> None:
        """What no client can have seen is a mistake of the harness, and no evidence against the store."""
        good: dict[str, Any] = {
            "client": "c1", "kind": Kind.SET, "keys": ("a",), "values": ("1",), "expected": (),
            "invoked_at": 1, "returned_at": 2, "outcome": Outcome.OK, "result": Written(),
        }  # fmt: skip
        Operation(**good)
        wrong: tuple[dict[str, Any], ...] = (
            {"keys": ()},
            {"keys": ("a", "a"), "values": ("1", "2")},
            {"values": ()},
            {"values": (None,)},
            {"expected": (seen("1"),)},
            {"kind": Kind.COMPARE_AND_SET},
            {"result": None},
            {"result": (seen("1"),)},
            {"kind": Kind.GET, "values": (), "result": (seen("1"), seen("2"))},
            {"returned_at": None},
            {"returned_at": 0},
            {"outcome": Outcome.UNKNOWN, "result": None},
            {"outcome": Outcome.NOT_DONE},
        )
        for change in wrong:
            with self.subTest(change), self.assertRaises(ValueError):
                Operation(**{**good, **change})


KEYS = st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=3, unique=True)
COUNTS = st.none() | st.integers(0, 5)
ANSWERS = st.builds(Seen, st.none() | st.text(max_size=3), COUNTS, COUNTS)


@st.composite
def operations(draw: st.DrawFn) -> Operation:
    """Any operation at all."""
    kind = draw(st.sampled_from(Kind))
    keys = tuple(text(key) for key in draw(KEYS))
    values = st.binary(max_size=3).map(text) if kind is Kind.SET else st.none() | st.text(max_size=3)
    each = st.tuples(*(ANSWERS for _ in keys))
    outcome = draw(st.sampled_from([Outcome.OK, Outcome.NOT_DONE, Outcome.UNKNOWN]))
    answers = each if kind is Kind.GET else st.builds(Written, st.booleans(), COUNTS, COUNTS)
    invoked_at = draw(st.integers(0, 2**63) | st.floats(0, 1e9))
    return Operation(
        client=draw(st.text(max_size=3)),
        kind=kind,
        keys=keys,
        values=() if kind is Kind.GET else tuple(draw(values) for _ in keys),
        expected=draw(each) if kind is Kind.COMPARE_AND_SET else (),
        invoked_at=invoked_at,
        returned_at=None if outcome is Outcome.UNKNOWN else invoked_at + draw(st.integers(0, 9)),
        outcome=outcome,
        result=draw(answers) if outcome is Outcome.OK else None,
    )


class LineTests(TestCase):
    """Histories as lines of JSON."""

    @settings(deadline=None)
    @given(st.lists(operations(), max_size=4))
    def test_round_trip(self, history: list[Operation]) -> None:
        """A failing history that was kept must fail again."""
        lines = list(encode_operations(history))
        self.assertEqual(tuple(history), decode_operations(f"{line}\n" for line in ["", *lines]))
        self.assertTrue(all(line.isascii() and "\n" not in line for line in lines))

    def test_lines_are_for_people_too(self) -> None:
        """What was not told is left out, so that a line shows what there is to know."""
        history = History(ticking(1.5, 2.5))
        history.done(history.invoke("c1", Kind.SET, "a", values=["1"]), Written(revision=7))
        line = (
            '{"client": "c1", "kind": "set", "keys": ["a"], "values": ["1"], "invoked_at": 1.5, "returned_at": 2.5,'
            ' "outcome": "ok", "written": {"succeeded": true, "revision": 7}}'
        )
        self.assertEqual([line], list(encode_operations(history.operations())))

    def test_damaged_lines(self) -> None:
        """A line that was cut off or edited is named, never taken for another operation."""
        asked = {"client": "c1", "kind": "get", "keys": ["a"], "invoked_at": 1, "returned_at": 2, "outcome": "ok"}
        good = {**asked, "seen": [{"value": "1"}]}
        decode_operations([json.dumps(good)])
        wrong: tuple[dict[str, Any], ...] = (
            {"client": 1}, {"kind": "got"}, {"keys": "a"}, {"keys": [1]}, {"values": "x"}, {"invoked_at": "1"},
            {"invoked_at": True}, {"outcome": "fine"}, {"seen": {}}, {"seen": [{"value": 1}]},
            {"seen": [{"colour": 1}]}, {"seen": [{"version": True}]},
            {"written": {"succeeded": 1}}, {"more": 1}, {"returned_at": float("nan")},
        )  # fmt: skip
        lines = [json.dumps({**good, **change}) for change in wrong]
        lines += ["[]", "1", "{", "[" * 100_000, json.dumps({**asked, "written": {"succeeded": 1}})]
        for line in lines:
            with self.subTest(line[:80]), self.assertRaisesRegex(BadMessage, "line 2 of the history is no operation"):
                decode_operations([json.dumps(good), line])


class ShowingTests(TestCase):
    """Histories for people."""

    def test_one_line_per_operation(self) -> None:
        """A story that has to be decoded is not read."""
        history = History(ticking(*range(1, 40)))
        history.done(history.invoke("c1", Kind.SET, "a", "b", values=["1", "2"]), Written(True, 7, 2))
        history.done(history.invoke("c1", Kind.GET, "a", "b"), (seen("1", 7, 3), MISSING))
        history.done(history.invoke("c1", Kind.GET, "a"), Seen())
        swap = history.invoke("c1", Kind.COMPARE_AND_SET, "a", values=[None], expected=[seen("1")])
        history.done(swap, Written(succeeded=False))
        history.not_done(history.invoke("c1", Kind.DELETE, "a"))
        history.unknown(history.invoke("c1", Kind.SET, b"\xff\n", values=["x" * 100]))
        expected = [
            '1 .. 2  c1  set a="1" b="2": done at revision 7 changing 2',
            '3 .. 4  c1  get a b: saw "1" revision 7 version 3, nothing',
            "5 .. 6  c1  get a: saw anything",
            '7 .. 8  c1  compare_and_set a("1")=nothing: refused',
            "9 .. 10  c1  delete a: not done",
            f'11 .. ?  c1  set \\udcff\\n="{"x" * 21}...": unknown',
        ]
        self.assertEqual(expected, [describe(operation) for operation in history.operations()])

    def test_timeline(self) -> None:
        """Who overlapped whom is seen at a glance; what has no key in common with the culprit, or came after it, is not shown."""
        history = History(ticking(*range(1, 40)))
        first = history.invoke("c1", Kind.SET, "a", values=["1"])
        lost = history.invoke("client2", Kind.SET, "a", values=["2"])
        history.done(first)
        history.unknown(lost)
        read = history.invoke("c1", Kind.GET, "a")
        history.done(history.invoke("c4", Kind.GET, "b"), seen("9"))
        history.done(read, seen("3"))
        history.done(history.invoke("c5", Kind.GET, "a"), seen("4"))
        expected = [
            'c1      [======]       set a="1": done',
            'client2    [.........? set a="2": unknown',
            'c1               [===] get a: saw "3"   <-- has no place',
        ]
        operations = history.operations()
        self.assertEqual(expected, timeline(operations, operations[2]).split("\n"))
