"""Section 5.1 of the dissertation: snapshots and compaction. And D19: a node that lost its disk."""

from __future__ import annotations

from unittest import TestCase

import pytest
from raft_cluster import Cluster, Disk, voters
from raft_solo import Solo, accepted, append, command, heartbeat, log_of, of_kind

from hraft.raft.entry import ORIGIN, EntryId, HardState, Snapshot
from hraft.raft.invariants import InvariantBroken
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Envelope,
    InstallSnapshot,
    InstallSnapshotResponse,
    TimeoutNow,
)
from hraft.raft.ready import Install, Role
from hraft.raft.settings import Settings

THREE = voters("n1", "n2", "n3")


def compacted_leader(settings: Settings | None = None) -> Solo:
    """A leader whose log begins after 5; its no-op is entry 6."""
    snapshot = Snapshot(5, 1, THREE)
    solo = Solo((), HardState(1), snapshot, snapshot.id, settings or Settings(10, 3))
    solo.lead()
    return solo


def asks_for(first_index: int, prev_log_index: int, last_log_index: int = 1) -> AppendEntriesResponse:
    """A follower lacks what comes before a message."""
    return AppendEntriesResponse(2, False, prev_log_index, conflict_index=first_index, last_log_index=last_log_index)


class CompactionTests(TestCase):
    """A node's own snapshots."""

    def test_log_begins_after_the_snapshot(self) -> None:
        """Once a server completes writing a snapshot, it may delete all log entries up through the last included index."""
        solo = Solo(log_of(1, 1, 1))
        solo.hear("n2", heartbeat(1, EntryId(1, 4), commit=3))
        solo.act(lambda: solo.node.compacted(Snapshot(3, 1, THREE), 4))
        self.assertEqual((4, 3, 3), (solo.state.log.first_index, solo.node.status().snapshot_index, solo.state.log.base.index))
        self.assertEqual(1, solo.node.term_at(3), "the consistency check still needs the term of the last one")
        [(_, answer)] = solo.hear("n2", append(1, EntryId(1, 3), command(4, 1)))
        self.assertTrue(answer.success)

    def test_some_entries_are_kept(self) -> None:
        """A follower that is a little behind need not take a snapshot (Section 5.1.3)."""
        solo = Solo(log_of(1, 1, 1, 1))
        solo.hear("n2", heartbeat(1, EntryId(1, 5), commit=5))
        first_index = solo.node.first_index_to_keep(2, 1 << 20, 4)
        self.assertEqual(3, first_index)
        solo.act(lambda: solo.node.compacted(Snapshot(4, 1, THREE), first_index))
        self.assertEqual((3, 4), (solo.state.log.first_index, solo.node.status().snapshot_index))

    @pytest.mark.scenario("S15")
    def test_s15_older_snapshot_is_ignored(self) -> None:
        """One that was begun before a newer one came from the leader is not used any more."""
        solo = Solo(log_of(1))
        solo.hear("n2", heartbeat(1, EntryId(1, 2), commit=2))
        solo.hear("n3", InstallSnapshot(2, Snapshot(9, 2, THREE)))
        solo.act(lambda: solo.node.compacted(Snapshot(2, 1, THREE), 3))
        self.assertEqual((9, 10), (solo.node.status().snapshot_index, solo.state.log.first_index))

    def test_only_what_is_applied(self) -> None:
        """A snapshot of what is not applied yet is a programmer's error."""
        solo = Solo(log_of(1))
        with self.assertRaises(InvariantBroken):
            solo.act(lambda: solo.node.compacted(Snapshot(2, 1, THREE), 3))

    @pytest.mark.scenario("S2")
    def test_s2_what_is_not_on_disk_stays(self) -> None:
        """Committed by others and applied here, but still on its way to this disk: the log keeps it."""
        solo = Solo(saves=False)
        solo.hear("n2", append(1, EntryId(1, 1), command(2, 1), command(3, 1), commit=3))
        self.assertEqual([1, 2, 3], [entry.index for entry in solo.committed])
        solo.act(lambda: solo.node.compacted(Snapshot(3, 1, THREE), 4))
        self.assertEqual((2, 3, 1), (solo.state.log.first_index, solo.node.last_index, solo.node.status().persisted_index))
        solo.save()
        self.assertEqual(3, solo.node.status().persisted_index)

    @pytest.mark.scenario("S3")
    def test_s3_restart_behind_the_own_snapshot(self) -> None:
        """The snapshot was durable, the entries it covers were not: the node goes on from the snapshot."""
        cluster = Cluster(THREE)
        cluster.elect("n1")
        cluster.propose("n1")
        cluster.pump(stalled=("n3",))
        cluster.pass_time(1, stalled=("n3",))
        self.assertGreater(cluster["n3"].commit_index, cluster["n3"].status().persisted_index)
        cluster.take_snapshot("n3")
        cluster.crash("n3")
        cluster.restart("n3")
        self.assertEqual((3, 3), (cluster["n3"].last_index, cluster["n3"].status().snapshot_index))
        cluster.write("n1")
        self.assertEqual(4, cluster["n3"].commit_index)

    @pytest.mark.scenario("S3")
    def test_s3_log_must_fit_the_snapshot(self) -> None:
        """Storage hands over a log that reaches its snapshot; anything else stops the node before it can do harm."""
        snapshot = Snapshot(5, 2, THREE)
        for base, entries in ((ORIGIN, log_of(1)), (EntryId(1, 4), (command(5, 1),)), (EntryId(2, 6), ())):
            with self.subTest(base=base), self.assertRaisesRegex(InvariantBroken, "does not fit"):
                Solo(entries, HardState(2), snapshot, base)
        with self.assertRaisesRegex(InvariantBroken, "does not fit"):
            Solo((), HardState(2), None, EntryId(1, 4))


