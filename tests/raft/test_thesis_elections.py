"""Sections 3.3, 3.4, 3.6.1 and Figure 3.1 of the dissertation: terms, elections, votes. Pre-vote: 9.6; stickiness: 4.2.3."""

from __future__ import annotations

from unittest import TestCase

import pytest
from raft_cluster import Cluster, voters
from raft_solo import Solo, accepted, append, command, heartbeat, log_of, of_kind

from hraft.raft.entry import EntryId, HardState
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from hraft.raft.ready import Role
from hraft.raft.settings import Settings

FIVE = voters("n1", "n2", "n3", "n4", "n5")


class TermTests(TestCase):
    """Section 3.3: terms are a logical clock."""

    def test_larger_term_is_taken_over(self) -> None:
        """If one server's current term is smaller than the other's, it updates its term to the larger value."""
        for message in (
            heartbeat(5),
            RequestVote(5, 9, 4),
            RequestVoteResponse(5, False),
            AppendEntriesResponse(5, False, 0),
            PreVoteResponse(5, False),
            TimeoutNow(5),
        ):
            with self.subTest(message=message):
                solo = Solo()
                if isinstance(message, TimeoutNow):
                    self.assertIsNotNone(solo.refuses("n2", message))
                else:
                    solo.hear("n2", message)
                self.assertEqual(5, solo.term)

    def test_leader_or_candidate_steps_down(self) -> None:
        """If a candidate or leader discovers that its term is out of date, it immediately reverts to follower state."""
        for prepare in (Solo.stand, Solo.lead):
            with self.subTest(prepare=prepare.__name__):
                solo = Solo()
                prepare(solo)
                solo.hear("n2", heartbeat(9))
                self.assertEqual((Role.FOLLOWER, 9, "n2"), (solo.node.role, solo.term, solo.node.leader_id))

    @pytest.mark.scenario("E15")
    def test_stale_request_is_refused(self) -> None:
        """If a server receives a request with a stale term number, it rejects the request: with its own term in the answer."""
        solo = Solo(hard_state=HardState(7))
        [(to, answer)] = solo.hear("n2", heartbeat(3))
        self.assertEqual(("n2", 7, False), (to, answer.term, answer.success))
        self.assertEqual([("n2", RequestVoteResponse(7, False))], solo.hear("n2", RequestVote(3, 99, 3)))
        self.assertEqual((Role.FOLLOWER, 7, None), (solo.node.role, solo.term, solo.node.leader_id))

    def test_no_term_at_all(self) -> None:
        """A message without a term is none of ours."""
        self.assertIn("no term", str(Solo().refuses("n2", heartbeat(0))))

    def test_not_for_us(self) -> None:
        """A node neither takes another's mail nor its own."""
        self.assertIsNotNone(Solo().refuses("n1", heartbeat(1)))

    @pytest.mark.scenario("E9")
    def test_term_never_falls(self) -> None:
        """Nothing that is stale takes the term back."""
        solo = Solo(hard_state=HardState(7))
        for message in (heartbeat(3), RequestVoteResponse(3, True), AppendEntriesResponse(3, True, 0), PreVoteResponse(3, False)):
            solo.hear("n2", message)
            self.assertEqual(7, solo.term)


