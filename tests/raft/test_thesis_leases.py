"""Section 6.4.1 of the dissertation: what a leader's lease stands on. How long it lasts is the service's affair."""

from __future__ import annotations

from unittest import TestCase

import pytest
from raft_cluster import Cluster, voters
from raft_solo import Solo, accepted, heartbeat, log_of, of_kind

from hraft.raft.messages import AppendEntries, PreVote, PreVoteResponse, RequestVote, RequestVoteResponse
from hraft.raft.ready import Role

#: The election timeout of these tests.
T = 10
LATE = RequestVote(9, 9, 9)


class StickinessTests(TestCase):
    """Whoever answered a leader elects nobody for an election timeout, whatever happens to it meanwhile."""

    @pytest.mark.scenario("R11")
    def test_a_restart_forgets_no_leader(self) -> None:
        """A voter that answers, crashes, and votes at once would have two leaders read at the same time."""
        solo = Solo(fresh=True)
        solo.tick(T - 1)
        self.assertEqual([("n2", PreVoteResponse(1, False))], solo.hear("n2", PreVote(9, 9, 9)))
        self.assertEqual([], solo.hear("n2", LATE))
        solo.tick()
        self.assertEqual([("n2", PreVoteResponse(9, True))], solo.hear("n2", PreVote(9, 9, 9)))
        self.assertEqual([("n2", RequestVoteResponse(9, True))], solo.hear("n2", LATE))

    def test_a_cold_start_takes_no_longer(self) -> None:
        """Nobody's timer is shorter than the time in which votes are refused: all that start at once elect as soon as ever."""
        cluster = Cluster(voters("n1", "n2", "n3"), choose=lambda low, high: low)
        for name in ("n1", "n2", "n3"):
            cluster.crash(name)
            cluster.restart(name)
        cluster.servers["n1"].up.state.randomized_election_timeout_ticks = T + 1
        for name in ("n2", "n3"):
            cluster.servers[name].up.state.randomized_election_timeout_ticks = T + 2
        cluster.pass_time(T + 1)
        self.assertEqual("n1", cluster.leader())

    def test_alone_waits_for_nobody(self) -> None:
        """There is nobody who could have led."""
        solo = Solo(log_of(configuration=voters("n1")), fresh=True)
        solo.tick()
        self.assertEqual(Role.LEADER, solo.node.role)

    @pytest.mark.scenario("R11")
    def test_news_of_a_later_term_end_no_lease(self) -> None:
        """An answer that was late for its candidate raises the term; its sender must not be elected by that alone."""
        solo = Solo()
        solo.hear("n3", heartbeat(2))
        solo.hear("n2", RequestVoteResponse(9, False))
        self.assertEqual((9, None), (solo.term, solo.node.leader_id))
        self.assertEqual([], solo.hear("n2", LATE))
        self.assertEqual([("n2", PreVoteResponse(9, False))], solo.hear("n2", PreVote(10, 9, 9)))

    def test_a_deposed_leader_votes_at_once(self) -> None:
        """Its own lease ended when it stepped down, and it heard nobody else's."""
        solo = Solo()
        solo.reign()
        self.assertEqual([], solo.hear("n2", LATE))
        solo.tick(T)
        self.assertEqual(Role.FOLLOWER, solo.node.role)
        self.assertEqual([("n2", RequestVoteResponse(9, True))], solo.hear("n2", LATE))


class LeaseTests(TestCase):
    """When the answers of a majority keep everybody else from being elected."""

    def test_every_heartbeat_is_a_round(self) -> None:
        """So that a lease costs nothing: no message is sent for it."""
        solo = Solo()
        solo.reign()
        heartbeats = of_kind(solo.tick(6), AppendEntries)
        self.assertEqual([0, 0, 1, 1, 2, 2], [message.read_round for message in heartbeats], "first the commit is announced")
        self.assertEqual((2, 0), (solo.node.read_round, solo.node.confirmed_round))
        solo.hear("n3", accepted(2, 2, read_round=1))
        self.assertEqual(1, solo.node.confirmed_round)

    @pytest.mark.scenario("M19")
    def test_a_majority_of_voters_counts(self) -> None:
        """Of five voters two others must have answered; a learner's answer keeps nobody from being elected."""
        solo = Solo(log_of(configuration=voters("n1", "n2", "n3", "n4", "n5")))
        solo.reign()
        learners = [f"n{number}" for number in range(6, 11)]
        for learner in learners:
            solo.act(lambda learner=learner: solo.node.add_learner(learner, f"{learner}:1"))
            for peer in ("n2", "n3"):
                solo.hear(peer, accepted(2, solo.node.last_index))
        solo.tick(3)
        for peer in (*learners, "n2"):
            solo.hear(peer, accepted(2, 2, read_round=1))
        self.assertEqual(0, solo.node.confirmed_round)
        solo.hear("n3", accepted(2, 2, read_round=1))
        self.assertEqual(1, solo.node.confirmed_round)

    def test_alone(self) -> None:
        """Its own answer is a majority."""
        solo = Solo(log_of(configuration=voters("n1")))
        solo.tick(4)
        self.assertEqual((1, 1, True), (solo.node.read_round, solo.node.confirmed_round, solo.node.may_hold_lease))

    @pytest.mark.scenario("R1")
    def test_not_before_the_no_op_is_committed(self) -> None:
        """Until then this leader does not know what was acknowledged before it."""
        solo = Solo()
        solo.lead()
        self.assertFalse(solo.node.may_hold_lease)
        solo.all_accept()
        self.assertTrue(solo.node.may_hold_lease)

    @pytest.mark.scenario("R11", "T1")
    def test_never_again_after_a_transfer(self) -> None:
        """TimeoutNow may arrive long after the transfer was given up, and is stronger than stickiness."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.transfer("n2"))
        self.assertFalse(solo.node.may_hold_lease)
        for _ in range(2 * T):
            solo.tick()
            solo.all_accept()
        self.assertIsNone(solo.state.leading.transfer)
        self.assertFalse(solo.node.may_hold_lease)

    def test_not_while_it_is_being_removed(self) -> None:
        """The one voter that remains hears a leader that is none of its configuration, and elects itself at once."""
        solo = Solo(log_of(configuration=voters("n1", "n2")))
        solo.reign()
        solo.act(lambda: solo.node.remove("n1"))
        self.assertEqual((Role.LEADER, False), (solo.node.role, solo.node.may_hold_lease))

    def test_not_after_stepping_down(self) -> None:
        """Whoever follows confirms nothing."""
        solo = Solo()
        solo.reign()
        solo.tick(3)
        solo.hear("n3", accepted(2, 2, read_round=1))
        solo.hear("n3", heartbeat(3))
        self.assertEqual((0, 0, False), (solo.node.read_round, solo.node.confirmed_round, solo.node.may_hold_lease))
