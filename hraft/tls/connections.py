"""Connections under TLS, for whatever protocol is inside: a handshake in time, or none; the other end's identity before a word.

    Secured(factory, ...)            in the place of a factory that listens
    SecuredEndpoint(endpoint, ...)   in the place of an endpoint: connects when the hands are shaken, and fails in words if not

Twisted's TLS has no time-out for a handshake, calls a connection made before there is any TLS, and takes the global reactor's
time. Knows nothing of files and of what is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from hraft.errors import HandshakeFailed
from hraft.limits import TLS_CLOSE_TIMEOUT_SECONDS, TLS_HANDSHAKE_TIMEOUT_SECONDS
from hraft.sending import send_now
from hraft.tls.files import is_ip
from hraft.tls.reasons import in_words

#: With which every TLS connection begins: a handshake record.
_HANDSHAKE = b"\x16"


class SecuredConnection(BufferingTLSTransport):
    """One connection. To the protocol inside it is the transport, whose `objection` tells why it was refused, if it was."""

    factory: Secured
    transport: Any

    def __init__(self, factory: Secured, inner: Any) -> None:
        super().__init__(factory, inner)
        self.host = factory.host
        self.objection = ""
        self.is_host_verified = False
        self._has_shaken = False
        #: What follows from that has been done, too: not inside of OpenSSL, where it is noticed.
        self._is_settled = False
        self._is_first = True
        self._is_foreign = False
        self._is_paused = False
        self._timer: IDelayedCall | None = None
        self._shaken: Deferred[None] | None = None

    def shaken(self) -> Deferred[None]:
        """Fires when both ends agree. Fails with HandshakeFailed; cancelling it ends the connection. To be asked for once."""
        if self._is_settled:
            return succeed(None)
        if not self.connected:
            return fail(HandshakeFailed(self.objection or "the connection was lost"))
        self._shaken = Deferred(self._given_up)
        return self._shaken

    def makeConnection(self, transport: Any) -> None:
        self._timer = self.factory.clock.callLater(TLS_HANDSHAKE_TIMEOUT_SECONDS, self._too_slow)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]
        self._settle()

    def hands_shaken(self) -> None:
        """Called by OpenSSL in the midst of its work; by TLS 1.3 more than once."""
        self._has_shaken = True

    def dataReceived(self, data: bytes) -> None:
        if self._is_first and self.host is None and data[:1] != _HANDSHAKE:
            self._is_foreign = True
            self.objection = "what came is not TLS"
            self.transport.write(self.factory.answer_to_plain)
            self.transport.loseConnection()
        self._is_first = False
        if not self._is_foreign:
            super().dataReceived(data)  # type: ignore[no-untyped-call]
            self._settle()

    def _settle(self) -> None:
        if self._is_settled or not self._has_shaken:
            return
        if self.host is not None and not self.is_host_verified:
            # It was refused already, unless OpenSSL accepted a certificate without asking us.
            self.objection = self.objection or "nobody has looked whose certificate it is"
            self.abortConnection()
            return
        self._is_settled = True
        self._stop_timer()
        if self._is_paused:
            self.transport.pauseProducing()
        shaken, self._shaken = self._shaken, None
        if shaken is not None:
            shaken.callback(None)

    def _given_up(self, shaken: Deferred[None]) -> None:
        self._shaken = None
        self.abortConnection()

    def _too_slow(self) -> None:
        self._timer = None
        self.objection = f"no TLS handshake within {TLS_HANDSHAKE_TIMEOUT_SECONDS:g} s"
        self.abortConnection()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    # --- what Twisted says of every TLS connection that it can, and a UNIX socket cannot -----------

    def setTcpNoDelay(self, enabled: bool) -> None:
        getattr(self.transport, "setTcpNoDelay", _ignore)(enabled)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        getattr(self.transport, "setTcpKeepAlive", _ignore)(enabled)

    # --- reading ---------------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        """Who is inside wants to read no more. That must not stop the handshake, without which nothing is written either."""
        self._is_paused = True
        if self._is_settled:
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._is_paused = False
        self.transport.resumeProducing()

    # --- writing ---------------------------------------------------------------------------------

    def send_now(self) -> None:
        """Encrypt and send what was just written (see `hraft.sending`), for which Twisted waits until the reactor's next turn."""
        if not self.connected or self.disconnecting or not self._is_settled:
            return
        self._aggregator.flush()
        if not getattr(self.transport, "producerPaused", False):
            send_now(self.transport)

    # --- the end ---------------------------------------------------------------------------------

    def loseConnection(self) -> None:
        super().loseConnection()
        if self.host is not None and self.connected and self._timer is None:
            # Who was dialled has time-outs of its own, according to what it still has to deliver.
            self._timer = self.factory.clock.callLater(TLS_CLOSE_TIMEOUT_SECONDS, self._never_closed)

    def _never_closed(self) -> None:
        self._timer = None
        self.abortConnection()

    def abortConnection(self) -> None:
        """Harmless when it is lost already, which Twisted's is not."""
        if self.connected:
            super().abortConnection()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_timer()
        if not self._is_settled and not self.objection and self._reason is not None:
            self.objection = in_words(self._reason.value)
        super().connectionLost(reason)
        shaken, self._shaken = self._shaken, None
        if shaken is not None:
            shaken.errback(HandshakeFailed(self.objection or f"the connection ended in the handshake: {in_words(reason.value)}"))


