"""The network in memory: what it promises to those who build on it."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hraft import limits
from hraft.errors import NotLeader, OutcomeUnknown, PeerUnreachable, ReadFailed, WrongPeer
from hraft.interfaces import PeerIdentity, Receivers
from hraft.questions import ForwardJoin, ForwardProposal, ForwardReadIndex
from hraft.raft.messages import Envelope, TimeoutNow
from hraft.simulation.network import Faults, Network, SimulatedTransport


class End:
    """One node's end, and what came to it."""

    def __init__(self, network: Network, node_id: str, cluster_id: str = "c1") -> None:
        self.node_id = node_id
        self.arrived: list[Any] = []
        self.answer: Deferred[Any] = succeed("yes")
        self.transport: SimulatedTransport = network.transport(PeerIdentity(cluster_id, node_id, f"{node_id}:80"), f"{node_id}:1")
        self.transport.start(Receivers(self.arrived.append, self.arrived.append, self.asked))

    def asked(self, sender: str, request: object) -> Deferred[Any]:
        self.arrived.append((sender, request))
        return self.answer

    def send(self, to: str, term: int) -> None:
        self.transport.send(Envelope(self.node_id, to, TimeoutNow(term)))

    @property
    def terms(self) -> list[int]:
        return [envelope.message.term for envelope in self.arrived]


class NetworkTests(SynchronousTestCase):
    """Messages, questions and cuts."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock, Random(1))
        self.a, self.b = End(self.network, "a"), End(self.network, "b")
        self.a.transport.set_peers({"b": "b:1"})

    def ask(self, request: Any) -> Deferred[Any]:
        return self.a.transport.call("b", request)

    def test_messages_take_their_time_and_keep_their_order(self) -> None:
        """With one delay for all, as over one connection."""
        for term in (1, 2, 3):
            self.a.send("b", term)
        self.assertEqual([], self.b.terms)
        self.clock.advance(0.001)
        self.assertEqual([1, 2, 3], self.b.terms)
        self.assertEqual("a:80", self.b.transport.http_address("a"))

    def test_an_answer_needs_no_address(self) -> None:
        """Who was dialled can speak on that connection; who was not, and knows nobody, cannot."""
        self.b.send("a", 1)
        self.clock.advance(0.001)
        self.assertEqual([1], self.a.terms)
        self.a.transport.set_peers({})
        self.b.send("a", 2)
        self.clock.advance(0.001)
        self.assertEqual([1], self.a.terms)

    def test_wrong_node_at_the_address(self) -> None:
        """What is meant for one node never reaches another."""
        self.a.transport.set_peers({"c": "b:1"})
        self.a.send("c", 1)
        self.clock.advance(0.001)
        self.assertEqual([], self.b.terms)

    def test_cuts_are_one_way_and_catch_what_is_on_its_way(self) -> None:
        """A message counts as lost when the link is cut before it arrives."""
        self.a.send("b", 1)
        self.network.cut("a", "b")
        self.b.send("a", 2)
        self.clock.advance(0.001)
        self.assertEqual(([], [2]), (self.b.terms, self.a.terms))
        self.network.heal()
        self.a.send("b", 3)
        self.clock.advance(0.001)
        self.assertEqual([3], self.b.terms)

    def test_partition(self) -> None:
        """Both ways, between the groups and not within them."""
        self.network.partition(["a"], ["b", "c"])
        cut = [self.network.is_cut(*pair) for pair in (("a", "b"), ("c", "a"), ("b", "c"))]
        self.assertEqual([True, True, False], cut)

    def test_faults_come_from_the_seed(self) -> None:
        """The same seed loses, doubles and reorders the same messages."""

        def run(seed: int) -> list[int]:
            clock = Clock()
            faults = Faults(loss_chance=0.2, duplicate_chance=0.2, delay_seconds=(0.001, 0.1))
            network = Network(clock, Random(seed), faults)
            a, b = End(network, "a"), End(network, "b")
            a.transport.set_peers({"b": "b:1"})
            for term in range(1, 101):
                a.send("b", term)
            clock.pump([0.001] * 200)
            return b.terms

        terms = run(1)
        self.assertEqual(terms, run(1))
        self.assertNotEqual(terms, run(2))
        self.assertLess(len(set(terms)), 100)
        self.assertGreater(len(terms), len(set(terms)))
        self.assertNotEqual(sorted(terms), terms)

    def test_a_crash_loses_what_was_for_that_life(self) -> None:
        """A new process at the same address does not get the old one's connections."""
        self.a.send("b", 1)
        self.b.transport.crash()
        reborn = End(self.network, "b")
        self.clock.advance(0.001)
        self.assertEqual(([], []), (self.b.terms, reborn.terms))
        self.assertRaises(ValueError, End, self.network, "b")

    def test_questions(self) -> None:
        """The answer comes back, and so does an error; nobody else may see it."""
        asked = self.ask(ForwardReadIndex())
        self.clock.pump([0.001, 0.001])
        self.assertEqual("yes", self.successResultOf(asked))
        self.b.answer = Deferred()
        failed = self.ask(ForwardReadIndex())
        self.b.answer.errback(NotLeader("c"))
        self.clock.pump([0.001, 0.001])
        self.assertEqual("c", self.failureResultOf(failed, NotLeader).value.leader_id)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_certainly_not_asked(self) -> None:
        """No such node, or no way to it."""
        self.failureResultOf(self.a.transport.call("c", ForwardReadIndex()), PeerUnreachable)
        self.network.cut("a", "b")
        self.failureResultOf(self.ask(ForwardReadIndex()), PeerUnreachable)

    def test_asked_and_lost(self) -> None:
        """What the asker may do next depends on what it asked."""
        self.b.answer = Deferred()
        questions = [self.ask(request) for request in (ForwardProposal(b"1"), ForwardReadIndex(), ForwardJoin("c", "c:1"))]
        self.clock.advance(0.001)
        self.network.cut("b", "a")
        self.b.answer.callback("too late")
        self.clock.advance(limits.FORWARD_TIMEOUT_SECONDS)
        for question, error in zip(questions, (OutcomeUnknown, ReadFailed, PeerUnreachable), strict=True):
            self.failureResultOf(question, error)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stopping_ends_what_was_asked(self) -> None:
        """No question outlives the connection it was asked on; who hung up is not called back."""
        self.b.answer = Deferred()
        question, given_up = self.ask(ForwardProposal(b"1")), self.ask(ForwardProposal(b"2"))
        given_up.addErrback(lambda _: None)
        given_up.cancel()
        self.successResultOf(self.a.transport.stop())
        self.failureResultOf(question, OutcomeUnknown)
        self.clock.advance(0.001)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_dial_back(self) -> None:
        """Somebody, nobody, somebody of another cluster, and no way there."""
        self.assertEqual("b", self.successResultOf(self.a.transport.dial_back("b:1")).node_id)
        self.failureResultOf(self.a.transport.dial_back("nobody:1"), PeerUnreachable)
        End(self.network, "s", cluster_id="c2")
        self.failureResultOf(self.a.transport.dial_back("s:1"), WrongPeer)
        self.network.cut("b", "a")
        dialling = self.a.transport.dial_back("b:1")
        self.assertNoResult(dialling)
        self.clock.advance(limits.PEER_DIAL_TIMEOUT_SECONDS)
        self.failureResultOf(dialling, PeerUnreachable)
