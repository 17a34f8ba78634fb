"""A long answer, read line by line as it comes: at most so much of it is kept, and the rest waits at the sender.

Knows nothing of what the lines say.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from hraft import limits


class Lines(Protocol):
    """The lines of one answer. `next()` gives them one by one, None after the last, however the connection ended."""

    def __init__(self, clock: IReactorTime, silence_seconds: float) -> None:
        self._clock = clock
        self._silence_seconds = silence_seconds
        self._silence: IDelayedCall | None = None
        self._buffer = bytearray()
        #: No line ends before this place of the buffer.
        self._searched = 0
        self._waiting: Deferred[bytes | None] | None = None
        self._is_paused = False
        self._has_ended = False

    def next(self) -> Deferred[bytes | None]:
        """The next line, without its end. One at a time. One that does not end ends the connection."""
        waiting = self._waiting = Deferred(lambda _: self._forget())
        self._go_on()
        return waiting

    def close(self) -> None:
        """End the connection. What was waited for ends as well."""
        self._buffer.clear()
        self._ended()
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionMade(self) -> None:
        self._listen()

    def dataReceived(self, data: bytes) -> None:
        if self._has_ended:
            return
        self._buffer += data
        self._go_on()
        self._listen()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._ended()

    def _ended(self) -> None:
        self._has_ended = True
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        self._go_on()

    def _forget(self) -> None:
        self._waiting = None

    def _go_on(self) -> None:
        """Give a line to who waits for one; have the sender wait while there are enough."""
        waiting = self._waiting
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched > limits.CLIENT_ANSWER_BYTES:
                self.close()
                return
        if waiting is not None and end >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            self._waiting = None
            self._balance()
            waiting.callback(line)
        elif waiting is not None and self._has_ended:
            self._waiting = None
            waiting.callback(None)
        else:
            self._balance()

    def _balance(self) -> None:
        # A line that is longer than the limit must come whole, or nobody could ever take it.
        has_line = self._buffer.find(b"\n", self._searched) >= 0
        is_full = has_line and len(self._buffer) > limits.CLIENT_WATCH_BYTES
        if is_full == self._is_paused or self._has_ended or self.transport is None:
            return
        self._is_paused = is_full
        sender = cast(IPushProducer, self.transport)
        if is_full:
            sender.pauseProducing()
        else:
            sender.resumeProducing()
        self._listen()

    def _listen(self) -> None:
        """A connection on which nothing comes, although it may, is taken for lost."""
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        if not self._is_paused and not self._has_ended:
            self._silence = self._clock.callLater(self._silence_seconds, self.close)
