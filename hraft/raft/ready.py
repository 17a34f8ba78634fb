"""What the outside must now do: the only way out of the pure core.

Carry a `Ready` out in this order: send, start the save, restore, apply, answer reads. Whatever vouches for
something on disk is held back inside the node until `saved()` has said that it is there, so all that a `Ready` contains
may be done at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryId, HardState, Snapshot
from hraft.raft.messages import Envelope


class Role(Enum):
    """What a node is (Section 3.3; pre-candidate: Section 9.6)."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class Install:
    """A received snapshot takes the place of the log up to its index.

    `keep_suffix`: the log holds the snapshot's last entry with the same term, so what follows it stays (S4);
    otherwise the whole log goes, and the next entry is `snapshot.index + 1`.
    """

    snapshot: Snapshot
    keep_suffix: bool


@dataclass(frozen=True, slots=True)
class Save:
    """One durable step, all or nothing: first `install`, then `truncate_from`, then `entries`.

    Give `number` back to `RaftNode.saved` when it is on disk. `hard_state` is always the current one.
    """

    number: int
    hard_state: HardState
    truncate_from: int | None = None
    entries: tuple[Entry, ...] = ()
    install: Install | None = None


@dataclass(frozen=True, slots=True)
class ReadReady:
    """A read may be served once `read_index` is applied; None: it could not be confirmed and must be asked again."""

    read_id: int
    read_index: int | None


@dataclass(frozen=True, slots=True)
class Ready:
    """See the module's docstring for the order."""

    save: Save | None = None
    send: tuple[Envelope, ...] = ()
    restore: Snapshot | None = None
    committed: tuple[Entry, ...] = ()
    reads: tuple[ReadReady, ...] = ()


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """(leader) What is known of one follower."""

    match_index: int
    next_index: int
    progress: str
    ticks_since_contact: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One look at a node, for logs, status pages and tests. `followers` is empty unless it leads."""

    node_id: str
    role: Role
    term: int
    leader_id: str | None
    last: EntryId
    first_index: int
    snapshot_index: int
    persisted_index: int
    commit_index: int
    applied_index: int
    configuration: Configuration
    configuration_committed: bool
    followers: dict[str, FollowerStatus]
