"""Taking nodes in: dialled back first, learner next, voter when it has caught up."""

from __future__ import annotations

from typing import Any

import pytest
from clusters import CLUSTER_ID, ELECTION_TIMEOUT_SECONDS, Cluster, Member, Outcome
from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from hraft import limits
from hraft.errors import ChangeRefused, NotLeader, PeerUnreachable, WrongPeer
from hraft.interfaces import PeerIdentity, Receivers
from hraft.questions import ForwardJoin, JoinOutcome
from hraft.raft.messages import AppendEntries, AppendEntriesResponse, Envelope
from hraft.storage.memory import MemoryStorage


class JoiningTests(SynchronousTestCase):
    """Nobody is taken in who could harm the quorum, and asking twice is harmless."""

    def setUp(self) -> None:
        self.cluster = Cluster().bootstrap(2)
        self.node0, self.node1 = self.cluster.members.values()

    def newcomer(self, node_id: str = "node2") -> Member:
        member = self.cluster.member(node_id)
        member.start()
        return member

    def finished(self, outcome: Outcome, within_seconds: float = 30.0) -> Outcome:
        self.cluster.run_until(lambda: outcome.is_over, "an answer", within_seconds)
        return outcome

    def voters(self) -> list[str]:
        return list(self.cluster.the_leader().service.status().configuration.voters)

    @pytest.mark.scenario("M7")
    def test_learner_first_then_voter(self) -> None:
        """A voter that has nothing yet would hold up every commit until it had caught up."""
        self.cluster.write_many(500)
        newcomer = self.newcomer()
        self.cluster.network.lets_pass = lambda envelope: (
            envelope.to != "node2" or not isinstance(envelope.message, AppendEntries) or not envelope.message.entries
        )
        outcome = self.cluster.join(newcomer)
        self.cluster.run(1.0)
        configuration = self.node0.service.status().configuration
        self.assertEqual((["node0", "node1"], ["node2"]), (list(configuration.voters), list(configuration.learners)))
        self.assertFalse(outcome.is_over)
        self.cluster.network.lets_pass = lambda envelope: True
        self.assertEqual(JoinOutcome("voter"), self.finished(outcome).value)
        self.assertEqual(["node0", "node1", "node2"], self.voters())

    def test_through_a_follower(self) -> None:
        """Whoever joins need not know who leads."""
        outcome = self.finished(self.cluster.join(self.newcomer(), by=self.node1))
        self.assertEqual(JoinOutcome("voter"), outcome.value)

    @pytest.mark.scenario("C6")
    def test_not_passed_on_twice(self) -> None:
        """A follower that is asked by a peer says so, and the peer asks again where it should."""
        request = ForwardJoin("node2", self.newcomer().address, True)
        outcome = Outcome(self.node1.transport.requested("node0", request))
        self.assertIsInstance(outcome.error, NotLeader)

    def test_a_learner_that_cannot_catch_up_in_time(self) -> None:
        """It is a member all the same, and is promoted later without being asked again."""
        newcomer = self.newcomer()
        self.cluster.network.cut("node2", "node0")
        joined = self.cluster.join(newcomer)
        self.assertIsInstance(self.finished(joined).error, PeerUnreachable)
        self.cluster.network.heal()
        joined = self.cluster.join(newcomer)
        self.cluster.run(0.001)
        newcomer.writer.hang()
        outcome = self.finished(joined, limits.JOIN_TIMEOUT_SECONDS + 1)
        self.assertEqual(JoinOutcome("learner"), outcome.value)
        newcomer.writer.resume()
        self.cluster.run_until(lambda: len(self.voters()) == 3, "promoted")

    @pytest.mark.scenario("M20")
    def test_joining_twice(self) -> None:
        """At once, side by side, and again after it is done: the same answer, one configuration."""
        newcomer = self.newcomer()
        outcomes = [self.cluster.join(newcomer), self.cluster.join(newcomer, by=self.node1)]
        self.assertEqual([JoinOutcome("voter")] * 2, [self.finished(outcome).value for outcome in outcomes])
        last_index = self.cluster.the_leader().service.status().last.index
        again = self.finished(self.cluster.join(newcomer, empty_log=None))
        self.assertEqual(JoinOutcome("voter"), again.value)
        self.assertEqual(last_index, self.cluster.the_leader().service.status().last.index)

    def test_several_at_once(self) -> None:
        """One change at a time is the algorithm's rule; whoever comes second waits instead of being turned away."""
        outcomes = [self.cluster.join(self.newcomer(f"node{number}")) for number in (2, 3, 4)]
        self.assertEqual([JoinOutcome("voter")] * 3, [self.finished(outcome).value for outcome in outcomes])
        self.assertEqual(5, len(self.voters()))

    @pytest.mark.scenario("D19")
    def test_a_wiped_disk_is_refused(self) -> None:
        """It forgot whom it voted for and what it acknowledged: under its old id it could undo both."""
        self.finished(self.cluster.join(self.newcomer()))
        self.cluster.settle()
        node2 = self.cluster.members["node2"]
        node2.crash()
        node2.storage = MemoryStorage(CLUSTER_ID)
        node2.start()
        outcome = self.finished(self.cluster.join(node2, by=self.node1, empty_log=node2.service.has_empty_log))
        assert isinstance(outcome.error, ChangeRefused)
        self.assertFalse(outcome.error.temporary)
        self.assertIn("wiped", str(outcome.error))
        self.cluster.run(3 * ELECTION_TIMEOUT_SECONDS)
        self.assertEqual(0, node2.service.status().last.index)

    @pytest.mark.scenario("D20", "M20")
    def test_a_late_answer_is_no_lost_disk(self) -> None:
        """One that asked before what it has acknowledged since reads as if it had lost that, until the next. Who is refused for
        good ends, and then a voter is missing (seed 620476)."""
        node2 = self.newcomer()
        self.finished(self.cluster.join(node2))
        self.cluster.settle()
        status = self.node0.service.status()
        late = AppendEntriesResponse(status.term, False, status.last.index, last_log_index=status.last.index - 1)
        self.node0.transport.receive(Envelope("node2", "node0", late))
        outcome = self.finished(self.cluster.join(node2, empty_log=False))
        assert isinstance(outcome.error, ChangeRefused)
        self.assertTrue(outcome.error.temporary)
        self.assertIn("remove it from the cluster", str(outcome.error))
        self.cluster.run(ELECTION_TIMEOUT_SECONDS)
        self.assertEqual(JoinOutcome("voter"), self.finished(self.cluster.join(node2, empty_log=False)).value)

    @pytest.mark.scenario("M8")
    def test_nobody_answers_at_the_address(self) -> None:
        """A mistyped address costs nothing but an error."""
        outcome = self.finished(Outcome(self.node0.service.join("node2", "nowhere:12000", True)))
        self.assertIsInstance(outcome.error, PeerUnreachable)
        self.assertEqual(["node0", "node1"], self.voters())
        self.assertIsNone(self.cluster.write("a", "1").error)

    @pytest.mark.scenario("M13", "M14")
    def test_somebody_else_answers(self) -> None:
        """The address of another member, or of this leader itself, or of a node with another id."""
        self.newcomer("node7")
        for address in (self.node0.address, self.node1.address, "node7:12000"):
            outcome = self.finished(Outcome(self.node0.service.join("node2", address, True)))
            self.assertIsInstance(outcome.error, WrongPeer, address)

    @pytest.mark.scenario("M15")
    def test_a_node_of_another_cluster(self) -> None:
        """Two clusters must not grow into each other by a wrong address."""
        stranger = self.cluster.network.transport(PeerIdentity("c2", "node2", "node2:11000"), "node2:12000")
        nobody: Any = None
        stranger.start(Receivers(nobody, nobody, nobody))
        outcome = self.finished(Outcome(self.node0.service.join("node2", "node2:12000", True)))
        self.assertIsInstance(outcome.error, WrongPeer)

    @pytest.mark.scenario("M15")
    def test_whoever_answers_is_looked_at(self) -> None:
        """The transport refuses strangers, and the leader does not rely on it."""
        found = PeerIdentity("c2", "node2", "node2:11000")
        self.node0.transport.dial_back = lambda address: succeed(found)  # type: ignore[method-assign]
        outcome = self.finished(Outcome(self.node0.service.join("node2", "node2:12000", True)))
        self.assertIsInstance(outcome.error, WrongPeer)

    def test_not_before_it_is_committed(self) -> None:
        """A voter of a configuration that is only appended may turn out never to have been one."""
        newcomer = self.newcomer()
        self.cluster.join(newcomer)
        self.cluster.run_until(lambda: len(self.voters()) == 3, "promoted")
        self.cluster.network.isolate("node0", self.cluster.members)
        self.assertFalse(self.node0.service.status().configuration_committed)
        again = self.cluster.join(newcomer, by=self.node0, empty_log=False)
        self.cluster.run(ELECTION_TIMEOUT_SECONDS / 2)
        self.assertFalse(again.is_over, again)

    @pytest.mark.scenario("M16")
    def test_a_second_node_under_the_same_id(self) -> None:
        """While the member answers at its own address, another place cannot be the same node: it would vote twice."""
        double = Member(self.cluster, "node1")
        double.address = "node1-again:12000"
        double.start()
        outcome = self.finished(Outcome(self.node0.service.join("node1", double.address)))
        assert isinstance(outcome.error, ChangeRefused)
        self.assertFalse(outcome.error.temporary)
        self.assertEqual("node1:12000", self.node0.service.status().configuration.voters["node1"])

    def test_a_member_that_moved(self) -> None:
        """With its data and to another address, when it is gone from the old one."""
        self.finished(self.cluster.join(self.newcomer()))
        self.cluster.settle()
        node2 = self.cluster.members["node2"]
        node2.crash()
        node2.address = "elsewhere:12000"
        node2.start()
        outcome = self.finished(self.cluster.join(node2, empty_log=node2.service.has_empty_log))
        self.assertEqual(JoinOutcome("voter"), outcome.value)
        self.cluster.settle()
        self.assertEqual("elsewhere:12000", self.node1.service.status().configuration.voters["node2"])

    def test_what_cannot_be_an_id_or_an_address(self) -> None:
        """Refused in words, before anybody is dialled."""
        wrong_ids = [(node_id, "a:1") for node_id in ("", "x" * 257, "a\nb")]
        wrong_addresses = [("a", address) for address in ("", "nohost", ":1", "a b:1", "a:" + "1" * 600)]
        for node_id, address in wrong_ids + wrong_addresses:
            outcome = Outcome(self.node0.service.join(node_id, address))
            assert isinstance(outcome.error, ChangeRefused), (node_id, address)
            self.assertFalse(outcome.error.temporary)

    def test_the_leader_goes_while_a_node_joins(self) -> None:
        """The joiner is told to ask again, in place of waiting for an answer that nobody will give."""
        newcomer = self.newcomer()
        outcome = self.cluster.join(newcomer)
        self.cluster.network.isolate("node0", self.cluster.members)
        self.finished(outcome, 3 * ELECTION_TIMEOUT_SECONDS)
        assert isinstance(outcome.error, ChangeRefused)
        self.assertTrue(outcome.error.temporary)

    @pytest.mark.scenario("M20")
    def test_before_there_is_a_cluster(self) -> None:
        """A node that was never taken in cannot take others in, and stays usable."""
        lonely = self.newcomer("node8")
        outcome = Outcome(lonely.service.join("node9", "node9:12000"))
        self.assertIsInstance(outcome.error, NotLeader)
        self.assertEqual(JoinOutcome("voter"), self.finished(self.cluster.join(lonely)).value)

    def test_when_member(self) -> None:
        """What the command line waits for before it says that the node has started."""
        newcomer = self.newcomer()
        member = Outcome(newcomer.service.when_member())
        self.cluster.run(1.0)
        self.assertEqual((False, True), (member.is_over, newcomer.service.has_empty_log))
        self.finished(self.cluster.join(newcomer))
        self.cluster.settle()
        self.assertEqual((1, None, False), (member.count, member.error, newcomer.service.has_empty_log))
        self.assertTrue(Outcome(newcomer.service.when_member()).is_over)

    def peers_of(self, member: Member) -> set[str]:
        return set(member.transport._peers)

    @pytest.mark.scenario("M6")
    def test_peers_are_those_of_the_configuration_in_force(self) -> None:
        """A log that is replayed names members of the past; they must not be spoken to."""
        told: list[dict[str, str]] = []
        self.finished(self.cluster.join(self.newcomer()))
        self.cluster.settle()
        self.assertEqual({"node1", "node2"}, self.peers_of(self.node0))
        self.cluster.the_leader().service._running.node.remove("node2")  # type: ignore[union-attr]
        self.cluster.run(1.0)
        self.assertEqual({"node1"}, self.peers_of(self.node0))
        self.cluster.members["node2"].crash()
        self.node1.crash()
        start = self.node1.start
        network_transport = self.cluster.network.transport

        def listening(identity: PeerIdentity, address: str) -> Any:
            transport = network_transport(identity, address)
            set_peers = transport.set_peers
            transport.set_peers = lambda addresses: (told.append(dict(addresses)), set_peers(addresses))[1]  # type: ignore[method-assign]
            return transport

        self.cluster.network.transport = listening  # type: ignore[method-assign]
        start()
        self.cluster.run(3.0)
        self.assertEqual([{"node0": "node0:12000"}], told)
