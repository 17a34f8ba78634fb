"""Three NodeServices with everything real but disk, network and time: writes, reads, forwarding, failing over."""

from __future__ import annotations

import pytest
from clusters import ELECTION_TIMEOUT_SECONDS, TIMING, Cluster, Member, Outcome, delete_command, set_command
from twisted.internet.defer import CancelledError, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from hraft import limits
from hraft.errors import BadCommand, NotLeader, OutcomeUnknown, ProposalDropped, ReadFailed
from hraft.kv.results import Written
from hraft.questions import ForwardProposal, ForwardReadIndex
from hraft.raft.entry import Snapshot
from hraft.raft.messages import AppendEntries, AppendEntriesResponse
from hraft.raft.ready import Role
from hraft.service import LeaderHint
from hraft.simulation.network import Faults


class ThreeNodes(SynchronousTestCase):
    """A settled cluster of three; `leader` and two followers."""

    def setUp(self) -> None:
        self.cluster = Cluster().bootstrap(3)
        self.leader = self.cluster.the_leader()
        self.follower, self.other = self.cluster.followers()

    def isolate(self, member: Member) -> None:
        self.cluster.network.isolate(member.node_id, self.cluster.members)


class WriteTests(ThreeNodes):
    """propose and submit."""

    def test_a_write_is_on_every_node(self) -> None:
        """What the README promises first; and a cluster that stops leaves nothing behind."""
        written = self.cluster.write("user1", "batman")
        self.assertEqual(Written(1, 1), written.value.result)
        self.cluster.settle()
        self.assertEqual(["batman"] * 3, [member.get("user1") for member in self.cluster.members.values()])
        self.cluster.stop()

    def test_answered_only_when_a_majority_has_it(self) -> None:
        """The promise of an acknowledgement."""
        self.isolate(self.leader)
        outcome = Outcome(self.leader.service.propose(set_command("a", "1")))
        self.cluster.run(ELECTION_TIMEOUT_SECONDS / 2)
        self.assertEqual((False, None), (outcome.is_over, self.leader.get("a")))

    def test_a_follower_names_the_leader(self) -> None:
        """At once, and nothing was done."""
        outcome = Outcome(self.follower.service.propose(set_command("a", "1")))
        assert isinstance(outcome.error, NotLeader)
        self.assertEqual(self.leader.node_id, outcome.error.leader_id)
        hint = LeaderHint(self.leader.node_id, self.leader.address, f"{self.leader.node_id}:11000")
        self.assertEqual([hint] * 3, [member.service.leader() for member in self.cluster.members.values()])

    def test_submit_on_a_follower(self) -> None:
        """The answer is the same as the leader's own, of the same type."""
        outcome = self.cluster.wait_for(self.follower.service.submit(set_command("a", "1")))
        self.assertEqual(Written(1, 1), outcome.value.result)
        missing = self.cluster.wait_for(self.follower.service.submit(delete_command("b")))
        self.assertEqual(Written(1, 0), missing.value.result)

    @pytest.mark.scenario("L24")
    def test_nothing_is_taken_in_while_applying_is_behind(self) -> None:
        """A leader asks before it proposes, or what waits to be applied would grow for ever."""
        last_index = self.leader.service.status().last.index
        self.patch(limits, "APPLY_LAG_ENTRIES_COUNT", 0)
        outcome = Outcome(self.leader.service.propose(set_command("a", "1")))
        self.assertIsInstance(outcome.error, ProposalDropped)
        self.assertEqual(last_index, self.leader.service.status().last.index)

    @pytest.mark.scenario("C6")
    def test_what_is_forwarded_is_not_forwarded_again(self) -> None:
        """Two nodes that take each other for the leader must not play ball with a request."""
        for request in (ForwardProposal(set_command("a", "1")), ForwardReadIndex()):
            outcome = Outcome(self.follower.transport.requested(self.other.node_id, request))
            self.assertIsInstance(outcome.error, NotLeader)

    @pytest.mark.scenario("C6")
    def test_no_hint_without_a_leader(self) -> None:
        """A leader that has not been heard for an election timeout is one no longer."""
        self.isolate(self.follower)
        self.cluster.run(3 * ELECTION_TIMEOUT_SECONDS)
        self.assertIsNone(self.follower.service.leader())
        outcome = Outcome(self.follower.service.submit(set_command("a", "1")))
        assert isinstance(outcome.error, NotLeader)
        self.assertIsNone(outcome.error.leader_id)

    @pytest.mark.scenario("C4")
    def test_the_leader_cannot_be_reached(self) -> None:
        """Then it was certainly not asked: the client may repeat its write."""
        self.cluster.network.cut(self.follower.node_id, self.leader.node_id)
        outcome = Outcome(self.follower.service.submit(set_command("a", "1")))
        self.assertIsInstance(outcome.error, ProposalDropped)

    @pytest.mark.scenario("C4")
    def test_the_leader_is_lost_after_it_was_asked(self) -> None:
        """Then nobody knows, and the client is told so."""
        outcome = Outcome(self.follower.service.submit(set_command("a", "1")))
        self.cluster.run(0.0015)
        self.isolate(self.leader)
        self.cluster.run(limits.FORWARD_TIMEOUT_SECONDS + 0.1)
        self.assertIsInstance(outcome.error, OutcomeUnknown)

    def test_what_is_no_command_is_refused(self) -> None:
        """It would be spliced into the log as it is, and no node could read that log again."""
        for command in (b"", b"{", b'{"a":1}\n{"b":2}', b'"' + b"x" * limits.ENTRY_BYTES + b'"', b'{"a":NaN}', b'"\xff"'):
            for send in (self.leader.service.propose, self.follower.service.submit):
                self.assertIsInstance(Outcome(send(command)).error, BadCommand, command[:20])

    @pytest.mark.scenario("C7")
    def test_a_client_that_hangs_up(self) -> None:
        """Cancelling detaches the waiter; the write takes its course."""
        outcome = Outcome(self.leader.service.propose(set_command("a", "1")))
        outcome.deferred.cancel()
        forwarded = Outcome(self.follower.service.submit(set_command("b", "2")))
        self.cluster.run(0.0005)
        forwarded.deferred.cancel()
        self.assertEqual([CancelledError] * 2, [type(outcome.error), type(forwarded.error)])
        self.cluster.run(1.0)
        self.assertEqual(("1", 1, 1), (self.follower.get("a"), outcome.count, forwarded.count))

    def test_many_at_once_share_a_save(self) -> None:
        """Group commit: a thousand proposals of one turn are a handful of saves."""
        saves_count = self.count_saves(self.leader)
        self.cluster.write_many(1000)
        self.assertLess(saves_count(), 10)

    def count_saves(self, member: Member):
        storage, save, saved = member.storage, member.storage.save, []
        storage.save = lambda what: (saved.append(what), save(what))[1]
        return lambda: len(saved)

    @pytest.mark.scenario("L18")
    def test_a_leader_without_quorum_takes_only_so_much(self) -> None:
        """The rest is refused as certainly not done, before the leader even notices that it is alone."""
        self.isolate(self.leader)
        command = set_command("a", "x" * 4_000_000)
        outcomes = [Outcome(self.leader.service.propose(command)) for _ in range(limits.UNCOMMITTED_BYTES // 4_000_000 + 3)]
        refused = [outcome for outcome in outcomes if outcome.is_over]
        self.assertTrue(1 <= len(refused) <= 3, len(refused))
        self.assertIsInstance(refused[0].error, ProposalDropped)
        self.cluster.run(3 * ELECTION_TIMEOUT_SECONDS)
        self.assertEqual({OutcomeUnknown, ProposalDropped}, {type(outcome.error) for outcome in outcomes})

    def test_a_proposal_that_is_never_committed_ends_in_time(self) -> None:
        """The followers' disks hang while they go on to answer heartbeats: the client still gets an answer."""
        self.follower.writer.hang()
        self.other.writer.hang()
        proposed = self.leader.service.propose(set_command("a", "1"))
        outcome = self.cluster.wait_for(proposed, limits.PROPOSE_TIMEOUT_SECONDS + TIMING.tick_seconds)
        self.assertIsInstance(outcome.error, OutcomeUnknown)
        self.assertEqual(Role.LEADER, self.leader.role)


class FailOverTests(ThreeNodes):
    """The leader goes, and comes back."""

    @pytest.mark.scenario("E16", "C5")
    def test_a_leader_cut_off_fails_its_clients(self) -> None:
        """It cannot know what becomes of their entries, and says so within two election timeouts."""
        self.isolate(self.leader)
        outcome = Outcome(self.leader.service.propose(set_command("a", "1")))
        self.cluster.run(2 * ELECTION_TIMEOUT_SECONDS)
        self.assertIsInstance(outcome.error, OutcomeUnknown)
        self.assertEqual((Role.FOLLOWER, 1), (self.leader.role, outcome.count))

    @pytest.mark.scenario("C5")
    def test_what_is_committed_is_answered_though_leadership_is_lost(self) -> None:
        """It only waits for its turn with the state machine: "unknown" would be true and of no use."""
        running = self.leader.service._running
        assert running is not None
        applying = running.applying
        applying._restore = snapshot = Snapshot(1, 1, applying.configuration)
        committed = Outcome(self.leader.service.propose(set_command("a", "1")))
        self.cluster.run(0.05)
        self.isolate(self.leader)
        uncommitted = Outcome(self.leader.service.propose(set_command("b", "2")))
        self.cluster.run(2 * ELECTION_TIMEOUT_SECONDS)
        self.assertEqual((False, OutcomeUnknown), (committed.is_over, type(uncommitted.error)))
        self.assertIs(snapshot, applying._restore)
        applying._restore = None
        applying.committed(())
        self.assertEqual(Written(1, 1), committed.value.result)

    def test_another_leads_and_the_old_one_follows(self) -> None:
        """Three nodes survive the loss of one, and lose nothing that was acknowledged."""
        self.assertIsNone(self.cluster.write("a", "1").error)
        self.isolate(self.leader)
        lost = Outcome(self.leader.service.propose(set_command("lost", "1")))
        self.cluster.elect(other_than=self.leader)
        self.assertIsNone(self.cluster.write("b", "2").error)
        self.cluster.network.heal()
        self.cluster.settle()
        self.assertIsInstance(lost.error, OutcomeUnknown)
        self.assertEqual(("1", "2", None), (self.leader.get("a"), self.leader.get("b"), self.leader.get("lost")))
        self.assertEqual(1, len(self.cluster.states()))

    def test_killed_and_restarted(self) -> None:
        """What was acknowledged is on two disks at least, so it outlives the death of all three."""
        self.assertIsNone(self.cluster.write("a", "1").error)
        for member in list(self.cluster.members.values()):
            member.crash()
        for member in self.cluster.members.values():
            member.start()
        self.cluster.settle()
        self.assertEqual(["1"] * 3, [member.get("a") for member in self.cluster.members.values()])
        self.assertIsNone(self.cluster.write("b", "2").error)

    @pytest.mark.scenario("L19")
    def test_a_bad_network_changes_no_outcome(self) -> None:
        """Loss, copies, delay and reordering: what is acknowledged is there, once, and all nodes agree in the end."""
        self.cluster.network.faults = Faults(loss_chance=0.1, duplicate_chance=0.3, delay_seconds=(0.001, 0.06))
        acknowledged = 0
        for number in range(60):
            leader = self.cluster.leader()
            outcome = Outcome(leader.service.propose(set_command(f"k{number}", "v"))) if leader else None
            self.cluster.run(0.05)
            acknowledged += bool(outcome and outcome.value)
        self.cluster.network.faults = Faults()
        self.cluster.settle()
        self.assertGreater(acknowledged, 20)
        self.assertEqual(1, len(self.cluster.states()))
        store = self.leader.service.state_machine
        self.assertGreaterEqual(store.revision, acknowledged)  # type: ignore[attr-defined]

    def test_the_same_seed_gives_the_same_run(self) -> None:
        """Nothing in the service draws lots or looks at a clock of its own."""

        def run(seed: int) -> list[object]:
            cluster = Cluster(seed, Faults(loss_chance=0.05, duplicate_chance=0.1, delay_seconds=(0.001, 0.05))).bootstrap(3)
            cluster.run(1.0)
            return [member.service.status() for member in cluster.members.values()]

        self.assertEqual(run(5), run(5))
        self.assertNotEqual(run(5), run(6))


class ReadTests(ThreeNodes):
    """confirm_read."""

    def test_on_the_leader_and_on_a_follower(self) -> None:
        """Whoever is told that its write is done finds it, on any node, at once."""
        for number, member in enumerate([self.leader, self.follower, self.other]):
            applied = self.cluster.write(f"k{number}", "v").value
            read = self.cluster.wait_for(member.service.confirm_read())
            self.assertGreaterEqual(read.value, applied.index)
            self.assertEqual("v", member.get(f"k{number}"))

    @pytest.mark.scenario("R7")
    def test_a_follower_that_lags_waits(self) -> None:
        """It knows the index before it has the entries."""
        network = self.cluster.network
        network.lets_pass = lambda envelope: (
            envelope.to != self.follower.node_id or not isinstance(envelope.message, AppendEntries)
        )
        applied = self.cluster.write("a", "1").value
        read = Outcome(self.follower.service.confirm_read())
        self.cluster.run(0.1)
        self.assertEqual((False, None), (read.is_over, self.follower.get("a")))
        network.lets_pass = lambda envelope: True
        self.cluster.run_until(lambda: read.is_over, "caught up")
        self.assertEqual((applied.index, "1"), (read.value, self.follower.get("a")))

    @pytest.mark.scenario("R9")
    def test_a_follower_cut_off_does_not_answer_from_the_past(self) -> None:
        """It cannot ask the leader, and what it has may be old."""
        self.isolate(self.follower)
        self.cluster.write("a", "1")
        read = self.cluster.wait_for(self.follower.service.confirm_read(), within_seconds=limits.READ_TIMEOUT_SECONDS + 0.1)
        self.assertIsInstance(read.error, ReadFailed)
        self.cluster.run(3 * ELECTION_TIMEOUT_SECONDS)
        self.assertIsInstance(Outcome(self.follower.service.confirm_read()).error, NotLeader)

    @pytest.mark.scenario("R5", "N1")
    def test_a_leader_cut_off_does_not_answer_from_the_past(self) -> None:
        """Another may lead already; the read fails when this one learns that it cannot lead."""
        self.isolate(self.leader)
        read = Outcome(self.leader.service.confirm_read())
        self.cluster.run(3 * ELECTION_TIMEOUT_SECONDS)
        self.assertIsInstance(read.error, ReadFailed)

    @pytest.mark.scenario("R1")
    def test_a_new_leader_first_commits_something_of_its_own(self) -> None:
        """Until then it may not know what its predecessors committed."""
        self.cluster.write("a", "1")
        self.isolate(self.leader)
        network = self.cluster.network
        network.lets_pass = lambda envelope: (
            not isinstance(envelope.message, AppendEntriesResponse) or not envelope.message.success
        )
        new = self.cluster.elect(other_than=self.leader)
        read = Outcome(new.service.confirm_read())
        self.cluster.run(ELECTION_TIMEOUT_SECONDS / 2)
        self.assertFalse(read.is_over)
        network.lets_pass = lambda envelope: True
        self.cluster.run_until(lambda: read.is_over, "confirmed")
        noop_index = new.service.status().last.index
        self.assertEqual((noop_index, "1"), (read.value, new.get("a")))

    def test_reads_of_one_turn_share_a_question(self) -> None:
        """A follower asks the leader once for all of them."""
        asked = []
        call = self.follower.transport.call
        self.follower.transport.call = lambda to, request: (asked.append(request), call(to, request))[1]  # type: ignore[method-assign]
        reads = [Outcome(self.follower.service.confirm_read()) for _ in range(100)]
        self.cluster.run_until(lambda: all(read.is_over for read in reads), "confirmed")
        self.assertEqual((1, set()), (len(asked), {read.error for read in reads if read.error}))

    def test_reads_end_in_time(self) -> None:
        """Also when the leader is still one, but no round of heartbeats comes back."""
        self.cluster.network.lets_pass = lambda envelope: (
            not isinstance(envelope.message, AppendEntriesResponse) or envelope.message.read_round == 0
        )
        read = self.cluster.wait_for(self.leader.service.confirm_read(), limits.READ_TIMEOUT_SECONDS + 0.1)
        self.assertIsInstance(read.error, ReadFailed)


class QuickDiskTests(SynchronousTestCase):
    """Disks so fast that small saves are done before anybody looks away."""

    def test_writes_by_one_and_by_many(self) -> None:
        """What is saved within a turn is answered like everything else, each exactly once."""
        cluster = Cluster(save_in_writer=maybeDeferred).bootstrap(3)
        outcomes = [Outcome(cluster.the_leader().service.propose(set_command("one", str(number)))) for number in range(2)]
        cluster.settle()
        outcomes += [Outcome(cluster.the_leader().service.propose(set_command(f"k{number}", "v"))) for number in range(50)]
        cluster.settle()
        self.assertEqual([(1, None)] * 52, [(outcome.count, outcome.error) for outcome in outcomes])
        self.assertEqual(["1"] * 3, [member.get("one") for member in cluster.members.values()])
        self.assertEqual(1, len(cluster.states()))
