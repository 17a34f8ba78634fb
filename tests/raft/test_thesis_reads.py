"""Section 6.4 of the dissertation: linearizable reads without the log; 6.2: what a leader without a quorum does with them."""

from __future__ import annotations

from unittest import TestCase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raft_cluster import Cluster, voters
from raft_solo import Solo, accepted, heartbeat, log_of, of_kind

from hraft.errors import NotLeader, ReadFailed
from hraft.raft.messages import AppendEntries
from hraft.raft.reads import Reads
from hraft.raft.ready import ReadReady
from hraft.raft.settings import Settings

FIVE = voters("n1", "n2", "n3", "n4", "n5")


class ReadIndexTests(TestCase):
    """The five steps of Section 6.4."""

    @pytest.mark.scenario("R1")
    def test_r1_waits_for_the_no_op(self) -> None:
        """If the leader has not yet marked an entry from its current term committed, it waits until it has done so."""
        solo = Solo(log_of(1, 1))
        solo.lead()
        solo.act(lambda: solo.node.read_index(7))
        for peer in ("n2", "n3"):
            solo.hear(peer, accepted(2, 3, read_round=0))
        self.assertEqual([], solo.reads)
        sent = solo.hear("n2", accepted(2, 4))
        self.assertEqual({1}, {message.read_round for message in of_kind(sent, AppendEntries)})
        solo.hear("n2", accepted(2, 4, read_round=1))
        self.assertEqual([ReadReady(7, 4)], solo.reads)

    @pytest.mark.scenario("R2")
    def test_r2_needs_a_round_of_heartbeats(self) -> None:
        """The leader issues a new round of heartbeats and waits for their acknowledgements from a majority of the cluster."""
        solo = Solo(log_of(configuration=FIVE))
        solo.reign()
        sent = solo.act(lambda: solo.node.read_index(7))
        self.assertEqual(["n2", "n3", "n4", "n5"], [to for to, _ in sent])
        solo.hear("n2", accepted(2, 2, read_round=1))
        solo.hear("n2", accepted(2, 2, read_round=1))
        self.assertEqual([], solo.reads)
        solo.hear("n5", accepted(2, 2, read_round=1))
        self.assertEqual([ReadReady(7, 2)], solo.reads)

    @pytest.mark.scenario("R3", "R4")
    def test_r3_answers_to_earlier_rounds_prove_nothing(self) -> None:
        """An acknowledgement counts for the round that it belongs to: it was sent before the read was asked."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.read_index(7))
        solo.hear("n2", accepted(2, 2, read_round=1))
        solo.act(lambda: solo.node.read_index(8))
        solo.hear("n3", accepted(2, 2, read_round=1))
        solo.hear("n2", accepted(2, 2, read_round=0))
        self.assertEqual([ReadReady(7, 2)], solo.reads)
        solo.hear("n3", accepted(2, 2, read_round=2))
        self.assertEqual([ReadReady(7, 2), ReadReady(8, 2)], solo.reads)

    @pytest.mark.scenario("R2")
    def test_r2_later_reads_share_the_next_round(self) -> None:
        """A read that comes while a round is under way waits for one that begins after it; many share it."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.read_index(1))
        for read_id in (2, 3):
            self.assertEqual([], solo.act(lambda read_id=read_id: solo.node.read_index(read_id)))
        sent = solo.hear("n2", accepted(2, 2, read_round=1))
        self.assertEqual([ReadReady(1, 2)], solo.reads)
        self.assertEqual({2}, {message.read_round for message in of_kind(sent, AppendEntries)})
        solo.hear("n2", accepted(2, 2, read_round=2))
        self.assertEqual([1, 2, 3], [read.read_id for read in solo.reads])

    @pytest.mark.scenario("R2", "R7")
    def test_read_index_is_the_commit_index(self) -> None:
        """The leader saves its current commit index as readIndex; what commits after that need not be seen."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.read_index(1))
        solo.propose()
        solo.hear("n2", accepted(2, 3, read_round=0))
        solo.hear("n3", accepted(2, 3, read_round=1))
        self.assertEqual([ReadReady(1, 2)], solo.reads)

    @pytest.mark.scenario("M19")
    def test_learners_confirm_nothing(self) -> None:
        """Only voters can tell that there is no other leader."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.add_learner("n4", "n4:1"))
        solo.act(lambda: solo.node.read_index(1))
        solo.hear("n4", accepted(2, 0, read_round=1))
        self.assertEqual([], solo.reads)

    def test_alone(self) -> None:
        """A cluster of one has nobody to ask."""
        solo = Solo(log_of(configuration=voters("n1")))
        solo.tick()
        solo.act(lambda: solo.node.read_index(1))
        self.assertEqual([ReadReady(1, 2)], solo.reads)

    @pytest.mark.scenario("R5")
    def test_r5_fails_when_the_leader_steps_down(self) -> None:
        """Neither the round under way nor those that wait are confirmed by a leader that is none any more."""
        for end in (lambda solo: solo.hear("n3", heartbeat(3)), lambda solo: solo.tick(10)):
            solo = Solo()
            solo.reign()
            for read_id in (1, 2):
                solo.act(lambda read_id=read_id, solo=solo: solo.node.read_index(read_id))
            end(solo)
            self.assertEqual([ReadReady(1, None), ReadReady(2, None)], solo.reads)

    @pytest.mark.scenario("R13")
    def test_r13_removed_leader_fails_its_reads(self) -> None:
        """With its removal committed it is no leader any more."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.remove("n1"))
        solo.act(lambda: solo.node.read_index(1))
        solo.hear("n2", accepted(2, 3))
        solo.hear("n3", accepted(2, 3))
        self.assertEqual([ReadReady(1, None)], solo.reads)

    def test_not_waiting_for_those_who_are_gone(self) -> None:
        """The peer whose answer was missing is removed: the rest is enough, and nobody else will answer."""
        solo = Solo(log_of(configuration=voters("n1", "n2")))
        solo.reign()
        solo.act(lambda: solo.node.read_index(1))
        solo.act(lambda: solo.node.remove("n2"))
        self.assertEqual([ReadReady(1, 2)], solo.reads)

    def test_lost_round_is_in_the_next_heartbeat(self) -> None:
        """A heartbeat is a round of its own, so an answer to it confirms the round under way, too."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.read_index(1))
        self.assertEqual({2}, {message.read_round for message in of_kind(solo.tick(3), AppendEntries)})
        solo.hear("n3", accepted(2, 2, read_round=2))
        self.assertEqual([ReadReady(1, 2)], solo.reads)

    def test_refusals_confirm_too(self) -> None:
        """A follower whose log differs still takes this node for its leader."""
        follower = Solo()
        [(_, answer)] = follower.hear("n2", heartbeat(2, follower.state.log.last.__class__(2, 9), read_round=4))
        self.assertEqual((False, 4), (answer.success, answer.read_round))

    def test_refused(self) -> None:
        """Only leaders, and only so many."""
        solo = Solo(settings=Settings(10, 3, waiting_reads_count=2))
        with self.assertRaises(NotLeader):
            solo.act(lambda: solo.node.read_index(1))
        solo.reign()
        for read_id in (1, 2):
            solo.act(lambda read_id=read_id: solo.node.read_index(read_id))
        with self.assertRaisesRegex(ReadFailed, "2 reads wait"):
            solo.act(lambda: solo.node.read_index(3))

    @pytest.mark.scenario("R6", "R9")
    def test_r6_deposed_leader_confirms_nothing(self) -> None:
        """A leader that stood still while another was elected and wrote does not read what it has."""
        cluster = Cluster(voters("n1", "n2", "n3"))
        old = cluster.elect("n1")
        cluster.write("n1")
        cluster.act("n1", lambda: old.read_index(1))
        for name in ("n2", "n3"):
            for _ in range(12):
                cluster.tick(name)
        cluster.wire.clear()
        cluster.time_out("n2")
        cluster.pump("n1")
        cluster.write("n2") if cluster.leader() == "n2" else cluster.pass_time(1, "n1")
        cluster.act("n1", lambda: old.read_index(2))
        cluster.pass_time(30)
        self.assertEqual({None}, {read.read_index for read in cluster.servers["n1"].reads})


