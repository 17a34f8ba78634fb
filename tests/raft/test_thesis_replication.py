"""Sections 3.5, 3.6.2, 3.8 and 10.2.1 of the dissertation: the log, what is committed, and what must be on disk first."""

from __future__ import annotations

from unittest import TestCase

import pytest
from raft_cluster import Cluster, voters
from raft_solo import Solo, accepted, append, command, heartbeat, log_of, of_kind

from hraft.errors import NotLeader, ProposalDropped
from hraft.raft.entry import ORIGIN, EntryId, EntryKind, HardState, Snapshot
from hraft.raft.messages import AppendEntries, AppendEntriesResponse, InstallSnapshot, RequestVote, RequestVoteResponse
from hraft.raft.ready import Role
from hraft.raft.settings import Settings

FIVE = voters("n1", "n2", "n3", "n4", "n5")


def refusal(term: int, prev: int, conflict: int, conflict_term: int = 0, last: int = 1) -> AppendEntriesResponse:
    return AppendEntriesResponse(term, False, prev, conflict_index=conflict, conflict_term=conflict_term, last_log_index=last)


class LeaderTests(TestCase):
    """Section 3.5, from the leader's side."""

    def test_appends_and_replicates(self) -> None:
        """The leader appends the command to its log as a new entry, then issues AppendEntries to each of the other servers."""
        solo = Solo()
        solo.reign()
        sent = solo.propose(b'{"a":1}')
        expected = AppendEntries(2, 2, 2, (command(3, 2, b'{"a":1}'),), 2)
        self.assertEqual([("n2", expected), ("n3", expected)], sent)

    def test_commits_with_a_majority(self) -> None:
        """A log entry is committed once the leader that created it has replicated it on a majority of the servers."""
        solo = Solo(log_of(configuration=FIVE))
        solo.reign()
        solo.propose()
        solo.hear("n2", accepted(2, 3))
        self.assertEqual(2, solo.node.commit_index)
        solo.hear("n2", accepted(2, 3))
        self.assertEqual(2, solo.node.commit_index, "the same follower twice")
        solo.hear("n3", accepted(2, 3))
        self.assertEqual(3, solo.node.commit_index)

    def test_commit_index_travels(self) -> None:
        """The leader includes the highest index it knows to be committed in future AppendEntries."""
        solo = Solo()
        solo.reign()
        self.assertEqual({2}, {message.leader_commit for message in of_kind(solo.tick(), AppendEntries)})
        self.assertEqual([], solo.tick(), "once each is enough")
        self.assertEqual({2}, {message.leader_commit for message in of_kind(solo.propose(), AppendEntries)})

    @pytest.mark.scenario("L3")
    def test_l3_begins_with_a_no_op(self) -> None:
        """A new leader appends a no-op, so that it can commit what others left without any client (Section 6.4)."""
        solo = Solo(log_of(1, 1))
        sent = solo.lead()
        entries = of_kind(sent, AppendEntries)[0].entries
        self.assertEqual([(4, 2, EntryKind.NOOP)], [(entry.index, entry.term, entry.kind) for entry in entries])
        solo.all_accept()
        self.assertEqual([1, 2, 3, 4], [entry.index for entry in solo.committed])

    @pytest.mark.scenario("L1")
    def test_l1_commits_only_own_term_by_counting(self) -> None:
        """An entry of an earlier term is not committed by counting replicas (Section 3.6.2, Figure 3.7)."""
        solo = Solo(log_of(1, 1, configuration=FIVE))
        solo.lead()
        for peer in ("n2", "n3", "n4", "n5"):
            solo.hear(peer, accepted(2, 3))
        self.assertEqual(0, solo.node.commit_index)

    @pytest.mark.scenario("L2")
    def test_l2_earlier_entries_come_along(self) -> None:
        """Once an entry from the current term is committed, all prior entries are committed indirectly (Section 3.6.2)."""
        solo = Solo(log_of(1, 1, 2, 3))
        solo.lead()
        solo.hear("n2", accepted(4, 6))
        self.assertEqual([1, 2, 3, 4, 5, 6], [entry.index for entry in solo.committed])

    def test_consistency_check_fails(self) -> None:
        """After a rejection, the leader decrements nextIndex and retries."""
        solo = Solo(log_of(1, 1, 1))
        solo.lead()
        [(to, message)] = solo.hear("n2", refusal(2, 4, 3, last=2))
        self.assertEqual(
            ("n2", 2, 1, [3, 4, 5]), (to, message.prev_log_index, message.prev_log_term, [e.index for e in message.entries])
        )

    @pytest.mark.scenario("L13")
    def test_l13_whole_terms_are_skipped(self) -> None:
        """With the conflicting term and its first index, one message per term is enough (Section 3.5)."""
        for expected, refused, leaders_log in (
            (5, refusal(9, 9, 6, 7, last=9), (1, 1, 1, 5, 5, 5, 8, 8)),  # No term 7 here: before its first entry there.
            (4, refusal(9, 9, 3, 1, last=9), (1, 1, 1, 5, 5, 5, 8, 8)),  # Term 1 here, too: our last one of it.
            (2, refusal(9, 9, 3, 0, last=2), (1, 1, 1, 5, 5, 5, 8, 8)),  # Too short.
        ):
            with self.subTest(refused=refused):
                solo = Solo(log_of(*leaders_log))
                solo.lead()
                [(_, message)] = solo.hear("n2", refused)
                self.assertEqual(expected, message.prev_log_index)

    @pytest.mark.scenario("L14")
    def test_l14_stale_refusal_is_ignored(self) -> None:
        """A refusal that was overtaken rewinds nobody, neither while probing nor while streaming."""
        solo = Solo(log_of(1, 1, 1, 1))
        solo.lead()
        solo.hear("n2", refusal(2, 5, 3, last=2))
        self.assertEqual([], solo.hear("n2", refusal(2, 5, 3, last=2)), "the probe is at 2 now")
        solo.hear("n2", accepted(2, 6, prev=2))
        self.assertEqual([], solo.hear("n2", refusal(2, 2, 2, last=1)))
        self.assertEqual((6, 7), (self.follower(solo).match_index, self.follower(solo).next_index))
        self.assertEqual("replicate", self.follower(solo).progress)

    @pytest.mark.scenario("L8")
    def test_l8_match_index_never_falls(self) -> None:
        """Answers that come late or twice take nothing back."""
        solo = Solo(log_of(1, 1))
        solo.lead()
        for index in (4, 2, 3, 0, 4, 1):
            solo.hear("n2", accepted(2, index))
            self.assertEqual((4, 5), (self.follower(solo).match_index, self.follower(solo).next_index))

    def test_lost_last_message_is_sent_again(self) -> None:
        """If followers crash or messages are lost, the leader retries AppendEntries indefinitely: a heartbeat shows the gap."""
        solo = Solo()
        solo.reign()
        solo.propose()
        beat = of_kind(solo.tick(3), AppendEntries, "n2")[-1]
        self.assertEqual((3, ()), (beat.prev_log_index, beat.entries))
        [again] = of_kind(solo.hear("n2", refusal(2, 3, 3, last=2)), AppendEntries)
        self.assertEqual([3], [entry.index for entry in again.entries])

    def test_lost_answer_shows_in_the_next_heartbeat(self) -> None:
        """A heartbeat is answered for all that is on the follower's disk."""
        follower = Solo(log_of(1, 1))
        [(_, answer)] = follower.hear("n2", heartbeat(2, EntryId(1, 3)))
        self.assertEqual((True, 3), (answer.success, answer.match_index))

    @pytest.mark.scenario("L17")
    def test_l17_window_is_bounded(self) -> None:
        """A follower that does not answer is sent no more than its window holds, then heartbeats."""
        solo = Solo(settings=Settings(10, 3, inflight_messages_count=3))
        solo.reign()
        sent = [message for _ in range(10) for message in of_kind(solo.propose(), AppendEntries, "n2")]
        self.assertEqual([3, 4, 5], [message.entries[0].index for message in sent])
        self.assertEqual([()], [message.entries for message in of_kind(solo.tick(3), AppendEntries, "n2")])
        [more] = of_kind(solo.hear("n2", accepted(2, 3)), AppendEntries)
        self.assertEqual([6, 7, 8, 9, 10, 11, 12], [entry.index for entry in more.entries], "what gathered goes in one message")

    @pytest.mark.scenario("L17")
    def test_l17_window_counts_bytes(self) -> None:
        """Large entries fill the window sooner."""
        solo = Solo(settings=Settings(10, 3, inflight_bytes=1000))
        solo.reign()
        sent = [message for _ in range(5) for message in of_kind(solo.propose(b"x" * 900), AppendEntries, "n2")]
        self.assertEqual([3, 4], [message.entries[0].index for message in sent])

    @pytest.mark.scenario("L17")
    def test_l17_dead_follower_is_probed(self) -> None:
        """One message per heartbeat, whatever gathers here."""
        solo = Solo(settings=Settings(10, 3, append_entries_count=5))
        solo.lead()
        solo.hear("n3", accepted(2, 2))
        sent = []
        for _ in range(20):
            solo.propose()
            sent += of_kind(solo.tick(), AppendEntries, "n2")
            solo.hear("n3", accepted(2, solo.node.last_index))
        self.assertEqual(6, len(sent))
        self.assertEqual({1}, {message.prev_log_index for message in sent})
        self.assertEqual({1, 4, 5}, {len(message.entries) for message in sent} | {1, 4})

    @pytest.mark.scenario("L15")
    def test_l15_large_tails_are_split(self) -> None:
        """Limits on one message split, and skip nothing."""
        solo = Solo(log_of(*[1] * 20), settings=Settings(10, 3, append_entries_count=4))
        solo.lead()
        sent = of_kind(solo.hear("n2", refusal(2, 21, 2)), AppendEntries)
        sent += of_kind(solo.hear("n2", accepted(2, 5, prev=1)), AppendEntries)
        indexes = [entry.index for message in sent for entry in message.entries]
        self.assertEqual(list(range(2, 23)), indexes)
        for message in sent:
            self.assertLessEqual(len(message.entries), 4)
            self.assertEqual(message.prev_log_index + 1, message.entries[0].index)

    @pytest.mark.scenario("L18")
    def test_l18_uncommitted_tail_is_bounded(self) -> None:
        """A leader without a quorum takes in so much and no more; what it refuses is certainly not done."""
        solo = Solo(settings=Settings(10, 3, uncommitted_entries_count=4))
        solo.lead()
        for _ in range(2):
            solo.propose()
        with self.assertRaisesRegex(ProposalDropped, "4 entries"):
            solo.propose()
        self.assertEqual(4, solo.node.last_index)
        solo.all_accept()
        solo.propose()

    @pytest.mark.scenario("L18")
    def test_l18_uncommitted_bytes_are_bounded(self) -> None:
        """Bytes count, too, also those that an earlier leader left; what is committed is taken off again."""
        entries = (*log_of(), command(2, 1, b"x" * 1000))
        solo = Solo(entries, settings=Settings(10, 3, uncommitted_bytes=1500))
        solo.lead()
        solo.propose(b"x" * 300)
        with self.assertRaisesRegex(ProposalDropped, "wait to be committed"):
            solo.propose()
        solo.all_accept()
        for _ in range(3):
            solo.propose(b"x" * 1400)
            solo.all_accept()

    def test_only_leaders_take_commands(self) -> None:
        """Others say who leads (Section 6.2)."""
        solo = Solo()
        with self.assertRaises(NotLeader) as caught:
            solo.propose()
        self.assertIsNone(caught.exception.leader_id)
        solo.hear("n3", heartbeat(1))
        with self.assertRaises(NotLeader) as caught:
            solo.propose()
        self.assertEqual("n3", caught.exception.leader_id)

    @pytest.mark.scenario("L16")
    def test_l16_impossible_answers_are_dropped(self) -> None:
        """What no correct follower says moves nothing, and nothing is raised."""
        solo = Solo()
        solo.reign()
        for answer in (accepted(2, 99), accepted(2, 2, prev=99), accepted(2, 2, read_round=7)):
            self.assertIsNotNone(solo.refuses("n2", answer))
        for answer in (accepted(2, -5), refusal(2, -1, -1, -1), refusal(2, 0, 0)):
            self.assertIsNone(solo.refuses("n2", answer))
        self.assertEqual(2, self.follower(solo).match_index)
        self.assertEqual([], solo.hear("stranger", accepted(2, 2)), "nobody we know")

    def test_answers_to_an_earlier_reign_are_ignored(self) -> None:
        """A follower's answer to somebody who is no leader any more moves nothing."""
        solo = Solo()
        self.assertEqual([], solo.hear("n2", accepted(1, 1)))

    def follower(self, solo: Solo, peer: str = "n2"):
        return solo.node.status().followers[peer]


