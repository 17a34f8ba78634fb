"""What Raft's surroundings must offer: the contracts between the service and storage, transport and state machine.

Each has a real implementation and an in-memory or simulated twin. Knows only the shapes of `hraft.raft`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from hraft import limits
from hraft.questions import Request
from hraft.raft.entry import ORIGIN, Entry, EntryId, HardState, Snapshot
from hraft.raft.messages import Envelope
from hraft.raft.ready import Save


class StateMachine(Protocol):
    """A deterministic function of the commands it is given. Used in the reactor thread only, but for `restored`.

    One that also has `canonical_lines()`, made and read as `snapshot` is, promises that equal states give equal lines in equal
    order: then members compare theirs. That may be the snapshot itself, or what of it must be equal.
    """

    def apply(self, index: int, command: bytes) -> Any:
        """Carry out one committed command and return its result.

        Never raises for anything a command may contain: a bad command is a result that says so. The same commands
        give the same state and results on every node: no clock, chance, hash order or environment.
        """

    def snapshot(self) -> Iterable[bytes]:
        """Return the present state as lines without newlines, each one JSON text.

        Returns at once (a shallow copy); the iterable is consumed later in *another thread* while `apply` goes on.
        """

    def restored(self, lines: Iterable[bytes]) -> StateMachine:
        """Build a new state machine from a snapshot's lines, leaving this one alone. Runs in another thread.

        Raises LogCorrupted for lines it cannot read.
        """


class Observer(Protocol):
    """Who wants to know what becomes of a node. Its methods return soon and never raise."""

    def applied(self) -> None:
        """Called after each turn in which entries were applied, or a snapshot took the state machine's place."""

    def leading(self, term: int | None) -> None:
        """This node leads in this term, and its state machine has all that was acknowledged before; None: it leads no more."""


class ReadLevel(Enum):
    """How sure a read is to see what was acknowledged before it."""

    #: Certain, whatever clocks do: a majority is asked (Section 6.4).
    LINEARIZABLE = "linearizable"
    #: The same while the clocks of the cluster run at rates that differ by less than a quarter (Section 6.4.1).
    LEASE = "lease"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a data directory held: `entries` are contiguous and follow `base`; `base.index <= snapshot.index` if there is one.

    `notes` are sentences for the operator's log (a torn tail that was dropped, say).
    """

    hard_state: HardState = HardState()
    snapshot: Snapshot | None = None
    base: EntryId = ORIGIN
    entries: Sequence[Entry] = ()
    notes: tuple[str, ...] = ()


class SnapshotReader(Protocol):
    """The bytes of one durable snapshot file, to be sent to a peer. Safe to use while newer ones are written."""

    snapshot: Snapshot
    size_bytes: int

    def read(self, offset: int, length: int) -> bytes: ...

    def close(self) -> None: ...


class SnapshotWriter(Protocol):
    """A snapshot file on its way in. Invisible to recovery until the Save that installs it."""

    size_bytes: int

    def append(self, data: bytes) -> None: ...

    def complete(self) -> Snapshot:
        """Verify the whole file and fsync it; return what it says of itself. Raises LogCorrupted."""

    def abort(self) -> None:
        """Forget it and remove what was written. Harmless after `complete` or twice."""


class Storage(Protocol):
    """One node's disk. All methods block, so the service calls them in a thread of its own (one for `save` and `compact`).

    Raises StorageFull where nothing was changed and the same call may be repeated, StorageFailed where it may not.
    """

    def recover(self) -> Recovered:
        """Read everything back, repairing a torn tail durably. Called once, first. Raises LogCorrupted, FormatUnknown."""

    def save(self, save: Save) -> None:
        """Make one step durable: when this returns, a power cut does not undo it.

        A `save.install` names the snapshot of the last completed SnapshotWriter, which becomes visible by this call.
        """

    def compact(self, first_index: int) -> None:
        """Entries below `first_index` are no longer needed. May keep some of them. Old snapshots go too."""

    def write_snapshot(self, snapshot: Snapshot, lines: Iterable[bytes]) -> None:
        """Write a snapshot beside the log; durable and visible when this returns. Runs in a thread beside `save`."""

    def encode_snapshot(self, snapshot: Snapshot, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The bytes that `write_snapshot` would write, in parts made as they are asked for. Touches no disk."""

    def read_snapshot(self, snapshot: Snapshot) -> AbstractContextManager[Iterator[bytes]]:
        """The state machine's lines of a snapshot, verified as they are read. Raises LogCorrupted."""

    def open_snapshot(self) -> SnapshotReader:
        """The newest durable snapshot, for sending."""

    def receive_snapshot(self, snapshot: Snapshot) -> SnapshotWriter:
        """Begin to receive one from a peer."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SnapshotChunk:
    """Part of a snapshot file on its way to a follower: `data` goes at `offset`; `total_bytes` is the file's size."""

    term: int
    snapshot: Snapshot
    offset: int
    total_bytes: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SnapshotChunkResponse:
    """How much of the file has arrived: send from `next_offset` on. `refused` ends the transfer."""

    term: int
    index: int
    next_offset: int
    refused: str = ""