class ElectionTests(TestCase):
    """Section 3.4."""

    def test_begins_as_follower(self) -> None:
        """When servers start up, they begin as followers, and remain so while they hear from a leader or candidate."""
        solo = Solo()
        self.assertEqual(Role.FOLLOWER, solo.node.role)
        for _ in range(10):
            solo.tick(9)
            solo.hear("n2", heartbeat(1, EntryId(1, 1)))
        self.assertEqual(Role.FOLLOWER, solo.node.role)

    @pytest.mark.scenario("E11")
    def test_no_communication_over_election_timeout(self) -> None:
        """A follower that receives no communication over the election timeout begins an election: here with a pre-vote."""
        solo = Solo()
        self.assertEqual([], solo.tick(10))
        sent = solo.tick()
        self.assertEqual([("n2", PreVote(2, 1, 1)), ("n3", PreVote(2, 1, 1))], sent)
        self.assertEqual((Role.PRE_CANDIDATE, HardState(1)), (solo.node.role, solo.state.hard_state))

    def test_increments_its_term_and_votes_for_itself(self) -> None:
        """To begin an election, a follower increments its term, votes for itself, and issues RequestVote to each other server."""
        solo = Solo(log_of(1))
        sent = solo.stand("n2")
        self.assertEqual((Role.CANDIDATE, HardState(2, "n1")), (solo.node.role, solo.state.hard_state))
        self.assertEqual([("n2", RequestVote(2, 2, 1)), ("n3", RequestVote(2, 2, 1))], sent)

    def test_majority_wins(self) -> None:
        """A candidate wins an election if it receives votes from a majority of the servers for the same term."""
        solo = Solo(log_of(configuration=FIVE))
        solo.stand()
        solo.hear("n2", RequestVoteResponse(2, True))
        self.assertEqual(Role.CANDIDATE, solo.node.role)
        solo.hear("n3", RequestVoteResponse(2, True))
        self.assertEqual((Role.LEADER, "n1"), (solo.node.role, solo.node.leader_id))

    @pytest.mark.scenario("E5")
    def test_votes_count_once(self) -> None:
        """A vote that arrives twice is one vote, and that of a stranger none."""
        solo = Solo(log_of(configuration=FIVE))
        solo.stand()
        for voter in ("n2", "n2", "stranger", "n9"):
            solo.hear(voter, RequestVoteResponse(2, True))
        self.assertEqual(Role.CANDIDATE, solo.node.role)

    def test_refusals_of_a_majority_end_it(self) -> None:
        """Whoever cannot win any more waits for another."""
        solo = Solo()
        solo.stand()
        solo.hear("n2", RequestVoteResponse(2, False))
        solo.hear("n3", RequestVoteResponse(2, False))
        self.assertEqual((Role.FOLLOWER, HardState(2, "n1")), (solo.node.role, solo.state.hard_state))

    def test_first_come_first_served(self) -> None:
        """Each server will vote for at most one candidate in a given term, on a first-come-first-served basis."""
        solo = Solo()
        self.assertEqual([("n2", RequestVoteResponse(2, True))], solo.hear("n2", RequestVote(2, 1, 1)))
        self.assertEqual([("n3", RequestVoteResponse(2, False))], solo.hear("n3", RequestVote(2, 9, 1)))
        self.assertEqual([("n2", RequestVoteResponse(2, True))], solo.hear("n2", RequestVote(2, 1, 1)), "asked again")

    @pytest.mark.scenario("T5")
    def test_t5_transfer_is_no_second_vote(self) -> None:
        """The transfer flag overrides stickiness and nothing else."""
        solo = Solo()
        solo.hear("n2", RequestVote(2, 1, 1))
        self.assertEqual([("n3", RequestVoteResponse(2, False))], solo.hear("n3", RequestVote(2, 9, 1, leadership_transfer=True)))

    @pytest.mark.scenario("E8")
    def test_e8_vote_is_kept_when_stepping_down(self) -> None:
        """A candidate that hears the leader of its own term follows it, and has still voted."""
        solo = Solo()
        solo.stand()
        solo.hear("n2", heartbeat(2))
        self.assertEqual((Role.FOLLOWER, HardState(2, "n1")), (solo.node.role, solo.state.hard_state))
        self.assertEqual([], solo.hear("n3", RequestVote(2, 9, 1)), "a leader is heard")
        solo.tick(10)
        self.assertEqual([("n3", RequestVoteResponse(2, False))], solo.hear("n3", RequestVote(2, 9, 1)))

    def test_leader_prevents_new_elections(self) -> None:
        """Once a candidate wins, it sends heartbeat messages to all other servers to prevent new elections."""
        sent = Solo().lead()
        self.assertEqual({"n2", "n3"}, {to for to, message in sent if isinstance(message, AppendEntries)})

    def test_leader_sends_periodic_heartbeats(self) -> None:
        """Leaders send periodic heartbeats to all followers in order to maintain their authority."""
        solo = Solo()
        solo.reign()
        solo.tick(3)
        for _ in range(5):
            self.assertEqual(["n2", "n3"], [to for to, _ in solo.tick(3)])
            solo.all_accept()

    def test_candidate_recognises_a_leader(self) -> None:
        """If the leader's term is at least as large as the candidate's current term, the candidate returns to follower state."""
        for term in (2, 3):
            solo = Solo()
            solo.stand()
            solo.hear("n3", heartbeat(term))
            self.assertEqual((Role.FOLLOWER, "n3"), (solo.node.role, solo.node.leader_id))

    def test_candidate_rejects_a_stale_leader(self) -> None:
        """If the term in the RPC is smaller than the candidate's current term, it rejects it and continues in candidate state."""
        solo = Solo()
        solo.stand()
        [(_, answer)] = solo.hear("n3", heartbeat(1))
        self.assertEqual((2, False, Role.CANDIDATE), (answer.term, answer.success, solo.node.role))

    @pytest.mark.scenario("E18")
    def test_e18_split_vote_is_tried_again(self) -> None:
        """Each candidate times out and starts a new election by incrementing its term; timeouts are drawn anew each time."""
        drawn: list[tuple[int, int]] = []

        def choose(low: int, high: int) -> int:
            drawn.append((low, high))
            return low + len(drawn) % 3

        solo = Solo(choose=choose)
        for term in (2, 3, 4):
            solo.stand()
            self.assertEqual((Role.CANDIDATE, term), (solo.node.role, solo.term))
        self.assertGreater(len(drawn), 6)
        self.assertEqual({(11, 20)}, set(drawn))

    def test_requests_are_repeated(self) -> None:
        """Servers retry RPCs if they do not receive a response in a timely manner (Section 3.3)."""
        solo = Solo()
        solo.time_out()
        self.assertEqual([PreVote(2, 1, 1)] * 2, of_kind(solo.tick(3), PreVote))
        solo.hear("n2", PreVoteResponse(2, True))
        self.assertEqual(["n2", "n3"], [to for to, _ in solo.tick(3)])
        solo.hear("n2", RequestVoteResponse(2, False))
        self.assertEqual([("n3", RequestVote(2, 1, 1))], solo.tick(3), "whoever has refused is not asked again")

    @pytest.mark.scenario("E20")
    def test_e20_single_voter(self) -> None:
        """A node alone waits for nobody: it campaigns with the first tick, and leads once its vote is on disk."""
        solo = Solo(log_of(1, configuration=voters("n1")), saves=False)
        self.assertEqual((Role.FOLLOWER, 0), (solo.node.role, solo.node.commit_index))
        solo.tick()
        self.assertEqual(Role.CANDIDATE, solo.node.role)
        solo.save()
        self.assertEqual((Role.LEADER, 2, 0), (solo.node.role, solo.term, solo.node.commit_index))
        solo.save()
        self.assertEqual(3, solo.node.commit_index)
        self.assertEqual([1, 2, 3], [entry.index for entry in solo.committed])

    @pytest.mark.scenario("E22")
    def test_rival_leader_is_refused(self) -> None:
        """Two leaders of one term cannot be; who claims to be the second is not believed."""
        solo = Solo()
        solo.lead()
        self.assertIn("claims to lead", str(solo.refuses("n2", heartbeat(2))))
        self.assertEqual(Role.LEADER, solo.node.role)


