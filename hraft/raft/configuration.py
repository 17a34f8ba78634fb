"""Who belongs to the cluster, as of some entry; and the only steps from one configuration to the next.

Pure data and arithmetic: knows nothing of logs, terms or roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hraft.errors import ChangeRefused
from hraft.limits import MEMBERS_COUNT, REMOVED_IDS_COUNT


@dataclass(frozen=True, slots=True)
class Configuration:
    """The members, by id, with the raft address of each.

    Invariant: no id is in two of `voters`, `learners` and `removed`; no address is used twice; `replicas` are learners.
    A joiner is a learner first (Section 4.2.1), and one of `replicas` stays it until it is promoted by hand. Ids of removed
    members are kept, since an id is used once for all time: the last REMOVED_IDS_COUNT of them, each of which costs room in
    every configuration.
    """

    voters: Mapping[str, str] = field(default_factory=dict)
    learners: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()

    @property
    def members(self) -> dict[str, str]:
        """Every member's address by its id, voters first."""
        return {**self.voters, **self.learners}

    def is_voter(self, node_id: str) -> bool:
        return node_id in self.voters

    def is_member(self, node_id: str) -> bool:
        return node_id in self.voters or node_id in self.learners

    def with_learner(self, node_id: str, address: str, is_replica: bool = False) -> Configuration:
        """Add a learner, or give a member that is already there a new address. A learner can be made a replica, a voter not.

        Raises ChangeRefused for an id that was removed, an address that another member has, or too many members.
        """
        if node_id in self.removed:
            raise ChangeRefused(f"the id {node_id!r} was removed from this cluster and is never used again; join under a new id")
        for other, taken in self.members.items():
            if taken == address and other != node_id:
                raise ChangeRefused(f"the address {address!r} already belongs to {other!r}")
        if node_id in self.voters:
            if is_replica:
                raise ChangeRefused(f"{node_id!r} is a voter already; remove it, and join as a learner under a new id")
            return replace(self, voters={**self.voters, node_id: address})
        if len(self.members) >= MEMBERS_COUNT and node_id not in self.learners:
            raise ChangeRefused(f"a cluster has at most {MEMBERS_COUNT} members")
        replicas = (*self.replicas, node_id) if is_replica and node_id not in self.replicas else self.replicas
        return replace(self, learners={**self.learners, node_id: address}, replicas=replicas)

    def with_voter(self, node_id: str) -> Configuration:
        """Promote a learner. Raises ChangeRefused unless `node_id` is one."""
        if node_id not in self.learners:
            raise ChangeRefused(f"{node_id!r} is not a learner, so it cannot be promoted")
        return replace(
            self,
            voters={**self.voters, node_id: self.learners[node_id]},
            learners=_without(self.learners, node_id),
            replicas=tuple(replica for replica in self.replicas if replica != node_id),
        )

    def without(self, node_id: str) -> Configuration:
        """Remove a member for ever. Raises ChangeRefused for a stranger and for the last voter."""
        if not self.is_member(node_id):
            raise ChangeRefused(f"{node_id!r} is not a member of this cluster")
        if tuple(self.voters) == (node_id,):
            raise ChangeRefused(f"{node_id!r} is the only voter; a cluster without voters cannot exist")
        return Configuration(
            voters=_without(self.voters, node_id),
            learners=_without(self.learners, node_id),
            removed=(*self.removed, node_id)[-REMOVED_IDS_COUNT:],
            replicas=tuple(replica for replica in self.replicas if replica != node_id),
        )

    def differs_by_one_voter_at_most(self, other: Configuration) -> bool:
        """Whether any majority of the one shares a voter with any majority of the other (Section 4.1)."""
        return len(self.voters.keys() ^ other.voters.keys()) <= 1

    def check(self) -> None:
        """Raise ValueError where the class invariant does not hold: for what comes from a file or a peer."""
        groups: tuple[Iterable[str], ...] = (self.voters, self.learners, self.removed)
        ids = [node_id for group in groups for node_id in group]
        if len(ids) != len(set(ids)):
            raise ValueError(f"an id stands twice in {self}")
        addresses = [*self.voters.values(), *self.learners.values()]
        if len(addresses) != len(set(addresses)):
            raise ValueError(f"an address stands twice in {self}")
        if not set(self.replicas) <= self.learners.keys() or len(set(self.replicas)) != len(self.replicas):
            raise ValueError(f"a replica is a learner, once, in {self}")


def _without(addresses: Mapping[str, str], node_id: str) -> dict[str, str]:
    return {name: address for name, address in addresses.items() if name != node_id}
