"""Chapter 4 of the dissertation: cluster membership changes, one server at a time; and Section 3.10, leadership transfer."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raft_cluster import Cluster, voters
from raft_solo import Solo, accepted, append, command, configuration_entry, heartbeat, log_of, of_kind

from hraft.errors import ChangeRefused, NotLeader, ProposalDropped
from hraft.limits import MEMBERS_COUNT, REMOVED_IDS_COUNT
from hraft.raft.configuration import Configuration
from hraft.raft.configuration_history import ConfigurationHistory
from hraft.raft.entry import EntryId, EntryKind, HardState, Snapshot
from hraft.raft.invariants import InvariantBroken
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from hraft.raft.ready import Role

THREE = voters("n1", "n2", "n3")
NAMES = ("a", "b", "c", "d", "e")


class ConfigurationTests(TestCase):
    """The only steps from one configuration to the next."""

    def test_learner_then_voter_then_gone(self) -> None:
        """The life of a member."""
        configuration = voters("a").with_learner("b", "b:1")
        self.assertEqual(({"a": "a:1"}, {"b": "b:1"}), (configuration.voters, configuration.learners))
        configuration = configuration.with_voter("b")
        self.assertEqual((["a", "b"], {}), (list(configuration.voters), configuration.learners))
        configuration = configuration.without("a")
        self.assertEqual((["b"], ("a",)), (list(configuration.voters), configuration.removed))

    @pytest.mark.scenario("M13")
    def test_m13_ids_and_addresses_are_used_once(self) -> None:
        """A removed id never comes back, an address belongs to one member; a member may move to a new one."""
        configuration = voters("a", "b", "c").without("c")
        with self.assertRaisesRegex(ChangeRefused, "'c' was removed from this cluster and is never used again"):
            configuration.with_learner("c", "c:1")
        with self.assertRaisesRegex(ChangeRefused, "'a:1' already belongs to 'a'"):
            configuration.with_learner("d", "a:1")
        self.assertEqual("a:2", configuration.with_learner("a", "a:2").voters["a"])
        self.assertEqual("d:2", configuration.with_learner("d", "d:1").with_learner("d", "d:2").learners["d"])

    def test_a_replica_is_a_learner_until_it_is_a_voter(self) -> None:
        """Or gone; and a voter is not made a learner by asking."""
        configuration = voters("a").with_learner("b", "b:1").with_learner("c", "c:1", True).with_learner("c", "c:2", True)
        self.assertEqual(("c",), configuration.replicas)
        self.assertEqual(("c",), configuration.with_learner("c", "c:3").replicas)
        self.assertEqual(("c", "b"), configuration.with_learner("b", "b:1", True).replicas)
        for after in (configuration.with_voter("c"), configuration.without("c")):
            self.assertEqual((), after.replicas)
            after.check()
        with self.assertRaisesRegex(ChangeRefused, "'a' is a voter already"):
            configuration.with_learner("a", "a:1", True)
        for wrong in (("a",), ("x",), ("c", "c")):
            with self.assertRaisesRegex(ValueError, "a replica is a learner"):
                replace(configuration, replicas=wrong).check()

    def test_the_first_of_very_many_removed_ids_are_forgotten(self) -> None:
        """Each costs room in every configuration."""
        configuration = voters("a")
        for number in range(REMOVED_IDS_COUNT + 2):
            configuration = configuration.with_learner(f"b{number}", "b:1").without(f"b{number}")
        self.assertEqual((REMOVED_IDS_COUNT, "b2"), (len(configuration.removed), configuration.removed[0]))

    def test_what_cannot_be(self) -> None:
        """Strangers are neither promoted nor removed, and the last voter stays."""
        with self.assertRaisesRegex(ChangeRefused, "'x' is not a learner"):
            voters("a").with_voter("x")
        with self.assertRaisesRegex(ChangeRefused, "'x' is not a member"):
            voters("a").without("x")
        with self.assertRaisesRegex(ChangeRefused, "'a' is the only voter"):
            voters("a").with_learner("b", "b:1").without("a")

    def test_full(self) -> None:
        """A cluster has a limit."""
        full = voters(*(f"n{number}" for number in range(MEMBERS_COUNT)))
        with self.assertRaisesRegex(ChangeRefused, f"at most {MEMBERS_COUNT} members"):
            full.with_learner("one more", "one:1")
        full.with_learner("n1", "elsewhere:1")

    @given(st.lists(st.tuples(st.sampled_from(("learner", "voter", "remove")), st.sampled_from(NAMES)), max_size=20))
    def test_every_step_is_safe(self, steps: list[tuple[str, str]]) -> None:
        """The invariant holds, and any majority before a step shares a voter with any after it (Section 4.1)."""
        configuration = voters("a")
        for verb, name in steps:
            try:
                if verb == "learner":
                    changed = configuration.with_learner(name, f"{name}:1")
                elif verb == "voter":
                    changed = configuration.with_voter(name)
                else:
                    changed = configuration.without(name)
            except ChangeRefused:
                continue
            changed.check()
            self.assertTrue(changed.differs_by_one_voter_at_most(configuration))
            self.assertTrue(changed.voters)
            self.assertEqual(changed.is_voter(name) or name in changed.learners, changed.is_member(name))
            configuration = changed

    def test_check(self) -> None:
        """What comes from a file or a peer is looked at."""
        for wrong in (
            Configuration({"a": "1"}, {"a": "2"}),
            Configuration({"a": "1"}, removed=("a",)),
            Configuration({"a": "1"}, {"b": "1"}),
        ):
            with self.assertRaises(ValueError):
                wrong.check()
        self.assertFalse(voters("a", "b").differs_by_one_voter_at_most(voters("a", "c")))


class HistoryTests(TestCase):
    """Which configuration is in force (Section 4.1)."""

    @pytest.mark.scenario("M3", "M4")
    @given(
        st.integers(0, 3),
        st.lists(st.tuples(st.sampled_from(("append", "configure", "truncate", "compact")), st.integers(0, 9)), max_size=30),
    )
    def test_like_a_list(self, snapshot_index: int, steps: list[tuple[str, int]]) -> None:
        """After any appends, truncations and compactions: the last configuration at or before an index."""
        floor = snapshot_index
        snapshot = Snapshot(floor, 1, voters("floor")) if floor else None
        twin = {floor: voters("floor") if floor else Configuration()}
        history, last = ConfigurationHistory(snapshot, ()), floor
        for number, (verb, where) in enumerate(steps):
            if verb == "append":
                last += 1
                history.appended(command(last, 1))
            elif verb == "configure":
                last += 1
                twin[last] = voters(f"c{number}")
                history.appended(configuration_entry(last, 1, twin[last]))
            elif verb == "truncate" and last > floor:
                last = floor + where % (last - floor)
                history.truncated(last + 1)
                twin = {index: configuration for index, configuration in twin.items() if index <= last}
            elif verb == "compact" and last > floor:
                floor += 1 + where % (last - floor)
                now = twin[max(index for index in twin if index <= floor)]
                history.compacted(Snapshot(floor, 1, now))
                twin = {floor: now, **{index: configuration for index, configuration in twin.items() if index > floor}}
            self.assertEqual((max(twin), twin[max(twin)]), (history.current_index, history.current))
            for index in range(floor, last + 1):
                self.assertEqual(twin[max(known for known in twin if known <= index)], history.at(index))
            ordered = sorted(twin)
            self.assertEqual(twin[ordered[-2 if len(ordered) > 1 else -1]], history.previous)

    def test_before_the_floor(self) -> None:
        """What the snapshot replaced is not known, and cannot be fallen back on."""
        history = ConfigurationHistory(Snapshot(5, 1, THREE), ())
        with self.assertRaises(IndexError):
            history.at(4)
        with self.assertRaises(InvariantBroken):
            history.truncated(5)
        history.reset(Snapshot(9, 2, voters("n9")))
        self.assertEqual((9, voters("n9")), (history.current_index, history.current))

    def test_kept_entries_below_the_snapshot(self) -> None:
        """The log may reach back behind the snapshot; what it says there is in the snapshot already."""
        history = ConfigurationHistory(Snapshot(5, 1, THREE), [configuration_entry(4, 1, voters("old")), command(5, 1)])
        self.assertEqual((5, THREE), (history.current_index, history.current))


class SafetyTests(TestCase):
    """Section 4.1."""

    @pytest.mark.scenario("M3")
    def test_m3_in_force_when_appended(self) -> None:
        """A server always uses the latest configuration in its log, regardless of whether the entry is committed."""
        solo = Solo()
        four = voters("n1", "n2", "n3", "n4")
        solo.hear("n2", append(2, EntryId(1, 1), configuration_entry(2, 2, four)))
        self.assertEqual((four, False), (solo.node.configuration, solo.node.status().configuration_committed))
        self.assertEqual(["n2", "n3", "n4"], [to for to, _ in solo.time_out()])

    @pytest.mark.scenario("M3")
    def test_m3_falls_back_on_truncation(self) -> None:
        """A server must be prepared to fall back to the previous configuration in its log (Section 4.1)."""
        solo = Solo()
        solo.hear("n2", append(2, EntryId(1, 1), configuration_entry(2, 2, voters("n1", "n2", "n3", "n4"))))
        solo.hear("n3", append(3, EntryId(1, 1), command(2, 3)))
        self.assertEqual(THREE, solo.node.configuration)

    @pytest.mark.scenario("M4")
    def test_m4_falls_back_on_the_snapshot(self) -> None:
        """Where the log begins after the last configuration, the snapshot knows it."""
        solo = Solo((command(6, 1),), HardState(1), Snapshot(5, 1, THREE), EntryId(1, 5))
        solo.hear("n2", append(2, EntryId(1, 6), configuration_entry(7, 2, voters("n1", "n2", "n3", "n4"))))
        solo.hear("n3", append(3, EntryId(1, 6), command(7, 3)))
        self.assertEqual(THREE, solo.node.configuration)

    @pytest.mark.scenario("M1")
    def test_m1_one_change_at_a_time(self) -> None:
        """Cluster changes are refused until the previous one is committed, whatever their kind."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.add_learner("n4", "n4:1"))
        for change in (
            lambda: solo.node.add_learner("n5", "n5:1"),
            lambda: solo.node.remove("n3"),
            lambda: solo.node.remove("n4"),
        ):
            with self.assertRaisesRegex(ChangeRefused, "another configuration change is not yet committed") as caught:
                solo.act(change)
            self.assertTrue(caught.exception.temporary)
        self.assertIsNone(solo.node.add_learner("n4", "n4:1"), "so it is already")
        solo.hear("n2", accepted(2, 3))
        solo.act(lambda: solo.node.add_learner("n5", "n5:1"))

    @pytest.mark.scenario("M2")
    def test_m2_not_before_the_own_no_op(self) -> None:
        """No change before an entry of the leader's own term is committed: the known bug of single-server changes."""
        solo = Solo(log_of(1))
        solo.lead()
        with self.assertRaisesRegex(ChangeRefused, "has not yet committed an entry of its own term") as caught:
            solo.act(lambda: solo.node.remove("n3"))
        self.assertTrue(caught.exception.temporary)
        solo.all_accept()
        solo.act(lambda: solo.node.remove("n3"))

    def test_only_the_leader(self) -> None:
        """Everybody else says who leads."""
        solo = Solo()
        for change in (
            lambda: solo.node.add_learner("n4", "n4:1"),
            lambda: solo.node.remove("n3"),
            lambda: solo.node.transfer("n2"),
        ):
            with self.assertRaises(NotLeader):
                solo.act(change)

    def test_previous_leaders_change_counts(self) -> None:
        """A change that an earlier leader left uncommitted is in force, and in the way of the next, until it is committed."""
        four = voters("n1", "n2", "n3", "n4")
        solo = Solo((*log_of(), configuration_entry(2, 1, four)))
        solo.lead()
        self.assertEqual({"n2", "n3", "n4"}, set(solo.node.status().followers))
        solo.hear("n2", accepted(2, 3))
        self.assertEqual(0, solo.node.commit_index, "two of four are no majority")
        solo.hear("n4", accepted(2, 3))
        self.assertEqual(3, solo.node.commit_index)

    @pytest.mark.scenario("M13")
    def test_m13_refusals_are_final(self) -> None:
        """What can never be done is told apart from what can be tried again."""
        solo = Solo()
        solo.reign()
        with self.assertRaises(ChangeRefused) as caught:
            solo.act(lambda: solo.node.add_learner("n4", "n2:1"))
        self.assertFalse(caught.exception.temporary)