@dataclass(frozen=True, slots=True)
class ChunkEnvelope:
    """A chunk or its answer between two nodes."""

    sender: str
    to: str
    message: SnapshotChunk | SnapshotChunkResponse


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """What a node says of itself when a peer connection opens (hello)."""

    cluster_id: str
    node_id: str
    http_address: str
    protocol_version: int = 1


def _nobody_is_removed(node_id: str) -> int | None:
    """What `Receivers.removal_of` is where nobody cares."""
    return None


def _ignore(index: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Receivers:
    """Where what arrives is handed in. None of them raises; `request` answers later, or fails with a class of hraft.errors.

    `removal_of` is asked before anybody is spoken with: the index of the entry that removed that node from the cluster, if any
    has. Who is told the same by a peer hands it to `removed`.
    """

    message: Callable[[Envelope], None]
    chunk: Callable[[ChunkEnvelope], None]
    request: Callable[[str, Request], Deferred[Any]]
    removal_of: Callable[[str], int | None] = _nobody_is_removed
    removed: Callable[[int], None] = _ignore


class Transport(Protocol):
    """The network between nodes. `send` may lose what it is given; it never blocks, raises or queues without bound."""

    def start(self, receivers: Receivers) -> None:
        """Begin to accept and hand in what arrives. Called once."""

    def set_peers(self, addresses: Mapping[str, str]) -> None:
        """Who the peers are now (this node not among them): connect to the new, let go of the old."""

    def send(self, envelope: Envelope) -> None: ...

    def send_chunk(self, envelope: ChunkEnvelope) -> None:
        """Like `send`, on the connection for bulk, which heartbeats do not wait behind."""

    def call(self, to: str, request: Request) -> Deferred[Any]:
        """Ask a peer. Fails with the peer's error; with ProposalDropped/ReadFailed/PeerUnreachable when it was certainly not
        asked, and with OutcomeUnknown when the connection was lost or the time ran out after a proposal was sent."""

    def dial_back(self, address: str) -> Deferred[PeerIdentity]:
        """Who answers at this address? Fails with PeerUnreachable or WrongPeer."""

    def hang_up(self, node_id: str) -> None:
        """Close what a node that was removed has dialled, so that it dials anew, and is told."""

    def http_address(self, node_id: str) -> str | None:
        """Where that peer says it serves HTTP (`host:port`), if it has said so."""

    def stop(self) -> Deferred[None]:
        """Close every connection."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How a node counts time. One tick is `tick_seconds`; the rest are numbers of ticks."""

    tick_seconds: float = 0.02
    heartbeat_interval_ticks: int = 5
    election_timeout_ticks: int = 20


@dataclass(frozen=True, slots=True)
class SnapshotPolicy:
    """When a node takes a snapshot, how much log it keeps behind it, and in what parts it sends one (at most
    limits.SNAPSHOT_CHUNK_BYTES)."""

    entries_count: int = limits.SNAPSHOT_ENTRIES_COUNT
    log_bytes: int = limits.SNAPSHOT_LOG_BYTES
    kept_entries_count: int = limits.KEPT_ENTRIES_COUNT
    kept_bytes: int = limits.KEPT_BYTES
    chunk_bytes: int = limits.SNAPSHOT_CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What a node has on its disk, and how much more it could have."""

    free_bytes: int
    log_bytes: int = 0
    snapshots_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Precautions:
    """What a node watches by itself, and how. Nothing, unless it is told.

    While it leads, members that are not heard for `reap_after_seconds` are removed (None: never).
    Members compare the hashes of their states every so many seconds (None: never), if they are of one `release`. `disk_use`
    blocks, and may raise OSError; below the reserve only commands are taken that are sure to free room, as `frees_room` says.
    """

    check_interval_seconds: float | None = None
    release: str = ""
    disk_reserve_bytes: int = 0
    disk_use: Callable[[], DiskUse] | None = None
    frees_room: Callable[[bytes], bool] = lambda command: False
    reap_after_seconds: float | None = None