class ElectionRestrictionTests(TestCase):
    """Section 3.6.1: the voter denies its vote if its own log is more up-to-date than that of the candidate."""

    @pytest.mark.scenario("E7")
    def test_e7_later_term_then_longer_log(self) -> None:
        """The later last term wins; with equal terms, whichever log is longer."""
        for granted, last in (
            (True, EntryId(3, 1)),
            (True, EntryId(2, 3)),
            (True, EntryId(2, 4)),
            (False, EntryId(2, 2)),
            (False, EntryId(1, 9)),
        ):
            with self.subTest(last=last):
                self.assertEqual(
                    [("n2", RequestVoteResponse(5, granted))],
                    Solo(log_of(1, 2)).hear("n2", RequestVote(5, last.index, last.term)),
                )
                [(_, answer)] = Solo(log_of(1, 2)).hear("n2", PreVote(5, last.index, last.term))
                self.assertEqual(granted, answer.vote_granted)

    @pytest.mark.scenario("E6")
    def test_e6_only_what_is_persisted_is_claimed(self) -> None:
        """A candidate names the last entry on its disk, since the rest may be gone when it is needed."""
        solo = Solo(saves=False)
        solo.hear("n2", append(1, EntryId(1, 1), command(2, 1), command(3, 1)))
        sent = solo.time_out()
        self.assertEqual(PreVote(2, 1, 1), sent[0][1])
        solo.hear("n3", PreVoteResponse(2, True))
        sent = solo.save()
        self.assertEqual([], of_kind(sent, RequestVote), "the term is not on disk yet")
        self.assertEqual({RequestVote(2, 1, 1)}, set(of_kind(solo.save(), RequestVote)))

    @pytest.mark.scenario("E6")
    def test_e6_voter_counts_what_it_has_in_memory(self) -> None:
        """A voter is the stricter the more it has: it answers when all of that is on disk."""
        solo = Solo(saves=False)
        solo.hear("n2", append(1, EntryId(1, 1), command(2, 1)))
        solo.tick(10)
        self.assertEqual([], of_kind(solo.hear("n3", RequestVote(2, 1, 1)), RequestVoteResponse))
        solo.save()
        self.assertEqual([RequestVoteResponse(2, False)], of_kind(solo.save(), RequestVoteResponse))

    @pytest.mark.scenario("D19")
    def test_d19_empty_log_votes_for_nobody(self) -> None:
        """A node without any entry may have forgotten a vote, or entries that are committed with its help (Section 3.8)."""
        solo = Solo(())
        self.assertEqual([("n2", PreVoteResponse(0, False))], solo.hear("n2", PreVote(2, 9, 1)))
        self.assertEqual([("n2", RequestVoteResponse(2, False))], solo.hear("n2", RequestVote(2, 9, 1)))

    def test_empty_log_waits(self) -> None:
        """A node that is no member of anything never campaigns."""
        solo = Solo(())
        self.assertEqual([], solo.tick(100))
        self.assertEqual((Role.FOLLOWER, 0), (solo.node.role, solo.term))


