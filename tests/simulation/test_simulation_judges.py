"""The judges of simulated worlds, shown what must not be: each must say so. One that never complains proves nothing."""

from __future__ import annotations

from dataclasses import replace
from unittest import TestCase
from unittest.mock import patch

import msgspec
from twisted.internet.defer import fail

from hraft.errors import ChangeRefused
from hraft.interfaces import Recovered
from hraft.kv.commands import Set, encode_command
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryId, EntryKind, HardState, Snapshot
from hraft.raft.messages import AppendEntriesResponse, Envelope, PreVote, RequestVoteResponse, TimeoutNow
from hraft.raft.ready import Install, Role, Save
from hraft.simulation.cluster import Cluster, PromiseBroken
from hraft.simulation.disk_truth import DiskTruth, candidates
from hraft.simulation.ledger import Ledger
from hraft.simulation.marks import Marks
from hraft.simulation.oracle import Oracle
from hraft.simulation.safety import Safety
from hraft.simulation.story import Violation


def entry(index: int, term: int, command: bytes = b"1") -> Entry:
    return Entry(index, term, EntryKind.COMMAND, command)


class LedgerTests(TestCase):
    def setUp(self) -> None:
        self.heard: list[Entry] = []
        self.ledger = Ledger(self.heard.append)

    def test_two_leaders(self) -> None:
        """Election Safety."""
        self.assertTrue(self.ledger.led("a", 3))
        self.assertFalse(self.ledger.led("a", 3))
        with self.assertRaisesRegex(Violation, "Election Safety"):
            self.ledger.led("b", 3)

    def test_two_entries_under_one_id(self) -> None:
        """Log Matching, and Leader Append-Only: an id names one entry, after one other."""
        self.ledger.appended("a", entry(2, 3), 1)
        self.ledger.appended("b", entry(2, 3), 1)
        for other, previous_term in ((entry(2, 3, b"2"), 1), (entry(2, 3), 2)):
            with self.assertRaisesRegex(Violation, "Log Matching"):
                self.ledger.appended("b", other, previous_term)

    def test_what_is_committed(self) -> None:
        """State Machine Safety: by term in logs, by content where it is applied; and in order."""
        self.ledger.commit(entry(1, 1), 1)
        self.assertEqual([entry(1, 1)], self.heard)
        self.ledger.check_committed("b", EntryId(1, 1))
        for wrong in (
            lambda: self.ledger.check_committed("b", EntryId(2, 1)),
            lambda: self.ledger.commit(entry(3, 1), 1),
            lambda: self.ledger.applied("b", 1, b"2", None),
        ):
            with self.assertRaises(Violation):
                wrong()
        self.ledger.applied("a", 2, b"2", "result")
        with self.assertRaisesRegex(Violation, "state machines differ"):
            self.ledger.applied("b", 2, b"2", "another")
        with self.assertRaisesRegex(Violation, "State Machine Safety"):
            self.ledger.commit(entry(2, 1, b"3"), 1)

    def test_what_a_snapshot_has(self) -> None:
        """Entries that are committed, and the members as of the last of them: not of a change that came later (S14)."""
        alone, both = Configuration({"a": "a:1"}), Configuration({"a": "a:1", "b": "b:1"})
        self.ledger.commit(Entry(1, 1, EntryKind.CONFIGURATION, configuration=alone), 1)
        self.ledger.commit(entry(2, 1), 1)
        self.ledger.commit(Entry(3, 1, EntryKind.CONFIGURATION, configuration=both), 1)
        self.ledger.check_snapshot("a", Snapshot(2, 1, alone))
        self.ledger.check_snapshot("a", Snapshot(3, 1, both))
        for wrong in (Snapshot(2, 1, both), Snapshot(3, 1, alone), Snapshot(4, 1, both), Snapshot(3, 2, both)):
            with self.assertRaises(Violation):
                self.ledger.check_snapshot("a", wrong)

    def test_what_a_leader_must_have(self) -> None:
        """Leader Completeness asks for what earlier leaders committed, not for what later ones did."""
        for index, term in ((1, 1), (2, 1), (3, 4)):
            self.ledger.commit(entry(index, term), term)
        self.assertEqual([0, 2, 2, 3], [self.ledger.committed_before(term).index for term in (1, 2, 4, 5)])