class CatchUpTests(TestCase):
    """Section 4.2.1: catching up new servers."""

    def leader_with_learner(self) -> Solo:
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.add_learner("n4", "n4:1"))
        for peer in ("n2", "n3"):
            solo.hear(peer, accepted(2, 3))
        return solo

    def keep(self, solo: Solo) -> None:
        """The two other voters go on answering."""
        for peer in ("n2", "n3"):
            solo.hear(peer, accepted(2, solo.node.last_index))

    @pytest.mark.scenario("M7", "M19")
    def test_m7_learner_is_fed_and_does_not_count(self) -> None:
        """The leader replicates log entries to a non-voting member, but it is not yet counted for voting or commitment."""
        solo = self.leader_with_learner()
        solo.propose()
        solo.hear("n4", AppendEntriesResponse(2, False, 2, conflict_index=1))
        self.assertEqual([], of_kind(solo.hear("n4", accepted(2, 4)), AppendEntries))
        self.assertEqual(3, solo.node.commit_index)
        solo.hear("n2", accepted(2, 4))
        self.assertEqual(4, solo.node.commit_index)

    @pytest.mark.scenario("M19")
    def test_m19_learner_is_not_heard(self) -> None:
        """A leader that hears only its learners has no quorum."""
        solo = self.leader_with_learner()
        for _ in range(10):
            solo.tick()
            solo.hear("n4", accepted(2, 0, prev=0, last=0))
        self.assertEqual(Role.FOLLOWER, solo.node.role)

    @pytest.mark.scenario("M19")
    def test_m19_learner_does_not_campaign(self) -> None:
        """It has no vote of its own to win with."""
        solo = Solo((*log_of(configuration=voters("n2")), configuration_entry(2, 1, voters("n2").with_learner("n1", "n1:1"))))
        self.assertEqual([], solo.tick(100))

    @pytest.mark.scenario("M7")
    def test_m7_promoted_when_caught_up(self) -> None:
        """If the last round lasts less than an election timeout, the leader adds the new server to the cluster."""
        solo = self.leader_with_learner()
        solo.hear("n4", accepted(2, 3))
        solo.tick()
        self.assertTrue(solo.node.configuration.is_voter("n4"))
        self.assertEqual(EntryKind.CONFIGURATION, solo.state.log.entry_at(4).kind)

    @pytest.mark.scenario("M7")
    def test_m7_slow_rounds_do_not_count(self) -> None:
        """A round that took longer than an election timeout is followed by another, to where the log ends by then."""
        solo = self.leader_with_learner()
        for _ in range(11):
            solo.tick()
            self.keep(solo)
        solo.propose()
        self.keep(solo)
        solo.hear("n4", accepted(2, 3))
        solo.tick()
        self.assertFalse(solo.node.configuration.is_voter("n4"), "the first round took too long")
        solo.tick()
        self.assertFalse(solo.node.configuration.is_voter("n4"), "the second is not over")
        solo.hear("n4", accepted(2, 4))
        solo.tick()
        self.assertTrue(solo.node.configuration.is_voter("n4"))

    @pytest.mark.scenario("M7")
    def test_m7_not_for_what_it_once_was(self) -> None:
        """A learner that was near while no change was possible, and fell behind since, has to come near again."""
        solo = self.leader_with_learner()
        solo.act(lambda: solo.node.add_learner("n5", "n5:1"))
        solo.hear("n4", accepted(2, 4))
        solo.tick()
        solo.propose()
        solo.tick()
        for _ in range(12):
            solo.hear("n4", accepted(2, 4))
            for peer in ("n2", "n3"):
                solo.hear(peer, accepted(2, 3))
            solo.tick()
        self.keep(solo)
        solo.tick()
        self.assertFalse(solo.node.configuration.is_voter("n4"))
        solo.hear("n4", accepted(2, 5))
        solo.tick()
        self.assertFalse(solo.node.configuration.is_voter("n4"), "that round took too long")
        solo.tick()
        self.assertTrue(solo.node.configuration.is_voter("n4"))

    @pytest.mark.scenario("M7")
    def test_m7_replica_is_promoted_by_hand_alone(self) -> None:
        """However near it is; and then as any learner, once it is near."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.add_learner("n4", "n4:1", True))
        self.keep(solo)
        with self.assertRaisesRegex(ChangeRefused, "'n4' has not caught up: it lacks 3 of the entries") as caught:
            solo.node.promote("n4")
        self.assertTrue(caught.exception.temporary)
        solo.hear("n4", accepted(2, 3))
        solo.tick()
        self.assertEqual((("n4",), False), (solo.node.configuration.replicas, solo.node.configuration.is_voter("n4")))
        solo.act(lambda: solo.node.promote("n4"))
        self.assertEqual(((), True), (solo.node.configuration.replicas, solo.node.configuration.is_voter("n4")))
        self.assertIsNone(solo.node.promote("n4"))

    @pytest.mark.scenario("M8")
    def test_m8_silent_learner_stays_one(self) -> None:
        """An address where nobody answers never costs the quorum."""
        solo = self.leader_with_learner()
        for _ in range(100):
            solo.tick()
            self.keep(solo)
        self.assertEqual(({"n4": "n4:1"}, Role.LEADER), (solo.node.configuration.learners, solo.node.role))

    @pytest.mark.scenario("M7")
    def test_m7_empty_server_joins(self) -> None:
        """From nothing to a vote, without the operator's help."""
        cluster = Cluster(THREE, others=("n4",))
        cluster.elect("n1")
        for _ in range(20):
            cluster.write("n1")
        cluster.act("n1", lambda: cluster["n1"].add_learner("n4", "n4:1"))
        cluster.pass_time(12)
        self.assertEqual({"n1", "n2", "n3", "n4"}, set(cluster["n4"].configuration.voters))
        self.assertEqual(cluster["n1"].commit_index, cluster["n4"].commit_index)


