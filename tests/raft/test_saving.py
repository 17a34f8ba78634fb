"""What is on disk, against a disk: no claim of `Saving` may ever be more than the truth."""

from __future__ import annotations

from unittest import TestCase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raft_cluster import Disk, first_entry, voters

from hraft.raft.entry import Entry, EntryId, EntryKind, HardState, Snapshot
from hraft.raft.log import Log
from hraft.raft.messages import TimeoutNow
from hraft.raft.outbox import Outbox
from hraft.raft.ready import Install, Save
from hraft.raft.saving import Saving

ONE = voters("n1")
STEPS = (
    "append",
    "append",
    "replace",
    "vote",
    "install",
    "hand out",
    "hand out",
    "saved",
    "saved",
    "late saved",
    "hold",
    "compact",
)


class Desk:
    """A log, what watches it, a disk that does as it is told, and messages that wait for it."""

    def __init__(self) -> None:
        self.log = Log(entries=[first_entry(ONE)])
        self.hard_state = HardState(1)
        self.saving = Saving(self.log, self.hard_state)
        self.disk = Disk(self.hard_state, entries=[first_entry(ONE)])
        self.digests: dict[EntryId, int] = {}
        self.outbox = Outbox("n1")
        self.held: list[tuple[HardState, EntryId]] = []
        #: All that was ever on disk: hard states, and last entries (whose ids stand for all before them).
        self.seen: set[object] = {self.hard_state, EntryId(1, 1)}

    def step(self, verb: str, number: int) -> None:
        """Do what a node or its service may do."""
        log, saving = self.log, self.saving
        if verb == "append":
            log.append(Entry(log.last_index + 1, self.hard_state.term, EntryKind.COMMAND))
        elif verb == "replace" and log.last_index > log.base.index + 1:
            index = log.base.index + 1 + number % (log.last_index - log.base.index)
            self.hard_state = HardState(self.hard_state.term + 1)
            log.truncate_from(index)
            saving.truncated(index)
            log.append(Entry(index, self.hard_state.term, EntryKind.COMMAND))
        elif verb == "vote":
            self.hard_state = HardState(self.hard_state.term + 1, "n2")
        elif verb == "install" and not saving.installs:
            self._install(number)
        elif verb == "hand out":
            save = saving.next_save(self.hard_state)
            if save is not None:
                self.outbox_is_right(save)
        elif verb == "saved" and saving.in_flight is not None:
            self._saved(saving.in_flight)
        elif verb == "late saved":
            assert saving.saved(-number) is None
        elif verb == "hold":
            self.outbox.send_when_saved("n2", TimeoutNow(len(self.held) + 1), saving.number_needed(self.hard_state))
            self.held.append((self.hard_state, log.last))
        elif verb == "compact":
            log.compact(min(saving.persisted_index, log.base.index + number) + 1)

    def _install(self, number: int) -> None:
        log = self.log
        index = log.base.index + 1 + number % (log.last_index - log.base.index + 2)
        is_continued = index <= log.last_index and number % 2 == 0
        if is_continued:
            snapshot = Snapshot(index, log.term_at(index), ONE)
            keep_suffix = self.saving.handed_index >= index
            log.compact(index + 1)
        else:
            self.hard_state = HardState(self.hard_state.term + 1)
            snapshot, keep_suffix = Snapshot(index, self.hard_state.term, ONE), False
            log.reset(snapshot.id)
        self.digests[snapshot.id] = 0
        self.saving.installed(Install(snapshot, keep_suffix))

    def outbox_is_right(self, save: Save) -> None:
        assert save.hard_state == self.hard_state

    def _saved(self, save: Save) -> None:
        self.disk.save(save, self.digests)
        assert self.saving.saved(save.number) is save
        self.outbox.saved(save.number)
        last = self.disk.entries[-1].id if self.disk.entries else self.disk.base
        self.seen |= {self.disk.hard_state, last, *(entry.id for entry in self.disk.entries), self.disk.base}

    def check(self, test: TestCase) -> None:
        """The claims, against the disk."""
        persisted_index = self.saving.persisted_index
        test.assertEqual(self.disk.hard_state, self.saving.persisted_hard_state)
        for index in range(self.log.first_index, persisted_index + 1):
            test.assertEqual(self.log.entry_at(index), self.disk.entry_at(index), "persisted, but the disk has another entry")
        if self.saving.is_idle(self.hard_state):
            test.assertEqual((self.log.last_index, self.hard_state), (self.disk.last_index, self.disk.hard_state))
            test.assertEqual(self.log.last_index, persisted_index)
            test.assertEqual(0, self.saving.number_needed(self.hard_state))
        for envelope in self.outbox.take():
            hard_state, last = self.held[envelope.message.term - 1]
            test.assertLessEqual(hard_state.term, self.disk.hard_state.term, "a message left before its term was on disk")
            replaced = last not in self.seen and self.disk.hard_state.term > hard_state.term
            test.assertTrue(last in self.seen or replaced, f"a message left before {last} was on disk")


