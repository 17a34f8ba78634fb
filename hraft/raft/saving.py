"""What must go to disk, what is on its way, and what is there.

One save is on its way at a time. Whatever vouches for the disk asks here, never the log in memory (Section 3.8, L4, L6,
E3, E6). Truncation while a save is on its way is the ABA case:

    1. entries 5 to 7 of term 1 are handed out, the disk is slow;
    2. a new leader's entry 5 of term 2 replaces them in memory;
    3. the disk says "done": it holds the *old* 5 to 7, so nothing past 4 is persisted (L22).
"""

from __future__ import annotations

from hraft.raft.entry import HardState
from hraft.raft.log import Log
from hraft.raft.ready import Install, Save


class Saving:
    """Watches the log and the hard state on behalf of the disk."""

    def __init__(self, log: Log, hard_state: HardState) -> None:
        self._log = log
        self.persisted_index = log.last_index
        self.persisted_hard_state = hard_state
        self.in_flight: Save | None = None
        self.ticks_in_flight = 0
        self._number = 0
        self._handed_index = log.last_index
        self._handed_hard_state = hard_state
        #: Up to where the save on its way still says the truth about the log.
        self._sound_index = log.last_index
        self._truncate_from: int | None = None
        self._install: Install | None = None

    @property
    def handed_index(self) -> int:
        return self._handed_index

    @property
    def installs(self) -> bool:
        """Whether a received snapshot is not yet durable."""
        return self._install is not None or (self.in_flight is not None and self.in_flight.install is not None)

    def is_idle(self, hard_state: HardState) -> bool:
        """Nothing to save and nothing on its way."""
        return self.in_flight is None and not self._is_dirty(hard_state)

    def number_needed(self, hard_state: HardState) -> int:
        """The save after which all that is in memory now is on disk; 0 if it already is."""
        if self._is_dirty(hard_state):
            return self._number + 1
        return self._number if self.in_flight is not None else 0

    def truncated(self, index: int) -> None:
        """The log dropped `index` and all after it."""
        if index <= self._handed_index:
            self._truncate_from = index  # Lower than any before it, since what was handed out ends there.
            self._handed_index = index - 1
        self._sound_index = min(self._sound_index, index - 1)
        self.persisted_index = min(self.persisted_index, index - 1)

    def installed(self, install: Install) -> None:
        """A received snapshot took the place of the log up to its index, in memory."""
        self._install = install
        if not install.keep_suffix:
            self._truncate_from = None
            self._handed_index = install.snapshot.index
            self._sound_index = 0
            self.persisted_index = 0

    def next_save(self, hard_state: HardState) -> Save | None:
        """Hand out everything that is not on disk as one step; None when there is nothing, or a save is on its way."""
        if self.in_flight is not None or not self._is_dirty(hard_state):
            return None
        self._number += 1
        save = Save(
            number=self._number,
            hard_state=hard_state,
            truncate_from=self._truncate_from,
            entries=self._log.between(self._handed_index + 1, self._log.last_index),
            install=self._install,
        )
        self._handed_index = self._sound_index = self._log.last_index
        self._handed_hard_state = hard_state
        self._truncate_from = self._install = None
        self.in_flight, self.ticks_in_flight = save, 0
        return save

    def saved(self, number: int) -> Save | None:
        """The disk says that a save is done; None unless it is the one on its way (L23)."""
        save = self.in_flight
        if save is None or save.number != number:
            return None
        self.in_flight = None
        self.persisted_hard_state = save.hard_state
        self.persisted_index = max(self.persisted_index, self._sound_index)
        return save

    def _is_dirty(self, hard_state: HardState) -> bool:
        return (
            self._handed_index != self._log.last_index
            or self._handed_hard_state != hard_state
            or self._truncate_from is not None
            or self._install is not None
        )
