"""The time of leases in simulated clusters: who keeps it, what becomes of it when leaders change, and that it ends."""

from __future__ import annotations

from typing import Any
from unittest import TestCase, mock

import pytest
from twisted.internet.defer import fail

from hraft import limits
from hraft.errors import BadCommand, LeaseNotFound, NotLeader, OutcomeUnknown, ProposalDropped, ReadFailed
from hraft.interfaces import Timing
from hraft.kv.commands import GrantLease, RevokeLease, decode_command, encode_command
from hraft.kv.results import encode_result
from hraft.kv.transactions import Put, Transaction
from hraft.leases import LeaseTimes
from hraft.raft.ready import Role
from hraft.simulation.cluster import Asked, Cluster

TIMING = Timing(tick_seconds=0.02, heartbeat_interval_ticks=5, election_timeout_ticks=25)
#: A tick, a commit, and their ways.
SOON_SECONDS = 0.1
ELECTION_SECONDS = 1.5


class Case(TestCase):
    """Three nodes."""

    def setUp(self) -> None:
        self.cluster = Cluster(1, 3, timing=TIMING, encode_result=encode_result)
        self.addCleanup(self.cluster.close)
        self.leader = self.cluster.leader()
        self.first, self.second = self.cluster.followers()

    def grant(self, ttl_seconds: int, key: bytes = b"k") -> int:
        """A lease with one key."""
        lease: int = self.cluster.propose(encode_command(GrantLease(ttl_seconds))).lease
        self.cluster.propose(encode_command(Transaction((), (Put(key, b"v", lease),), ())))
        return lease

    def ask(self, node: str, lease: int, what: str = "keep_alive") -> Asked:
        leases = self.cluster.node(node).leases
        lost = OutcomeUnknown("crashed")
        return Asked(self.cluster._in_process(node, lambda: getattr(leases, what)(lease), lost))

    def asked(self, node: str, lease: int, what: str = "keep_alive") -> LeaseTimes:
        asked = self.ask(node, lease, what)
        self.cluster.wait_for(asked)
        times: LeaseTimes = asked.result()
        return times

    def lives(self, lease: int, node: str | None = None) -> bool:
        return self.cluster.state_machine(node).lease(lease) is not None

    def new_leader(self) -> str:
        self.cluster.until(lambda: self.cluster.leader() != self.leader, "another leads")
        return self.cluster.leader()


class TimeTests(Case):
    """While one node leads."""

    @pytest.mark.scenario("C10")
    def test_ends_with_its_keys_on_every_node(self) -> None:
        """Not before its time, and soon after."""
        lease, other = self.grant(2), self.grant(60, b"other")
        self.cluster.advance(1.9)
        self.assertTrue(self.lives(lease))
        self.cluster.advance(0.1 + SOON_SECONDS)
        for node in self.cluster.node_ids:
            store = self.cluster.state_machine(node)
            self.assertEqual((None, None), (store.lease(lease), store.get(b"k")), node)
            self.assertTrue(self.lives(other, node))

    def test_kept_alive_from_any_node(self) -> None:
        """Each time the whole time again, and not a moment more."""
        lease = self.grant(2)
        for node in (self.leader, self.first, self.second, self.leader):
            self.cluster.advance(1.5)
            times = self.asked(node, lease)
            self.assertEqual((lease, 2), (times.lease, times.ttl_seconds))
            self.assertAlmostEqual(2.0, times.remaining_seconds, delta=0.02)
        self.cluster.advance(1.9)
        self.assertTrue(self.lives(lease))
        self.cluster.advance(0.1 + SOON_SECONDS)
        self.assertFalse(self.lives(lease))

    def test_asking_for_its_times_changes_nothing(self) -> None:
        """On any node."""
        lease = self.grant(10)
        for node, gone_seconds in ((self.leader, 3.0), (self.first, 6.0)):
            self.cluster.advance(3.0)
            self.assertAlmostEqual(10 - gone_seconds, self.asked(node, lease, "times").remaining_seconds, delta=0.1)

    def test_unknown_and_ended_leases(self) -> None:
        """The same answer, on any node: there is none."""
        lease = self.grant(1)
        self.cluster.advance(1.0 + SOON_SECONDS)
        for node in self.cluster.node_ids:
            for what in ("keep_alive", "times"):
                for unknown in (lease, 999_999):
                    with self.assertRaises(LeaseNotFound):
                        self.asked(node, unknown, what)

    def test_strange_questions_are_refused(self) -> None:
        """They come from peers, which may be newer or wrong."""
        service = self.cluster.node(self.first).service
        too_long = b"1" * (limits.QUESTION_BYTES + 1)
        for question in (b"", b"{}", b'{"ask":"other","lease":1}', b'{"ask":"times","lease":"1"}', too_long):
            asked = Asked(service.ask_leader(question))
            self.cluster.wait_for(asked)
            self.assertIsInstance(asked.error, BadCommand)

    def test_many_end_in_parts(self) -> None:
        """One entry ends no more than so many leases, and no more than so many keys: a lease has no more of them."""
        with mock.patch.multiple(limits, LEASES_ENDED_COUNT=10, DELETE_KEYS_COUNT=4, LEASES_LOOKED_AT_COUNT=30):
            leases = [self.cluster.submit(encode_command(GrantLease(2))) for _ in range(50)]
            self.cluster.wait_for(*leases)
            big = self.grant(2, b"x")
            puts = tuple(Put(b"x%d" % number, b"v", big) for number in range(3))
            self.cluster.propose(encode_command(Transaction((), puts, ())))
            for number in range(4):
                self.grant(2, b"y%d" % number)
            service, store = self.cluster.node().service, self.cluster.state_machine()
            with mock.patch.object(service, "propose", wraps=service.propose) as propose:
                sizes: list[tuple[int, int]] = []

                def note(command: bytes) -> Any:
                    ended = [store.lease(lease) for lease in decode_command(command).leases]
                    sizes.append((len(ended), sum(len(lease.keys) for lease in ended)))
                    return mock.DEFAULT

                propose.side_effect = note
                for node in self.cluster.node_ids:  # So that all are overdue at once.
                    self.cluster.pause(node)
                self.cluster.advance(2.0)
                self.cluster.resume()
                self.cluster.advance(20 * SOON_SECONDS)
        self.assertEqual(0, store.leases_count)
        self.assertEqual(55, sum(leases_count for leases_count, _ in sizes))
        self.assertLessEqual(max(leases_count for leases_count, _ in sizes), 10)
        self.assertEqual(4, max(keys_count for _, keys_count in sizes))

    def test_memory_of_revoked_leases_is_bounded(self) -> None:
        """A client that grants leases of a year and revokes them leaves nothing behind."""
        clock = self.cluster.node().leases
        with mock.patch("hraft.leases._FORGOTTEN_COUNT", 20):
            for _ in range(60):
                lease = self.cluster.propose(encode_command(GrantLease(limits.LEASE_TTL_SECONDS))).lease
                self.cluster.propose(encode_command(RevokeLease(lease)))
        reign = clock._reign
        assert reign is not None
        self.assertLess(max(len(reign.deadlines), len(reign.due)), 30)

    def test_kept_alive_often_costs_no_memory(self) -> None:
        """Each lease is waited for once, however often its deadline moves."""
        lease = self.grant(2)
        for _ in range(20):
            self.cluster.advance(0.5)
            self.asked(self.leader, lease)
        reign = self.cluster.node().leases._reign
        assert reign is not None
        self.assertEqual((1, 1), (len(reign.deadlines), len(reign.due)))