class OracleTests(TestCase):
    def setUp(self) -> None:
        self.oracle = Oracle(Marks())
        self.ledger = Ledger(self.oracle.committed)

    def test_a_phantom(self) -> None:
        """Nobody asked for it."""
        with self.assertRaisesRegex(Violation, "phantom"):
            self.ledger.commit(entry(1, 1), 1)

    def test_twice(self) -> None:
        """One request, two entries."""
        self.oracle.attempt("c", b"1")
        self.ledger.commit(entry(1, 1), 1)
        with self.assertRaisesRegex(Violation, "twice"):
            self.ledger.commit(entry(2, 1), 1)

    def test_done_though_certainly_not(self) -> None:
        """Whichever comes first, the answer or the commit."""
        self.oracle.not_done(self.oracle.attempt("c", b"1"))
        with self.assertRaisesRegex(Violation, "certainly not done"):
            self.ledger.commit(entry(1, 1), 1)
        attempt = self.oracle.attempt("c", b"2")
        self.ledger.commit(entry(2, 1, b"2"), 1)
        with self.assertRaisesRegex(Violation, "certainly not done"):
            self.oracle.not_done(attempt)

    def test_acknowledged_but_not_there(self) -> None:
        """Not committed at all, or elsewhere."""
        for index in (1, 7):
            attempt = self.oracle.attempt("c", b"%d" % index)
            self.oracle.done(attempt, index)
            with self.assertRaisesRegex(Violation, "acknowledged but not committed"):
                self.oracle.settle(self.ledger)


class DiskTruthTests(TestCase):
    def setUp(self) -> None:
        self.truth = DiskTruth()
        self.truth.saved(Save(0, HardState(2, "a"), entries=(entry(1, 1), entry(2, 1), entry(3, 2))))
        self.found = Recovered(HardState(2, "a"), entries=(entry(1, 1), entry(2, 1), entry(3, 2)))

    def test_what_was_saved_is_found(self) -> None:
        """No less, no more, and nothing else."""
        self.assertTrue(self.truth.agrees(self.found))
        for wrong in (
            replace(self.found, hard_state=HardState(2, None)),
            replace(self.found, entries=self.found.entries[:2]),
            replace(self.found, entries=(*self.found.entries, entry(4, 2))),
            replace(self.found, entries=(entry(1, 1), entry(2, 1), entry(3, 1))),
            Recovered(),
        ):
            self.assertFalse(self.truth.agrees(wrong), wrong)

    def test_what_was_being_saved_may_be_found(self) -> None:
        """All of it or nothing of it, but not a part."""
        save = Save(1, HardState(5), truncate_from=3, entries=(entry(3, 5), entry(4, 5)))
        after = Recovered(HardState(5), entries=(entry(1, 1), entry(2, 1), entry(3, 5), entry(4, 5)))
        for found, agrees in (
            (self.found, True),
            (after, True),
            (replace(after, entries=after.entries[:3]), False),
            (replace(after, hard_state=HardState(2, "a")), False),
            (replace(self.found, hard_state=HardState(5)), False),
        ):
            self.assertEqual(agrees, any(truth.agrees(found) for truth in candidates(self.truth, save)), found)

    def test_snapshots(self) -> None:
        """One that the log reaches keeps what follows; one that it does not reach makes it void."""
        for snapshot, found in (
            (Snapshot(2, 1, None), Recovered(HardState(2, "a"), Snapshot(2, 1, None), EntryId(1, 2), (entry(3, 2),))),  # type: ignore[arg-type]
            (Snapshot(9, 2, None), Recovered(HardState(2, "a"), Snapshot(9, 2, None), EntryId(2, 9))),  # type: ignore[arg-type]
            (Snapshot(9, 4, None), Recovered(HardState(4), Snapshot(9, 4, None), EntryId(4, 9))),  # type: ignore[arg-type]
            (Snapshot(3, 4, None), Recovered(HardState(4), Snapshot(3, 4, None), EntryId(4, 3))),  # type: ignore[arg-type]
        ):
            truth = self.truth.copy()
            truth.saved(Save(1, HardState(2, "a"), install=Install(snapshot, keep_suffix=True)))
            self.assertTrue(truth.agrees(found), (truth, found))
            self.assertFalse(self.truth.agrees(Recovered()))


