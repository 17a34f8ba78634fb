"""Where the figures of a node come from: the service, its disk, its peers, its clients. All of them go to /metrics.

Costs the same however large the store is. Everything that is counted is since the start of the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from hraft.counting import DiskTally, Histogram, Traffic
from hraft.kv.store import KeyValueStore
from hraft.raft.ready import NodeStatus
from hraft.service.counts import Counts
from hraft.web.node import Node
from hraft.web.node_figures import (
    DiskFigures,
    HistogramFigures,
    HttpFigures,
    NodeFigures,
    PeerFigures,
    RaftFigures,
    ReactorFigures,
    RouteFigures,
    StoreFigures,
)
from hraft.web.status import alarm_documents
from hraft.web.tally import HttpTally


class Connections(Protocol):
    """What the HTTP server knows of its clients."""

    refused_count: int

    @property
    def connections_count(self) -> int: ...

    @property
    def watchers_count(self) -> int: ...


class Peers(Protocol):
    """What the transport knows of the way to each peer."""

    traffic: dict[str, Traffic]

    def queued_bytes(self, peer: str) -> int: ...


class Stalls(Protocol):
    """How long the reactor's thread was held up."""

    longest_seconds: float
    stalls_count: int
    stalled_seconds: float


class Certificate(Protocol):
    """One that this node shows, and when it ends."""

    name: str

    @property
    def expires_at(self) -> datetime | None: ...


class Figures:
    """Where they come from; call it for those of now."""

    def __init__(
        self,
        node: Node,
        tally: HttpTally,
        site: Connections | None = None,
        disk: DiskTally | None = None,
        peers: Peers | None = None,
        stalls: Stalls | None = None,
        certificates: Sequence[Certificate] = (),
    ) -> None:
        self._node = node
        self._tally = tally
        self._site = site
        self._disk = disk
        self._peers = peers
        self._stalls = stalls
        self._certificates = certificates

    def __call__(self) -> NodeFigures:
        """As of now."""
        node = self._node
        status, counts = node.status(), node.counts()
        return NodeFigures(
            node_id=node.node_id,
            cluster_id=node.cluster_id,
            reactor=None if self._stalls is None else _reactor(self._stalls),
            raft=_raft(node, status, counts),
            disk=_disk(counts, self._disk),
            http=_http(self._tally, self._site),
            peers=list(self._peer_figures(status)),
            store=_store(node),
            alarms=alarm_documents(node, node.alarms.own),
            is_ready=all(check.is_ok for check in node.readiness()),
            certificates={one.name: one.expires_at.timestamp() for one in self._certificates if one.expires_at is not None},
        )

    def _peer_figures(self, status: NodeStatus) -> Iterator[PeerFigures]:
        """Members only, so that there is a bound to how many."""
        traffic: Mapping[str, Traffic] = {} if self._peers is None else self._peers.traffic
        for peer in status.configuration.members:
            if peer == status.node_id:
                continue
            follower, way = status.followers.get(peer), traffic.get(peer) or Traffic()
            yield PeerFigures(
                id=peer,
                contact_age_seconds=None if follower is None else follower.ticks_since_contact * self._node.tick_seconds,
                match_index=None if follower is None else follower.match_index,
                lag_entries=None if follower is None else max(0, status.last.index - follower.match_index),
                sent_bytes=way.sent_bytes,
                received_bytes=way.received_bytes,
                connections_count=way.connections_count,
                queued_bytes=0 if self._peers is None else self._peers.queued_bytes(peer),
            )


def _histogram(histogram: Histogram) -> HistogramFigures:
    return HistogramFigures(tuple(histogram.bounds), tuple(histogram.counts), histogram.sum)


def _reactor(stalls: Stalls) -> ReactorFigures:
    return ReactorFigures(stalls.longest_seconds, stalls.stalls_count, stalls.stalled_seconds)


def _raft(node: Node, status: NodeStatus, counts: Counts) -> RaftFigures:
    return RaftFigures(
        role=status.role.value,
        term=status.term,
        leader_id=status.leader_id,
        last_index=status.last.index,
        persisted_index=status.persisted_index,
        commit_index=status.commit_index,
        applied_index=status.applied_index,
        first_index=status.first_index,
        snapshot_index=status.snapshot_index,
        voters_count=len(status.configuration.voters),
        learners_count=len(status.configuration.learners),
        elections_count=counts.elections_count,
        leader_changes_count=counts.leader_changes_count,
        proposals=counts.proposals,
        pending_proposals_count=counts.pending_proposals_count,
        unapplied_count=counts.unapplied_count,
        age_seconds=node.age_seconds(),
    )


def _disk(counts: Counts, tally: DiskTally | None) -> DiskFigures:
    use = counts.disk
    return DiskFigures(
        syncs=None if tally is None else _histogram(tally.syncs),
        saves=_histogram(counts.saves),
        batches=_histogram(counts.batches),
        snapshots=_histogram(counts.snapshots),
        written_bytes=None if tally is None else tally.written_bytes,
        errors_count=None if tally is None else tally.errors_count,
        full_saves_count=counts.full_saves_count,
        free_bytes=None if use is None else use.free_bytes,
        reserve_bytes=counts.disk_reserve_bytes,
        log_bytes=None if use is None else use.log_bytes,
        snapshots_bytes=None if use is None else use.snapshots_bytes,
    )


def _http(tally: HttpTally, site: Connections | None) -> HttpFigures:
    routes = []
    for route in tally.routes:
        answers = {f"{first}xx": count for first, count in enumerate(route.counts) if count}
        if answers:
            routes.append(RouteFigures(route.path, route.method, answers))
    return HttpFigures(
        routes=routes,
        reads=_histogram(tally.reads),
        writes=_histogram(tally.writes),
        connections_count=0 if site is None else site.connections_count,
        refused_count=0 if site is None else site.refused_count,
        watchers_count=0 if site is None else site.watchers_count,
    )


def _store(node: Node) -> StoreFigures | None:
    store = node.state_machine
    if not isinstance(store, KeyValueStore):
        return None
    return StoreFigures(
        keys_count=store.count(),
        revision=store.revision,
        leases_count=store.leases_count,
        sessions_count=store.sessions_count,
        history_events_count=store.history_events_count,
        history_bytes=store.history_bytes,
        oldest_revision=store.oldest_revision,
    )