class ReignTests(Case):
    """When leaders change."""

    def test_only_the_leader_ends_leases(self) -> None:
        """Followers keep no time: without a leader nothing ends."""
        lease = self.grant(1)
        self.cluster.crash(self.leader, power=False)
        self.cluster.partition([self.first])
        self.cluster.advance(20.0)
        for node in (self.first, self.second):
            self.assertIsNone(self.cluster.node(node).leases._reign)
            self.assertTrue(self.lives(lease, node))

    @pytest.mark.scenario("C9")
    def test_a_new_leader_gives_all_their_time(self) -> None:
        """It cannot know when its predecessor was last asked: whoever had an answer must not find the lease ended early."""
        lease = self.grant(3)
        self.cluster.advance(2.5)
        self.asked(self.leader, lease)
        kept_at = self.cluster.now
        self.cluster.crash(self.leader, power=False)
        new = self.new_leader()
        self.cluster.until(lambda: not self.lives(lease, new), "it ends")
        self.assertGreaterEqual(self.cluster.now, kept_at + 3)
        self.assertLess(self.cluster.now, kept_at + 3 + ELECTION_SECONDS + SOON_SECONDS)

    def test_handed_over_all_live_on(self) -> None:
        """And a lease that was granted just before is known to whoever leads then."""
        old = self.grant(3)
        self.cluster.advance(2.5)
        new = self.grant(3, b"new")
        self.cluster.transfer(self.first)
        self.cluster.until(lambda: self.cluster.node(self.first).role is Role.LEADER, "handed over")
        self.cluster.advance(2.5)
        self.assertEqual((True, True), (self.lives(old), self.lives(new)))
        self.cluster.advance(0.5 + 2 * SOON_SECONDS)
        self.assertEqual((False, False), (self.lives(old), self.lives(new)))

    def test_a_deposed_leader_keeps_nothing_alive(self) -> None:
        """It stood still while another took over: its answer would be a promise that nobody keeps."""
        for is_told in (False, True):
            with self.subTest(is_told=is_told):
                self.setUp()
                lease = self.grant(3)
                self.cluster.pause(self.leader)
                self.new_leader()
                if not is_told:
                    self.cluster.partition([self.leader])
                asked = self.ask(self.leader, lease)
                self.cluster.resume()
                self.cluster.wait_for(asked)
                if asked.error is None:  # It has asked the new one.
                    self.assertTrue(is_told)
                    self.assertAlmostEqual(3.0, asked.result().remaining_seconds, delta=0.1)
                else:
                    self.assertIsInstance(asked.error, (ReadFailed, NotLeader, ProposalDropped, OutcomeUnknown))

    def test_a_deposed_leader_ends_nothing(self) -> None:
        """It wakes up when all deadlines that it knew are long over; they were moved elsewhere."""
        lease = self.grant(2)
        self.cluster.pause(self.leader)
        new = self.new_leader()
        for _ in range(5):
            self.cluster.advance(1.0)
            self.asked(new, lease)
        self.cluster.resume()
        self.cluster.advance(1.0)
        self.assertIsNone(self.cluster.node(self.leader).leases._reign)
        for node in self.cluster.node_ids:
            self.assertTrue(self.lives(lease, node), node)

    def test_a_leader_that_wakes_up_without_a_successor(self) -> None:
        """All stood still: what nobody kept alive for its time is over, by the clock."""
        lease = self.grant(2)
        for node in self.cluster.node_ids:
            self.cluster.pause(node)
        self.cluster.advance(10.0)
        self.cluster.resume()
        nodes = self.cluster.node_ids
        self.cluster.until(lambda: not any(self.lives(lease, node) for node in nodes), "it ends", 2 + ELECTION_SECONDS)

    def test_kept_alive_in_the_middle_of_an_election(self) -> None:
        """Whatever is answered holds: the lease lives for its time from then on, whoever leads."""
        for seed in range(8):
            self.cluster = Cluster(seed, 3, timing=TIMING, encode_result=encode_result)
            self.addCleanup(self.cluster.close)
            self.leader = self.cluster.leader()
            lease, kept_at = self.grant(1), self.cluster.now
            asked: list[tuple[float, Asked]] = []
            for step in range(400):
                if step == 50:
                    self.cluster.crash(self.leader, power=False)
                if step % 5 == 0 and step < 250:
                    node = self.cluster.node_ids[step // 5 % 3]
                    if self.cluster.node(node).life is not None:
                        asked.append((self.cluster.now, self.ask(node, lease)))
                self.cluster.advance(0.02)
                kept_at = max([kept_at, *(at for at, answer in asked if answer.is_over and answer.error is None)])
                leader = self.cluster.world.leader()
                if leader is not None and self.cluster.now < kept_at + 1.0:
                    self.assertTrue(self.lives(lease, leader.node_id), f"seed {seed}, step {step}")
            self.assertGreater(kept_at, self.cluster.now - 400 * 0.02 + 2.0, "kept alive by the new leader, too")


class EndingTests(Case):
    """Between the deadline and the end."""

    def test_not_kept_alive_once_its_end_was_asked_for(self) -> None:
        """The entry that ends it is on its way: an answer would be a promise that cannot be kept."""
        lease = self.grant(1)
        for follower in (self.first, self.second):
            self.cluster.stall_disk(follower)
        self.cluster.advance(1.0 + SOON_SECONDS)
        self.assertTrue(self.lives(lease, self.leader))
        for node in (self.leader, self.first):
            with self.assertRaises(ProposalDropped):
                self.asked(node, lease)
        self.assertEqual(0.0, self.asked(self.leader, lease, "times").remaining_seconds)
        self.cluster.heal()
        self.cluster.advance(SOON_SECONDS)
        with self.assertRaises(LeaseNotFound):
            self.asked(self.leader, lease)

    def test_kept_alive_again_when_its_end_was_refused(self) -> None:
        """Certainly nothing was asked for, so its client may still save it; else it is asked for again."""
        lease, other = self.grant(1), self.grant(1, b"other")
        service = self.cluster.node().service
        refusal: Any = mock.patch.object(service, "propose", side_effect=lambda command: fail(ProposalDropped("not now")))
        with refusal as propose:
            self.cluster.advance(1.2)
            self.assertAlmostEqual(1.0, self.asked(self.leader, lease).remaining_seconds, delta=0.02)
            self.cluster.advance(limits.LEASE_RETRY_SECONDS)
            self.assertLessEqual(propose.call_count, 6)
        self.cluster.advance(limits.LEASE_RETRY_SECONDS - 0.2)
        self.assertEqual((True, False), (self.lives(lease), self.lives(other)))


class StoppingTests(Case):
    """Nothing is left to do when a node stops."""

    def test_a_stopped_leader_looks_no_more(self) -> None:
        """A timer that goes on would keep a stopped node alive, or ask a dead one."""
        cluster = Cluster(1, 1, timing=TIMING, encode_result=encode_result)
        self.addCleanup(cluster.close)
        cluster.propose(encode_command(GrantLease(60)))
        clock = cluster.node().leases
        self.assertIsNotNone(clock._next_look)
        stopping = Asked(cluster.node().service.stopService())
        cluster.until(lambda: stopping.is_over, "stopped")
        self.assertEqual((None, None), (clock._next_look, clock._reign))
        cluster.crash("node0", power=False)
