"""One place in the log, and the small facts that must be on disk.

Knows nothing of how entries are encoded, stored or sent. What there is one of for each entry is a struct that the garbage
collector need not visit: a log of a million entries would make every full collection take a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec

from hraft.raft.configuration import Configuration

#: What an entry is counted for beside its command.
_ENTRY_BYTES = 64


class EntryKind(Enum):
    """What an entry asks for."""

    #: A command for the state machine.
    COMMAND = "command"
    #: Nothing: the first entry of every leader (Section 6.4).
    NOOP = "noop"
    #: A new configuration, in force as soon as it is appended (Section 4.1).
    CONFIGURATION = "configuration"


class EntryId(msgspec.Struct, frozen=True, order=True, gc=False):
    """Names an entry for ever.

    Ordered as Section 3.6.1 orders logs: the later term is more up to date; in one term, the longer log.
    """

    term: int
    index: int


#: Before the first entry of every log.
ORIGIN = EntryId(term=0, index=0)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One entry of the log.

    `command` is one JSON text without a newline, already encoded, and opaque to Raft; it is empty but for
    COMMAND entries. `configuration` is set for CONFIGURATION entries only.
    """

    index: int
    term: int
    kind: EntryKind
    command: bytes = b""
    configuration: Configuration | None = None

    @property
    def id(self) -> EntryId:
        return EntryId(self.term, self.index)

    @property
    def size_bytes(self) -> int:
        """About what this entry takes on the wire and on disk; limits count in it."""
        return _ENTRY_BYTES + len(self.command)


def size_of(entries: Sequence[Entry]) -> int:
    """Of all of them together."""
    return _ENTRY_BYTES * len(entries) + sum([len(entry.command) for entry in entries])


@dataclass(frozen=True, slots=True)
class HardState:
    """What must be on disk before any message that depends on it leaves (Section 3.8)."""

    term: int = 0
    voted_for: str | None = None


#: What a node that was never asked anything has promised.
NOTHING_PROMISED = HardState()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot says of itself: the last entry it covers and the configuration as of that entry."""

    index: int
    term: int
    configuration: Configuration

    @property
    def id(self) -> EntryId:
        return EntryId(self.term, self.index)
