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
from hraft.addresses import url_of
from hraft.errors import BadMessage, NodeRemoved, WrongPeer
from hraft.hints import http_hint
from hraft.interfaces import PeerIdentity, Receivers
from hraft.peers.commands import Hello
from hraft.peers.dialled import HELLO_ANSWER, HELLO_SAID
from hraft.peers.hello import Purpose, identity_in, objection_to_hello, purpose_of
from hraft.peers.protocol import PeerConnection, Responder


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
        url = url_of(self.me.http_address)
        self.send(http_hint(f"This is the raft port of hraft node {self.me.node_id}; for HTTP ask {url}/"))
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
        index = self.receivers.removal_of(hello.node_id)
        if index is not None:
            self._owner.refused(self, hello.node_id, f"node {hello.node_id!r} was removed from the cluster at index {index}")
            raise NodeRemoved(index)
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
        #: The first was accepted first.
        self.connections: dict[AcceptedConnection, None] = {}
        self._by_peer: dict[tuple[str, Purpose], AcceptedConnection] = {}
        #: Host, node and reason of the refusals that were logged, so that a peer that tries again and again is one line.
        self._complaints: set[tuple[str, str, str]] = set()
        self._complaints_forgotten_at_seconds = clock.seconds()

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
            if not self._make_room():
                return None
        connection = AcceptedConnection(self._clock, self._me, self._receivers, host, self)
        self.connections[connection] = None
        connection.when_closed(lambda reason: self._lost(reason, connection))
        return connection

    def _make_room(self) -> bool:
        """Cut who has not said hello for longest, or else the quietest of those that their peer has dialled anew since.

        A peer says hello at once and is not quiet, so that whoever fills the port keeps no peer out.
        """
        strangers = (connection for connection in self.connections if connection.peer is None)
        current = set(self._by_peer.values())
        replaced = [connection for connection in self.connections if connection not in current and connection.peer is not None]
        found = next(strangers, None) or min(replaced, key=lambda connection: connection.alive_at_seconds, default=None)
        if found is None:
            return False
        del self.connections[found]
        found.abort("its place is needed")
        return True

    def hang_up(self, node_id: str) -> None:
        """Close what that node has dialled."""
        for connection in list(self.connections):
            if connection.peer is not None and connection.peer.node_id == node_id:
                connection.close("it was removed from the cluster")

    def refused(self, connection: AcceptedConnection, claimed_id: str, objection: str) -> None:
        connection.was_refused = True
        self._complain((connection.host, claimed_id), objection)

    def greeted(self, connection: AcceptedConnection) -> None:
        """The newest connection of a peer counts: it would not have dialled anew if the one before were any good.

        That one ends by its silence, and not by this: who repeats a hello that it has overheard must not cut a peer off.
        """
        assert connection.peer is not None and connection.purpose is not None
        who = (connection.host, connection.peer.node_id)
        self._complaints = {complaint for complaint in self._complaints if complaint[:2] != who}
        if connection.purpose is Purpose.DIAL_BACK:
            return
        peer, purpose = connection.peer.node_id, connection.purpose
        self._by_peer[peer, purpose] = connection
        self.log.info(
            "{node}: {peer} connected from {address} for {purpose}",
            node=self._me.node_id,
            peer=peer,
            address=connection.host,
            purpose=purpose.value,
        )
        self._greeted(connection)

    def _lost(self, reason: str, connection: AcceptedConnection) -> None:
        self.connections.pop(connection, None)
        if connection.peer is None or connection.purpose is None:
            if not connection.was_refused:
                self._complain((connection.host, ""), reason)
            return
        peer, purpose = connection.peer.node_id, connection.purpose
        if self._by_peer.get((peer, purpose)) is connection:
            del self._by_peer[peer, purpose]
            for other in self.connections:
                if other.peer is not None and (other.peer.node_id, other.purpose) == (peer, purpose):
                    self._by_peer[peer, purpose] = other
            self.log.info(
                "{node}: {peer} at {address} hung up its connection for {purpose}: {reason}",
                node=self._me.node_id,
                peer=peer,
                address=connection.host,
                purpose=purpose.value,
                reason=reason,
            )

    def _complain(self, who: tuple[str, str], reason: str) -> None:
        if (*who, reason) in self._complaints:
            return
        if len(self._complaints) >= limits.PEER_COMPLAINTS_COUNT:
            if self._clock.seconds() - self._complaints_forgotten_at_seconds < limits.PEER_COMPLAINTS_SECONDS:
                return
            self._complaints_forgotten_at_seconds = self._clock.seconds()
            self._complaints.clear()
        self._complaints.add((*who, reason))
        self.log.warn(
            "{node}: refused a connection from {address}: {reason}",
            node=self._me.node_id,
            address=who[0],
            peer=who[1],
            reason=reason,
        )
