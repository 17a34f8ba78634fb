"""How a node sees the cluster, as JSON. In `/status` first hraftd's three fields, in hraftd's order, then our own.

Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

import msgspec

from hraft import __version__
from hraft.kv.store import KeyValueStore
from hraft.service.alarms import ADVICE, Alarm
from hraft.web.node import Node


class LeaderDocument(msgspec.Struct):
    """Where the leader is; its HTTP address is null until it has said it."""

    id: str
    raft_address: str
    http_address: str | None


class MemberDocument(LeaderDocument):
    """One member; a replica is a learner that stays one until it is promoted.

    How far its log is known to agree, how far that is behind, and when it was heard: null but on the leader, and where the leader
    has just been asked, as for a page that somebody looks at.
    """

    voter: bool
    replica: bool = False
    leader: bool = False
    self: bool = False
    match_index: int | None = None
    lag: int | None = None
    last_contact_ms: int | None = None


class AlarmDocument(msgspec.Struct):
    """What an operator must look at. `members`: who has it, as far as this node knows; `age_seconds`: for how long."""

    kind: str
    members: list[str]
    detail: str
    advice: str
    age_seconds: int
    index: int | None = None
    hashes: dict[str, str] = {}


class ClusterDocument(msgspec.Struct):
    """The members as of the last configuration in this node's log."""

    cluster_id: str
    term: int
    leader: LeaderDocument | None
    configuration_committed: bool
    members: list[MemberDocument]
    alarms: list[AlarmDocument]


def status_document(node: Node) -> dict[str, object]:
    """The JSON object. Where no leader is known its id and address are empty, as Go's zero values are."""
    status, leader = node.status(), node.leader()
    configuration = status.configuration
    leader_id = leader.node_id if leader else ""
    followers = {node_id: address for node_id, address in configuration.members.items() if node_id != leader_id}
    return {
        "me": _member(node.node_id, node.raft_address),
        "leader": _member(leader_id, leader.raft_address if leader else ""),
        "followers": _members(followers),
        "role": status.role.value,
        "term": status.term,
        "cluster_id": node.cluster_id,
        "http_address": node.http_address,
        "leader_http_address": (leader.http_address if leader else None) or "",
        "voters": _members(configuration.voters),
        "learners": _members(configuration.learners),
        "configuration_committed": status.configuration_committed,
        "last_index": status.last.index,
        "persisted_index": status.persisted_index,
        "commit_index": status.commit_index,
        "applied_index": status.applied_index,
        "first_index": status.first_index,
        "snapshot_index": status.snapshot_index,
        "removed_index": None if node.removal is None else node.removal.index,
        "version": __version__,
    }


def store_document(node: Node, age_ms: int | None) -> dict[str, object]:
    """The same and what the store has. `age_ms` is how old that may be, if it is known."""
    store, counts = node.state_machine, {}
    if isinstance(store, KeyValueStore):
        counts = {"revision": store.revision, "keys_count": store.count(), "leases_count": store.leases_count}
    found = node.counts()
    use = found.disk
    disk = None if use is None else {**asdict(use), "reserve_bytes": found.disk_reserve_bytes}
    alarms = alarm_documents(node, node.alarms.active)
    return {**status_document(node), **counts, "age_ms": age_ms, "disk": disk, "alarms": alarms}


def cluster_document(node: Node) -> ClusterDocument:
    """`/v1/cluster`: who is a member, and as far as that is known, how far each is."""
    status, leader = node.status(), node.leader()
    leader_id = None if leader is None else leader.node_id
    members, views = [], node.member_views()
    for node_id, address in status.configuration.members.items():
        member = MemberDocument(node_id, address, node.http_address_of(node_id), status.configuration.is_voter(node_id))
        member.replica = node_id in status.configuration.replicas
        member.leader, member.self = node_id == leader_id, node_id == node.node_id
        view = views.get(node_id)
        if view is not None:
            member.match_index, member.lag = view.match_index, view.lag_entries
            member.last_contact_ms = int(view.silent_seconds * 1000)
        members.append(member)
    told = None if leader is None else LeaderDocument(leader.node_id, leader.raft_address, leader.http_address or None)
    alarms = alarm_documents(node, node.alarms.active)
    return ClusterDocument(node.cluster_id, status.term, told, status.configuration_committed, members, alarms)


def alarm_documents(node: Node, alarms: Iterable[Alarm]) -> list[AlarmDocument]:
    """Alarms of those that this node knows of."""
    return [
        AlarmDocument(
            kind=alarm.kind,
            members=list(alarm.members),
            detail=alarm.detail,
            advice=ADVICE[alarm.kind],
            age_seconds=int(node.alarms.age_seconds(alarm)),
            index=alarm.index,
            hashes=alarm.hashes,
        )
        for alarm in alarms
    ]


def _member(node_id: str, address: str) -> dict[str, str]:
    return {"id": node_id, "address": address}


def _members(addresses: Mapping[str, str]) -> list[dict[str, str]]:
    return [_member(node_id, address) for node_id, address in addresses.items()]
