"""All fuzz targets, in one table."""

from __future__ import annotations

from fuzz import (
    access_targets,
    client_targets,
    disk_targets,
    peer_targets,
    raft_targets,
    store_targets,
    text_targets,
    web_targets,
)
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for module in (
        *(disk_targets, store_targets, peer_targets, raft_targets),
        *(web_targets, text_targets, client_targets, access_targets),
    )
    for target in module.TARGETS
}
