"""What happened in a world: a hash over all of it, and its last events in words.

The hash is the same for two runs of one seed, in whatever process; the words are made only when somebody wants to read them.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import Any

from hraft.interfaces import ChunkEnvelope, SnapshotChunk
from hraft.raft.messages import AppendEntries, AppendEntriesResponse, Envelope
from hraft.simulation.clock import WorldClock

SHOWN_EVENTS_COUNT = 60


class Violation(Exception):
    """A promise was broken. `rule` names it in a few words, the same for all failures of a kind."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule
        self.what = what


class Story:
    """Hears of every event of a world."""

    def __init__(self, clock: WorldClock, shown_count: int = SHOWN_EVENTS_COUNT) -> None:
        self.events_count = 0
        self._clock = clock
        self._hash = blake2b(digest_size=16)
        self._last: deque[tuple[float, str, tuple[Any, ...]]] = deque(maxlen=shown_count)

    def tell(self, words: str, *details: Any) -> None:
        """An event worth a line; `words` has a %s for each of the details, which must read the same in every run."""
        now = self._clock.now
        self.events_count += 1
        self._hash.update((repr(now) + words % details).encode())
        self._last.append((now, words, details))

    def delivered(self, envelope: Envelope | ChunkEnvelope) -> None:
        """A message reached its node. There are many, so only the numbers that matter are hashed."""
        now, message = self._clock.now, envelope.message
        self.events_count += 1
        self._hash.update(f"{now}{envelope.sender}{envelope.to}{type(message).__name__}{message.term}".encode())
        self._last.append((now, "%s", (envelope,)))

    def passed(self) -> None:
        """An event too small to be told of."""
        self.events_count += 1

    def trace_hash(self) -> str:
        return self._hash.hexdigest()

    def last_events(self) -> str:
        """The end of the story, oldest first."""
        return "\n".join(f"{time:12.6f}  {words % tuple(map(_in_words, details))}" for time, words, details in self._last)


def _in_words(detail: Any) -> Any:
    if isinstance(detail, Envelope | ChunkEnvelope):
        return f"{detail.sender} -> {detail.to}  {_message_in_words(detail.message)}"
    return detail


def _message_in_words(message: Any) -> str:
    if isinstance(message, AppendEntries):
        entries = f"{len(message.entries)} entries up to {message.entries[-1].id}" if message.entries else "nothing"
        return f"AppendEntries(term={message.term}, {entries} after {message.prev_log_index}, commit={message.leader_commit})"
    if isinstance(message, AppendEntriesResponse):
        answer = f"match={message.match_index}" if message.success else f"conflict at {message.conflict_index}"
        return f"AppendEntriesResponse(term={message.term}, {answer})"
    if isinstance(message, SnapshotChunk):
        part = f"{message.offset}+{len(message.data)} of {message.total_bytes}"
        return f"SnapshotChunk(term={message.term}, {message.snapshot.id}, bytes {part})"
    return repr(message)
