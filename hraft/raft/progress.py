"""A follower, as its leader sees it.

    PROBE      one message at a time, until it is known where the logs agree
    REPLICATE  streaming: next_index runs ahead of match_index, within a window
    SNAPSHOT   its next entry is compacted away; a snapshot is on its way, nothing else is sent

    PROBE --success--> REPLICATE --refusal--> PROBE --next entry compacted--> SNAPSHOT --arrived--> REPLICATE
                                                                              SNAPSHOT --failed, or no news--> PROBE

Invariant: 0 <= match_index < next_index. match_index never falls (L8). Owns all its transitions.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

from hraft.raft.invariants import require
from hraft.raft.settings import Settings


class ProgressState(Enum):
    """How a follower is being fed."""

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


@dataclass(slots=True)
class CatchUp:
    """A learner's rounds (Section 4.2.1): a round is to replicate what the log held when the round began."""

    round_end_index: int
    ticks: int = 0
    is_done: bool = False


class Progress:
    """One follower's place."""

    __slots__ = (
        "_inflight",
        "_inflight_bytes",
        "_settings",
        "catch_up",
        "is_probe_sent",
        "is_wiped",
        "match_index",
        "next_index",
        "snapshot_index",
        "snapshot_ticks",
        "state",
        "ticks_since_contact",
        "ticks_without_progress",
        "told_commit_index",
    )

    def __init__(self, next_index: int, settings: Settings, catch_up: CatchUp | None = None) -> None:
        self._settings = settings
        self.match_index = 0
        self.next_index = next_index
        self.state = ProgressState.PROBE
        self.is_probe_sent = False
        self.snapshot_index = 0
        #: How long the snapshot has been on its way.
        self.snapshot_ticks = 0
        self.ticks_since_contact = 0
        #: For how long it has acknowledged none of what it was sent: it is heard, and its disk may be full.
        self.ticks_without_progress = 0
        self.told_commit_index = 0
        #: Only learners catch up.
        self.catch_up = catch_up
        #: Its log ends before what it had persisted: it forgot its promises, so it is neither fed nor counted (D19, D20).
        self.is_wiped = False
        #: Last index and size of each message that is not yet acknowledged.
        self._inflight: deque[tuple[int, int]] = deque()
        self._inflight_bytes = 0

    @property
    def is_waiting(self) -> bool:
        """Whether neither entries nor a snapshot may be sent before something is heard, or the next heartbeat."""
        return self.is_wiped or self.is_probe_sent or self.state is ProgressState.SNAPSHOT

    @property
    def is_paused(self) -> bool:
        """Whether nothing with entries may be sent now (L17)."""
        settings = self._settings
        is_full = len(self._inflight) >= settings.inflight_messages_count or self._inflight_bytes >= settings.inflight_bytes
        return self.is_waiting or is_full

    @property
    def is_active(self) -> bool:
        """Heard within an election timeout, and not as one that forgot its promises."""
        return self.ticks_since_contact < self._settings.election_timeout_ticks and not self.is_wiped

    def tick(self) -> None:
        """One tick without news. A snapshot that does not arrive in time, nor fail, was lost on the way: ask again."""
        self.ticks_since_contact += 1
        self.ticks_without_progress = self.ticks_without_progress + 1 if self._inflight else 0
        self.snapshot_ticks += 1
        if self.catch_up is not None:
            self.catch_up.ticks += 1
        if self.snapshot_ticks >= self._settings.election_timeout_ticks:
            self.snapshot_failed()

    def sent(self, last_index: int, size_bytes: int, commit_index: int) -> None:
        """Entries up to `last_index` left; without entries `last_index` is `next_index - 1`."""
        self.told_commit_index = commit_index
        if self.state is ProgressState.PROBE:
            self.is_probe_sent = True
        elif last_index >= self.next_index:
            self.next_index = last_index + 1
            self._inflight.append((last_index, size_bytes))
            self._inflight_bytes += size_bytes

    def acknowledged(self, match_index: int, prev_log_index: int, base_index: int) -> bool:
        """The follower has persisted everything up to `match_index`; returns whether that is news.

        `prev_log_index` is what it agreed to: only an answer to the present probe ends probing. The leader's log begins
        after `base_index`: a follower that has come so far needs no snapshot any more (S16).
        """
        is_news = match_index > self.match_index
        if is_news:
            self.match_index = match_index
        self.ticks_without_progress = 0 if is_news else self.ticks_without_progress
        if self.state is ProgressState.PROBE and (is_news or prev_log_index == self.next_index - 1):
            self._become(ProgressState.REPLICATE, max(prev_log_index, self.match_index) + 1)
        elif self.state is ProgressState.SNAPSHOT and self.match_index >= min(self.snapshot_index, base_index):
            self._become(ProgressState.REPLICATE, self.match_index + 1)
        self.next_index = max(self.next_index, self.match_index + 1)
        while self._inflight and self._inflight[0][0] <= self.match_index:
            self._inflight_bytes -= self._inflight.popleft()[1]
        return is_news

    def refused(self, prev_log_index: int, next_index: int) -> bool:
        """The follower lacks `prev_log_index`; try from `next_index`. Returns False for a stale refusal (L14)."""
        if self.state is ProgressState.SNAPSHOT or prev_log_index <= self.match_index:
            return False
        if self.state is ProgressState.PROBE and prev_log_index != self.next_index - 1:
            return False
        self._become(ProgressState.PROBE, max(self.match_index + 1, min(next_index, prev_log_index)))
        return True

    def snapshot_sent(self, snapshot_index: int) -> None:
        self._become(ProgressState.SNAPSHOT, self.next_index)
        self.snapshot_index = snapshot_index
        self.snapshot_ticks = 0

    def snapshot_failed(self) -> None:
        """The transfer ended without success: probe from what is known, at the next heartbeat and not at once."""
        if self.state is ProgressState.SNAPSHOT:
            self._become(ProgressState.PROBE, self.match_index + 1)
            self.is_probe_sent = True

    def _become(self, state: ProgressState, next_index: int) -> None:
        self.state = state
        self.next_index = next_index
        self.is_probe_sent = False
        self._inflight.clear()
        self._inflight_bytes = 0
        require(0 <= self.match_index < self.next_index, f"match {self.match_index} < next {self.next_index} does not hold")
