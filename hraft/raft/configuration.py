"""Who belongs to the cluster, as of some entry; and the only steps from one configuration to the next.

Pure data and arithmetic: knows nothing of logs, terms or roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hraft.errors import ChangeRefused
from hraft.limits import MEMBERS_COUNT


@dataclass(frozen=True, slots=True)
class Configuration:
    """The members, by id, with the raft address of each.

    Invariant: no id is in two of `voters`, `learners` and `removed`; no address is used twice.
    A joiner is a learner first (Section 4.2.1). Ids of removed members are kept, since an id is used once for all time.
    """

    voters: Mapping[str, str] = field(default_factory=dict)
    learners: Mapping[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    @property
    def members(self) -> dict[str, str]:
        """Every member's address by its id, voters first."""
        return {**self.voters, **self.learners}

    def is_voter(self, node_id: str) -> bool:
        return node_id in self.voters

    def is_member(self, node_id: str) -> bool:
        return node_id in self.voters or node_id in self.learners

    def with_learner(self, node_id: str, address: str) -> Configuration:
        """Add a learner, or give a member that is already there a new address.

        Raises ChangeRefused for an id that was removed, an address that another member has, or too many members.
        """
        if node_id in self.removed:
            raise ChangeRefused(f"the id {node_id!r} was removed from this cluster and is never used again; join under a new id")
        for other, taken in self.members.items():
            if taken == address and other != node_id:
                raise ChangeRefused(f"the address {address!r} already belongs to {other!r}")
        if node_id in self.voters:
            return replace(self, voters={**self.voters, node_id: address})
        if len(self.members) >= MEMBERS_COUNT and node_id not in self.learners:
            raise ChangeRefused(f"a cluster has at most {MEMBERS_COUNT} members")
        return replace(self, learners={**self.learners, node_id: address})

    def with_voter(self, node_id: str) -> Configuration:
        """Promote a learner. Raises ChangeRefused unless `node_id` is one."""
        if node_id not in self.learners:
            raise ChangeRefused(f"{node_id!r} is not a learner, so it cannot be promoted")
        return replace(
            self,
            voters={**self.voters, node_id: self.learners[node_id]},
            learners=_without(self.learners, node_id),
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
            removed=(*self.removed, node_id),
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


def _without(addresses: Mapping[str, str], node_id: str) -> dict[str, str]:
    return {name: address for name, address in addresses.items() if name != node_id}