def _ignore(enabled: bool) -> None:
    return None


@implementer(IProtocolFactory)
class _Inside:
    """A factory, and nothing else. For one that negotiates protocols Twisted 25.5 changes the context at every connection, which
    pyOpenSSL forbids by now."""

    def __init__(self, factory: Any) -> None:
        self._factory = factory
        self.buildProtocol = factory.buildProtocol
        self.doStart = factory.doStart
        self.doStop = factory.doStop

    def logPrefix(self) -> str:
        return type(self._factory).__name__


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class _Creator:
    """The context is asked for anew for each connection, so that new certificates are shown by new connections."""

    def __init__(self, context: Callable[[], SSL.Context], host: str | None) -> None:
        self._context = context
        self._host = host

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context(), None)
        connection.set_app_data(tlsProtocol)
        return connection

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = self.serverConnectionForTLS(tlsProtocol)
        if self._host is not None and not is_ip(self._host):
            # Addresses are not sent (RFC 6066, Section 3).
            connection.set_tlsext_host_name(self._host.rstrip(".").encode("ascii"))
        return connection


class Secured(TLSMemoryBIOFactory):
    """Puts TLS under another factory's protocols. `context` is OpenSSL's; with `host` this is the end that dials it.

    `answer_to_plain` is sent to whoever speaks no TLS.
    """

    noisy = False
    protocol = SecuredConnection

    def __init__(
        self,
        factory: IProtocolFactory,
        context: Callable[[], SSL.Context],
        clock: IReactorTime,
        host: str | None = None,
        answer_to_plain: bytes = b"",
    ) -> None:
        super().__init__(_Creator(context, host), host is not None, _Inside(factory), clock)
        self.clock = clock
        self.host = host
        self.answer_to_plain = answer_to_plain

    def logPrefix(self) -> str:
        return f"{self.wrappedFactory.logPrefix()} (TLS)"

    def buildProtocol(self, addr: IAddress | None) -> Any:
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else SecuredConnection(self, inner)


@implementer(IStreamClientEndpoint)
class SecuredEndpoint:
    """TLS on top of another endpoint, to a host whose certificate must say that it is this one."""

    def __init__(
        self, endpoint: IStreamClientEndpoint, context: Callable[[], SSL.Context], host: str, clock: IReactorTime
    ) -> None:
        self._endpoint = endpoint
        self._context = context
        self._host = host
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Fires with the protocol when the hands are shaken. Fails with HandshakeFailed, or as the other endpoint does."""

        async def connected() -> Any:
            connection: Any = await self._endpoint.connect(Secured(protocolFactory, self._context, self._clock, self._host))
            inner = connection.wrappedProtocol
            await connection.shaken()
            return inner

        return Deferred.fromCoroutine(connected())