class SavingTests(TestCase):
    """The ABA case and its relatives, told one by one and drawn by chance."""

    @pytest.mark.scenario("L4", "L6", "L22", "L23")
    @given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 20)), max_size=60))
    def test_never_claims_more_than_the_disk_has(self, steps: list[tuple[str, int]]) -> None:
        """Whatever happens in whatever order, `persisted_index` is a promise that a power cut does not break."""
        desk = Desk()
        for verb, number in steps:
            desk.step(verb, number)
            desk.check(self)
        while not desk.saving.is_idle(desk.hard_state):
            desk.step("hand out", 0)
            desk.step("saved", 0)
            desk.check(self)

    @pytest.mark.scenario("L22")
    def test_aba(self) -> None:
        """Old entries are handed out, new ones take their place in memory, then the disk says "done" (module docstring)."""
        desk = Desk()
        for verb in ("append", "append", "hand out"):
            desk.step(verb, 0)
        desk.step("replace", 1)
        first = desk.saving.in_flight
        assert first is not None
        desk.saving.saved(first.number)
        self.assertEqual(1, desk.saving.persisted_index)
        second = desk.saving.next_save(desk.hard_state)
        assert second is not None
        self.assertEqual((2, [2]), (second.truncate_from, [entry.index for entry in second.entries]))
        desk.saving.saved(second.number)
        self.assertEqual(2, desk.saving.persisted_index)

    @pytest.mark.scenario("D18")
    def test_two_truncations_before_one_save(self) -> None:
        """The disk must forget from the lower of the two on, whichever came first."""
        for first, second in ((2, 4), (4, 2)):
            with self.subTest(first=first, second=second):
                desk = Desk()
                for _ in range(4):
                    desk.step("append", 0)
                desk.step("hand out", 0)
                desk.step("saved", 0)
                for index in (first, second):
                    while desk.log.last_index < index:
                        desk.step("append", 0)
                    desk.step("replace", index - 1)
                save = desk.saving.next_save(desk.hard_state)
                assert save is not None
                self.assertEqual(2, save.truncate_from)

    @pytest.mark.scenario("L23")
    def test_other_numbers_are_ignored(self) -> None:
        """Only the save on its way can be done."""
        desk = Desk()
        desk.step("append", 0)
        self.assertIsNone(desk.saving.saved(1), "nothing is on its way")
        desk.step("hand out", 0)
        for number in (0, 2, 99):
            self.assertIsNone(desk.saving.saved(number))
        self.assertEqual(1, desk.saving.persisted_index)
        self.assertIsNotNone(desk.saving.saved(1))
        self.assertIsNone(desk.saving.saved(1), "twice")

    def test_one_save_at_a_time(self) -> None:
        """While one is on its way the rest gathers: that is the group commit."""
        desk = Desk()
        desk.step("append", 0)
        desk.step("hand out", 0)
        desk.step("append", 0)
        desk.step("append", 0)
        self.assertIsNone(desk.saving.next_save(desk.hard_state))
        self.assertEqual(2, desk.saving.number_needed(desk.hard_state))
        desk.step("saved", 0)
        save = desk.saving.next_save(desk.hard_state)
        assert save is not None
        self.assertEqual([3, 4], [entry.index for entry in save.entries])


class OutboxTests(TestCase):
    """Persist, then send."""

    def test_held_until_saved(self) -> None:
        """A message leaves with the save that it names, or any later one, in the order it was given."""
        outbox = Outbox("n1")
        for term, number in ((1, 0), (2, 1), (3, 2)):
            outbox.send_when_saved("n2", TimeoutNow(term), number)
        sent = []
        for number in (0, 1, 2):
            outbox.saved(number)
            sent.append([envelope.message.term for envelope in outbox.take()])
        self.assertEqual([[1], [2], [3]], sent)

    def test_bounded(self) -> None:
        """A disk that hangs for long does not fill the memory: the oldest go, and Raft sends them again."""
        outbox = Outbox("n1")
        for term in range(5000):
            outbox.send_when_saved("n2", TimeoutNow(term), 1)
        outbox.saved(1)
        self.assertEqual(list(range(5000 - 1024, 5000)), [envelope.message.term for envelope in outbox.take()])
