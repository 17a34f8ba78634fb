"""Members compare their states in the background: a difference is found and told to all; nothing else ever is (O14)."""

from __future__ import annotations

from typing import Any
from unittest import TestCase
from unittest.mock import patch

import pytest
from clusters import EAGER, Cluster, Member, Outcome, set_command
from twisted.internet.defer import Deferred, fail

from hraft.errors import PeerUnreachable
from hraft.interfaces import Precautions
from hraft.kv.history import History
from hraft.kv.store import KeyValueStore
from hraft.questions import CompareState
from hraft.service.alarms import STATE_DIFFERS, Alarm

CHECKED = Precautions(check_interval_seconds=5.0, release="1")


def spoil(member: Member, value: bytes = b"spoilt") -> None:
    """As a bit that has flipped in memory, or on a disk before a restart."""
    store = member.service.state_machine
    assert isinstance(store, KeyValueStore)
    store._keyspace.table.remove(b"a", b"b")
    store._keyspace.table.put(b"a", value, 1, 0)


def alarm_of(member: Member) -> Alarm | None:
    return member.service.alarms.get(STATE_DIFFERS)


def compared_count(member: Member) -> int:
    running = member.service._running
    assert running is not None
    return running.comparing.compared_count


class ComparingTests(TestCase):
    nodes_count = 3

    def setUp(self) -> None:
        self.cluster = Cluster(seed=8, precautions=CHECKED).bootstrap(self.nodes_count)
        self.cluster.write("a", "1")
        self.cluster.settle()

    def tearDown(self) -> None:
        self.cluster.stop()

    def alarms(self) -> list[Alarm | None]:
        return [alarm_of(member) for member in self.cluster.running()]

    def until_all_know(self) -> Alarm:
        self.cluster.run_until(lambda: None not in self.alarms(), "all know of it")
        alarm = alarm_of(self.cluster.the_leader())
        assert alarm is not None
        return alarm

    @pytest.mark.scenario("O14")
    def test_equal_states(self) -> None:
        """Compared again and again, in an idle cluster too; and nobody is troubled."""
        self.cluster.run(21.0)
        self.assertGreaterEqual(compared_count(self.cluster.the_leader()), 3)
        self.assertEqual([None] * 3, self.alarms())

    @pytest.mark.scenario("O14")
    def test_a_member_that_differs(self) -> None:
        """Everybody knows who it is, at which entry, and all hashes; it says itself that it is not ready, and the others are."""
        other = self.cluster.followers()[0]
        spoil(other)
        alarm = self.until_all_know()
        self.assertEqual((other.node_id,), alarm.members)
        self.assertEqual((3, 2), (len(alarm.hashes), len(set(alarm.hashes.values()))))
        self.assertEqual(self.cluster.the_leader().service.status().applied_index, alarm.index)
        self.cluster.run(1.0)
        for member in self.cluster.running():
            failed = [check.name for check in member.service.readiness() if not check.is_ok]
            self.assertEqual(["state"] if member is other else [], failed)

    def test_a_leader_that_differs(self) -> None:
        """It asks, and is found all the same."""
        leader = self.cluster.the_leader()
        spoil(leader)
        self.assertEqual((leader.node_id,), self.until_all_know().members)

    def test_it_is_over_by_itself(self) -> None:
        """When the states are equal again, as after a restart from good files: on every node."""
        other = self.cluster.followers()[0]
        spoil(other)
        self.until_all_know()
        other.crash()
        self.cluster.run(12.0)
        self.assertIsNotNone(alarm_of(self.cluster.the_leader()), "not while nobody has heard of the one named")
        other.start()
        self.cluster.run_until(lambda: not any(self.alarms()), "it is over")

    def test_the_next_leader_finds_it_again(self) -> None:
        """What a leader knew is not lost with it."""
        other = self.cluster.followers()[0]
        spoil(other)
        self.until_all_know()
        leader = self.cluster.the_leader()
        leader.crash()
        self.cluster.elect()
        leader.start()
        self.cluster.settle()
        self.assertIsNone(alarm_of(leader), "its memory was new")
        self.assertEqual(other.node_id in self.until_all_know().members, True)

    def test_it_is_forgotten_when_no_leader_says_it(self) -> None:
        """A leader that compares nothing would leave it standing for ever, on itself and on whoever it was told of it."""
        spoil(self.cluster.followers()[0])
        self.until_all_know()
        for member in self.cluster.running():
            running = member.service._running
            assert running is not None
            running.comparing._interval_seconds = None
        with patch("hraft.limits.CHECK_FORGET_SECONDS", 30.0):
            self.cluster.run(20.0)
            self.assertNotIn(None, self.alarms())
            self.cluster.run(12.0)
            self.assertEqual([None] * 3, self.alarms())

    def test_it_stands_while_a_leader_says_it(self) -> None:
        """However long that is."""
        spoil(self.cluster.followers()[0])
        self.until_all_know()
        with patch("hraft.limits.CHECK_FORGET_SECONDS", 30.0):
            self.cluster.run(60.0)
            self.assertNotIn(None, self.alarms())

    def test_histories_that_begin_elsewhere(self) -> None:
        """Each node of a cluster that comes from snapshots of format 1 has a history that begins with its own snapshot."""
        store = self.cluster.followers()[0].service.state_machine
        assert isinstance(store, KeyValueStore)
        store._keyspace.history = History((), store.revision)
        before = compared_count(self.cluster.the_leader())
        self.cluster.run(21.0)
        self.assertGreater(compared_count(self.cluster.the_leader()), before)
        self.assertEqual([None] * 3, self.alarms())

    def test_under_writes(self) -> None:
        """Each takes the hash at exactly the entry in question, however many follow it at once."""
        outcomes: list[Outcome] = []
        before = compared_count(self.cluster.the_leader())
        for number in range(600):
            outcomes += [Outcome(self.cluster.the_leader().service.propose(set_command(f"k{n}", str(number)))) for n in range(5)]
            self.cluster.run(0.02)
        self.assertGreaterEqual(compared_count(self.cluster.the_leader()) - before, 1)
        self.assertEqual([None] * 3, self.alarms())
        self.assertTrue(all(outcome.error is None for outcome in outcomes))

    def test_who_cannot_answer_is_passed_over(self) -> None:
        """A node of an earlier release does not know the question; the others are compared without it."""
        leader, other = self.cluster.the_leader(), self.cluster.followers()[0]
        call = leader.transport.call

        def called(to: str, request: Any) -> Deferred[Any]:
            if to == other.node_id and isinstance(request, CompareState):
                return fail(PeerUnreachable("the peer's release of hraft does not know this question"))
            return call(to, request)

        leader.transport.call = called  # type: ignore[method-assign]
        spoil(other)
        self.cluster.run(150.0)
        self.assertGreaterEqual(compared_count(leader), 1)
        self.assertEqual([None] * 3, self.alarms())

    def test_releases_are_not_compared(self) -> None:
        """Their lines may read differently for the same state, so nothing follows from a difference."""
        other = self.cluster.followers()[0]
        other.crash()
        other.start(precautions=Precautions(check_interval_seconds=5.0, release="2"))
        self.cluster.settle()
        spoil(other)
        self.cluster.run(21.0)
        self.assertEqual([None] * 3, self.alarms())

    def test_other_lines_of_one_release_are_not_compared(self) -> None:
        """A node that was built before the history was left out hashes it, too."""
        other = self.cluster.followers()[0]
        running = other.service._running
        assert running is not None
        running.comparing._hashing._release = "1"
        spoil(other)
        self.cluster.run(21.0)
        self.assertEqual([None] * 3, self.alarms())

    def test_a_verdict_that_does_not_read(self) -> None:
        """It is of a later release's making, and changes nothing."""
        other = self.cluster.followers()[0]
        running = other.service._running
        assert running is not None
        for verdict in (b"x", b"{}", b'{"kind":"news","members":[],"detail":""}'):
            running.comparing.answer(CompareState(0, verdict))
        self.assertEqual((), other.service.alarms.active)


