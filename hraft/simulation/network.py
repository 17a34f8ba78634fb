"""The network between nodes, in one thread: `hraft.interfaces.Transport` over a clock that is told what time it is.

All chance comes from one `random.Random`, so a seed and the same calls give the same losses, copies, delays and reorderings
again. Messages are objects that are passed on as they are: what they look like as bytes is not tried here.

    network = Network(clock, Random(7), Faults(loss_chance=0.1, delay_seconds=(0.001, 0.05)))
    transport = network.transport(identity, "node0:12000")
    network.cut("node0", "node1")       # one way; `partition` and `heal` for more

As over TCP, questions with an answer (`call`) are not lost one by one, but end when a node stops or a link is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import HraftError, OutcomeUnknown, PeerUnreachable, ReadFailed, WrongPeer
from hraft.interfaces import ChunkEnvelope, PeerIdentity, Receivers
from hraft.questions import ForwardChange, ForwardProposal, ForwardQuestion, ForwardReadIndex, Request
from hraft.raft.messages import Envelope


@dataclass(frozen=True, slots=True)
class Faults:
    """What may happen to one message. Delays are drawn between the two, so a wide range reorders."""

    loss_chance: float = 0.0
    duplicate_chance: float = 0.0
    delay_seconds: tuple[float, float] = (0.001, 0.001)


class Network:
    """Carries what nodes send, or does not. `faults` may be exchanged at any time."""

    def __init__(self, clock: IReactorTime, random: Random, faults: Faults | None = None) -> None:
        self.clock = clock
        self.faults = faults or Faults()
        #: Sees every message that is sent, before its fate is drawn; false loses it.
        self.lets_pass: Callable[[Envelope | ChunkEnvelope], bool] = lambda envelope: True
        self._random = random
        self._cut: set[tuple[str, str]] = set()
        self._listening: dict[str, SimulatedTransport] = {}

    def transport(self, identity: PeerIdentity, address: str) -> SimulatedTransport:
        """One node's end, reachable at `address` from its start to its stop."""
        return SimulatedTransport(self, identity, address)

    # --- partitions ------------------------------------------------------------------------------

    def cut(self, sender: str, to: str) -> None:
        """Nothing passes from the one to the other any more; the way back stays as it is."""
        self._cut.add((sender, to))

    def isolate(self, node_id: str, others: Iterable[str]) -> None:
        """Cut a node off from the others, both ways."""
        for other in others:
            if other != node_id:
                self._cut |= {(node_id, other), (other, node_id)}

    def partition(self, *groups: Iterable[str]) -> None:
        """Nothing passes between nodes of different groups."""
        parts = [tuple(group) for group in groups]
        for part in parts:
            for node_id in part:
                self.isolate(node_id, [other for group in parts if group is not part for other in group])

    def heal(self) -> None:
        """Everything passes again."""
        self._cut.clear()

    def is_cut(self, sender: str, to: str) -> bool:
        return (sender, to) in self._cut

    # --- for the transports ----------------------------------------------------------------------

    def listen(self, transport: SimulatedTransport) -> None:
        if transport.address in self._listening:
            raise ValueError(f"another node listens at {transport.address} already")
        self._listening[transport.address] = transport

    def stop_listening(self, transport: SimulatedTransport) -> None:
        if self._listening.get(transport.address) is transport:
            del self._listening[transport.address]

    def at(self, address: str) -> SimulatedTransport | None:
        """Who listens there."""
        return self._listening.get(address)

    def tell_removed(self, teller: SimulatedTransport, node_id: str, index: int) -> None:
        """Let a node hear, where the way to it is open, that it is no member any more."""
        for other in self.listening():
            if other.node_id == node_id and not self.is_cut(teller.node_id, node_id):
                self.clock.callLater(0, other.told_removed, index)

    def listening(self) -> tuple[SimulatedTransport, ...]:
        return tuple(self._listening.values())

    def carry(self, sender: SimulatedTransport, to: SimulatedTransport, envelope: Envelope | ChunkEnvelope) -> None:
        """Decide what becomes of one message."""
        if not self.lets_pass(envelope) or self._random.random() < self.faults.loss_chance:
            return
        copies_count = 2 if self._random.random() < self.faults.duplicate_chance else 1
        for _ in range(copies_count):
            self.later(sender, to, lambda: to.receive(envelope))

    def later(self, sender: SimulatedTransport, to: SimulatedTransport, arrive: Callable[[], None]) -> IDelayedCall:
        """Call `arrive` after a drawn delay, unless by then the link is cut or either end is another life of its node."""

        def arrived() -> None:
            if sender.is_listening and to.is_listening and not self.is_cut(sender.node_id, to.node_id):
                arrive()

        return self.clock.callLater(self._random.uniform(*self.faults.delay_seconds), arrived)


