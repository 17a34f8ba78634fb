"""One connection between two nodes, whichever of them dialled: boxes in, boxes out, under limits.

What is said before the hello is done, and by whom, is for the two subclasses. Knows nothing of peers' addresses, of
retrying, or of what messages mean.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IConsumer, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure
from zope.interface import implementer

from hraft import limits
from hraft.counting import Traffic
from hraft.errors import BadMessage, HraftError, PeerUnreachable
from hraft.interfaces import ChunkEnvelope, PeerIdentity, Receivers, SnapshotChunk, SnapshotChunkResponse
from hraft.peers.boxes import BoxParser, serialized
from hraft.peers.commands import decode_message
from hraft.peers.failures import as_amp_error
from hraft.peers.hello import Purpose
from hraft.peers.outbox import Outbox
from hraft.peers.questions import question_named
from hraft.raft.messages import Envelope
from hraft.tls.reasons import in_words

Responder = Callable[[dict[bytes, bytes]], "Awaitable[dict[bytes, bytes]]"]


class _Dispatcher(amp.BoxDispatcher):
    """AMP's questions and answers."""

    def ask(self, command: bytes, strings: dict[bytes, bytes]) -> Deferred[dict[bytes, bytes]]:
        """What `callRemoteString` does, which takes no argument named "command"."""
        asked: Deferred[dict[bytes, bytes]] = self._sendBoxCommand(command, amp.AmpBox(strings))  # type: ignore[no-untyped-call]
        return asked


