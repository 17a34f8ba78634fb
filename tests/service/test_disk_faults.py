"""Disks that are full, that hang, and that fail, under real nodes."""

from __future__ import annotations

from typing import Any

import pytest
from clusters import ELECTION_TIMEOUT_SECONDS, Cluster, Member, Outcome, set_command
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hraft.errors import LogCorrupted, OutcomeUnknown, ProposalDropped, StorageFailed, StorageFull
from hraft.raft.messages import AppendEntriesResponse
from hraft.raft.ready import Role
from hraft.simulation.network import Network


class DiskFaults(SynchronousTestCase):
    """A settled cluster of three; `leader` and one of its followers."""

    def setUp(self) -> None:
        self.cluster = Cluster().bootstrap(3)
        self.leader = self.cluster.the_leader()
        self.follower = self.cluster.followers()[0]

    def break_save(self, member: Member, error: Exception) -> Any:
        """Let every save of a node fail; returns what repairs it."""
        save = member.storage.save

        def broken(_: object) -> None:
            raise error

        member.storage.save = broken

        def repair() -> None:
            member.storage.save = save

        return repair


class FullTests(DiskFaults):
    """No room: nothing is acknowledged, nothing is lost, and it is over when there is room."""

    @pytest.mark.scenario("D3")
    def test_on_the_leader(self) -> None:
        """It says why, loses its office since it cannot save, serves again when it can; the others carry on."""
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        repair = self.break_save(self.leader, StorageFull("no space left on device"))
        first = Outcome(self.leader.service.propose(set_command("a", "1")))
        self.cluster.run(0.01)
        second = Outcome(self.leader.service.propose(set_command("b", "2")))
        assert isinstance(second.error, ProposalDropped)
        self.assertIn("no space left on device", str(second.error))
        self.cluster.elect(other_than=self.leader)
        self.assertTrue(first.is_over)
        self.assertIsNone(self.cluster.write("c", "3").error)
        self.assertEqual(Role.FOLLOWER, self.leader.role)
        self.cluster.run(5.0)
        repair()
        self.cluster.run(1.1)
        self.cluster.settle()
        self.assertEqual(("3", []), (self.leader.get("c"), self.leader.halted))
        said = [line["log_format"] for line in lines if line.get("node") == self.leader.node_id and "disk" in line["log_format"]]
        self.assertEqual(2, len(said), said)

    @pytest.mark.scenario("D3")
    def test_on_the_only_node(self) -> None:
        """Nobody else can commit: a client's write is not there before there is room, and nobody was told that it was."""
        cluster = Cluster().bootstrap(1)
        node0 = cluster.the_leader()
        repair = self.break_save(node0, StorageFull("no space left on device"))
        outcome = Outcome(node0.service.propose(set_command("a", "1")))
        cluster.run(0.3)
        self.assertEqual((False, None), (outcome.is_over, node0.get("a")))
        cluster.run(5.0)
        self.assertIsInstance(outcome.error, OutcomeUnknown)
        repair()
        cluster.run(1.5)
        self.assertEqual("1", node0.get("a"))
        self.assertIsNone(cluster.write("b", "2").error)

    @pytest.mark.scenario("D3")
    def test_on_a_follower(self) -> None:
        """It acknowledges nothing, the quorum of the others does; later it catches up."""
        repair = self.break_save(self.follower, StorageFull("no space left on device"))
        match_index = self.match_index()
        self.assertIsNone(self.cluster.write("a", "1").error)
        self.cluster.run(3.0)
        self.assertEqual(match_index, self.match_index())
        repair()
        self.cluster.run(1.1)
        self.cluster.settle()
        self.assertEqual("1", self.follower.get("a"))

    def match_index(self) -> int:
        return self.leader.service.status().followers[self.follower.node_id].match_index