class LeaderTests(TestCase):
    """Who is sent a snapshot, and what happens to it on the way."""

    @pytest.mark.scenario("S6")
    def test_s6_sent_when_the_next_entry_is_gone(self) -> None:
        """The leader sends its snapshot when it has already discarded the next log entry that it needs to send."""
        for needed, is_snapshot in ((7, False), (6, False), (5, True), (2, True)):
            with self.subTest(needed=needed):
                solo = compacted_leader()
                solo.propose()
                solo.all_accept()
                solo.hear("n2", accepted(2, 0, prev=0, last=5))
                solo = compacted_leader()
                solo.hear("n2", asks_for(needed, 5) if needed < 6 else accepted(2, needed - 1, last=needed - 1))
                self.assertEqual("snapshot" if is_snapshot else "replicate", solo.node.status().followers["n2"].progress)

    def test_wish_names_the_snapshot(self) -> None:
        """Once, and nothing else with entries after it."""
        solo = compacted_leader()
        self.assertEqual([("n2", InstallSnapshot(2, Snapshot(5, 1, THREE)))], solo.hear("n2", asks_for(2, 5)))
        self.assertEqual([], of_kind(solo.propose(), AppendEntries, "n2"))
        self.assertEqual([], of_kind(solo.tick(9), InstallSnapshot))

    def test_feeding_goes_on_when_it_is_installed(self) -> None:
        """From the snapshot's end on."""
        solo = compacted_leader()
        solo.hear("n2", asks_for(2, 5))
        [message] = of_kind(solo.hear("n2", InstallSnapshotResponse(2, 5)), AppendEntries)
        self.assertEqual((5, [6]), (message.prev_log_index, [entry.index for entry in message.entries]))

    def test_lost_answer_shows_in_a_heartbeat(self) -> None:
        """Heartbeats carry the snapshot's place: whoever has it agrees, whoever has not refuses, which means nothing yet."""
        solo = compacted_leader()
        solo.hear("n2", asks_for(2, 5))
        [beat] = of_kind(solo.tick(3), AppendEntries, "n2")
        self.assertEqual((5, 1, ()), (beat.prev_log_index, beat.prev_log_term, beat.entries))
        self.assertEqual([], solo.hear("n2", asks_for(2, 5)))
        self.assertEqual("snapshot", solo.node.status().followers["n2"].progress)
        [message] = of_kind(solo.hear("n2", accepted(2, 5)), AppendEntries)
        self.assertEqual([6], [entry.index for entry in message.entries])

    @pytest.mark.scenario("S8", "S9")
    def test_s9_failed_transfer_is_tried_again(self) -> None:
        """After the next heartbeat, not at once: whatever failed will fail again in the same instant."""
        solo = compacted_leader()
        solo.hear("n2", asks_for(2, 5))
        self.assertEqual([], solo.act(lambda: solo.node.snapshot_failed("n2")))
        self.assertEqual(1, len(of_kind(solo.tick(3), InstallSnapshot)))
        solo.act(lambda: solo.node.snapshot_failed("stranger"))
        Solo().node.snapshot_failed("n2")

    @pytest.mark.scenario("S8", "S9")
    def test_s9_silent_transfer_is_wished_for_again(self) -> None:
        """The follower crashed after it had the file and before it installed it: nobody ever says so."""
        solo = compacted_leader()
        solo.hear("n2", asks_for(2, 5))
        wishes = []
        for _ in range(10):
            solo.hear("n3", accepted(2, 6))
            solo.hear("n2", asks_for(2, 5))
            wishes += of_kind(solo.tick(3), InstallSnapshot)
        self.assertEqual(2, len(wishes))

    def test_silent_follower_gets_heartbeats_only(self) -> None:
        """A snapshot is dear: it is not sent to whom nobody has heard; when it is heard again, it is."""
        solo = compacted_leader()
        solo.hear("n2", asks_for(2, 5))
        sent = []
        for _ in range(40):
            solo.hear("n3", accepted(2, 6))
            sent += solo.tick()
        wishes = len(of_kind(sent, InstallSnapshot, "n2"))
        self.assertLessEqual(wishes, 1)
        self.assertEqual({0, 5}, {message.prev_log_index for message in of_kind(sent, AppendEntries, "n2")})
        sent = solo.hear("n2", asks_for(2, 5)) + solo.tick(3)
        self.assertEqual(1, len(of_kind(sent, InstallSnapshot, "n2")))

    @pytest.mark.scenario("S16")
    def test_s16_no_longer_needed(self) -> None:
        """A follower that reached the log some other way is fed from there, and not by a snapshot it has no use for."""
        snapshot = Snapshot(5, 1, THREE)
        entries = tuple(command(index, 1) for index in range(4, 8))
        solo = Solo(entries, HardState(1), snapshot, EntryId(1, 3))
        solo.lead()
        [wish] = of_kind(solo.hear("n2", asks_for(2, 7)), InstallSnapshot)
        self.assertEqual(5, wish.snapshot.index)
        [message] = of_kind(solo.hear("n2", accepted(2, 4)), AppendEntries)
        self.assertEqual((4, [5, 6, 7, 8]), (message.prev_log_index, [entry.index for entry in message.entries]))

    @pytest.mark.scenario("L17")
    def test_full_window_and_compacted_meanwhile(self) -> None:
        """All that was in the window is lost, and compacted away since: a snapshot is what helps, however full the window."""
        solo = Solo(settings=Settings(10, 3, inflight_messages_count=2))
        solo.reign()
        for _ in range(6):
            solo.propose()
            solo.hear("n3", accepted(2, solo.node.last_index))
        self.assertEqual((5, 2), (solo.node.status().followers["n2"].next_index, solo.node.status().followers["n2"].match_index))
        sent = solo.act(lambda: solo.node.compacted(Snapshot(8, 2, THREE), 9))
        self.assertEqual(1, len(of_kind(sent, InstallSnapshot, "n2")))


