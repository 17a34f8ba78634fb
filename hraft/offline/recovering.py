"""Quorum lost for good: a new cluster of what one directory has. Says first what that means, and what may be lost."""

from __future__ import annotations

from dataclasses import dataclass

from hraft.addresses import parse_advertised
from hraft.errors import DirectoryUnusable, FormatUnknown
from hraft.offline.contents import Contents, read_contents
from hraft.offline.founding import make_ready, put_in_place, ready_identity
from hraft.offline.replaying import State, state_at


@dataclass(frozen=True, slots=True)
class Recovery:
    """What would be done: `raft_address` is what others will be told to dial."""

    contents: Contents
    state: State
    raft_address: str

    def sentences(self) -> tuple[str, ...]:
        """What it comes to, for whoever must decide."""
        contents, state, identity = self.contents, self.state, self.contents.identity
        members = state.configuration.members
        others = [f"{each} at {members[each]}" for each in members if each != identity.node_id]
        damage = f"; its log is damaged, and what is behind that is left out: {contents.damage}" if contents.damage else ""
        missing = "; what its log has behind a gap is left out" if contents.missing else ""
        keys = f"{state.store.count()} keys, revision {state.store.revision}"
        has = f"up to entry {state.last.index} of term {state.last.term}, {keys}"
        return (
            f"node {identity.node_id} of cluster {identity.cluster_id} has everything {has}{damage}{missing}",
            f"the other members that it knew: {', '.join(others) or 'none'}",
            f"what was acknowledged after entry {state.last.index} may be lost, and the last entries before it, which may never "
            f"have been acknowledged, will count",
            f"this begins a new cluster, with a new id, of {identity.node_id} at {self.raft_address} alone. The others can never "
            f"come back to it with what they have: stop them, and have them join with empty directories",
        )

    def carry_out(self) -> tuple[str, str]:
        """Do it; the new cluster's id, and where the old data is."""
        contents, state = self.contents, self.state
        identity = make_ready(contents.path, state.store, state.last, contents.identity.node_id, self.raft_address)
        return identity.cluster_id, put_in_place(contents.path, identity)


def planned(path: str, raft_address: str | None) -> Recovery:
    """What can be made of a directory. Raises DirectoryUnusable, FormatUnknown, LogCorrupted, Compacted, BadAddress."""
    contents = read_contents(path)
    state = state_at(contents)
    if state.unknown_count:
        raise FormatUnknown(
            f"{path}: {state.unknown_count} commands in its log are none that the store of this hraft knows, so they would be "
            f"lost; a later hraft, or an application with a state machine of its own, has written them"
        )
    node_id = contents.identity.node_id
    address = raft_address or state.configuration.members.get(node_id)
    if address is None:
        raise DirectoryUnusable(f"{path}: {node_id} was no member as of entry {state.last.index}; say its address with --raddr")
    return Recovery(contents, state, str(parse_advertised(address)))


def go_on(path: str) -> tuple[str, str] | None:
    """Finish what was interrupted; the new cluster's id, and where the old data is. None where there is nothing to finish."""
    identity = ready_identity(path)
    return None if identity is None else (identity.cluster_id, put_in_place(path, identity))
