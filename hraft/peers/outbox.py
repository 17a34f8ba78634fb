"""What waits to be written to one connection: bounded, and watched for progress.

A Twisted transport buffers without limit; here it never holds more than two slices. Knows nothing of boxes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from hraft.limits import PEER_QUEUE_BYTES
from hraft.sending import send

#: As much as a Twisted transport takes before it says that it is full.
_SLICE_BYTES = 64 * 1024


@implementer(IPushProducer)
class Outbox:
    """Feeds a transport as fast as it drains. `drained` is called whenever all that it had been given has left."""

    def __init__(self, transport: IConsumer, drained: Callable[[], None]) -> None:
        self._transport = transport
        self._drained = drained
        self._slices: deque[bytes] = deque()
        self.waiting_bytes = 0
        self._is_paused = False
        transport.registerProducer(self, True)

    def has_room(self, size_bytes: int) -> bool:
        return self.waiting_bytes + size_bytes <= PEER_QUEUE_BYTES

    def write(self, data: bytes) -> None:
        """Write now or later. The caller has asked whether there is room."""
        if len(data) <= _SLICE_BYTES and not self._is_paused:
            self._transport.write(data)
            return
        self._slices.extend(data[start : start + _SLICE_BYTES] for start in range(0, len(data), _SLICE_BYTES))
        self.waiting_bytes += len(data)
        self._fill()

    def send(self, data: bytes) -> None:
        """The same for what is waited for: it leaves at once, if nothing is before it."""
        if len(data) <= _SLICE_BYTES and not self._is_paused:
            send(self._transport, data)
        else:
            self.write(data)

    def finish(self) -> None:
        """Hand over everything: the transport is about to close, and does so when it has written what it has."""
        self._transport.write(b"".join(self._slices))
        self.discard()
        self._transport.unregisterProducer()

    def discard(self) -> None:
        self._slices.clear()
        self.waiting_bytes = 0

    def pauseProducing(self) -> None:
        self._is_paused = True

    def resumeProducing(self) -> None:
        self._is_paused = False
        self._drained()
        self._fill()

    def stopProducing(self) -> None:
        """The connection was lost."""
        self._is_paused = True
        self.discard()

    def _fill(self) -> None:
        while self._slices and not self._is_paused:
            slice_ = self._slices.popleft()
            self.waiting_bytes -= len(slice_)
            self._transport.write(slice_)
