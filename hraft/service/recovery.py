"""What a node begins with: what its disk holds, or the first entry of a cluster of its own."""

from __future__ import annotations

from dataclasses import replace

from hraft.interfaces import Recovered
from hraft.raft.node import RaftNode, bootstrap_save
from hraft.raft.settings import Settings
from hraft.service.events import Events
from hraft.service.surroundings import Surroundings


def recover(around: Surroundings, raft_address: str, bootstrap: bool, events: Events) -> Recovered:
    """Blocks. With `bootstrap` an empty log becomes that of a new cluster. Raises what `Storage.recover` and `save` raise."""
    recovered = around.storage.recover()
    if not bootstrap or recovered.entries or recovered.snapshot is not None:
        return recovered
    save = bootstrap_save(around.node_id, raft_address)
    around.storage.save(save)
    events.bootstrapped(around.cluster_id)
    return replace(recovered, hard_state=save.hard_state, entries=save.entries)


def raft_node(around: Surroundings, recovered: Recovered) -> RaftNode:
    """The core, as it was when it last saved."""
    timing = around.timing
    return RaftNode(
        around.node_id,
        Settings(timing.election_timeout_ticks, timing.heartbeat_interval_ticks),
        around.choose,
        recovered.hard_state,
        recovered.snapshot,
        recovered.base,
        recovered.entries,
    )
