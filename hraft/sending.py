"""Bytes that leave at once, instead of in the reactor's next turn, and those that never arrive. Knows nothing of what they mean.

Twisted sends what was written when the reactor next finds that the socket takes it. It nearly always does, so for one small
answer that turn costs more than the sending, and the other end waits for it. Asking the reactor to look for it, and then not to
look any more, are two system calls as well, which `send` does without.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp
from twisted.protocols.policies import ProtocolWrapper

#: The first is what servers have: where a type is the very one, Python need not ask the other's registry of types.
_CONNECTIONS = (tcp.Server, tcp.Connection)


def send(transport: Any, data: bytes) -> None:
    """Write to a transport: at once where nothing waits before it and the socket takes it; else, and the rest, as ever.

    One under TLS has a way of its own (`hraft.tls.connections`); what is no TCP connection sends in its own time.
    """
    if _is_plain(transport) and not (transport.dataBuffer or transport._tempDataBuffer):
        try:
            data = data[transport.getHandle().send(data) :]
        except OSError:
            # The socket is full; or the connection is lost, which the reactor will find out by itself.
            pass
        if not data:
            return
    transport.write(data)
    if not isinstance(transport, tcp.Connection):
        send_now(transport)


def send_now(transport: Any) -> None:
    """Send what somebody else has just written, as much as the socket takes; the rest leaves as ever.

    Does nothing for what is no TCP connection. Not for a transport that has asked its producer to pause: that would be
    resumed inside of this call.
    """
    if _is_plain(transport):
        # What this would say of a lost connection, the reactor will find out by itself.
        transport.doWrite()
    elif (way_of_its_own := getattr(transport, "send_now", None)) is not None:
        way_of_its_own()


def _is_plain(transport: Any) -> bool:
    return isinstance(transport, _CONNECTIONS) and transport.connected and not (transport.disconnecting or transport.TLS)  # type: ignore[return-value]


def lose_after(transport: Any, seconds: float) -> None:
    """Have the connection lost when nothing of what is sent is acknowledged for so long, instead of after a quarter of an hour.

    For one that only ever sends: its other end may have vanished without a word. Where the system cannot do it (it is Linux's
    TCP_USER_TIMEOUT), or there is no TCP connection, nothing is changed.
    """
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None and isinstance(transport, tcp.Connection) and transport.connected:
        transport.getHandle().setsockopt(socket.IPPROTO_TCP, option, int(1000 * seconds))
