"""Sockets for addresses: listening at once or not at all, and endpoints to dial. Knows no service and no protocol.

Listening is synchronous, so that a port in use stops the start instead of leaving a process that does half its work.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, clientFromString, serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamClientEndpoint

from hraft.addresses import Address, Endpoint
from hraft.errors import BadAddress, PortUnusable

#: Connections that the kernel keeps while the reactor is busy.
BACKLOG_CONNECTIONS_COUNT = 511
#: How many of them are accepted in one turn.
ACCEPTED_CONNECTIONS_COUNT = 32

#: A name may resolve to an address of a family that this machine has switched off (often ::1 in containers).
_FAMILY_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Listener:
    """Every listening port of one address."""

    def __init__(self, ports: list[IListeningPort]) -> None:
        self._ports = ports

    def stop(self) -> Deferred[Any]:
        """Accept no more; connections that are open stay so. Harmless twice."""
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])


def listen(reactor: Any, where: Address | Endpoint, factory: IProtocolFactory) -> Listener:
    """Listen, before this returns. Raises PortUnusable or BadAddress."""
    if isinstance(where, Endpoint):
        return Listener([_listen_on_endpoint(reactor, where, factory)])
    return Listener([_adopt(reactor, bound, factory) for bound in _bind(where)])


def client_endpoint(reactor: Any, target: Address | Endpoint) -> IStreamClientEndpoint:
    """What to dial a target with. Names are resolved outside the reactor's thread. Raises BadAddress."""
    if isinstance(target, Address):
        return HostnameEndpoint(reactor, target.host, target.port)
    try:
        endpoint: IStreamClientEndpoint = clientFromString(reactor, target.description)
        return endpoint
    except Exception as error:  # string parsers are plugins and raise what they like
        raise BadAddress(f"bad address {target.description!r}: {_one_line(error)}") from error


def _listen_on_endpoint(reactor: Any, where: Endpoint, factory: IProtocolFactory) -> IListeningPort:
    try:
        endpoint = serverFromString(reactor, where.description)
    except LookupError as error:
        raise BadAddress(_not_handed_over(where, error)) from error
    except Exception as error:  # string parsers are plugins, and read files of keys
        raise BadAddress(f"bad address {where.description!r}: {_one_line(error)}") from error
    results: list[Any] = []
    endpoint.listen(factory).addBoth(results.append)
    if not results:
        raise PortUnusable(f"cannot listen on {where}: the endpoint did not say at once whether it listens")
    if hasattr(results[0], "getErrorMessage"):
        raise PortUnusable(f"cannot listen on {where}: {_one_line(results[0].value)}")
    port: IListeningPort = results[0]
    return port


def _not_handed_over(where: Endpoint, error: LookupError) -> str:
    """Twisted looks a socket of systemd's up by name or index, and says no more than which it did not find."""
    reason = _one_line(error)
    if where.kind == "systemd":
        reason = f"systemd has handed over no socket {reason}; start the node by its socket unit, or say host:port"
    return f"bad address {where.description!r}: {reason}"


def _bind(where: Address) -> list[socket.socket]:
    """Bind every address of the host, IPv4 and IPv6 each by its own socket, or none at all."""
    bound: list[socket.socket] = []
    absent = None
    for family, name in _resolve(where):
        try:
            bound.append(_bound_socket(family, name))
        except OSError as error:
            if error.errno in _FAMILY_ABSENT:
                absent = error
                continue
            for other in bound:
                other.close()
            raise _unusable(where, error) from error
    if not bound:
        raise _unusable(where, absent)
    return bound


def _resolve(where: Address) -> list[tuple[int, Any]]:
    """Blocks, as is right before the reactor runs."""
    try:
        found = socket.getaddrinfo(where.host or None, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise PortUnusable(f"cannot listen on {where}: the host name {where.host!r} does not resolve") from error
    return list(dict.fromkeys((family, name) for family, _, _, _, name in found))


def _bound_socket(family: int, name: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Else :: would take IPv4's port too on some systems and not on others.
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(name)
        made.listen(BACKLOG_CONNECTIONS_COUNT)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


def _adopt(reactor: Any, bound: socket.socket, factory: IProtocolFactory) -> IListeningPort:
    """The reactor works on a copy of the descriptor, so ours is closed."""
    with bound:
        port: IListeningPort = reactor.adoptStreamPort(bound.fileno(), bound.family, factory)
    _accept_few_at_a_time(port)
    return port


def _accept_few_at_a_time(port: Any) -> None:
    """Have a port of Twisted's accept no more in one turn of the reactor, which in a flood it does.

    Between two turns what the accepted say is read, so that a client that asks at once is known from those that never do.
    """
    accept = port.doRead

    def accept_few() -> None:
        port.numberAccepts = ACCEPTED_CONNECTIONS_COUNT
        accept()

    port.doRead = accept_few


def _unusable(where: Address, error: OSError | None) -> PortUnusable:
    if error is None or error.errno is None:
        return PortUnusable(f"cannot listen on {where}: this machine has no such address")
    advice = {
        errno.EADDRINUSE: "; another process listens there",
        errno.EADDRNOTAVAIL: "; it must be an address of this machine",
        errno.EACCES: "; ports below 1024 need a privilege",
    }.get(error.errno, "")
    return PortUnusable(f"cannot listen on {where}: {os.strerror(error.errno)}{advice}")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