class ReadsTests(TestCase):
    """`Reads` alone, against a list of facts."""

    @given(
        st.lists(
            st.one_of(
                st.just("ask"),
                st.just("start"),
                st.tuples(st.sampled_from(("b", "c", "d")), st.integers(0, 9)),
                st.integers(1, 5),
            ),
            max_size=40,
        )
    )
    def test_confirmed_only_after_a_majority_answered_a_later_round(self, steps: list[object]) -> None:
        """A read is asked, a round is begun, enough voters acknowledge it; none is lost, none answered twice."""
        reads, names = Reads(), ("a", "b", "c")
        commit_index, asked, begun = 0, 0, {}
        acknowledged: set[tuple[str, int]] = set()
        answered: list[int] = []
        for step in steps:
            if step == "ask":
                asked += 1
                reads.ask(asked)
            elif step == "start" and reads.is_round_due:
                reads.start_round(commit_index)
                begun.update({read_id: (reads.round, commit_index) for read_id in range(1, asked + 1) if read_id not in begun})
            elif isinstance(step, int):
                commit_index += step
            elif isinstance(step, tuple):
                peer, read_round = step
                reads.acknowledge(peer, read_round)
                if read_round <= reads.round:
                    acknowledged.add((peer, read_round))
            for ready in reads.confirmed(names, "a"):
                read_round, index = begun[ready.read_id]
                self.assertEqual(index, ready.read_index)
                self.assertTrue([peer for peer, other in acknowledged if peer in names and other >= read_round])
                answered.append(ready.read_id)
            self.assertEqual(asked - len(answered), reads.count)
        answered += [ready.read_id for ready in reads.failed()]
        self.assertEqual(list(range(1, asked + 1)), answered)