class FollowerTests(TestCase):
    """A snapshot takes the place of the log."""

    def test_whole_log_goes(self) -> None:
        """If the snapshot contains new information not in the log, the follower discards its entire log."""
        solo = Solo(log_of(1, 1))
        sent = solo.hear("n2", InstallSnapshot(3, Snapshot(9, 2, voters("n1", "n2"))))
        self.assertEqual([("n2", InstallSnapshotResponse(3, 9))], sent)
        self.assertEqual(Install(Snapshot(9, 2, voters("n1", "n2")), keep_suffix=False), solo.done[-1].install)
        self.assertEqual((9, 9, 10), (solo.node.last_index, solo.node.commit_index, solo.state.log.first_index))
        self.assertEqual(voters("n1", "n2"), solo.node.configuration)
        self.assertEqual([9], [ready.restore.index for ready in solo.readies if ready.restore])

    @pytest.mark.scenario("S4")
    def test_s4_suffix_stays_where_it_continues(self) -> None:
        """If the follower has an entry with the same index and term, entries following the snapshot are still valid."""
        solo = Solo(log_of(1, 1, 2, 2))
        solo.hear("n2", InstallSnapshot(3, Snapshot(4, 2, THREE)))
        self.assertEqual((True, [2]), (solo.done[-1].install and solo.done[-1].install.keep_suffix, solo.terms))

    @pytest.mark.scenario("S4")
    def test_s4_conflicting_suffix_goes(self) -> None:
        """Another term at the snapshot's last index: nothing after it can be trusted."""
        solo = Solo(log_of(1, 1, 1, 1))
        solo.hear("n2", InstallSnapshot(3, Snapshot(4, 2, THREE)))
        self.assertEqual((False, []), (solo.done[-1].install and solo.done[-1].install.keep_suffix, solo.terms))
        self.assertEqual((4, 2), (solo.node.last_index, solo.node.term_at(4)))

    @pytest.mark.scenario("S4")
    def test_s4_suffix_in_memory_only(self) -> None:
        """The log continues the snapshot, but the disk does not have it yet: there, all goes, and the suffix comes anew."""
        solo = Solo(saves=False)
        solo.hear("n3", append(1, EntryId(1, 1), command(2, 1)))
        solo.hear("n3", append(1, EntryId(1, 2), command(3, 1), command(4, 1)))
        solo.hear("n2", InstallSnapshot(2, Snapshot(3, 1, THREE)))
        solo.save()
        install = solo.saving and solo.saving.install
        self.assertEqual((False, [4]), (install and install.keep_suffix, [entry.index for entry in solo.saving.entries]))
        self.assertEqual(4, solo.node.last_index)

    @pytest.mark.scenario("S5")
    def test_s5_acknowledged_when_persisted(self) -> None:
        """As with entries, the answer vouches for the disk."""
        solo = Solo(saves=False)
        self.assertEqual([], solo.hear("n2", InstallSnapshot(1, Snapshot(9, 1, THREE))))
        [(_, answer)] = solo.hear("n2", heartbeat(1, EntryId(1, 9)))
        self.assertEqual((True, 0), (answer.success, answer.match_index), "in memory, not on disk")
        self.assertEqual([("n2", InstallSnapshotResponse(1, 9))], solo.save())

    @pytest.mark.scenario("S8")
    def test_s8_old_snapshot_is_ignored(self) -> None:
        """If the snapshot describes a prefix of the log, what the follower has stays, and it says how far it is."""
        solo = Solo(log_of(1, 1, 1))
        solo.hear("n2", heartbeat(1, EntryId(1, 4), commit=4))
        for index in (2, 4):
            self.assertEqual(
                [("n2", InstallSnapshotResponse(1, 4))], solo.hear("n2", InstallSnapshot(1, Snapshot(index, 1, THREE)))
            )
        self.assertEqual([], [save for save in solo.done if save.install])
        self.assertEqual([1, 1, 1, 1], solo.terms)

    @pytest.mark.scenario("S13")
    def test_s13_second_snapshot_waits(self) -> None:
        """One is on its way to the disk: the next is not taken in, and the leader will wish for it again."""
        solo = Solo(saves=False)
        solo.hear("n2", InstallSnapshot(1, Snapshot(9, 1, THREE)))
        self.assertEqual([], solo.hear("n2", InstallSnapshot(1, Snapshot(20, 1, THREE))))
        self.assertEqual(9, solo.node.last_index)
        solo.save()
        solo.hear("n2", InstallSnapshot(1, Snapshot(20, 1, THREE)))
        self.assertEqual([("n2", InstallSnapshotResponse(1, 20))], solo.save())

    @pytest.mark.scenario("S7")
    def test_s7_appends_meanwhile(self) -> None:
        """What comes after the snapshot is appended in memory, and goes to disk after it."""
        solo = Solo(saves=False)
        solo.hear("n2", InstallSnapshot(1, Snapshot(9, 1, THREE)))
        self.assertEqual([], solo.hear("n2", append(1, EntryId(1, 9), command(10, 1), commit=10)))
        self.assertEqual([10], [entry.index for entry in solo.committed])
        solo.save()
        self.assertEqual([10], [message.match_index for _, message in solo.save()])
        self.assertEqual([9, None], [save.install and save.install.snapshot.index for save in solo.done])

    def test_no_campaign_before_it_is_on_disk(self) -> None:
        """Until then this node's log has a hole on disk."""
        solo = Solo(saves=False)
        solo.hear("n2", InstallSnapshot(1, Snapshot(9, 1, THREE)))
        solo.hear("n2", heartbeat(1, EntryId(1, 9)))
        self.assertEqual([], solo.time_out())
        self.assertEqual([], solo.hear("n2", TimeoutNow(1)) if solo.node.leader_id else [])
        self.assertEqual(Role.FOLLOWER, solo.node.role)

    def test_senseless_snapshots_are_dropped(self) -> None:
        """Of a later term than the leader's, of nothing, of a configuration that is none."""
        bad = Snapshot(9, 1, voters("n1").with_learner("n2", "n2:1"))
        bad.configuration.learners["n1"] = "x:1"  # type: ignore[index]
        for snapshot in (Snapshot(9, 3, THREE), Snapshot(0, 1, THREE), Snapshot(9, 0, THREE), bad):
            with self.subTest(snapshot=snapshot):
                solo = Solo()
                self.assertIsNotNone(solo.refuses("n2", InstallSnapshot(2, snapshot)))
                self.assertEqual(1, solo.node.last_index)

    @pytest.mark.scenario("M5", "S14")
    def test_s14_carries_the_configuration(self) -> None:
        """The snapshot stores the latest configuration as of its last index, with the ids that are used up."""
        configuration = voters("n1", "n2", "n3", "n4").without("n4")
        solo = Solo()
        solo.hear("n2", InstallSnapshot(3, Snapshot(9, 2, configuration)))
        self.assertEqual(("n4",), solo.node.configuration_at(9).removed)


