"""`/status`: how this node sees the cluster. First hraftd's three fields, in hraftd's order, then our own.

Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping

from hraft import __version__
from hraft.web.node import Node


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
        "version": __version__,
    }


def _member(node_id: str, address: str) -> dict[str, str]:
    return {"id": node_id, "address": address}


def _members(addresses: Mapping[str, str]) -> list[dict[str, str]]:
    return [_member(node_id, address) for node_id, address in addresses.items()]