@implementer(amp.IBoxSender, amp.IResponderLocator)
class PeerConnection(Protocol):
    """`peer` is None until the hello is done, and from then on the sender of everything that arrives."""

    log = Logger()

    def __init__(self, clock: IReactorTime, me: PeerIdentity, receivers: Receivers) -> None:
        self.clock = clock
        self.me = me
        self.receivers = receivers
        self.peer: PeerIdentity | None = None
        self.purpose: Purpose | None = None
        self.is_open = False
        self._reason = ""
        self._is_lost = False
        self._closed_listeners: list[Callable[[str], None]] = []
        self._parser = BoxParser(limits.PEER_HELLO_BYTES)
        self._dispatcher: Any = _Dispatcher(self)  # type: ignore[no-untyped-call]
        self._asked_count = 0
        self._answering_count = 0
        self._outbox: Outbox
        self._next_look: IDelayedCall | None = None
        self.alive_at_seconds = 0.0
        #: Its own, until it is known whose it is.
        self.traffic = Traffic()

    def greeted(self, peer: PeerIdentity, purpose: Purpose) -> None:
        """The hello is done: anything may be said."""
        self.peer, self.purpose = peer, purpose
        self._parser.size_limit_bytes = limits.PEER_FRAME_BYTES

    # --- out -------------------------------------------------------------------------------------

    def send(self, data: bytes) -> bool:
        """Send the bytes of a box; False when they were dropped, since the peer does not take what it was sent before."""
        if not self.is_open or not self._outbox.has_room(len(data)):
            return False
        self._outbox.send(data)
        self.traffic.sent_bytes += len(data)
        return True

    def ask(self, command: bytes, strings: dict[bytes, bytes]) -> Deferred[dict[bytes, bytes]]:
        """Fails with PeerUnreachable when nothing was asked; else, as AMP does, with RemoteAmpError or a lost connection."""
        size_bytes = sum(len(key) + len(value) + 4 for key, value in strings.items()) + limits.PEER_ERROR_BYTES
        if not self.is_open:
            return fail(PeerUnreachable("the connection is closed"))
        if size_bytes > limits.PEER_FRAME_BYTES:
            return fail(PeerUnreachable(f"a question of {size_bytes} bytes is above the limit of {limits.PEER_FRAME_BYTES}"))
        if not self._outbox.has_room(size_bytes):
            return fail(PeerUnreachable("the peer does not take what it was sent before"))
        if self._asked_count >= limits.PEER_REQUESTS_COUNT:
            return fail(PeerUnreachable(f"{self._asked_count} questions wait for an answer already"))
        self._asked_count += 1
        return cast("Deferred[dict[bytes, bytes]]", self._dispatcher.ask(command, strings)).addBoth(self._answered)

    def _answered(self, result: Any) -> Any:
        self._asked_count -= 1
        return result

    def sendBox(self, box: dict[bytes, bytes]) -> None:
        """IBoxSender: the dispatcher's questions, for which there was room, and answers, which the asker can do without.

        Many may come in one turn, and then leave together.
        """
        data = serialized(box)
        if self.is_open and self._outbox.has_room(len(data)):
            self._outbox.write(data)
            self.traffic.sent_bytes += len(data)

    def unhandledError(self, failure: Failure) -> None:
        """IBoxSender: what nobody else wanted."""
        self.abort(f"unhandled: {failure.getErrorMessage()}")

    # --- in --------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        assert self.transport is not None
        if self._reason:
            # It was given up while it was being dialled.
            self.abort(self._reason)
            return
        for option in ("setTcpNoDelay", "setTcpKeepAlive"):
            # Without TCP_NODELAY at both ends small messages wait 40 ms for an acknowledgement. A UNIX socket has neither.
            getattr(self.transport, option, lambda enabled: None)(True)
        self.is_open = True
        self.alive_at_seconds = self.clock.seconds()
        self._outbox = Outbox(cast(IConsumer, self.transport), self._show_life)
        self._dispatcher.startReceivingBoxes(self)
        self._next_look = self.clock.callLater(limits.PEER_PING_INTERVAL_SECONDS, self._look)

    def dataReceived(self, data: bytes) -> None:
        if not self.is_open:
            return
        self._show_life()
        self.traffic.received_bytes += len(data)
        try:
            for box in self._parser.feed(data):
                if not self.is_open:
                    return
                self._box_received(box)
        except BadMessage as error:
            self.abort(str(error))

    def _box_received(self, box: dict[bytes, bytes]) -> None:
        if b"_command" in box and b"_ask" not in box:
            self._message_received(box)
            return
        if amp.ERROR in box and not {amp.ERROR_CODE, amp.ERROR_DESCRIPTION} <= box.keys():
            # AMP would forget the question before it sees that, and whoever asked would be told nothing.
            raise BadMessage(f"an error without its text or code: {sorted(box)!r:.80}")
        try:
            self._dispatcher.ampBoxReceived(box)
        except (KeyError, amp.AmpError) as error:
            raise BadMessage(f"an answer to nothing: {error!r:.80}, {sorted(box)!r:.80}") from error

    def _message_received(self, box: dict[bytes, bytes]) -> None:
        if self.peer is None:
            raise BadMessage(f"{box[b'_command'][:40]!r} before the hello")
        message = decode_message(box)
        if isinstance(message, (SnapshotChunk, SnapshotChunkResponse)):
            self.receivers.chunk(ChunkEnvelope(self.peer.node_id, self.me.node_id, message))
        else:
            self.receivers.message(Envelope(self.peer.node_id, self.me.node_id, message))

    def locateResponder(self, name: bytes) -> Responder | None:
        """IResponderLocator. An error of hraft's travels in place of the answer; any other is logged and costs this answer."""
        respond = self.responder(name)
        if respond is None:
            return None

        async def answered(box: dict[bytes, bytes]) -> amp.AmpBox:
            if self._answering_count >= limits.PEER_REQUESTS_COUNT:
                raise as_amp_error(PeerUnreachable(f"{self._answering_count} questions are being answered already"))
            self._answering_count += 1
            try:
                return amp.AmpBox(await respond(box))
            except HraftError as error:
                raise as_amp_error(error) from error
            except Exception as error:
                command = name.decode("ascii", "replace")
                self.log.failure(
                    "{node}: {command} from {peer} met a defect", node=self.me.node_id, peer=self.name, command=command
                )
                raise amp.RemoteAmpError(amp.UNKNOWN_ERROR_CODE, "a defect, logged by the node that was asked") from error
            finally:
                self._answering_count -= 1

        return lambda box: Deferred.fromCoroutine(answered(box))

    def responder(self, name: bytes) -> Responder | None:
        """Who answers the command of this name now; None: nobody does."""
        question = question_named(name)
        if question is None or self.peer is None:
            return None
        return partial(question.answer, self.receivers, self.peer.node_id)

    @property
    def queued_bytes(self) -> int:
        """Of what was sent, what its transport has not taken yet."""
        return self._outbox.waiting_bytes if self.is_open else 0

    # --- life and death --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For logs: the peer's id, or its address while that is all that is known."""
        return self.peer.node_id if self.peer else str(getattr(self.transport.getPeer(), "host", "?") if self.transport else "?")

    def _show_life(self) -> None:
        self.alive_at_seconds = self.clock.seconds()

    def _look(self) -> None:
        """A peer that vanished without a word leaves a connection on which nothing moves, in either direction (N8)."""
        self._next_look = self.clock.callLater(limits.PEER_PING_INTERVAL_SECONDS, self._look)
        if self.clock.seconds() - self.alive_at_seconds >= limits.PEER_SILENCE_SECONDS:
            self.abort(f"nothing came or went for {limits.PEER_SILENCE_SECONDS} s")
        else:
            self.looked()

    def looked(self) -> None:
        """Called at every interval at which the connection still seems alive."""

    def when_closed(self, listener: Callable[[str], None]) -> None:
        """Call `listener` with the reason, once, when the connection is lost. One that was never made is never lost."""
        if self._is_lost:
            listener(self._reason)
        else:
            self._closed_listeners.append(listener)

    def close(self, reason: str) -> None:
        """Close when all that was sent has left, and soon in any case: `_look` goes on until the connection is lost."""
        if self.is_open:
            self.is_open = False
            self._reason = reason
            self._outbox.finish()
            assert self.transport is not None
            self.transport.loseConnection()

    def abort(self, reason: str) -> None:
        """Close now. What was sent may be lost."""
        self._reason = self._reason or reason
        if self.is_open:
            self.is_open = False
            self._outbox.discard()
        if self.transport is not None:
            getattr(self.transport, "abortConnection", self.transport.loseConnection)()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_open = False
        if self._next_look is not None and self._next_look.active():
            self._next_look.cancel()
        self._next_look = None
        # Half a box is as large as a box may be, and would stay until the collector of garbage finds this connection.
        self._parser = BoxParser(0)
        self._dispatcher.stopReceivingBoxes(reason)
        self._is_lost = True
        self._reason = self._reason or getattr(self.transport, "objection", "") or in_words(reason.value)
        listeners, self._closed_listeners = self._closed_listeners, []
        for listener in listeners:
            listener(self._reason)
