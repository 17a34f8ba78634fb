"""Targets that take what an operator writes: addresses, endpoint strings, the command line."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage

from fuzz.target import Target, expect, same
from hraft.addresses import Address, Endpoint, advertised, parse_address, parse_advertised, parse_listening, parse_target
from hraft.endpoints import client_endpoint, listen
from hraft.errors import BadAddress, PortUnusable
from hraft.options import NUMBERS, Options

#: A complaint shows 100 characters, twice at most and up to ten times as long where each is escaped; never a megabyte.
_COMPLAINT_CHARACTERS_COUNT = 2500
_ADDRESSES = (
    *("localhost:11000", ":12000", "10.0.0.7:80", "[::1]:11000", "[fe80::1%eth0]:1", "a-b.example.:65535", "0.0.0.0:1", "[::]:9"),
    *("tcp:11000:interface=10.0.0.7", "tcp6:port=80:interface=\\:\\:", "unix:/socket", "haproxy:tcp:80"),
    *("systemd:domain=INET:index=0",),
    *("ssl:443:privateKey=none.pem:certKey=none.pem", "tls:example.org:443", "tcp:host=a:port=80:timeout=3", "TCP:1", "http://h:1/"),
)
_COMMAND_LINES = (
    *(("data",), ("--inmem",), ("--haddr", ":1", "--raddr", ":2", "data"), ("--haddr=[::1]:1", "--raddr-adv=h:3", "data")),
    *(("--join", "a:1, b:2,[::1]:3", "--id", "n1", "data"), ("--forward", "--haddr", "tcp:80", "--haddr-adv", "h:80", "data")),
    *((*(f"--{name}={numbers.default}" for name, numbers in NUMBERS.items()), "data"), ("--version",), ("--help",)),
    ("--heartbeat-interval", "20", "--election-timeout", "60", "--inmem"),
)


def _text(data: bytes) -> str:
    """As words of a command line become texts."""
    return data.decode("utf-8", "surrogateescape")


def _addresses(data: bytes) -> None:
    text = _text(data)
    for parse in (parse_address, parse_listening, parse_target, parse_advertised):
        try:
            found: Address | Endpoint = parse(text)
        except BadAddress as error:
            _check_complaint(str(error))
            continue
        same(found, parse(str(found)), f"{parse.__name__} of its own text")
        told = advertised(found) if parse in (parse_listening, parse_advertised) else None
        if told is not None:
            same(told, parse_advertised(str(told)), "what others are told")
            same(told, parse_target(str(told)), "what others dial when they are told")


def _endpoints(data: bytes) -> None:
    reactor: Any = MemoryReactorClock()
    text = _text(data)
    try:
        client_endpoint(reactor, parse_target(text))
    except BadAddress as error:
        expect("\n" not in str(error), f"more than one line: {error}")
    try:
        where = parse_listening(text)
        if isinstance(where, Endpoint):  # An address would be listened on by a real socket.
            listen(reactor, where, Factory()).stop()
    except (BadAddress, PortUnusable) as error:
        expect("\n" not in str(error), f"more than one line: {error}")


def _options(data: bytes) -> None:
    options = Options()
    written = io.StringIO()
    try:
        with redirect_stdout(written), redirect_stderr(written):
            options.parseOptions([_text(word) for word in data.split(b"\0")])
    except usage.UsageError as error:
        _check_complaint(str(error))
        return
    except SystemExit as ended:
        same(0, ended.code or 0, "the exit status of --help and --version")
        return
    settings = options.settings
    for address in (settings.http_address, settings.raft_address):
        same(address, str(parse_advertised(address)), "an address that others are told")
    for where in (settings.http_listening, settings.raft_listening):
        same(where, parse_listening(str(where)), "where to listen")
    timing = settings.timing
    expect(0 < timing.heartbeat_interval_ticks < timing.election_timeout_ticks, f"{timing}")


def _check_complaint(text: str) -> None:
    expect(text.strip() and "\n" not in text, f"not one line: {text!r:.500}")
    expect(len(text) <= _COMPLAINT_CHARACTERS_COUNT, f"a complaint of {len(text)} characters: {text!r:.500}")


def _address_samples() -> list[bytes]:
    return [text.encode() for text in _ADDRESSES]


def _option_samples() -> list[bytes]:
    return [b"\0".join(word.encode() for word in line) for line in _COMMAND_LINES]


TARGETS = (
    Target("addresses", "an address: to listen on, to dial, to tell others", _addresses, _address_samples),
    Target("endpoints", "an address, to Twisted's endpoint strings", _endpoints, _address_samples),
    Target("options", "a command line, with NUL between its words", _options, _option_samples),
)