class FailedTests(DiskFaults):
    """What is on the disk is unknown: nothing may be promised any more."""

    @pytest.mark.scenario("D1")
    def test_a_leader_halts_without_a_word(self) -> None:
        """No reply to the client, no message to a peer, no further save; the process is told to end."""
        self.break_save(self.leader, StorageFailed("fdatasync: EIO"))
        outcome = Outcome(self.leader.service.propose(set_command("a", "1")))
        self.cluster.run(0.002)
        self.assertEqual((1, False), (len(self.leader.halted), outcome.is_over))
        sent = self.sent_by(self.cluster.network, self.leader)
        self.cluster.run(1.0)
        self.assertEqual(([], 1, False), (sent, len(self.leader.halted), outcome.is_over))
        self.assertIsInstance(Outcome(self.leader.service.propose(set_command("b", "2"))).error, ProposalDropped)

    def sent_by(self, network: Network, member: Member) -> list[object]:
        sent: list[object] = []

        def passing(envelope: Any) -> bool:
            if envelope.sender == member.node_id:
                sent.append(envelope)
            return True

        network.lets_pass = passing
        return sent

    @pytest.mark.scenario("D1")
    def test_a_follower_halts_without_acknowledging(self) -> None:
        """An acknowledgement for what is perhaps not there would count towards a majority."""
        self.break_save(self.follower, StorageFailed("fdatasync: EIO"))
        acknowledged: list[int] = []

        def passing(envelope: Any) -> bool:
            if envelope.sender == self.follower.node_id and isinstance(envelope.message, AppendEntriesResponse):
                acknowledged.append(envelope.message.match_index)
            return True

        self.cluster.network.lets_pass = passing
        index = self.cluster.write("a", "1").value.index
        self.cluster.run(1.0)
        self.assertEqual(1, len(self.follower.halted))
        self.assertEqual([], [match_index for match_index in acknowledged if match_index >= index])

    @pytest.mark.scenario("D2")
    def test_the_cluster_keeps_what_it_acknowledged(self) -> None:
        """The node that halted comes back with whatever its disk kept, and catches up."""
        self.assertIsNone(self.cluster.write("a", "1").error)
        repair = self.break_save(self.leader, StorageFailed("fdatasync: EIO"))
        self.leader.service.propose(set_command("b", "2"))
        self.cluster.run(0.01)
        self.leader.crash()
        self.cluster.elect(other_than=self.leader)
        self.assertIsNone(self.cluster.write("c", "3").error)
        repair()
        self.leader.start()
        self.cluster.settle()
        self.assertEqual(("1", "3", 1), (self.leader.get("a"), self.leader.get("c"), len(self.cluster.states())))

    def test_a_log_that_cannot_be_read_stops_the_start(self) -> None:
        """At once, to whoever starts the service: not a node that is half alive."""
        self.follower.crash()

        def corrupted() -> None:
            raise LogCorrupted("a bad batch with a good one behind it")

        self.follower.storage.recover = corrupted
        self.assertRaises(LogCorrupted, self.follower.start)
        self.assertFalse(self.follower.transport.is_listening)


class HungTests(DiskFaults):
    """The disk does not answer."""

    @pytest.mark.scenario("D15")
    def test_a_leader_loses_its_office(self) -> None:
        """Heartbeats would go on for ever, and nothing would be committed: so it steps down, and its clients hear of it."""
        self.leader.writer.hang()
        began = self.cluster.clock.seconds()
        outcome = Outcome(self.leader.service.propose(set_command("a", "1")))
        self.cluster.elect(other_than=self.leader)
        self.assertLess(self.cluster.clock.seconds() - began, 3.2 * ELECTION_TIMEOUT_SECONDS)
        self.assertIsNone(self.cluster.write("b", "2").error)
        self.assertTrue(outcome.is_over)
        self.leader.writer.resume()
        self.cluster.settle()
        self.assertEqual((1, 1), (outcome.count, len(self.cluster.states())))

    @pytest.mark.scenario("D15")
    def test_followers_hung_and_the_leader_too(self) -> None:
        """Whoever waits is told that nobody knows."""
        for member in self.cluster.members.values():
            member.writer.hang()
        outcome = Outcome(self.leader.service.propose(set_command("a", "1")))
        self.cluster.run(2 * ELECTION_TIMEOUT_SECONDS)
        self.assertIsInstance(outcome.error, OutcomeUnknown)

    @pytest.mark.scenario("D17")
    def test_a_follower_delays_nobody(self) -> None:
        """A quorum of fast disks is fast."""
        self.follower.writer.hang()
        began = self.cluster.clock.seconds()
        for number in range(20):
            self.assertIsNone(self.cluster.write(f"k{number}", "v").error)
        self.assertLess(self.cluster.clock.seconds() - began, 0.2)
        self.assertEqual(Role.LEADER, self.leader.role)