class WorldTests(TestCase):
    """A healthy cluster, harmed by hand behind the back of the code."""

    def setUp(self) -> None:
        self.cluster = Cluster(seed=1)
        self.cluster.propose(encode_command(Set(b"a", b"1")))
        self.cluster.settle()
        self.follower = self.cluster.node(self.cluster.followers()[0])

    def complaint(self) -> str:
        with self.assertRaises(PromiseBroken) as caught:
            self.cluster.advance(2.0)
        self.assertIn("The last events:", str(caught.exception))
        return str(caught.exception)

    def test_an_entry_exchanged(self) -> None:
        """A follower's log in memory changes its mind about what is committed."""
        entries = self.follower.state.log._entries
        entries[-1] = msgspec.structs.replace(entries[-1], command=b'"other"')
        self.assertRegex(self.complaint(), "Log Matching|committed entries never change")

    def test_a_term_that_falls(self) -> None:
        """From one event to the next."""
        self.cluster.partition([self.follower.node_id])
        self.cluster.advance(0.2)
        self.follower.state.hard_state = HardState(1)
        self.assertIn("the term fell", self.complaint())

    def test_a_second_leader(self) -> None:
        """Of the term that another leads."""
        self.follower.state.role = Role.LEADER
        self.assertIn("an invariant of hraft.raft", self.complaint())

    def test_a_commit_without_a_quorum(self) -> None:
        """The leader takes for committed what is on no other disk."""
        leader = self.cluster.node()
        self.cluster.partition([leader.node_id])
        self.cluster.submit(encode_command(Set(b"a", b"2")))
        self.cluster.advance(0.05)
        leader.state.commit_index = leader.state.log.last_index
        self.assertIn("committed entries are on a quorum of disks", self.complaint())

    def test_a_promise_that_is_not_on_disk(self) -> None:
        """A vote, an acknowledgement and a claim, each sent before it is true."""
        term = self.follower.state.term
        for message in (
            RequestVoteResponse(term + 1, True),
            AppendEntriesResponse(term, True, 0, match_index=self.follower.state.log.last_index + 1),
        ):
            if isinstance(message, AppendEntriesResponse):
                self.follower.state.log.append(entry(self.follower.state.log.last_index + 1, term))
            with self.assertRaises(Violation):
                self.cluster.world.promises.check(self.follower, Envelope(self.follower.node_id, "node0", message))
        self.follower.state.role = Role.PRE_CANDIDATE
        with self.assertRaises(Violation):
            self.cluster.world.promises.check(
                self.follower, Envelope(self.follower.node_id, "node0", PreVote(term + 1, 99, term))
            )

    def test_a_leadership_handed_to_one_that_lags(self) -> None:
        """To one whose disk was exchanged since it last spoke too, but only until its leader can know."""
        world, leader = self.cluster.world, self.cluster.node()
        told = Envelope(leader.node_id, self.follower.node_id, TimeoutNow(leader.state.term))
        world.promises.check(leader, told)
        self.follower.truth.terms.clear()
        with self.assertRaisesRegex(Violation, "leadership is handed to one that has the whole log on disk"):
            world.promises.check(leader, told)
        self.follower.is_wiped = True
        world.promises.check(leader, told)
        assert leader.state.leading is not None
        leader.state.leading.progress[self.follower.node_id].is_wiped = True
        with self.assertRaisesRegex(Violation, "leadership is handed to one that has the whole log on disk"):
            world.promises.check(leader, told)

    def test_a_joiner_refused_for_no_reason(self) -> None:
        """It would end, although it has lost nothing."""
        for member in self.cluster.world.up():
            member.service.join = lambda *_: fail(ChangeRefused("a whim"))  # type: ignore[method-assign,assignment]
        self.cluster.join()
        self.assertIn("only who was removed or lost its disk is refused for good", self.complaint())

    def test_a_node_that_goes_on_after_its_disk_has_failed(self) -> None:
        """Whatever it says afterwards may be untrue (D1)."""
        self.follower.disk.has_failed = True
        with self.assertRaisesRegex(PromiseBroken, "went on after its disk had failed"):
            self.cluster.close()

    def test_a_node_that_stops_of_itself(self) -> None:
        """Only a disk that failed in this life may have it do so."""
        self.follower.service._halt("a whim")
        self.assertIn("a node stopped of itself", self.complaint())

    def test_two_votes_in_one_term(self) -> None:
        """However long ago the first one was."""
        world, node_id = self.cluster.world, self.follower.node_id
        self.follower.truth.hard_state = HardState(50, "x")
        world.promises.check(self.follower, Envelope(node_id, "x", RequestVoteResponse(50, True)))
        self.follower.truth.hard_state = HardState(50, "y")
        with self.assertRaisesRegex(Violation, "one vote a term"):
            world.promises.check(self.follower, Envelope(node_id, "y", RequestVoteResponse(50, True)))

    def test_a_vote_that_leaves_late(self) -> None:
        """The voter knows a later term by then; a candidate that does not may still win by it (seed 610859)."""
        world, node_id = self.cluster.world, self.follower.node_id
        self.follower.truth.hard_state = HardState(51, None)
        world.promises.check(self.follower, Envelope(node_id, "x", RequestVoteResponse(50, True)))
        self.assertTrue(world.promises.has_voted(node_id, 50, "x"))
        with self.assertRaisesRegex(Violation, "one vote a term"):
            world.promises.check(self.follower, Envelope(node_id, "y", RequestVoteResponse(50, True)))

    def test_a_disk_that_lost_a_save(self) -> None:
        """What a start finds is not what was saved."""
        self.cluster.crash(self.follower.node_id)
        self.follower.truth.hard_state = HardState(99, None)
        with self.assertRaisesRegex(PromiseBroken, "the disk lost or changed what was saved"):
            self.cluster.restart()

    def test_a_joiner_told_too_early(self) -> None:
        """It would serve as a voter of a cluster that may yet forget it."""
        with patch("hraft.service.joining.Joining._role_of", return_value="voter"):
            self.cluster.join()
            self.assertIn("a joiner is told what is committed", self.complaint())

    def test_a_log_that_cannot_be_read(self) -> None:
        """A node is never kept from starting by what a crash of its own left."""
        self.cluster.crash(self.follower.node_id)
        path, data = next((path, data) for path, data in self.follower.disk.contents().items() if "/log/" in path)
        self.follower.disk.put(path, b"junk" + data[4:])
        with self.assertRaisesRegex(PromiseBroken, "what a crash leaves can be read"):
            self.cluster.restart()

    def test_states_that_differ(self) -> None:
        """At the end, whatever the logs say."""
        self.follower.state_machine._keyspace.table.remove(b"", None)
        with self.assertRaisesRegex(PromiseBroken, "equal states"):
            self.cluster.close()

    def test_an_error_that_nobody_handles(self) -> None:
        """Left in a Deferred, it is said when the Deferred is let go (X4)."""
        self.cluster.world.clock.schedule(0.1, None, fail, (RuntimeError("lost"),))
        self.assertIn("an error that nobody handled", self.complaint())

    def test_a_safety_that_looks(self) -> None:
        """The checks run for every node that does anything."""
        self.assertEqual(set(self.cluster.node_ids), set(self.cluster.world.safety._watches))
        self.assertIsInstance(self.cluster.world.safety, Safety)
