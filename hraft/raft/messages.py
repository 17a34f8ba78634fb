"""What nodes say to each other: one frozen class per message, fields named as in the dissertation.

Every message carries the sender's term (Section 3.3). Knows nothing of how messages travel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from hraft.errors import BadMessage
from hraft.raft.entry import Entry, Snapshot


def demand(holds: bool, what: str) -> None:
    """Raise BadMessage unless `holds`: for what a peer says and no correct peer would say."""
    if not holds:
        raise BadMessage(what)


@dataclass(frozen=True, slots=True)
class PreVote:
    """Could I win an election in `term`? Asked before the term is raised (Section 9.6)."""

    term: int
    last_log_index: int
    last_log_term: int


@dataclass(frozen=True, slots=True)
class PreVoteResponse:
    """When granted, `term` mirrors the term asked for (E13); when refused, it is the answering node's own."""

    term: int
    vote_granted: bool


@dataclass(frozen=True, slots=True)
class RequestVote:
    """Section 3.4. `leadership_transfer` overrides leader stickiness (Sections 3.10, 4.2.3)."""

    term: int
    last_log_index: int
    last_log_term: int
    leadership_transfer: bool = False


@dataclass(frozen=True, slots=True)
class RequestVoteResponse:
    term: int
    vote_granted: bool


@dataclass(frozen=True, slots=True)
class AppendEntries:
    """Section 3.5; without entries, a heartbeat. `read_round` is echoed in the answer (Section 6.4)."""

    term: int
    prev_log_index: int
    prev_log_term: int
    entries: tuple[Entry, ...]
    leader_commit: int
    read_round: int = 0


@dataclass(frozen=True, slots=True)
class AppendEntriesResponse:
    """The answer to an AppendEntries.

    On success `match_index` is the last entry that is equal *and persisted* here. On refusal it is 0, and
    `conflict_index`/`conflict_term` say where the leader may jump back to: the first index of the conflicting term, or
    one past the end of a log that is too short, with term 0. `prev_log_index` echoes what was asked.
    `last_log_index` is the end of this node's log.
    """

    term: int
    success: bool
    prev_log_index: int
    match_index: int = 0
    conflict_index: int = 0
    conflict_term: int = 0
    last_log_index: int = 0
    read_round: int = 0


@dataclass(frozen=True, slots=True)
class InstallSnapshot:
    """Take this snapshot in place of your log (Section 5.1).

    A leader's node hands it out as a wish: its service streams the file in chunks. The follower's service hands it in
    when the file has arrived whole, verified and fsynced, and not before.
    """

    term: int
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class InstallSnapshotResponse:
    """`match_index` is what is persisted here up to: the snapshot's index, or more."""

    term: int
    match_index: int


@dataclass(frozen=True, slots=True)
class TimeoutNow:
    """Campaign at once: the leader is handing over to you (Section 3.10)."""

    term: int


Message: TypeAlias = (
    PreVote
    | PreVoteResponse
    | RequestVote
    | RequestVoteResponse
    | AppendEntries
    | AppendEntriesResponse
    | InstallSnapshot
    | InstallSnapshotResponse
    | TimeoutNow
)


class Envelope(msgspec.Struct, frozen=True):
    """One message between two nodes."""

    sender: str
    to: str
    message: Message