class ClusterTests(TestCase):
    """Whole clusters."""

    @pytest.mark.scenario("S9", "S16")
    def test_catches_up_by_snapshot_then_by_log(self) -> None:
        """Away while everybody compacted: one snapshot, and entries from there on."""
        cluster = Cluster(THREE)
        cluster.elect("n1")
        cluster.crash("n3")
        for _ in range(20):
            cluster.write("n1")
        cluster.take_snapshot("n1")
        cluster.write("n1")
        cluster.restart("n3")
        cluster.pass_time(10)
        self.assertEqual((22, 23), (cluster["n3"].status().snapshot_index, cluster["n3"].commit_index))
        self.assertEqual("replicate", cluster["n1"].status().followers["n3"].progress)

    @pytest.mark.scenario("D20")
    def test_d20_regressed_log_is_noticed(self) -> None:
        """A follower that comes back with less than it had acknowledged forgot more than entries: it is not counted again."""
        cluster = Cluster(THREE)
        leader = cluster.elect("n1")
        for _ in range(3):
            cluster.write("n1")
        acknowledged = leader.status().followers["n3"].match_index
        answer = AppendEntriesResponse(leader.current_term, False, acknowledged, last_log_index=acknowledged - 1)
        leader.step(Envelope("n3", "n1", answer))
        self.assertEqual(("n3",), leader.forgetful_peers)
        cluster.write("n1")
        cluster.pass_time(10)
        self.assertEqual((), leader.forgetful_peers)  # It was a late answer: the next one says better.

    @pytest.mark.scenario("D19")
    def test_d19_wiped_voter_is_refused(self) -> None:
        """A voter that lost its disk forgot votes and entries: it is neither fed nor heard, and never votes."""
        cluster = Cluster(THREE)
        leader = cluster.elect("n1")
        cluster.write("n1")
        cluster.crash("n3")
        cluster.wipe("n3")
        cluster.pass_time(8)
        self.assertEqual((0, "wiped"), (cluster["n3"].last_index, leader.status().followers["n3"].progress))
        cluster.write("n1")
        cluster.crash("n2")
        leader.read_index(1)
        cluster.settle("n1")
        cluster.pump()
        self.assertEqual([], cluster.servers["n1"].reads, "an ack of a node that forgot proves nothing")
        cluster.pass_time(10)
        self.assertEqual(Role.FOLLOWER, leader.role, "one of three is no quorum")
        cluster.restart("n2")
        cluster.pass_time(40)
        self.assertIn(cluster.leader(), ("n1", "n2"))

    @pytest.mark.scenario("D19")
    def test_d19_wiped_while_a_snapshot_is_on_its_way(self) -> None:
        """The transfer was meant for the node as it was: its answers show at once that it is another now."""
        solo = compacted_leader()
        solo.hear("n2", asks_for(2, 5))
        solo.hear("n2", asks_for(1, 5, last_log_index=0))
        self.assertEqual("wiped", solo.node.status().followers["n2"].progress)
        sent = [message for _ in range(9) for message in of_kind(solo.tick(), AppendEntries, "n2")]
        self.assertEqual({0}, {message.prev_log_index for message in sent})

    @pytest.mark.scenario("D19")
    def test_d19_wiped_voter_takes_nothing_in(self) -> None:
        """What was on its way to the node as it was does not make it a voter again: a voter's log is never empty."""
        solo = Solo(())
        for message in (InstallSnapshot(2, Snapshot(5, 1, THREE)), append(2, ORIGIN, *log_of(1))):
            self.assertIn("n1 is a voter, but its log is empty", str(solo.refuses("n2", message)))
            self.assertEqual(0, solo.node.last_index)
        joiner = voters("n2", "n3").with_learner("n1", "n1:1")
        solo.hear("n2", InstallSnapshot(2, Snapshot(5, 1, joiner)))
        self.assertEqual(5, solo.node.last_index)

    @pytest.mark.scenario("D19")
    def test_d19_wiped_learner_is_not_promoted(self) -> None:
        """It was caught up, but that was another disk."""
        solo = Solo()
        solo.reign()
        solo.act(lambda: solo.node.add_learner("n4", "n4:1"))
        solo.hear("n4", accepted(2, 3))
        solo.hear("n4", AppendEntriesResponse(2, False, 3, conflict_index=1))
        for peer in ("n2", "n3"):
            solo.hear(peer, accepted(2, 3))
        solo.tick(5)
        self.assertEqual({"n4": "n4:1"}, solo.node.configuration.learners)

    @pytest.mark.scenario("D19")
    def test_d19_late_answer_of_a_joiner_does_no_lasting_harm(self) -> None:
        """What it said when its log was still empty comes again after its promotion: the next answer sets it right."""
        solo = Solo()
        solo.reign()
        solo.hear("n2", AppendEntriesResponse(2, False, 1, conflict_index=1))
        self.assertEqual("wiped", solo.node.status().followers["n2"].progress)
        solo.hear("n2", accepted(2, 0, prev=0, last=2))
        self.assertEqual("replicate", solo.node.status().followers["n2"].progress)
        self.assertEqual([3], [entry.index for entry in of_kind(solo.propose(), AppendEntries, "n2")[0].entries])

    def test_disk_refuses_gaps(self) -> None:
        """The disk of these tests would notice."""
        disk = Disk(entries=[command(1, 1)])
        solo = Solo(log_of(1, 1))
        with self.assertRaises(InvariantBroken):
            solo.act(lambda: solo.node.propose(b"{}")) if solo.node.role is Role.LEADER else disk.compact(1)