class FollowerTests(TestCase):
    """Section 3.5, from the follower's side."""

    def test_consistency_check(self) -> None:
        """If the follower does not find an entry with prevLogIndex and prevLogTerm, then it refuses the new entries."""
        for prev in (EntryId(1, 5), EntryId(2, 3), EntryId(3, 4)):
            with self.subTest(prev=prev):
                solo = Solo(log_of(1, 1, 2))
                [(_, answer)] = solo.hear("n2", append(3, prev, command(prev.index + 1, 3)))
                self.assertEqual((False, 3, [1, 1, 1, 2]), (answer.success, answer.term, solo.terms))

    @pytest.mark.scenario("L13", "L14")
    def test_l13_refusal_says_where_to_go_on(self) -> None:
        """The first index of the conflicting term; past the end where the log is too short; and always where it ends."""
        for prev, conflict_index, conflict_term in ((EntryId(9, 9), 7, 0), (EntryId(3, 6), 4, 2), (EntryId(9, 3), 1, 1)):
            with self.subTest(prev=prev):
                [(_, answer)] = Solo(log_of(1, 1, 2, 2, 2)).hear("n2", heartbeat(9, prev))
                self.assertEqual((False, prev.index), (answer.success, answer.prev_log_index))
                self.assertEqual(
                    (conflict_index, conflict_term, 6), (answer.conflict_index, answer.conflict_term, answer.last_log_index)
                )

    @pytest.mark.scenario("L10")
    def test_l10_conflicts_are_replaced(self) -> None:
        """If an existing entry conflicts with a new one, the follower deletes it and all that follow it."""
        solo = Solo(log_of(1, 1, 2, 2, 2))
        [(_, answer)] = solo.hear("n2", append(3, EntryId(1, 3), command(4, 3)))
        self.assertEqual(([1, 1, 1, 3], 4), (solo.terms, answer.match_index))
        self.assertEqual((4, [4]), (solo.done[-1].truncate_from, [entry.index for entry in solo.done[-1].entries]))

    @pytest.mark.scenario("L9")
    def test_l9_late_message_takes_nothing_away(self) -> None:
        """Entries that are there already are skipped; what follows them stays."""
        solo = Solo(log_of(1, 1, 1, 1))
        [(_, answer)] = solo.hear("n2", append(1, EntryId(1, 1), command(2, 1), command(3, 1)))
        self.assertEqual(([1] * 5, 3, 5), (solo.terms, answer.match_index, answer.last_log_index))

    @pytest.mark.scenario("L10")
    def test_l10_committed_entries_stay(self) -> None:
        """No correct leader replaces what is committed: whoever tries is not believed, and the node lives on."""
        solo = Solo()
        solo.hear("n2", append(1, EntryId(1, 1), command(2, 1), command(3, 1), commit=2))
        reason = solo.refuses("n3", append(2, EntryId(1, 1), command(2, 2)))
        self.assertIn("entry 2 would replace a committed one", str(reason))
        self.assertEqual([1, 1, 1], solo.terms)
        solo.hear("n3", append(2, EntryId(1, 2), command(3, 2)))
        self.assertEqual([1, 1, 2], solo.terms)

    @pytest.mark.scenario("L7")
    def test_l7_commit_index_is_capped(self) -> None:
        """commitIndex = min(leaderCommit, index of last new entry): what lies behind it may not be the leader's."""
        solo = Solo(log_of(1, 1, 1))
        for message, expected in (
            (heartbeat(2, EntryId(1, 1), commit=9), 1),
            (append(2, EntryId(1, 1), command(2, 1), commit=9), 2),
            (heartbeat(2, EntryId(1, 1), commit=1), 2),
            (heartbeat(2, EntryId(1, 4), commit=3), 3),
        ):
            solo.hear("n2", message)
            self.assertEqual(expected, solo.node.commit_index)

    @pytest.mark.scenario("L19")
    def test_l19_applied_once_and_in_order(self) -> None:
        """Once a follower learns that an entry is committed, it applies it to its state machine, in log order."""
        solo = Solo()
        solo.hear("n2", append(1, EntryId(1, 1), command(2, 1), command(3, 1), commit=2))
        solo.hear("n2", append(1, EntryId(1, 1), command(2, 1), command(3, 1), commit=2))
        solo.hear("n2", heartbeat(1, EntryId(1, 3), commit=3))
        self.assertEqual([1, 2, 3], [entry.index for entry in solo.committed])

    def test_long_logs_are_applied_in_pieces(self) -> None:
        """After a restart a whole log is committed at once: each Ready holds a bounded part of it."""
        solo = Solo(log_of(*[1] * 10_000))
        solo.hear("n2", heartbeat(1, EntryId(1, 10_001), commit=10_001))
        self.assertEqual(list(range(1, 10_002)), [entry.index for entry in solo.committed])
        self.assertEqual(4096, max(len(ready.committed) for ready in solo.readies))

    @pytest.mark.scenario("L11", "L12")
    def test_l11_what_the_snapshot_covers_is_there(self) -> None:
        """A message that begins below the snapshot is no conflict, and appends nothing twice (also from the very beginning)."""
        snapshot = Snapshot(5, 1, voters("n1", "n2", "n3"))
        entries = tuple(command(index, 1) for index in range(2, 8))
        for prev in (EntryId(1, 1), ORIGIN):
            solo = Solo((command(6, 1),), HardState(1), snapshot, snapshot.id)
            sent = entries if prev.index else (log_of()[0], *entries)
            [(_, answer)] = solo.hear("n2", append(1, prev, *sent))
            self.assertEqual((True, 7, [1, 1]), (answer.success, answer.match_index, solo.terms))
        solo = Solo((command(6, 1),), HardState(1), snapshot, snapshot.id)
        [(_, answer)] = solo.hear("n2", append(1, EntryId(1, 1), command(2, 1), command(3, 1)))
        self.assertEqual((True, 3), (answer.success, answer.match_index))
        self.assertIn("another entry", str(solo.refuses("n2", append(3, EntryId(1, 4), command(5, 2), command(6, 2)))))

    @pytest.mark.scenario("L15", "L16")
    def test_l15_what_no_leader_says(self) -> None:
        """Gaps, falling terms, terms of the future, negative places, configurations that are none: dropped with the reason."""
        for message in (
            append(2, EntryId(1, 1), command(3, 2)),
            append(2, EntryId(1, 1), command(2, 2), command(4, 2)),
            append(2, EntryId(1, 1), command(2, 2), command(3, 1)),
            append(2, EntryId(1, 1), command(2, 3)),
            append(2, EntryId(3, 1)),
            append(2, EntryId(1, -1)),
            append(2, EntryId(1, 1), commit=-1),
        ):
            with self.subTest(message=message):
                solo = Solo(log_of(1))
                self.assertIsNotNone(solo.refuses("n2", message))
                self.assertEqual([1, 1], solo.terms)


