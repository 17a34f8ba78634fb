"""Two transports over real TCP: what a fake network cannot show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, succeed
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.trial.unittest import TestCase

from hraft import limits
from hraft.interfaces import PeerIdentity, Receivers
from hraft.peers.transport import AmpTransport
from hraft.questions import ForwardedResult, ForwardProposal
from hraft.raft.entry import Entry, EntryKind
from hraft.raft.messages import AppendEntries, Envelope, TimeoutNow


class Arrivals:
    """What arrived, and Deferreds that wait for more of it."""

    def __init__(self) -> None:
        self.messages: list[Envelope] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def add(self, envelope: Envelope) -> None:
        self.messages.append(envelope)
        for waiting in list(self._waiting):
            if waiting[0]():
                self._waiting.remove(waiting)
                waiting[1].callback(None)

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        deferred: Deferred[None] = Deferred()
        self._waiting.append((condition, deferred))
        return deferred


class LoopbackTests(TestCase):
    timeout = 30

    @inlineCallbacks
    def setUp(self) -> Any:
        self.nodes: dict[str, tuple[AmpTransport, Arrivals]] = {}
        self.addresses: dict[str, str] = {}
        for name in ("n1", "n2"):
            identity = PeerIdentity("c1", name, f"{name}:80")
            transport = AmpTransport(reactor, identity, lambda address: clientFromString(reactor, address), lambda: 0.0)
            port = yield serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(transport.factory)
            self.addCleanup(port.stopListening)
            self.addCleanup(transport.stop)
            self.addresses[name] = f"tcp:127.0.0.1:{port.getHost().port}"
            arrivals = Arrivals()
            answer = succeed(ForwardedResult(7, b'"done"'))
            transport.start(Receivers(arrivals.add, arrivals.add, lambda sender, request, answer=answer: answer))
            self.nodes[name] = transport, arrivals
        (self.one, _), (self.two, self.arrivals) = self.nodes["n1"], self.nodes["n2"]
        self.one.set_peers({"n2": self.addresses["n2"]})

    @inlineCallbacks
    def test_both_ends_set_tcp_nodelay(self) -> Any:
        """With it at one end only, small answers wait 40 ms for a delayed acknowledgement."""
        self.one.send(Envelope("n1", "n2", TimeoutNow(1)))
        yield self.arrivals.until(lambda: bool(self.arrivals.messages))
        ends = [*self.one._dialled, *self.two._accepted.connections]
        self.assertEqual(2, len(ends))
        for end in ends:
            self.assertTrue(end.transport.getTcpNoDelay())
            self.assertTrue(end.transport.getTcpKeepAlive())

    @pytest.mark.scenario("O2", "O5")
    @inlineCallbacks
    def test_large_and_small_arrive_whole_and_in_order(self) -> Any:
        """Through Twisted's own flow control, which pauses and resumes us."""
        sent = []
        for number, size in enumerate((10, limits.REQUEST_BODY_BYTES, 70_000, 3 * limits.REQUEST_BODY_BYTES, 1), 1):
            entry = Entry(number, 1, EntryKind.COMMAND, b'"' + b"x" * size + b'"')
            sent.append(Envelope("n1", "n2", AppendEntries(1, number - 1, 1, (entry,), 0)))
        for envelope in sent:
            self.one.send(envelope)
        yield self.arrivals.until(lambda: len(self.arrivals.messages) == len(sent))
        self.assertEqual(sent, self.arrivals.messages)

    @inlineCallbacks
    def test_questions_and_dial_back(self) -> Any:
        """Both over the sockets that production uses."""
        result, identity = yield gatherResults(
            [self.one.call("n2", ForwardProposal(b"1")), self.one.dial_back(self.addresses["n2"])]
        )
        self.assertEqual(ForwardedResult(7, b'"done"'), result)
        self.assertEqual(PeerIdentity("c1", "n2", "n2:80"), identity)
