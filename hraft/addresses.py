"""Addresses as people write them on a command line: text in, an `Address` or an `Endpoint` out.

Pure text: opens no socket, resolves no name (`hraft.endpoints` does).

    localhost:11000     that interface
    :11000              every interface, as in Go; others are told, and a target is, localhost:11000
    [::1]:11000         an IPv6 address stands in brackets
    tcp:11000:interface=10.0.0.7   a Twisted endpoint string, told apart by its first word
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from hraft.errors import BadAddress

#: First words of Twisted endpoint strings. No host may be called so, then, unless it is written host.domain.
LISTENING_KINDS = ("tcp", "tcp4", "tcp6", "ssl", "unix", "systemd", "haproxy")
TARGET_KINDS = ("tcp", "tls", "ssl", "unix")

_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?")
_ZONE = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_DOTTED_DIGITS = re.compile(r"[0-9.]+")
_DIGITS = re.compile(r"[0-9]{1,9}")
_FORMS = "write host:port, :port or [v6]:port"
_SHOWN_CHARACTERS_COUNT = 100


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port. `host` is bare (no brackets); empty means every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_everywhere(self) -> bool:
        """Whether this names every interface, which nobody can dial."""
        return self.host in ("", "0.0.0.0") or (":" in self.host and IPv6Address(self.host).is_unspecified)

    @property
    def dialable(self) -> Address:
        """The same, with localhost where it names every interface."""
        return Address("localhost", self.port) if self.is_everywhere else self


@dataclass(frozen=True, slots=True)
class HttpsAddress(Address):
    """An address where HTTPS is spoken, and not HTTP."""

    def __str__(self) -> str:
        return f"https://{Address.__str__(self)}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A Twisted endpoint string, for `serverFromString` or `clientFromString`. `address` is where that is, if it says so."""

    description: str
    address: Address | None

    def __str__(self) -> str:
        return self.description

    @property
    def kind(self) -> str:
        """Its first word, in lower case: tcp, ssl, unix ..."""
        return self.description.partition(":")[0].lower()


def parse_address(text: str) -> Address:
    """Read host:port, :port or [v6]:port. Raises BadAddress."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise _bad(text, "after the IPv6 address comes ]:port")
        return Address(_ipv6(text, host), _port(text, rest[1:]))
    host, colon, port = text.rpartition(":")
    if not colon:
        raise _bad(text, f"the port is missing: {_FORMS}")
    if ":" in host:
        raise _bad(text, f"too many colons: {_FORMS}; an IPv6 address stands in brackets")
    return Address(_host(text, host), _port(text, port))


def parse_listening(text: str) -> Address | Endpoint:
    """Where to listen: an address, or a server endpoint string. Raises BadAddress."""
    return _endpoint(text) if _kind(text) in LISTENING_KINDS else parse_address(text)


def parse_target(text: str, is_https: bool = False) -> Address | Endpoint:
    """Whom to ask over HTTP: an address (:port is on this machine), as it is or behind https:// or http://, or a client
    endpoint string. `is_https` is what an address alone means. Raises BadAddress."""
    if _kind(text) in TARGET_KINDS:
        return Endpoint(text, None)
    scheme, separator, rest = text.partition("://")
    if separator and scheme not in ("http", "https"):
        raise _bad(text, f"{_FORMS}, or https://host:port")
    if separator and "/" in rest:
        raise _bad(text, "leave out the path: https://host:port")
    address = parse_address(rest if separator else text).dialable
    return HttpsAddress(address.host, address.port) if (scheme == "https" if separator else is_https) else address


def parse_advertised(text: str) -> Address:
    """What others are told to dial, so never an endpoint string and never every interface. Raises BadAddress."""
    if _kind(text) in LISTENING_KINDS:
        raise _bad(text, "others must be able to dial it from anywhere: write host:port")
    return parse_address(text).dialable


def advertised(listening: Address | Endpoint) -> Address | None:
    """What others are told, unless the operator says otherwise; None where that cannot be known."""
    address = listening.address if isinstance(listening, Endpoint) else listening
    return address.dialable if address else None


def url_of(http_address: str) -> str:
    """Of what a node says of itself: host:port, or https://host:port where it speaks HTTPS."""
    return http_address if "://" in http_address else f"http://{http_address}"


def place_of(http_address: str) -> str:
    """The same, as host:port whatever is spoken there."""
    return http_address.partition("://")[2] or http_address


def is_loopback(listening: Address | Endpoint) -> bool:
    """Whether only this machine can reach what listens there, as far as the text tells."""
    if isinstance(listening, Endpoint):
        return listening.kind == "unix" or (listening.address is not None and is_loopback(listening.address))
    host = listening.host
    if ":" in host:
        return IPv6Address(host).is_loopback
    return host.lower() == "localhost" or (bool(_DOTTED_DIGITS.fullmatch(host)) and IPv4Address(host).is_loopback)


def is_open_to_others(listening: Address | Endpoint, told: str) -> bool:
    """Whether others than this machine reach it. What does not say where it listens is judged by what others are told."""
    says_nothing = isinstance(listening, Endpoint) and listening.kind != "unix" and listening.address is None
    return not is_loopback(parse_advertised(place_of(told)) if says_nothing else listening)



def _bad(text: str, reason: str) -> BadAddress:
    shown = text if len(text) <= _SHOWN_CHARACTERS_COUNT else text[:_SHOWN_CHARACTERS_COUNT] + "..."
    return BadAddress(f"bad address {shown!r}: {reason}")


def _kind(text: str) -> str:
    return text.partition(":")[0].lower() if ":" in text else ""


def _port(text: str, port: str) -> int:
    if not port:
        raise _bad(text, f"the port is missing: {_FORMS}")
    if not _DIGITS.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise _bad(text, f"the port must be a number from 1 to 65535, not {port[:_SHOWN_CHARACTERS_COUNT]!r}")
    return int(port)


def _host(text: str, host: str) -> str:
    if _DOTTED_DIGITS.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except AddressValueError as error:
            raise _bad(text, f"{host[:_SHOWN_CHARACTERS_COUNT]!r} is not an IPv4 address") from error
    if host.lower() in (*LISTENING_KINDS, *TARGET_KINDS):
        raise _bad(text, f"{host!r} begins an endpoint string, which cannot stand here; a host so called is written host.domain")
    if host and (len(host) > 253 or not _HOST_NAME.fullmatch(host)):
        raise _bad(text, f"{host[:_SHOWN_CHARACTERS_COUNT]!r} is not a host name")
    return host


def _ipv6(text: str, host: str) -> str:
    zone = host.partition("%")[2]
    try:
        if zone and not _ZONE.fullmatch(zone):
            raise AddressValueError
        return str(IPv6Address(host))
    except AddressValueError as error:
        raise _bad(text, f"{host[:_SHOWN_CHARACTERS_COUNT]!r} is not an IPv6 address") from error


def _endpoint(text: str) -> Endpoint:
    """Read from a server endpoint string what it says of its address; Twisted reads the rest (`hraft.endpoints`)."""
    kind, *parts = [re.sub(r"\\(.)", r"\1", part) for part in re.split(r"(?<!\\):", text)]
    if not any(parts):
        raise _bad(text, f"nothing follows {kind}:")
    if kind.lower() not in ("tcp", "tcp4", "tcp6", "ssl"):
        return Endpoint(text, None)
    options = dict(part.partition("=")[::2] for part in parts if "=" in part)
    port = _port(text, options.get("port", parts[0] if "=" not in parts[0] else ""))
    interface = options.get("interface", "")
    return Endpoint(text, Address(_ipv6(text, interface) if ":" in interface else _host(text, interface), port))