class RemovalTests(TestCase):
    """Section 4.2.2: removing the current leader; 4.2.3: disruptive servers."""

    @pytest.mark.scenario("M10")
    def test_m10_leader_leads_until_its_removal_is_committed(self) -> None:
        """A leader manages a cluster that does not include itself: it replicates but does not count itself in majorities."""
        solo = Solo()
        solo.reign()
        sent = solo.act(lambda: solo.node.remove("n1"))
        self.assertEqual(["n2", "n3"], [to for to, _ in sent])
        solo.hear("n2", accepted(2, 3))
        self.assertEqual((Role.LEADER, 2), (solo.node.role, solo.node.commit_index), "its own disk does not count")
        sent = solo.hear("n3", accepted(2, 3))
        self.assertEqual((Role.FOLLOWER, 3), (solo.node.role, solo.node.commit_index))
        self.assertEqual({("n2", 3), ("n3", 3)}, {(to, message.leader_commit) for to, message in sent}, "its last word")
        self.assertEqual([], solo.tick(100), "it idles from now on")

    @pytest.mark.scenario("M10")
    def test_m10_takes_no_commands_meanwhile(self) -> None:
        """What it appends now it may not be able to commit."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.remove("n1"))
        with self.assertRaisesRegex(ProposalDropped, "being removed"):
            solo.propose()

    @pytest.mark.scenario("M10")
    def test_m10_two_nodes(self) -> None:
        """The smaller cluster commits the removal by itself, whichever of the two goes."""
        for gone, left in (("n1", "n2"), ("n2", "n1")):
            with self.subTest(gone=gone):
                cluster = Cluster(voters("n1", "n2"))
                cluster.elect("n1")
                cluster.act("n1", lambda c=cluster, name=gone: c["n1"].remove(name))
                cluster.pass_time(30)
                self.assertEqual((left, {left}), (cluster.leader(), set(cluster[left].configuration.voters)))
                cluster.write(left)

    @pytest.mark.scenario("E21")
    def test_e21_own_vote_does_not_count(self) -> None:
        """A server that is not part of its own latest configuration does not count its own vote (Section 4.2.2)."""
        solo = Solo((*log_of(), configuration_entry(2, 1, THREE.without("n1"))))
        solo.time_out()
        solo.hear("n2", PreVoteResponse(2, True))
        self.assertEqual(Role.PRE_CANDIDATE, solo.node.role, "one of n2 and n3 is no majority of them")
        solo.hear("n3", PreVoteResponse(2, True))
        solo.hear("n2", RequestVoteResponse(2, True))
        self.assertEqual(Role.CANDIDATE, solo.node.role)
        solo.hear("n3", RequestVoteResponse(2, True))
        self.assertEqual(Role.LEADER, solo.node.role)

    @pytest.mark.scenario("E21", "M10")
    def test_e21_removed_node_may_still_be_needed(self) -> None:
        """It should still start new elections, as it might still be needed until the entry is committed (Section 4.2.2).

        n1 appends its own removal and crashes: n2 lacks the entry, so n1's vote is needed, and n1 does not give it.
        """
        cluster = Cluster(voters("n1", "n2"))
        cluster.elect("n1")
        cluster.act("n1", lambda: cluster["n1"].remove("n1"))
        cluster.save_all()
        cluster.crash("n1")
        cluster.wire.clear()
        cluster.restart("n1")
        cluster.pass_time(100)
        self.assertEqual(("n2", Role.FOLLOWER), (cluster.leader(), cluster["n1"].role))
        self.assertEqual({"n2"}, set(cluster["n2"].configuration.voters))

    @pytest.mark.scenario("M11", "M12")
    def test_m11_removed_server_disrupts_nobody(self) -> None:
        """A removed server that never learned of it times out for ever: the leader and the term stay (Section 4.2.3)."""
        cluster = Cluster(THREE)
        leader = cluster.elect("n1")
        cluster.act("n1", lambda: leader.remove("n3"))
        cluster.pass_time(200)
        self.assertEqual((Role.LEADER, 2, 2), (leader.role, leader.current_term, cluster["n2"].current_term))
        self.assertNotIn("n3", leader.status().followers)
        self.assertNotEqual(Role.LEADER, cluster["n3"].role)

    @pytest.mark.scenario("M14")
    def test_m14_gone_is_gone(self) -> None:
        """Nothing is sent to a removed server any more, nor do its late answers count."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.remove("n3"))
        self.assertEqual({"n2"}, {to for to, _ in solo.tick(10)} | {"n2"})
        self.assertEqual([], solo.hear("n3", accepted(2, 3)))
        self.assertEqual(2, solo.node.commit_index)

    @pytest.mark.scenario("M9")
    def test_m9_removal_may_not_cost_the_quorum(self) -> None:
        """With n2 silent, the rest without n3 could not commit anything."""
        solo = Solo()
        solo.reign()
        for _ in range(9):
            solo.tick()
            solo.hear("n3", accepted(2, 2))
        solo.tick()
        with self.assertRaisesRegex(ChangeRefused, "without 'n3' the cluster would have no quorum: n2 cannot be heard") as caught:
            solo.act(lambda: solo.node.remove("n3"))
        self.assertTrue(caught.exception.temporary)
        solo.act(lambda: solo.node.remove("n2"))

    @pytest.mark.scenario("M9")
    def test_m9_a_voter_that_lags_carries_no_quorum(self) -> None:
        """n2 is heard, but its log ends before the leader's by more than can be made up for at once."""
        solo = Solo()
        solo.reign()
        solo.hear("n3", accepted(2, 2))
        for number in range(3):
            solo.act(lambda: solo.node.propose(b"{}"))
            solo.hear("n3", accepted(2, 3 + number))
        with patch("hraft.raft.membership.CAUGHT_UP_ENTRIES_COUNT", 2):
            reason = "without 'n3' the cluster would have no quorum: n2 lacks 3 entries"
            with self.assertRaisesRegex(ChangeRefused, reason):
                solo.act(lambda: solo.node.check_removal("n3"))
            solo.hear("n2", accepted(2, 3))
            solo.act(lambda: solo.node.remove("n3"))

    @pytest.mark.scenario("M9")
    def test_m9_a_voter_whose_disk_is_full_carries_no_quorum(self) -> None:
        """n2 answers every heartbeat, and is near; but no entry, and so no configuration, would be committed with it."""
        solo = Solo()
        solo.reign()
        for voter in ("n2", "n3"):
            solo.hear(voter, accepted(2, 2))
        solo.act(lambda: solo.node.propose(b"{}"))
        solo.hear("n3", accepted(2, 3))
        for _ in range(10):
            solo.act(lambda: solo.node.check_removal("n3"))
            solo.tick()
            for voter, match_index in (("n2", 2), ("n3", 3)):
                solo.hear(voter, accepted(2, match_index))
        with self.assertRaisesRegex(ChangeRefused, "no quorum: n2 saves nothing of what it is sent") as caught:
            solo.act(lambda: solo.node.remove("n3"))
        self.assertTrue(caught.exception.temporary)
        solo.hear("n2", accepted(2, 3))
        solo.act(lambda: solo.node.remove("n3"))

    @pytest.mark.scenario("M5", "M6")
    def test_m5_configuration_survives_two_snapshots(self) -> None:
        """Snapshot, restart, snapshot, restart: still the same members, and nobody removed is spoken to."""
        cluster = Cluster(voters("n1", "n2", "n3", "n4"))
        cluster.elect("n1")
        cluster.act("n1", lambda: cluster["n1"].remove("n4"))
        cluster.pass_time(5)
        expected = cluster["n1"].configuration
        for _ in range(2):
            cluster.write("n1")
            cluster.take_snapshot("n1")
            cluster.crash("n1")
            cluster.restart("n1")
            self.assertEqual(expected, cluster["n1"].configuration)
            cluster.elect("n1")
        cluster.wire.clear()
        cluster.crash("n2")
        cluster.crash("n3")
        cluster.tick("n1", 100)
        self.assertEqual({"n2", "n3"}, {envelope.to for envelope in cluster.wire})


