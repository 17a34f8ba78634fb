"""`/metrics`: a node's figures as Prometheus reads them, written by its own library from a registry of the node's own.

Every metric is a row of METRICS: its name, with the unit in it; what it is; and how it is read off the figures. docs/metrics.md
describes each, and a test compares the two.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

import twisted
from hraft import __version__
from hraft.raft.ready import Role
from hraft.service.alarms import ADVICE
from hraft.web.answers import Answer, headers_of
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.node_figures import HistogramFigures, NodeFigures, PeerFigures
from hraft.web.parameters import Wants
from hraft.web.permissions import ANY_USER

#: Values of labels, and the value; or a histogram.
Sample: TypeAlias = "tuple[tuple[str, ...], float | HistogramFigures | None]"
_NOTHING: Final = Wants()


@dataclass(frozen=True, slots=True)
class Row:
    """One metric. A value of None is left out: nobody knows it, which is not 0."""

    name: str
    kind: str
    about: str
    read: Callable[[NodeFigures], Iterable[Sample]]
    labels: tuple[str, ...] = ()


def _one(name: str, kind: str, about: str, read: Callable[[NodeFigures], float | HistogramFigures | None]) -> Row:
    return Row(name, kind, about, lambda figures: [((), read(figures))])


def _gauge(name: str, about: str, read: Callable[[NodeFigures], float | None]) -> Row:
    return _one(name, "gauge", about, read)


def _counter(name: str, about: str, read: Callable[[NodeFigures], float | None]) -> Row:
    return _one(name, "counter", about, read)


def _histogram(name: str, about: str, read: Callable[[NodeFigures], HistogramFigures | None]) -> Row:
    return _one(name, "histogram", about, read)


def _reactor(name: str, about: str, field: str, kind: str = "counter") -> Row:
    return _one(name, kind, about, lambda figures: None if figures.reactor is None else getattr(figures.reactor, field))


def _store(name: str, about: str, field: str, kind: str = "gauge") -> Row:
    return _one(name, kind, about, lambda figures: None if figures.store is None else getattr(figures.store, field))


def _peer(name: str, kind: str, about: str, read: Callable[[PeerFigures], float | None]) -> Row:
    return Row(name, kind, about, lambda figures: [((peer.id,), read(peer)) for peer in figures.peers], ("peer",))


def _roles(figures: NodeFigures) -> list[Sample]:
    return [((role.value,), float(figures.raft.role == role.value)) for role in Role]


def _proposals(figures: NodeFigures) -> list[Sample]:
    return [((outcome,), count) for outcome, count in figures.raft.proposals.items()]


def _certificates(figures: NodeFigures) -> list[Sample]:
    return [((use,), expires_at) for use, expires_at in figures.certificates.items()]


def _requests(figures: NodeFigures) -> Iterator[Sample]:
    for route in figures.http.routes:
        for status_class, count in route.answers.items():
            yield (route.path, route.method, status_class), count


def _durations(figures: NodeFigures) -> list[Sample]:
    return [(("read",), figures.http.reads), (("write",), figures.http.writes)]


def _alarms(figures: NodeFigures) -> list[Sample]:
    active = {alarm.kind for alarm in figures.alarms}
    return [((kind,), float(kind in active)) for kind in ADVICE]


def _build(figures: NodeFigures) -> list[Sample]:
    labels = (__version__, platform.python_version(), twisted.__version__, figures.node_id, figures.cluster_id)
    return [(labels, 1.0)]


METRICS: Final = (
    Row("hraft_build_info", "gauge", "Always 1; what runs here", _build, ("version", "python", "twisted", "node", "cluster")),
    _gauge("hraft_ready", "Whether /readyz says 200", lambda f: float(f.is_ready)),
    Row("hraft_alarm", "gauge", "Whether this alarm stands, as far as this node knows", _alarms, ("kind",)),
    Row("hraft_certificate_expires_timestamp_seconds", "gauge", "When a certificate of its own ends", _certificates, ("use",)),
    # The reactor.
    _reactor("hraft_reactor_longest_stall_seconds", "The longest time that it was held up", "longest_stall_seconds", "gauge"),
    _reactor("hraft_reactor_stalls_total", "Times that it was held up for 50 ms or more", "stalls_count"),
    _reactor("hraft_reactor_stalled_seconds_total", "All of these together", "stalled_seconds"),
    # Raft.
    _gauge("hraft_raft_term", "The current term", lambda f: f.raft.term),
    Row("hraft_raft_role", "gauge", "1 for the role that the node has, 0 for the others", _roles, ("role",)),
    _gauge("hraft_raft_has_leader", "Whether a leader is known", lambda f: float(f.raft.leader_id is not None)),
    _counter("hraft_raft_elections_total", "Elections that this node stood in", lambda f: f.raft.elections_count),
    _counter("hraft_raft_leader_changes_total", "Times that another leader was seen", lambda f: f.raft.leader_changes_count),
    _gauge("hraft_raft_last_index", "The last entry in the log", lambda f: f.raft.last_index),
    _gauge("hraft_raft_persisted_index", "The last entry on this node's disk", lambda f: f.raft.persisted_index),
    _gauge("hraft_raft_commit_index", "The last entry known to be committed", lambda f: f.raft.commit_index),
    _gauge("hraft_raft_applied_index", "The last entry applied to the store", lambda f: f.raft.applied_index),
    _gauge("hraft_raft_first_index", "The first entry still in the log", lambda f: f.raft.first_index),
    _gauge("hraft_raft_snapshot_index", "The entry that the newest snapshot is of", lambda f: f.raft.snapshot_index),
    _gauge("hraft_raft_voters", "Members that count", lambda f: f.raft.voters_count),
    _gauge("hraft_raft_learners", "Members that do not count", lambda f: f.raft.learners_count),
    _gauge("hraft_raft_unapplied_entries", "Committed entries that wait to be applied", lambda f: f.raft.unapplied_count),
    _gauge("hraft_raft_pending_proposals", "Proposals whose clients wait", lambda f: f.raft.pending_proposals_count),
    Row("hraft_raft_proposals_total", "counter", "Proposals by what the client was told", _proposals, ("outcome",)),
    _gauge("hraft_raft_age_seconds", "How old what this node has may be; absent: unknown", lambda f: f.raft.age_seconds),
    # The disk.
    _histogram("hraft_disk_sync_seconds", "fdatasync, of the log and of snapshots", lambda f: f.disk.syncs),
    _histogram("hraft_disk_save_seconds", "Saves of the log, from their beginning until it is known", lambda f: f.disk.saves),
    _histogram("hraft_disk_batch_entries", "Entries in one save", lambda f: f.disk.batches),
    _histogram("hraft_disk_snapshot_seconds", "Snapshots written", lambda f: f.disk.snapshots),
    _counter("hraft_disk_written_bytes_total", "Bytes written to the log and to snapshots", lambda f: f.disk.written_bytes),
    _counter("hraft_disk_errors_total", "Writes and syncs that the system refused", lambda f: f.disk.errors_count),
    _counter("hraft_disk_full_saves_total", "Saves that found no room", lambda f: f.disk.full_saves_count),
    _gauge("hraft_disk_free_bytes", "Room that is left on the disk", lambda f: f.disk.free_bytes),
    _gauge("hraft_disk_reserve_bytes", "With less room than that, writes are refused", lambda f: f.disk.reserve_bytes),
    _gauge("hraft_disk_log_bytes", "Size of the log's files", lambda f: f.disk.log_bytes),
    _gauge("hraft_disk_snapshots_bytes", "Size of the snapshots' files", lambda f: f.disk.snapshots_bytes),
    # HTTP.
    Row("hraft_http_requests_total", "counter", "Answers by route", _requests, ("route", "method", "status")),
    Row("hraft_http_request_seconds", "histogram", "From a whole request to its answer; watches apart", _durations, ("kind",)),
    _gauge("hraft_http_connections", "Clients that are connected", lambda f: f.http.connections_count),
    _counter("hraft_http_refused_connections_total", "Clients that were refused and cut", lambda f: f.http.refused_count),
    _gauge("hraft_http_watchers", "Watches that are open", lambda f: f.http.watchers_count),
    # Peers.
    _peer("hraft_peer_contact_age_seconds", "gauge", "(leader) Since it was heard", lambda p: p.contact_age_seconds),
    _peer("hraft_peer_lag_entries", "gauge", "(leader) Entries that it is behind", lambda p: p.lag_entries),
    _peer("hraft_peer_sent_bytes_total", "counter", "Bytes sent to it", lambda p: p.sent_bytes),
    _peer("hraft_peer_received_bytes_total", "counter", "Bytes received from it", lambda p: p.received_bytes),
    _peer("hraft_peer_connections_total", "counter", "Connections made with it, by either side", lambda p: p.connections_count),
    _peer("hraft_peer_queued_bytes", "gauge", "What it does not take yet", lambda p: p.queued_bytes),
    # The store.
    _store("hraft_store_keys", "Keys", "keys_count"),
    _store("hraft_store_revision", "The revision: how many changes there were", "revision"),
    _store("hraft_store_leases", "Leases that have not ended", "leases_count"),
    _store("hraft_store_sessions", "Clients whose writes are done exactly once", "sessions_count"),
    _store("hraft_store_history_events", "Changes that watchers can still be told", "history_events_count"),
    _store("hraft_store_history_bytes", "What they take", "history_bytes"),
)
_FAMILIES: Final[dict[str, Any]] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}


class NodeCollector(Collector):
    """Reads the figures when it is asked, and keeps nothing."""

    def __init__(self, figures: Callable[[], NodeFigures]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """All metrics of now."""
        figures = self._figures()
        for row in METRICS:
            family = _FAMILIES[row.kind](row.name, row.about, labels=row.labels)
            for labels, value in row.read(figures):
                if isinstance(value, HistogramFigures):
                    family.add_metric(labels, _buckets(value), value.sum)
                elif value is not None:
                    family.add_metric(labels, value)
            yield family


def _buckets(histogram: HistogramFigures) -> list[tuple[str, float]]:
    """As Prometheus counts: each with all below it."""
    total, buckets = 0, []
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound), float(total)))
    return buckets


class MetricsApi:
    """Of one node."""

    def __init__(self, figures: Callable[[], NodeFigures]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(NodeCollector(figures))
        for collector in (prometheus_client.ProcessCollector, prometheus_client.GCCollector):
            collector(registry=self._registry)

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        yield Route(b"GET", b"/metrics", self._metrics, "This node in figures, for Prometheus", _NOTHING, needs=ANY_USER)

    def _metrics(self, asked: Asked) -> Answer:
        """In the form that the scraper prefers."""
        _NOTHING.of(asked)
        accept = asked.header(b"accept")
        encode, content_type = choose_encoder("" if accept is None else accept.decode("latin-1"))
        return Answer(200, headers_of(content_type.encode(), (b"Cache-Control", b"no-store")), encode(self._registry))