class PreVoteTests(TestCase):
    """Section 9.6: a candidate only increments its term if it first learns that a majority would be willing to vote for it."""

    @pytest.mark.scenario("E11")
    def test_e11_nothing_changes(self) -> None:
        """Neither the one who asks nor the one who is asked changes term or vote."""
        for hard_state in (HardState(1), HardState(2, "n3"), HardState(9, "n2")):
            with self.subTest(hard_state=hard_state):
                solo = Solo(hard_state=hard_state)
                solo.hear("n2", PreVote(3, 9, 1))
                self.assertEqual((hard_state, []), (solo.state.hard_state, solo.done))
                solo.time_out()
                self.assertEqual((hard_state, []), (solo.state.hard_state, solo.done))

    @pytest.mark.scenario("E14")
    def test_majority_must_be_willing(self) -> None:
        """Without a majority that has not heard a leader, the term stays as it is for ever."""
        solo = Solo(log_of(configuration=FIVE))
        for _ in range(5):
            solo.time_out()
            solo.hear("n2", PreVoteResponse(2, True))
            solo.hear("n3", PreVoteResponse(1, False))
            solo.hear("stranger", PreVoteResponse(2, True))
            self.assertEqual((Role.PRE_CANDIDATE, 1), (solo.node.role, solo.term))

    @pytest.mark.scenario("E14")
    def test_not_while_a_leader_is_heard(self) -> None:
        """A server grants a pre-vote only if it has not heard from a leader within the minimum election timeout."""
        solo = Solo()
        solo.hear("n3", heartbeat(1))
        solo.tick(9)
        self.assertEqual([("n2", PreVoteResponse(1, False))], solo.hear("n2", PreVote(2, 9, 1)))
        self.assertEqual([], solo.hear("n2", RequestVote(2, 9, 1)))
        solo.tick()
        self.assertEqual([("n2", PreVoteResponse(2, True))], solo.hear("n2", PreVote(2, 9, 1)))

    @pytest.mark.scenario("E14")
    def test_leader_grants_none(self) -> None:
        """A leader hears a leader: itself."""
        solo = Solo()
        solo.reign()
        self.assertEqual([("n2", PreVoteResponse(2, False))], solo.hear("n2", PreVote(9, 9, 1)))

    @pytest.mark.scenario("E13")
    def test_e13_granted_mirrors_the_term_asked_for(self) -> None:
        """The voter's own, lower term would look stale to the candidate."""
        self.assertEqual([("n2", PreVoteResponse(9, True))], Solo().hear("n2", PreVote(9, 1, 1)))

    @pytest.mark.scenario("E13", "E15")
    def test_e13_stale_term_is_taught(self) -> None:
        """A pre-candidate whose term is behind learns the right one from the refusal, and asks again with it."""
        solo = Solo(log_of(1))
        solo.time_out()
        self.assertEqual([("n2", PreVoteResponse(5, False))], Solo(hard_state=HardState(5)).hear("n2", PreVote(2, 2, 1)))
        solo.hear("n2", PreVoteResponse(5, False))
        self.assertEqual((Role.FOLLOWER, 5), (solo.node.role, solo.term))
        self.assertEqual(PreVote(6, 2, 1), solo.time_out()[0][1])

    @pytest.mark.scenario("E12")
    def test_e12_pre_vote_is_no_vote(self) -> None:
        """A late answer to the pre-vote elects nobody, though its term is the candidate's."""
        solo = Solo(log_of(configuration=FIVE))
        solo.stand("n2", "n3")
        self.assertEqual(Role.CANDIDATE, solo.node.role)
        for voter in ("n2", "n3", "n4", "n5"):
            solo.hear(voter, PreVoteResponse(2, True))
        self.assertEqual(Role.CANDIDATE, solo.node.role)

    def test_answers_for_other_terms_are_not_counted(self) -> None:
        """Each pre-vote is for one term."""
        solo = Solo()
        solo.time_out()
        solo.hear("n2", PreVoteResponse(3, True))
        self.assertEqual(Role.PRE_CANDIDATE, solo.node.role)

    @pytest.mark.scenario("E4")
    def test_e4_vote_of_an_earlier_term_is_not_counted(self) -> None:
        """A vote is for one term: a late answer to the last candidacy counts for nothing."""
        solo = Solo()
        solo.stand()
        solo.stand()
        self.assertEqual((Role.CANDIDATE, 3), (solo.node.role, solo.term))
        solo.hear("n2", RequestVoteResponse(2, True))
        self.assertEqual(Role.CANDIDATE, solo.node.role)


