"""The judges of what the store's clients are told: numbered writes, comparisons and watches, each shown what must not be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import TestCase

from hraft.kv.commands import ExpireLeases, GrantLease, Set, encode_command
from hraft.kv.history import Change
from hraft.kv.records import KeyValue, Record
from hraft.kv.results import GetDone, NotDone, Transacted, Written
from hraft.kv.store import KeyValueStore
from hraft.raft.entry import Entry, EntryKind
from hraft.simulation.asking import Asking
from hraft.simulation.history import MISSING, Kind, Seen
from hraft.simulation.ledger import Ledger
from hraft.simulation.marks import Marks
from hraft.simulation.oracle import Oracle
from hraft.simulation.shape import draw_shape
from hraft.simulation.story import Violation
from hraft.simulation.watcher import Watcher
from hraft.simulation.world import World


class RepetitionTests(TestCase):
    def setUp(self) -> None:
        self.oracle = Oracle(Marks())
        self.ledger = Ledger(self.oracle.committed)

    def commit(self, index: int, command: bytes, result: Any) -> None:
        self.ledger.commit(Entry(index, 1, EntryKind.COMMAND, command), 1)
        self.ledger.applied("a", index, command, result)

    def told(self, results: list[Any]) -> None:
        """A numbered write is committed once for each of these results, and its client is told the last."""
        attempt = self.oracle.attempt("c", b"1", is_repeatable=True)
        for index, result in enumerate(results, start=1):
            if index > 1:
                self.oracle.asked_again(attempt)
            self.commit(index, b"1", result)
        self.oracle.done(attempt, len(results), results[-1])
        self.oracle.settle(self.ledger)

    def test_the_first_answer_again(self) -> None:
        """That is what numbers are for."""
        self.told([Written(7, 1), Written(7, 1)])
        self.assertEqual(1, self.oracle._marks.counts["a repeated write got its first answer"])

    def test_done_once_more(self) -> None:
        """Another revision, so it was carried out twice."""
        with self.assertRaisesRegex(Violation, "a repetition gets the first answer"):
            self.told([Written(7, 1), Written(8, 1)])

    def test_refused_when_it_is_forgotten(self) -> None:
        """That is allowed, and never doing it again is all that was promised."""
        self.told([Written(7, 1), NotDone("session_expired", "")])

    def test_committed_more_often_than_asked_for(self) -> None:
        """Somebody proposed it again on his own."""
        attempt = self.oracle.attempt("c", b"1", is_repeatable=True)
        self.commit(1, b"1", Written(7, 1))
        self.oracle.asked_again(attempt)
        self.commit(2, b"1", Written(7, 1))
        with self.assertRaisesRegex(Violation, "done twice"):
            self.commit(3, b"1", Written(7, 1))


class ComparisonTests(TestCase):
    def asking(self, expected: Seen) -> Asking:
        return Asking(Kind.COMPARE_AND_SET, ("k",), ("new",), (expected,))

    def refused(self, record: Record | None) -> Transacted:
        pairs = () if record is None else (KeyValue(b"k", record),)
        return Transacted(False, 9, (GetDone(pairs, len(pairs)),))

    def test_refused_though_it_holds(self) -> None:
        """What the store shows as the reason is what was asked for."""
        record = Record(b"old", 3, 4, 2)
        for demand, found in ((Seen("old"), record), (Seen("old", 4, 2), record), (MISSING, None)):
            with self.subTest(demand), self.assertRaisesRegex(Violation, "a comparison that holds was refused"):
                self.asking(demand).written(self.refused(found), tells_revisions=True)

    def test_refused_since_it_does_not_hold(self) -> None:
        """Each kind of demand."""
        record = Record(b"old", 3, 4, 2)
        for demand, found in ((Seen("older"), record), (Seen("old", 3, 1), record), (MISSING, record), (Seen("old"), None)):
            told = self.asking(demand).written(self.refused(found), tells_revisions=True)
            self.assertFalse(getattr(told, "succeeded", True))


class WatcherTests(TestCase):
    def setUp(self) -> None:
        self.world = World(draw_shape(1))
        self.watcher = Watcher(self.world, "w")
        self.store = KeyValueStore()
        for index in range(1, 5):
            self.store.apply(index, encode_command(Set(b"k", b"%d" % index)))

    def changes(self, *revisions: int) -> None:
        """A node tells of these."""
        changes = {change.revision: change for change in self.store.changes_after(0)}
        store: Any = KeyValueStore()
        store.changes_after = lambda revision: [changes[number] for number in revisions]
        node: Any = SimpleNamespace(node_id="n", state_machine=store)
        self.watcher._ask(node)

    def test_each_once_and_in_order(self) -> None:
        """Also when they come from several nodes."""
        self.changes(1, 2)
        self.changes(3)
        self.assertEqual([1, 2, 3], [change.revision for change in self.watcher.told])

    def test_a_gap_or_a_repetition(self) -> None:
        """Neither can be seen by whoever watches, so it must never be."""
        self.changes(1)
        for wrong in (1, 3):
            with self.assertRaisesRegex(Violation, "every revision, once and in order"):
                self.changes(wrong)

    def test_another_change(self) -> None:
        """A node whose history is not that of the log."""
        from hraft.simulation.watcher import look_at_watchers

        self.world.watchers.append(self.watcher)
        command = encode_command(Set(b"k", b"1"))
        self.world.ledger.committed.append(Entry(1, 1, EntryKind.COMMAND, command))
        self.changes(1)
        look_at_watchers(self.world)
        [event] = self.watcher.told[0].events
        self.watcher.told = [Change(1, (replace_key(event),))]
        with self.assertRaisesRegex(Violation, "a watcher is told what happened"):
            look_at_watchers(self.world)


class LeaseTests(TestCase):
    def setUp(self) -> None:
        self.world = World(draw_shape(1, clock_rates=(1.0, 2.0)))
        self.judge = self.world.lease_judge

    def expire(self, lease: int, at: float) -> None:
        self.world.clock.now = at
        self.judge.expired(Entry(9, 1, EntryKind.COMMAND, encode_command(ExpireLeases((lease,)))))

    def test_the_time_that_was_promised(self) -> None:
        """By a leader whose clock may run twice as fast as time itself."""
        self.judge.promised(5, 10.0, 4)
        self.expire(5, 12.0)

    def test_ended_too_early(self) -> None:
        """Whichever of the two is known first."""
        self.judge.promised(5, 10.0, 4)
        with self.assertRaisesRegex(Violation, "as long as promised"):
            self.expire(5, 11.9)
        self.expire(6, 11.9)
        with self.assertRaisesRegex(Violation, "as long as promised"):
            self.judge.promised(6, 10.0, 4)

    def test_an_earlier_promise_takes_nothing_back(self) -> None:
        """Answers may come late."""
        self.judge.promised(5, 10.0, 4)
        self.judge.promised(5, 9.0, 4)
        with self.assertRaisesRegex(Violation, "as long as promised"):
            self.expire(5, 11.9)

    def test_what_is_left_at_the_end(self) -> None:
        """A lease that nobody keeps alive, or a key that was to end with one."""
        store = KeyValueStore()
        self.judge.look_at_end(store)
        store.apply(1, encode_command(Set(b"leased/h0/5", b"")))
        with self.assertRaisesRegex(Violation, "ends when its time is over"):
            self.judge.look_at_end(store)
        store = KeyValueStore()
        store.apply(1, encode_command(GrantLease(5)))
        with self.assertRaisesRegex(Violation, "ends when its time is over"):
            self.judge.look_at_end(store)


def replace_key(event: Any) -> Any:
    return type(event)(b"other", event.record, event.previous, event.revision)