class PersistenceTests(TestCase):
    """Section 3.8: what is persisted before a server answers; Section 10.2.1: what may go in parallel."""

    @pytest.mark.scenario("E1")
    def test_e1_vote_is_on_disk_before_the_answer(self) -> None:
        """The current term and vote must be persisted before responding to RPCs, to prevent voting twice."""
        solo = Solo(saves=False)
        self.assertEqual([], solo.hear("n2", RequestVote(2, 1, 1)))
        self.assertEqual(HardState(2, "n2"), solo.saving and solo.saving.hard_state)
        self.assertEqual([("n2", RequestVoteResponse(2, True))], solo.save())

    @pytest.mark.scenario("E1")
    def test_e1_candidacy_is_on_disk_before_requests(self) -> None:
        """A candidate that forgot its vote for itself could give it away."""
        solo = Solo(saves=False)
        self.assertEqual([], of_kind(solo.stand("n2"), RequestVote))
        self.assertEqual([RequestVote(2, 1, 1)] * 2, of_kind(solo.save(), RequestVote))

    @pytest.mark.scenario("E3")
    def test_e3_own_vote_counts_when_it_is_on_disk(self) -> None:
        """A vote that could be forgotten is none, also in a cluster of one and also one's own."""
        solo = Solo(log_of(configuration=voters("n1")), saves=False)
        solo.tick()
        self.assertEqual((Role.CANDIDATE, {}), (solo.node.role, solo.state.campaign and solo.state.campaign.votes))
        solo.save()
        self.assertEqual(Role.LEADER, solo.node.role)
        solo = Solo(saves=False)
        solo.stand()
        solo.hear("n2", RequestVoteResponse(2, True))
        self.assertEqual(Role.CANDIDATE, solo.node.role, "this cannot have been sent, but it must not be enough")

    @pytest.mark.scenario("E3")
    def test_e3_vote_of_an_earlier_candidacy_saved_late(self) -> None:
        """The save that is done is the one of term 2; the vote of term 3 is not on disk yet."""
        solo = Solo(log_of(configuration=voters("n1")), saves=False)
        solo.tick()
        solo.hear("n9", AppendEntriesResponse(2, False, 0))
        solo.hear("n9", RequestVoteResponse(5, False))
        solo.tick()
        self.assertEqual((Role.CANDIDATE, 6), (solo.node.role, solo.term))
        solo.save()
        self.assertEqual(Role.CANDIDATE, solo.node.role)
        solo.save()
        self.assertEqual((Role.LEADER, 6), (solo.node.role, solo.term))

    @pytest.mark.scenario("L6")
    def test_l6_entries_are_on_disk_before_the_answer(self) -> None:
        """Entries are acknowledged when they are on disk; what is appended meanwhile waits for the next save."""
        solo = Solo(saves=False)
        self.assertEqual([], solo.hear("n2", append(1, EntryId(1, 1), command(2, 1))))
        self.assertEqual([], solo.hear("n2", append(1, EntryId(1, 2), command(3, 1))))
        self.assertEqual([2], [message.match_index for _, message in solo.save()])
        self.assertEqual([3], [message.match_index for _, message in solo.save()])

    @pytest.mark.scenario("L6")
    def test_l6_heartbeat_is_answered_for_what_is_on_disk(self) -> None:
        """A disk that is slow does not make a node look dead: it says at once how far its disk is."""
        solo = Solo(saves=False)
        solo.hear("n2", append(1, EntryId(1, 1), command(2, 1)))
        [(_, answer)] = solo.hear("n2", heartbeat(1, EntryId(1, 2)))
        self.assertEqual((True, 1, 2), (answer.success, answer.match_index, answer.last_log_index))

    def test_new_term_is_on_disk_before_a_heartbeat_is_answered(self) -> None:
        """The answer says that this node will not follow an earlier leader any more: it must not forget that."""
        solo = Solo(saves=False)
        self.assertEqual([], solo.hear("n2", heartbeat(2, EntryId(1, 1))))
        self.assertEqual([2], [message.term for _, message in solo.save()])

    @pytest.mark.scenario("L4")
    def test_l4_leader_writes_in_parallel(self) -> None:
        """The leader sends before its own disk is done (Section 10.2.1), and does not count itself until it is."""
        solo = Solo(saves=False)
        solo.stand("n2")
        solo.save()
        solo.hear("n2", RequestVoteResponse(2, True))
        self.assertEqual((Role.LEADER, 2), (solo.node.role, solo.node.last_index))
        solo.hear("n2", accepted(2, 2))
        self.assertEqual(0, solo.node.commit_index)
        solo.save()
        self.assertEqual(2, solo.node.commit_index)

    @pytest.mark.scenario("L4")
    def test_l4_commits_without_its_own_disk(self) -> None:
        """The leader may even commit an entry before it has been written to its own disk, if a majority of followers has it."""
        solo = Solo(saves=False)
        solo.stand("n2")
        solo.save()
        solo.hear("n2", RequestVoteResponse(2, True))
        solo.hear("n2", accepted(2, 2))
        solo.hear("n3", accepted(2, 2))
        self.assertEqual((2, 1), (solo.node.commit_index, solo.node.status().persisted_index))

    @pytest.mark.scenario("L22", "L23")
    def test_l22_aba(self) -> None:
        """The disk is done with entries that were replaced meanwhile: that says nothing about those that are there now."""
        solo = Solo(saves=False)
        solo.hear("n2", append(1, EntryId(1, 1), command(2, 1), command(3, 1)))
        solo.hear("n3", append(2, EntryId(1, 1), command(2, 2), command(3, 2)))
        self.assertEqual(
            [(1, 3)], [(message.term, message.match_index) for _, message in solo.save()], "true in term 1, when it was said"
        )
        self.assertEqual(1, solo.node.status().persisted_index)
        self.assertEqual([(2, 3)], [(message.term, message.match_index) for _, message in solo.save()])

    @pytest.mark.scenario("D15")
    def test_d15_leader_with_a_stalled_disk_steps_down(self) -> None:
        """A leader whose save hangs for an election timeout serves nobody, though it answers heartbeats."""
        solo = Solo()
        solo.reign()
        solo.saves = False
        solo.propose()
        for _ in range(3):
            solo.tick(3)
            for peer in ("n2", "n3"):
                solo.hear(peer, accepted(2, 2))
        self.assertEqual(Role.LEADER, solo.node.role)
        solo.tick()
        self.assertEqual(Role.FOLLOWER, solo.node.role)
        self.assertEqual([], solo.tick(100), "nor does it campaign")
        solo.save()
        self.assertNotEqual([], solo.tick(30))

    @pytest.mark.scenario("D15")
    def test_d15_stalled_follower_costs_nothing(self) -> None:
        """Two disks of three are enough."""
        cluster = Cluster(voters("n1", "n2", "n3"))
        cluster.elect("n1")
        for _ in range(50):
            index = cluster.propose("n1").index
            cluster.pass_time(1, stalled=("n3",))
            self.assertEqual(index, cluster["n1"].commit_index)
        self.assertEqual(Role.LEADER, cluster["n1"].role)

    def test_commit_index_may_be_forgotten(self) -> None:
        """The commit index can be reinitialised to zero on restart (Section 3.8)."""
        cluster = Cluster(voters("n1", "n2", "n3"))
        cluster.elect("n1")
        cluster.write("n1")
        for name in cluster.servers:
            cluster.crash(name)
        for name in cluster.servers:
            cluster.restart(name)
            self.assertEqual(0, cluster[name].commit_index)
        cluster.pass_time(60)
        self.assertEqual({4}, {cluster[name].commit_index for name in cluster.servers})