class StickinessTests(TestCase):
    """Section 4.2.3: if a server receives a RequestVote within the minimum election timeout of hearing from a current leader, it
    does not update its term or grant its vote."""

    @pytest.mark.scenario("E17", "M11")
    def test_e17_ignored_while_a_leader_is_heard(self) -> None:
        """Not even the term is looked at, whoever asks."""
        solo = Solo()
        solo.hear("n3", heartbeat(1))
        solo.tick(9)
        self.assertEqual([], solo.hear("removed", RequestVote(9, 99, 8)))
        self.assertEqual(HardState(1), solo.state.hard_state)
        solo.tick()
        self.assertEqual([("removed", RequestVoteResponse(9, True))], solo.hear("removed", RequestVote(9, 99, 8)))

    @pytest.mark.scenario("E17", "M11")
    def test_e17_leader_is_not_deposed(self) -> None:
        """A leader in contact with its followers is not deposed by a larger term."""
        solo = Solo()
        solo.reign()
        self.assertEqual([], solo.hear("n9", RequestVote(9, 99, 8)))
        self.assertEqual((Role.LEADER, 2), (solo.node.role, solo.term))

    @pytest.mark.scenario("E17")
    def test_e17_transfer_overrides(self) -> None:
        """A leadership transfer is legitimate: RequestVote may override this with a special flag (Section 4.2.3)."""
        solo = Solo()
        solo.hear("n3", heartbeat(1))
        self.assertEqual([("n2", RequestVoteResponse(2, True))], solo.hear("n2", RequestVote(2, 1, 1, leadership_transfer=True)))

    @pytest.mark.scenario("M18")
    def test_m18_strangers_are_served(self) -> None:
        """Servers process incoming requests without consulting their current configuration (Section 4.1)."""
        solo = Solo()
        [(_, answer)] = solo.hear("stranger", append(2, EntryId(1, 1), command(2, 2)))
        self.assertTrue(answer.success)
        self.assertEqual([("other", RequestVoteResponse(3, True))], Solo().hear("other", RequestVote(3, 2, 2)))


