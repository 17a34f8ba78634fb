"""`hraft.interfaces.Transport` over AMP: which connection a message takes, and who hears what arrives.

Every node dials every peer and speaks on the connections that it dialled. Only to a node that it does not know as a peer -
a leader that takes this node in, or a candidate it was not told about - it answers where it was asked: it has no address.
Knows nothing of boxes, and of Raft only the names of nodes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from hraft.counting import Traffic
from hraft.errors import BadAddress, BadMessage, NodeRemoved, PeerUnreachable
from hraft.interfaces import ChunkEnvelope, PeerIdentity, Receivers
from hraft.limits import FORWARD_TIMEOUT_SECONDS
from hraft.peers.accepted import AcceptedConnection, AcceptedConnections
from hraft.peers.commands import encode_message
from hraft.peers.dialled import DialledConnection, connect
from hraft.peers.hello import Purpose
from hraft.peers.link import Link, Target
from hraft.peers.protocol import PeerConnection
from hraft.peers.questions import question_for
from hraft.questions import Request
from hraft.raft.messages import Envelope, InstallSnapshot


class AmpTransport:
    """`dial` makes an endpoint of an address, or raises BadAddress; listening with `factory` is the caller's part.

    `jitter` gives numbers from 0 to 1, and spreads the retries of nodes that lost a peer at the same time.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        identity: PeerIdentity,
        dial: Callable[[str], IStreamClientEndpoint],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.identity = identity
        self._reactor = reactor
        self._endpoint = dial
        self._jitter = jitter
        self._accepted = AcceptedConnections(reactor, identity, self._heard_from)
        self._receivers: Receivers | None = None
        self._addresses: dict[str, str] = {}
        self._links: dict[tuple[str, Purpose], Link] = {}
        self._dialled: set[DialledConnection] = set()
        self._dialling_back: set[Deferred[DialledConnection]] = set()
        self._http_addresses: dict[str, str] = {}
        #: By peer, as long as it is one.
        self.traffic: dict[str, Traffic] = {}
        #: The last message that was sent, as its bytes.
        self._last_encoded: tuple[object, bytes] = (None, b"")

    @property
    def factory(self) -> IProtocolFactory:
        """What listens on the raft port. Until `start` it closes what it accepts."""
        return self._accepted

    def start(self, receivers: Receivers) -> None:
        self._receivers = receivers
        self._accepted.start(receivers)
        self.set_peers(self._addresses)

    def set_peers(self, addresses: Mapping[str, str]) -> None:
        """Before `start`, only remembered."""
        self._addresses = {peer: address for peer, address in addresses.items() if peer != self.identity.node_id}
        if self._receivers is None:
            return
        self.traffic = {peer: self.traffic.get(peer) or Traffic() for peer in self._addresses}
        self._http_addresses = {peer: http for peer, http in self._http_addresses.items() if peer in self._addresses}
        for (peer, purpose), link in list(self._links.items()):
            if self._addresses.get(peer) != link.target.address:
                link.close()
                del self._links[peer, purpose]
        for peer, address in self._addresses.items():
            for purpose in (Purpose.MESSAGES, Purpose.BULK):
                if (peer, purpose) not in self._links:
                    self._links[peer, purpose] = Link(
                        self._reactor, self.identity.node_id, Target(peer, address, purpose), self._dial, self._jitter
                    )
            self._links[peer, Purpose.MESSAGES].open()

    def send(self, envelope: Envelope) -> None:
        # It would name a file that the peer does not have: chunks go, and the peer's own service says when they are whole.
        assert not isinstance(envelope.message, InstallSnapshot), "a snapshot is sent in chunks"
        self._send(envelope, Purpose.MESSAGES)

    def send_chunk(self, envelope: ChunkEnvelope) -> None:
        self._send(envelope, Purpose.BULK)

    def call(self, to: str, request: Request) -> Deferred[Any]:
        return Deferred.fromCoroutine(self._call(to, request))

    def dial_back(self, address: str) -> Deferred[PeerIdentity]:
        return Deferred.fromCoroutine(self._dial_back(address))

    def hang_up(self, node_id: str) -> None:
        self._accepted.hang_up(node_id)

    def http_address(self, node_id: str) -> str | None:
        stranger = self._accepted.connection_from(node_id, Purpose.MESSAGES)
        return self._http_addresses.get(node_id) or (stranger.peer.http_address if stranger and stranger.peer else None)

    def queued_bytes(self, peer: str) -> int:
        """What waits to be sent to a peer, since it does not take it."""
        links = [self._links.get((peer, purpose)) for purpose in (Purpose.MESSAGES, Purpose.BULK)]
        return sum(link.connection.queued_bytes for link in links if link is not None and link.connection is not None)

    def stop(self) -> Deferred[None]:
        """What was sent still leaves where the peer takes it; fires when every connection is closed."""
        self._receivers = None
        self._accepted.stop()
        for link in self._links.values():
            link.close()
        self._links.clear()
        for dialling in list(self._dialling_back):
            dialling.cancel()
        connections: list[PeerConnection] = [*self._dialled, *self._accepted.connections]
        closed = []
        for connection in connections:
            connection.close("this node stops")
            closed.append(_when_closed(connection))
        return DeferredList(closed).addCallback(_forget)

    # --- out -------------------------------------------------------------------------------------

    def _send(self, envelope: Envelope | ChunkEnvelope, purpose: Purpose) -> None:
        way = self._links.get((envelope.to, purpose)) or self._accepted.connection_from(envelope.to, purpose)
        if way is None:
            return
        try:
            way.send(self._encoded(envelope.message))
        except BadMessage as error:
            node = self.identity.node_id
            self.log.error("{node}: a message to {peer} was not sent: {reason}", node=node, peer=envelope.to, reason=str(error))

    def _encoded(self, message: object) -> bytes:
        """Made once for all who are told the same, one after the other, as a leader's entries are."""
        last, data = self._last_encoded
        if message != last:
            data = encode_message(message)
            self._last_encoded = message, data
        return data

    async def _call(self, to: str, request: Request) -> Any:
        question = question_for(request)
        try:
            connection = await self._connection_to(to)
            asked = connection.ask(question.command.commandName, question.asked.strings(request))
            box = await asked.addTimeout(FORWARD_TIMEOUT_SECONDS, self._reactor)
        except CancelledError:
            raise
        except Exception as error:
            raise question.error(error) from error
        return question.result(box)

    def _connection_to(self, peer: str) -> Deferred[Any]:
        link = self._links.get((peer, Purpose.MESSAGES))
        if link is not None:
            return link.connected()
        accepted = self._accepted.connection_from(peer, Purpose.MESSAGES)
        return succeed(accepted) if accepted else fail(PeerUnreachable(f"node {peer!r} is not a peer of this node"))

    # --- connections -----------------------------------------------------------------------------

    def _dial(self, target: Target) -> Deferred[DialledConnection]:
        if self._receivers is None:
            return fail(PeerUnreachable("this node has not started, or is stopping"))
        try:
            endpoint = self._endpoint(target.address)
        except (BadAddress, ValueError) as error:
            return fail(PeerUnreachable(str(error)))
        connection = DialledConnection(self._reactor, self.identity, self._receivers)
        connection.when_closed(lambda reason: self._dialled.discard(connection))
        return connect(endpoint, connection, target.peer, target.purpose).addCallbacks(self._reached, self._not_reached)

    def _reached(self, connection: DialledConnection) -> DialledConnection:
        self._dialled.add(connection)
        self._count(connection)
        self._note_http_address(connection)
        return connection

    def _not_reached(self, failure: Failure) -> DialledConnection:
        if isinstance(failure.value, NodeRemoved) and self._receivers is not None:
            self._receivers.removed(failure.value.index)
        failure.raiseException()

    def _heard_from(self, connection: AcceptedConnection) -> None:
        assert connection.peer is not None and connection.purpose is not None
        self._count(connection)
        self._note_http_address(connection)
        link = self._links.get((connection.peer.node_id, connection.purpose))
        if link is not None:
            link.hurry()

    def _count(self, connection: PeerConnection) -> None:
        """Now that it is known whose it is. What a stranger sends is counted by nobody."""
        traffic = None if connection.peer is None else self.traffic.get(connection.peer.node_id)
        if traffic is not None:
            traffic.add(connection.traffic)
            traffic.connections_count += 1
            connection.traffic = traffic

    def _note_http_address(self, connection: PeerConnection) -> None:
        if connection.peer is not None and connection.peer.node_id in self._addresses:
            self._http_addresses[connection.peer.node_id] = connection.peer.http_address

    async def _dial_back(self, address: str) -> PeerIdentity:
        dialling = self._dial(Target("", address, Purpose.DIAL_BACK))
        self._dialling_back.add(dialling)
        try:
            connection = await dialling
        except PeerUnreachable as error:
            raise PeerUnreachable(f"no connection to {address}: {error}") from error
        finally:
            self._dialling_back.discard(dialling)
        connection.close("only to see who answers")
        assert connection.peer is not None
        return connection.peer


def _when_closed(connection: PeerConnection) -> Deferred[None]:
    closed: Deferred[None] = Deferred()
    connection.when_closed(lambda reason: closed.callback(None))
    return closed


def _forget(result: object) -> None:
    return None
