"""Whoever supervises this process by systemd's protocol, sd_notify(3): told when it has started, how it is, and that it lives.

One datagram a message, so no library is needed. Knows no node: it is handed a function that says how one is.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

#: How soon the supervisor learns that something is different.
LOOK_SECONDS = 0.5
#: While a node waits for the others, it asks for this much more time with each look: a wait is no failure to start.
MORE_TIME_SECONDS = 30

_MICROSECONDS = 1_000_000

_log = Logger(namespace="hraft.supervisor")


@dataclass(frozen=True, slots=True)
class Condition:
    """How a node is: whether it has started (knows its leader), whether it still works, and the same in a few words."""

    is_started: bool
    is_working: bool
    words: str


class Notifies(Protocol):
    """What takes a message to the supervisor."""

    def send(self, message: str) -> bool:
        """Whether it is on its way; never waits and never raises."""


class NotifySocket:
    """The socket of NOTIFY_SOCKET: a path, or with a leading @ an abstract name."""

    def __init__(self, address: str) -> None:
        """Raises OSError or ValueError where there can be no such socket."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def send(self, message: str) -> bool:
        """One datagram. A supervisor that does not read, or is gone, must not stop Raft."""
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


class Supervision(Service):
    """Tells the supervisor for as long as it runs. `look` is asked, from `clock`, how the node is."""

    def __init__(
        self, clock: IReactorTime, notify: Notifies, look: Callable[[], Condition], watchdog_seconds: float | None
    ) -> None:
        self._clock = clock
        self._notify = notify
        self._look = look
        self._watchdog_seconds = watchdog_seconds
        self._told = ""
        self._is_ready = False
        self._calls: list[LoopingCall] = []

    def startService(self) -> None:
        """Begin to look; the node may take as long as it likes to start."""
        super().startService()  # type: ignore[no-untyped-call]
        self._repeat(self._tell, LOOK_SECONDS)
        if self._watchdog_seconds is not None:
            self._repeat(self._live, self._watchdog_seconds / 2)

    def stopService(self) -> None:
        """From now on the supervisor waits for the end of the process only."""
        super().stopService()  # type: ignore[no-untyped-call]
        for call in self._calls:
            call.stop()
        self._calls.clear()
        self._notify.send("STOPPING=1\nSTATUS=stopping")

    def _repeat(self, function: Callable[[], None], interval_seconds: float) -> None:
        call = LoopingCall(function)
        call.clock = self._clock
        self._calls.append(call)
        call.start(interval_seconds, now=True)

    def _tell(self) -> None:
        condition = self._look()
        lines = []
        if not self._is_ready:
            lines.append("READY=1" if condition.is_started else f"EXTEND_TIMEOUT_USEC={MORE_TIME_SECONDS * _MICROSECONDS}")
        if condition.words != self._told:
            lines.append(f"STATUS={condition.words}")
        # What could not be sent is sent with the next look.
        if lines and self._notify.send("\n".join(lines)):
            self._told = condition.words
            self._is_ready = self._is_ready or condition.is_started

    def _live(self) -> None:
        """This very call shows that the reactor turns; a node that does not work is left to the supervisor's timeout."""
        if self._look().is_working:
            self._notify.send("WATCHDOG=1")


def supervision(
    clock: IReactorTime, look: Callable[[], Condition], environment: MutableMapping[str, str] = os.environ
) -> Supervision | None:
    """What the environment asks for; None where nobody supervises. Takes the variables out: they are not for child processes."""
    address = environment.pop("NOTIFY_SOCKET", "")
    interval, process_id = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
    if not address:
        return None
    if not address.startswith(("/", "@")):
        _log.warn("NOTIFY_SOCKET={address}: neither a path nor an abstract name, so nothing is told there", address=address)
        return None
    is_watched = interval.isdecimal() and int(interval) > 0 and process_id in ("", str(os.getpid()))
    return Supervision(clock, NotifySocket(address), look, int(interval) / _MICROSECONDS if is_watched else None)
