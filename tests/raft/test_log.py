"""The log in memory, against a plain dictionary."""

from __future__ import annotations

from unittest import TestCase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hraft.errors import Compacted
from hraft.raft.entry import ORIGIN, Entry, EntryId, EntryKind
from hraft.raft.invariants import InvariantBroken
from hraft.raft.log import Log


def entry(index: int, term: int, size_bytes: int = 0) -> Entry:
    return Entry(index, term, EntryKind.COMMAND, b"x" * size_bytes)


def log_of(*terms: int, base: EntryId = ORIGIN) -> Log:
    """A log of entries with these terms, after `base`."""
    return Log(base, [entry(base.index + position, term) for position, term in enumerate(terms, 1)])


#: Terms that never fall, and a base before them.
logs = st.tuples(st.integers(0, 5), st.lists(st.integers(0, 2), max_size=12)).map(
    lambda drawn: log_of(*(1 + sum(drawn[1][: i + 1]) for i in range(len(drawn[1]))), base=EntryId(min(1, drawn[0]), drawn[0]))
)


def terms_of(log: Log) -> dict[int, int]:
    """The twin: every index that can be asked for, and its term."""
    return {index: log.term_at(index) for index in range(log.base.index, log.last_index + 1)}


class LogTests(TestCase):
    """What each method promises."""

    @given(st.lists(st.tuples(st.sampled_from(("append", "truncate", "compact", "reset")), st.integers(0, 30)), max_size=30))
    def test_like_a_dictionary(self, steps: list[tuple[str, int]]) -> None:
        """Any legal sequence of changes leaves what the same changes leave of a dictionary."""
        log, twin, base = log_of(), {0: 0}, 0
        for verb, number in steps:
            last = max(twin)
            if verb == "append":
                twin[last + 1] = twin[last] + number % 3
                log.append(entry(last + 1, twin[last + 1]))
            elif verb == "truncate" and base < last:
                index = base + 1 + number % (last - base)
                log.truncate_from(index)
                twin = {i: term for i, term in twin.items() if i < index}
            elif verb == "compact":
                index = min(number, last + 1)
                log.compact(index)
                base = max(base, index - 1)
                twin = {i: term for i, term in twin.items() if i >= base}
            elif verb == "reset":
                base = last + number
                twin = {base: twin[last] + 1}
                log.reset(EntryId(twin[base], base))
            self.assertEqual(twin, terms_of(log))
            self.assertEqual((base + 1, max(twin)), (log.first_index, log.last_index))
            self.assertEqual(EntryId(twin[max(twin)], max(twin)), log.last)

    @given(logs, st.integers(-2, 20), st.integers(0, 30))
    def test_holds(self, log: Log, index: int, term: int) -> None:
        """An entry is held if its index is here with its term; the base stands for itself."""
        self.assertEqual(terms_of(log).get(index) == term, log.holds(EntryId(term, index)))

    @given(logs, st.data())
    def test_first_index_of_term(self, log: Log, data: st.DataObject) -> None:
        """Where a run of one term begins, found by walking back."""
        index = data.draw(st.integers(log.base.index, log.last_index))
        twin, first = terms_of(log), index
        while first - 1 > log.base.index and twin[first - 1] == twin[index]:
            first -= 1
        self.assertEqual(first, log.first_index_of_term_at(index))

    @given(logs, st.integers(-1, 30), st.integers(-2, 20))
    def test_last_index_of_term(self, log: Log, term: int, at_most: int) -> None:
        """Where a run of one term ends, found by trying each; the base may be the answer, even if it is past the limit."""
        reach = max(at_most, log.base.index)
        found = [index for index, other in terms_of(log).items() if other == term and index <= reach]
        self.assertEqual(max(found, default=None), log.last_index_of_term(term, at_most))

    @pytest.mark.scenario("L15")
    @given(st.lists(st.integers(0, 300), max_size=10), st.integers(1, 5), st.integers(1, 800), st.data())
    def test_slice(self, sizes: list[int], entries_count: int, size_bytes: int, data: st.DataObject) -> None:
        """Contiguous from where it was asked, within both limits, as much as fits, and never nothing where there is something."""
        log = Log(ORIGIN, [entry(index, 1, size) for index, size in enumerate(sizes, 1)])
        first = data.draw(st.integers(1, len(sizes) + 1))
        taken = log.slice(first, entries_count, size_bytes)
        self.assertEqual(tuple(range(first, first + len(taken))), tuple(item.index for item in taken))
        fits = [
            count
            for count in range(1, min(entries_count, len(sizes) - first + 1) + 1)
            if count == 1 or sum(64 + size for size in sizes[first - 1 : first - 1 + count]) <= size_bytes
        ]
        self.assertEqual(max(fits, default=0), len(taken))

    @given(logs, st.data())
    def test_between(self, log: Log, data: st.DataObject) -> None:
        """Both ends included; nothing where they cross."""
        first = data.draw(st.integers(log.first_index, log.last_index + 1))
        last = data.draw(st.integers(first - 1, log.last_index))
        self.assertEqual(list(range(first, last + 1)), [item.index for item in log.between(first, last)])

    @given(st.lists(st.integers(0, 300), max_size=10), st.integers(0, 12), st.integers(0, 12), st.integers(0, 2000))
    def test_first_index_to_keep(self, sizes: list[int], snapshot_index: int, entries_count: int, size_bytes: int) -> None:
        """As many as fit both limits are kept behind a snapshot, counted from its end."""
        log = Log(ORIGIN, [entry(index, 1, size) for index, size in enumerate(sizes, 1)])
        end = min(snapshot_index, len(sizes))
        kept = 0
        while kept < min(entries_count, end) and sum(64 + size for size in sizes[end - kept - 1 : end]) <= size_bytes:
            kept += 1
        self.assertEqual(end - kept + 1, log.first_index_to_keep(snapshot_index, entries_count, size_bytes))

    def test_outside(self) -> None:
        """What is compacted and what is not there yet are told apart."""
        log = log_of(2, 2, base=EntryId(1, 5))
        self.assertEqual(1, log.term_at(5))
        with self.assertRaises(Compacted):
            log.entry_at(5)
        with self.assertRaises(Compacted):
            log.term_at(4)
        with self.assertRaises(IndexError):
            log.term_at(8)

    def test_append_refuses_gaps_and_falling_terms(self) -> None:
        """A log that is not one stops the node."""
        for wrong in (entry(4, 2), entry(2, 2), entry(3, 1)):
            with self.subTest(wrong=wrong), self.assertRaises(InvariantBroken):
                log_of(1, 2).append(wrong)

    def test_truncate_and_read_outside(self) -> None:
        """To truncate or to send what is not there is a programmer's error."""
        for wrong in (lambda log: log.truncate_from(5), lambda log: log.truncate_from(8), lambda log: log.between(5, 6)):
            with self.subTest(wrong=wrong), self.assertRaises(InvariantBroken):
                wrong(log_of(1, 1, base=EntryId(1, 5)))
        with self.assertRaises(InvariantBroken):
            log_of(1, base=EntryId(1, 5)).slice(5, 1, 1)


class EntryTests(TestCase):
    """The small facts."""

    @pytest.mark.scenario("E7")
    def test_order(self) -> None:
        """The later term is more up to date; in one term, the longer log (Section 3.6.1)."""
        self.assertEqual(
            [EntryId(1, 9), EntryId(2, 1), EntryId(2, 3), EntryId(3, 2)],
            sorted([EntryId(3, 2), EntryId(2, 3), EntryId(1, 9), EntryId(2, 1)]),
        )