class ClusterTests(TestCase):
    """Whole clusters."""

    @pytest.mark.scenario("L13", "L21")
    def test_l13_figure_3_6(self) -> None:
        """Logs that differ in every way of Figure 3.6 are brought together in a few messages, a term at a time."""
        figure = {
            "a": (1, 1, 1, 4, 4, 5, 5, 6, 6),
            "b": (1, 1, 1, 4),
            "c": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6),
            "d": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7),
            "e": (1, 1, 1, 4, 4, 4, 4),
            "f": (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3),
        }
        leader_log = (1, 1, 1, 4, 4, 5, 5, 6, 6, 6)
        for name, terms in figure.items():
            with self.subTest(name):
                leader = Solo(log_of(*leader_log[1:]), HardState(7))
                follower = Solo(log_of(*terms[1:]), HardState(7))
                wire = of_kind(leader.lead(), AppendEntries, "n2")
                refusals = 0
                while wire:
                    answers = follower.hear("n2", wire.pop(0))
                    for answer in of_kind(answers, AppendEntriesResponse):
                        refusals += not answer.success
                        wire += of_kind(leader.hear("n2", answer), AppendEntries, "n2")
                self.assertEqual(leader.terms, follower.terms)
                self.assertLessEqual(refusals, 3)

    @pytest.mark.scenario("L19", "L20", "L21")
    def test_l21_logs_become_equal(self) -> None:
        """Whoever was away has the same log and state as everybody, soon after it is back."""
        cluster = Cluster(voters("n1", "n2", "n3"))
        cluster.elect("n1")
        cluster.crash("n3")
        for _ in range(20):
            cluster.write("n1")
        last_index = cluster["n1"].last_index
        cluster.restart("n3")
        cluster.pass_time(10)
        self.assertEqual({last_index}, {cluster[name].last_index for name in cluster.servers}, "applying proposes nothing")
        self.assertEqual(1, len({cluster.servers[name].digest for name in cluster.servers}))

    def test_install_snapshot_is_no_answer_here(self) -> None:
        """A snapshot of a term gone by is refused like any other stale request."""
        solo = Solo(hard_state=HardState(5))
        [(_, answer)] = solo.hear("n2", InstallSnapshot(3, Snapshot(9, 2, FIVE)))
        self.assertEqual((5, False), (answer.term, answer.success))
