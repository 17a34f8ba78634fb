"""Messages on their way out, those that vouch for the disk held back until it has them.

The whole of "persist, then send" is here: nobody outside the node can get it wrong.
"""

from __future__ import annotations

from collections import deque

from hraft.raft.messages import Envelope, Message

#: Raft sends again what is lost, so the oldest held messages may go when a disk hangs for long.
_HELD_MESSAGES_COUNT = 1024


class Outbox:
    """`now` leaves with the next Ready; the rest waits for the save it names."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._now: list[Envelope] = []
        self._held: deque[tuple[int, Envelope]] = deque(maxlen=_HELD_MESSAGES_COUNT)

    def send(self, to: str, message: Message) -> None:
        self._now.append(Envelope(self._node_id, to, message))

    def send_when_saved(self, to: str, message: Message, save_number: int) -> None:
        """Hold a message back until that save is durable; 0 means that nothing is missing on disk."""
        if save_number == 0:
            self.send(to, message)
        else:
            self._held.append((save_number, Envelope(self._node_id, to, message)))

    def saved(self, number: int) -> None:
        """Save `number` is durable: what waited for it may go."""
        while self._held and self._held[0][0] <= number:
            self._now.append(self._held.popleft()[1])

    def take(self) -> tuple[Envelope, ...]:
        taken, self._now = tuple(self._now), []
        return taken