class TransferTests(TestCase):
    """Section 3.10."""

    @pytest.mark.scenario("T1")
    def test_t1_target_is_brought_up_to_date_first(self) -> None:
        """The prior leader stops accepting, updates the target's log to match its own, then sends TimeoutNow."""
        solo = Solo()
        solo.reign()
        solo.propose()
        self.assertEqual([], of_kind(solo.act(lambda: solo.node.transfer("n2")), TimeoutNow))
        self.assertEqual(
            [("n2", TimeoutNow(2))], [sent for sent in solo.hear("n2", accepted(2, 3)) if isinstance(sent[1], TimeoutNow)]
        )

    @pytest.mark.scenario("T1")
    def test_t1_caught_up_target_is_told_at_once(self) -> None:
        """Nothing to wait for; and told again now and then, since the message may be lost."""
        solo = Solo()
        solo.reign()
        self.assertEqual([TimeoutNow(2)], of_kind(solo.act(lambda: solo.node.transfer("n2")), TimeoutNow))
        self.assertEqual([TimeoutNow(2)] * 3, of_kind(solo.tick(9), TimeoutNow))

    @pytest.mark.scenario("T1")
    def test_t1_given_up_after_an_election_timeout(self) -> None:
        """If the transfer does not complete after about an election timeout, the leader aborts and resumes accepting requests."""
        solo = Solo()
        solo.reign()
        solo.propose()
        solo.act(lambda: solo.node.transfer("n2"))
        for _ in range(3):
            solo.tick(3)
            solo.hear("n3", accepted(2, 3))
            with self.assertRaises(ProposalDropped):
                solo.propose()
        solo.tick()
        solo.propose()
        self.assertEqual([], of_kind(solo.hear("n2", accepted(2, 3)), TimeoutNow))

    @pytest.mark.scenario("T1", "D19")
    def test_d19_wiped_target_is_not_told(self) -> None:
        """It has acknowledged everything, and lost it with its disk: it would not stand, and the leader knows."""
        solo = Solo()
        solo.reign()
        solo.hear("n2", AppendEntriesResponse(2, False, 2))
        self.assertEqual([], of_kind(solo.act(lambda: solo.node.transfer("n2")), TimeoutNow))
        self.assertEqual([], of_kind(solo.tick(9), TimeoutNow))

    @pytest.mark.scenario("T2")
    def test_t2_nothing_is_taken_in_meanwhile(self) -> None:
        """Commands and changes are refused while leadership is being handed over; reads are not."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.transfer("n2"))
        with self.assertRaisesRegex(ProposalDropped, "being handed over to n2"):
            solo.propose()
        with self.assertRaisesRegex(ChangeRefused, "being handed over to n2"):
            solo.act(lambda: solo.node.add_learner("n4", "n4:1"))
        with self.assertRaisesRegex(ChangeRefused, "being handed over to n2 already"):
            solo.act(lambda: solo.node.transfer("n3"))
        solo.act(lambda: solo.node.read_index(1))

    @pytest.mark.scenario("T3")
    def test_t3_impossible_targets(self) -> None:
        """Itself, strangers, learners, removed members: an error at once."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.add_learner("n4", "n4:1"))
        solo.all_accept()
        solo.act(lambda: solo.node.remove("n3"))
        for target, reason in (("n1", "leads already"), ("n3", "not a voter"), ("n4", "not a voter"), ("nobody", "not a voter")):
            with self.assertRaisesRegex(ChangeRefused, reason):
                solo.act(lambda target=target: solo.node.transfer(target))

    def test_best_target_is_chosen(self) -> None:
        """Without a name, the voter that has most of those that can be heard."""
        solo = Solo()
        solo.reign()
        solo.propose()
        solo.hear("n3", accepted(2, 3))
        sent = solo.act(lambda: solo.node.transfer(None))
        self.assertIn(("n3", TimeoutNow(2)), sent)
        lonely = Solo(log_of(configuration=voters("n1")))
        lonely.tick()
        with self.assertRaisesRegex(ChangeRefused, "no other voter can be heard"):
            lonely.act(lambda: lonely.node.transfer(None))

    @pytest.mark.scenario("T6")
    def test_t6_not_leading(self) -> None:
        """Whoever does not lead says so at once, also in the middle of an election."""
        solo = Solo()
        for prepare in (lambda: None, solo.time_out, solo.stand):
            prepare()
            with self.assertRaises(NotLeader):
                solo.act(lambda: solo.node.transfer("n2"))

    def test_target_campaigns_at_once(self) -> None:
        """TimeoutNow has the effect of the election timer firing: without a pre-vote, with the flag that overrides stickiness."""
        solo = Solo()
        solo.hear("n2", heartbeat(1, EntryId(1, 1)))
        sent = solo.hear("n2", TimeoutNow(1))
        self.assertEqual([("n2", RequestVote(2, 1, 1, True)), ("n3", RequestVote(2, 1, 1, True))], sent)
        self.assertEqual(Role.CANDIDATE, solo.node.role)
        self.assertEqual([RequestVote(2, 1, 1, True)] * 2, of_kind(solo.tick(3), RequestVote), "asked again, with the flag")

    @pytest.mark.scenario("T4")
    def test_t4_not_with_a_dirty_disk(self) -> None:
        """What is not on disk could be lost: the target waits until it is asked again."""
        solo = Solo(saves=False)
        solo.hear("n2", append(1, EntryId(1, 1), command(2, 1)))
        self.assertEqual([], solo.hear("n2", TimeoutNow(1)))
        self.assertEqual(Role.FOLLOWER, solo.node.role)
        solo.save()
        solo.hear("n2", TimeoutNow(1))
        self.assertEqual(Role.CANDIDATE, solo.node.role)

    def test_only_the_leader_hands_over(self) -> None:
        """Nobody else can make a follower campaign."""
        solo = Solo()
        solo.hear("n2", heartbeat(1, EntryId(1, 1)))
        self.assertIn("n3 does not lead term 1", str(solo.refuses("n3", TimeoutNow(1))))
        self.assertEqual(Role.FOLLOWER, solo.node.role)

    def test_removed_nodes_do_not_take_over(self) -> None:
        """A server that is no voter has nothing to take over."""
        solo = Solo((*log_of(configuration=voters("n2")), configuration_entry(2, 1, voters("n2").with_learner("n1", "n1:1"))))
        solo.hear("n2", heartbeat(1, EntryId(1, 2)))
        solo.hear("n2", TimeoutNow(1))
        self.assertEqual(Role.FOLLOWER, solo.node.role)

    @pytest.mark.scenario("T1")
    def test_transfer_in_a_cluster(self) -> None:
        """The target leads within a few messages, though everybody still heard the old leader."""
        cluster = Cluster(THREE)
        cluster.elect("n1")
        cluster.write("n1")
        cluster.act("n1", lambda: cluster["n1"].transfer("n3"))
        cluster.pump()
        self.assertEqual(("n3", 3), (cluster.leader(), cluster["n3"].current_term))
        cluster.pass_time(1)
        self.assertEqual({"n3"}, {cluster[name].leader_id for name in cluster.servers})