class TwoMembersTests(TestCase):
    def test_a_difference_of_two(self) -> None:
        """Where there is no majority nobody can know who is right: both are named."""
        cluster = Cluster(seed=8, precautions=CHECKED).bootstrap(2)
        cluster.write("a", "1")
        cluster.settle()
        spoil(cluster.followers()[0])
        cluster.run_until(lambda: all(map(alarm_of, cluster.running())), "both know of it")
        for member in cluster.running():
            alarm = alarm_of(member)
            assert alarm is not None
            self.assertEqual(("node0", "node1"), alarm.members)
        cluster.stop()


class HashingTests(TestCase):
    def test_an_index_that_is_past(self) -> None:
        """A member that cannot go back says so, and one that a snapshot took past it as well."""
        cluster = Cluster(seed=2, precautions=CHECKED, snapshot_policy=EAGER).bootstrap(3)
        slow = cluster.followers()[0]
        running = slow.service._running
        assert running is not None
        self.assertEqual("passed", running.comparing._hashing.ask(1).status)
        index = cluster.the_leader().service.status().last.index + 20
        self.assertEqual("pending", running.comparing._hashing.ask(index).status)
        cluster.network.isolate(slow.node_id, set(cluster.members) - {slow.node_id})
        cluster.write_many(60)
        cluster.write_many(60, "more")
        cluster.network.heal()
        cluster.settle()
        self.assertEqual("passed", running.comparing._hashing.ask(index).status)
        cluster.stop()