class ClusterTests(TestCase):
    """Whole clusters."""

    @pytest.mark.scenario("E14")
    def test_e14_node_that_returns_deposes_nobody(self) -> None:
        """Cut off for long, a node still has its old term, and the leader stays when it is back (Section 9.6)."""
        cluster = Cluster(voters("n1", "n2", "n3"))
        leader = cluster.elect("n1")
        cluster.pass_time(100, "n3")
        self.assertEqual(2, cluster["n3"].current_term)
        cluster.pass_time(30)
        self.assertEqual((Role.LEADER, 2), (leader.role, leader.current_term))

    @pytest.mark.scenario("E15")
    def test_e15_higher_term_is_freed(self) -> None:
        """A node with a later term than everybody else's (it stood just before it was cut off) gets into the cluster again."""
        cluster = Cluster(voters("n1", "n2", "n3"))
        cluster.elect("n1")
        cluster["n3"].state.hard_state = HardState(9)
        cluster.pass_time(60)
        self.assertEqual([cluster.must_lead().current_term] * 3, [cluster[name].current_term for name in cluster.servers])
        self.assertEqual({cluster.leader()}, {cluster[name].leader_id for name in cluster.servers})

    @pytest.mark.scenario("E18")
    def test_e18_simultaneous_candidates_resolve(self) -> None:
        """Two that stand at once split the vote; with new timeouts one of them wins."""
        drawn = iter((11, 11, 30, *([11, 17, 13, 20, 15, 12] * 20)))
        cluster = Cluster(voters("n1", "n2", "n3", "n4"), choose=lambda low, high: next(drawn))
        cluster.pass_time(80)
        self.assertEqual({cluster.leader()}, {cluster[name].leader_id for name in cluster.servers})

    @pytest.mark.scenario("E16", "N1")
    def test_e16_leader_without_quorum_steps_down(self) -> None:
        """A leader steps down if an election timeout elapses without a round of heartbeats to a majority (Section 6.2)."""
        cluster = Cluster(voters("n1", "n2", "n3"))
        leader = cluster.elect("n1")
        for name in ("n2", "n3"):
            cluster.crash(name)
        cluster.tick("n1", 9)
        self.assertEqual(Role.LEADER, leader.role)
        cluster.tick("n1", 1)
        self.assertEqual((Role.FOLLOWER, None, 2), (leader.role, leader.leader_id, leader.current_term))

    @pytest.mark.scenario("E16", "N1")
    def test_e16_leader_that_can_send_but_not_hear(self) -> None:
        """One way is not enough: whoever is not answered does not lead."""
        solo = Solo()
        solo.reign()
        solo.tick(9)
        self.assertEqual(Role.LEADER, solo.node.role)
        solo.hear("n3", accepted(2, 2))
        solo.tick(9)
        self.assertEqual(Role.LEADER, solo.node.role)
        solo.tick()
        self.assertEqual(Role.FOLLOWER, solo.node.role)

    @pytest.mark.scenario("E2")
    def test_e2_vote_survives_a_crash(self) -> None:
        """Crashed after the vote was on disk and before the answer left, it gives no other vote in that term."""
        cluster = Cluster(voters("n1", "n2", "n3"))
        cluster.deliver_from("n1", "n3", RequestVote(2, 1, 1))
        self.assertEqual([], cluster.take("n1", RequestVoteResponse), "held back until the vote is on disk")
        cluster.crash("n3", save_survives=True)
        cluster.restart("n3")
        for _ in range(10):
            cluster.tick("n3")
        cluster.deliver_from("n2", "n3", RequestVote(2, 9, 1))
        cluster.save_all()
        self.assertEqual([RequestVoteResponse(2, False)], [e.message for e in cluster.take("n2", RequestVoteResponse)])


class SettingsTests(TestCase):
    """What is refused before a node is made."""

    @pytest.mark.scenario("E19")
    def test_e19_heartbeats_must_fit_into_the_timeout(self) -> None:
        """The broadcast time should be an order of magnitude less than the election timeout (Section 3.9); half is the least."""
        for election, interval in ((10, 10), (10, 6), (5, 9)):
            with self.assertRaisesRegex(ValueError, "at least twice the heartbeat"):
                Settings(election_timeout_ticks=election, heartbeat_interval_ticks=interval)
        Settings(election_timeout_ticks=10, heartbeat_interval_ticks=5)

    @pytest.mark.scenario("O12")
    def test_o12_silly_numbers(self) -> None:
        """Nothing of which there must be some can be zero or less."""
        for name in Settings.__slots__:
            with self.subTest(name=name), self.assertRaisesRegex(ValueError, "at least 1, not 0"):
                Settings(**{name: 0})
