"""The end of a connection at the node that was dialled: it waits for a hello, and refuses whom it does not know.

Knows nothing of the peers that this node dials itself.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import BadMessage, WrongPeer
from hraft.interfaces import PeerIdentity, Receivers
from hraft.peers.commands import Hello
from hraft.peers.dialled import HELLO_ANSWER, HELLO_SAID
from hraft.peers.hello import Purpose, identity_in, objection_to_hello, purpose_of
from hraft.peers.protocol import PeerConnection, Responder

_HINT_HEAD = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
)


class AcceptedConnection(PeerConnection):
    """`host` is where it comes from; `was_refused` that its hello was, and that this has been logged."""

    def __init__(
        self, clock: IReactorTime, me: PeerIdentity, receivers: Receivers, host: str, owner: AcceptedConnections
    ) -> None:
        super().__init__(clock, me, receivers)
        self.host = host
        self.was_refused = False
        self._owner = owner
        self._is_first = True
        self._hello_due = clock.callLater(limits.PEER_HELLO_TIMEOUT_SECONDS, self._hello_missed)

    def dataReceived(self, data: bytes) -> None:
        # The first byte of AMP is the high byte of a short key's length. Anything else is a person with the wrong port.
        if self._is_first and data[:1] != b"\0" and self.is_open:
            self._hint()
        else:
            super().dataReceived(data)
        self._is_first = False

    def _hint(self) -> None:
        hint = f"This is the raft port of hraft node {self.me.node_id}; for HTTP ask http://{self.me.http_address}/\n".encode()
        self.send(_HINT_HEAD % len(hint) + hint)
        self.close("what came is not AMP")

    def _hello_missed(self) -> None:
        self.abort(f"no hello within {limits.PEER_HELLO_TIMEOUT_SECONDS} s")

    def responder(self, name: bytes) -> Responder | None:
        return self._hello_received if name == Hello.commandName else super().responder(name)

    async def _hello_received(self, box: dict[bytes, bytes]) -> dict[bytes, bytes]:
        if self.peer is not None:
            raise BadMessage(f"node {self.peer.node_id!r} says hello twice on one connection")
        hello = HELLO_SAID.value(box)
        purpose = purpose_of(hello)
        objection = objection_to_hello(self.me, hello)
        if objection:
            self._owner.refused(self, hello.node_id, objection)
            raise WrongPeer(objection)
        self._hello_due.cancel()
        self.greeted(identity_in(hello), purpose)
        self._owner.greeted(self)
        return HELLO_ANSWER.strings(self.me)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._hello_due.active():
            self._hello_due.cancel()
        super().connectionLost(reason)


class AcceptedConnections(Factory):
    """The factory for the raft port, and all connections that others dialled."""

    noisy = False
    log = Logger()

    def __init__(self, clock: IReactorTime, me: PeerIdentity, greeted: Callable[[AcceptedConnection], None]) -> None:
        self._clock = clock
        self._me = me
        self._greeted = greeted
        self._receivers: Receivers | None = None
        self.connections: set[AcceptedConnection] = set()
        self._by_peer: dict[tuple[str, Purpose], AcceptedConnection] = {}
        #: The last refusal of each host and node that was logged, so that a peer that tries again and again is one line.
        self._complaints: dict[tuple[str, str], str] = {}

    def start(self, receivers: Receivers) -> None:
        self._receivers = receivers

    def stop(self) -> None:
        self._receivers = None

    def connection_from(self, peer: str, purpose: Purpose) -> AcceptedConnection | None:
        return self._by_peer.get((peer, purpose))

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        host = str(getattr(addr, "host", None) or addr)
        if self._receivers is None:
            return None
        if len(self.connections) >= limits.PEER_CONNECTIONS_COUNT:
            self._complain((host, ""), f"{len(self.connections)} peer connections are open, which is the limit")
            return None
        connection = AcceptedConnection(self._clock, self._me, self._receivers, host, self)
        self.connections.add(connection)
        connection.when_closed(lambda reason: self._lost(reason, connection))
        return connection

    def refused(self, connection: AcceptedConnection, claimed_id: str, objection: str) -> None:
        connection.was_refused = True
        self._complain((connection.host, claimed_id), objection)

    def greeted(self, connection: AcceptedConnection) -> None:
        """The newest connection of a peer counts: it would not have dialled anew if the one before were any good."""
        assert connection.peer is not None and connection.purpose is not None
        self._complaints.pop((connection.host, connection.peer.node_id), None)
        if connection.purpose is Purpose.DIAL_BACK:
            return
        peer, purpose = connection.peer.node_id, connection.purpose
        before = self._by_peer.get((peer, purpose))
        self._by_peer[peer, purpose] = connection
        self.log.info(
            "{node}: {peer} connected from {address} for {purpose}",
            node=self._me.node_id,
            peer=peer,
            address=connection.host,
            purpose=purpose.value,
        )
        if before is not None:
            before.abort("the peer dialled anew")
        self._greeted(connection)

    def _lost(self, reason: str, connection: AcceptedConnection) -> None:
        self.connections.discard(connection)
        if connection.peer is None or connection.purpose is None:
            if not connection.was_refused:
                self._complain((connection.host, ""), reason)
            return
        peer, purpose = connection.peer.node_id, connection.purpose
        if self._by_peer.get((peer, purpose)) is connection:
            del self._by_peer[peer, purpose]
            self.log.info(
                "{node}: {peer} at {address} hung up its connection for {purpose}: {reason}",
                node=self._me.node_id,
                peer=peer,
                address=connection.host,
                purpose=purpose.value,
                reason=reason,
            )

    def _complain(self, who: tuple[str, str], reason: str) -> None:
        if self._complaints.get(who) == reason:
            return
        if len(self._complaints) >= limits.PEER_CONNECTIONS_COUNT:
            self._complaints.clear()
        self._complaints[who] = reason
        self.log.warn(
            "{node}: refused a connection from {address}: {reason}",
            node=self._me.node_id,
            address=who[0],
            peer=who[1],
            reason=reason,
        )