class SimulatedTransport:
    """One node's end of the network, for one life of the node."""

    def __init__(self, network: Network, identity: PeerIdentity, address: str) -> None:
        self.identity = identity
        self.address = address
        self.is_listening = False
        self._network = network
        self._receivers: Receivers | None = None
        self._peers: dict[str, str] = {}
        self._http_addresses: dict[str, str] = {}
        #: In order: that of a set would differ from run to run.
        self._questions: dict[_Question, None] = {}

    @property
    def node_id(self) -> str:
        return self.identity.node_id

    # --- hraft.interfaces.Transport --------------------------------------------------------------

    def start(self, receivers: Receivers) -> None:
        self._receivers = receivers
        self.is_listening = True
        self._network.listen(self)

    def set_peers(self, addresses: Mapping[str, str]) -> None:
        self._peers = dict(addresses)

    def send(self, envelope: Envelope) -> None:
        self._send(envelope)

    def send_chunk(self, envelope: ChunkEnvelope) -> None:
        self._send(envelope)

    def call(self, to: str, request: Request) -> Deferred[Any]:
        return _Question(self._network, self, to, request).asked

    def dial_back(self, address: str) -> Deferred[PeerIdentity]:
        """Answered at once where somebody listens, after the dial timeout where the way is cut."""
        other = self._network.at(address)
        if other is None:
            return fail(PeerUnreachable(f"nobody listens at {address}"))
        if self._network.is_cut(self.node_id, other.node_id) or self._network.is_cut(other.node_id, self.node_id):
            return self._not_answered(PeerUnreachable(f"no answer from {address}"))
        if other.identity.cluster_id != self.identity.cluster_id:
            return fail(WrongPeer(f"{address} belongs to cluster {other.identity.cluster_id}, not {self.identity.cluster_id}"))
        return succeed(other.identity)

    def http_address(self, node_id: str) -> str | None:
        return self._http_addresses.get(node_id)

    def stop(self) -> Deferred[None]:
        self.crash()
        return succeed(None)

    # --- for the network and its users -----------------------------------------------------------

    def crash(self) -> None:
        """The process is gone: nothing more arrives, and whatever was asked or on its way is lost."""
        self.is_listening = False
        self._network.stop_listening(self)
        for question in list(self._questions):
            question.lost("the connection was closed")

    def way_to(self, node_id: str) -> SimulatedTransport | None:
        """A peer of ours at its address, or one whose peer we are: it dialled us, and that connection serves both ways."""
        address = self._peers.get(node_id)
        if address is not None:
            other = self._network.at(address)
            return other if other is not None and other.node_id == node_id else None
        for other in self._network.listening():
            if other.node_id == node_id and self.is_peer_of(other):
                return other
        return None

    def is_peer_of(self, other: SimulatedTransport) -> bool:
        return other._peers.get(self.node_id) == self.address

    def hang_up(self, node_id: str) -> None:
        """There are no connections: each message is judged by its sender."""

    def receive(self, envelope: Envelope | ChunkEnvelope) -> None:
        """Hand in what arrived; or tell its sender that it was removed, as the answer to a hello would."""
        assert self._receivers is not None
        index = self._receivers.removal_of(envelope.sender)
        if index is not None:
            self._network.tell_removed(self, envelope.sender, index)
            return
        sender = self.way_to(envelope.sender)
        if sender is not None:
            self._http_addresses[envelope.sender] = sender.identity.http_address
        if isinstance(envelope, Envelope):
            self._receivers.message(envelope)
        else:
            self._receivers.chunk(envelope)

    def told_removed(self, index: int) -> None:
        """A peer says so."""
        if self.is_listening and self._receivers is not None:
            self._receivers.removed(index)

    def requested(self, sender: str, request: Request) -> Deferred[Any]:
        assert self._receivers is not None
        return self._receivers.request(sender, request)

    def track(self, question: _Question) -> None:
        self._questions[question] = None

    def forget(self, question: _Question) -> None:
        self._questions.pop(question, None)

    def _send(self, envelope: Envelope | ChunkEnvelope) -> None:
        to = self.way_to(envelope.to)
        if to is not None and self.is_listening:
            self._network.carry(self, to, envelope)

    def _not_answered(self, error: HraftError) -> Deferred[Any]:
        waiting: Deferred[Any] = Deferred(lambda _: giving_up.cancel())
        giving_up = self._network.clock.callLater(limits.PEER_DIAL_TIMEOUT_SECONDS, waiting.errback, error)
        return waiting


class _Question:
    """One request on its way to a peer, and its answer on the way back."""

    def __init__(self, network: Network, sender: SimulatedTransport, to: str, request: Request) -> None:
        self.asked: Deferred[Any] = Deferred(lambda _: self._end())
        self._network = network
        self._sender = sender
        self._request = request
        self._is_over = False
        self._timeout: IDelayedCall | None = None
        other = sender.way_to(to)
        if other is None or network.is_cut(sender.node_id, to):
            self._fail(PeerUnreachable(f"no connection to {to}"))
            return
        sender.track(self)
        self._timeout = network.clock.callLater(limits.FORWARD_TIMEOUT_SECONDS, self.lost, "no answer in time")
        network.later(sender, other, lambda: self._arrived(other))

    def lost(self, reason: str) -> None:
        """It was asked, and the answer will not come."""
        if isinstance(self._request, ForwardProposal | ForwardChange | ForwardQuestion):
            self._fail(OutcomeUnknown(reason))
        elif isinstance(self._request, ForwardReadIndex):
            self._fail(ReadFailed(reason))
        else:
            self._fail(PeerUnreachable(reason))

    def _arrived(self, other: SimulatedTransport) -> None:
        def answered(result: Any) -> None:
            self._network.later(other, self._sender, lambda: self._answer(result))

        other.requested(self._sender.node_id, self._request).addBoth(answered)

    def _answer(self, result: Any) -> None:
        if not self._is_over:
            self._end()
            if isinstance(result, Failure):
                self.asked.errback(result)
            else:
                self.asked.callback(result)

    def _fail(self, error: HraftError) -> None:
        if not self._is_over:
            self._end()
            self.asked.errback(error)

    def _end(self) -> None:
        self._is_over = True
        self._sender.forget(self)
        if self._timeout is not None and self._timeout.active():
            self._timeout.cancel()
