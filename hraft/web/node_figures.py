"""The figures of a node as one document: shapes only. Where they come from is in `hraft.web.figures`."""

from __future__ import annotations

import msgspec

from hraft.web.status import AlarmDocument


class HistogramFigures(msgspec.Struct, frozen=True):
    """`counts[i]` values were at most `bounds[i]` and above the bound before; the last count is of all above."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


class RaftFigures(msgspec.Struct, frozen=True):
    """`term` to `snapshot_index` as in /status."""

    role: str
    term: int
    leader_id: str | None
    last_index: int
    persisted_index: int
    commit_index: int
    applied_index: int
    first_index: int
    snapshot_index: int
    voters_count: int
    learners_count: int
    elections_count: int
    leader_changes_count: int
    #: Clients' proposals by what they were told.
    proposals: dict[str, int]
    pending_proposals_count: int
    unapplied_count: int
    #: How old what this node has may be; None: unknown.
    age_seconds: float | None


class DiskFigures(msgspec.Struct, frozen=True):
    """Of the disk, and of the saves on it. None where nothing is known, as without a disk."""

    syncs: HistogramFigures | None
    saves: HistogramFigures
    batches: HistogramFigures
    snapshots: HistogramFigures
    written_bytes: int | None
    errors_count: int | None
    full_saves_count: int
    free_bytes: int | None
    reserve_bytes: int
    log_bytes: int | None
    snapshots_bytes: int | None


class RouteFigures(msgspec.Struct, frozen=True):
    """Answers of one route, by class: "2xx". Only classes that there were."""

    path: str
    method: str
    answers: dict[str, int]


class HttpFigures(msgspec.Struct, frozen=True):
    """Of the HTTP port."""

    routes: list[RouteFigures]
    reads: HistogramFigures
    writes: HistogramFigures
    connections_count: int
    refused_count: int
    watchers_count: int


class PeerFigures(msgspec.Struct, frozen=True):
    """One peer. The first three are known to the leader only."""

    id: str
    contact_age_seconds: float | None = None
    match_index: int | None = None
    lag_entries: int | None = None
    sent_bytes: int = 0
    received_bytes: int = 0
    connections_count: int = 0
    queued_bytes: int = 0


class StoreFigures(msgspec.Struct, frozen=True):
    """Of the key-value store."""

    keys_count: int
    revision: int
    leases_count: int
    sessions_count: int
    history_events_count: int
    history_bytes: int
    oldest_revision: int


class ReactorFigures(msgspec.Struct, frozen=True):
    """How long all had to wait for the reactor's thread: the longest time; how often, and how long, it was 50 ms or more."""

    longest_stall_seconds: float
    stalls_count: int
    stalled_seconds: float


class NodeFigures(msgspec.Struct, frozen=True):
    """One node at one moment."""

    node_id: str
    cluster_id: str
    reactor: ReactorFigures | None
    raft: RaftFigures
    disk: DiskFigures
    http: HttpFigures
    peers: list[PeerFigures]
    store: StoreFigures | None
    alarms: list[AlarmDocument]
    is_ready: bool
    #: What each is for, and its end in seconds since the epoch.
    certificates: dict[str, float]
