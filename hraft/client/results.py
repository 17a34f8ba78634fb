"""What the client's calls give: frozen values, keys and values as bytes. Knows nothing of how they travelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key and its record. Its value is empty where keys alone were asked for; `lease` None: it depends on none."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int | None = None

    @property
    def text(self) -> str:
        """The value as UTF-8; what is none becomes U+FFFD."""
        return self.value.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class PutResult:
    """The write has revision `revision`; the key is in its `version`th version, counted from its creation.

    `previous` is what it was before, if that was asked for and there was one.
    """

    key: bytes
    revision: int
    create_revision: int
    version: int
    lease: int | None = None
    previous: KeyValue | None = None


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """So many keys are gone. `revision` is the store's after it."""

    deleted_count: int
    revision: int
    previous: KeyValue | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some keys of a range, in order. `next` is where the next page begins (`after=`), None after the last; `count` is of them
    all.

    `revision` is the store's when this was read. `age_seconds` is how old a stale answer may be; None: unknown, or not stale.
    """

    pairs: tuple[KeyValue, ...]
    next: bytes | None
    count: int
    revision: int
    age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PutDone:
    """A put of a transaction. The record has no value: whoever put it knows it."""

    record: KeyValue
    previous: KeyValue | None = None


@dataclass(frozen=True, slots=True)
class DeleteDone:
    """A delete of a transaction; `previous` is what the keys were, if that was asked for."""

    deleted_count: int
    previous: tuple[KeyValue, ...] = ()


@dataclass(frozen=True, slots=True)
class GetDone:
    """A read of a transaction: at most as many pairs as were asked for, and how many keys the range has."""

    pairs: tuple[KeyValue, ...]
    count: int


OperationDone: TypeAlias = PutDone | DeleteDone | GetDone


@dataclass(frozen=True, slots=True)
class TxnResult:
    """Whether all comparisons held, and what each operation of the branch that was taken gave."""

    succeeded: bool
    revision: int
    results: tuple[OperationDone, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one key. `previous` only where it was asked for."""

    kind: Literal["put", "delete"]
    key: bytes
    mod_revision: int
    record: KeyValue | None = None
    previous: KeyValue | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """All that one revision did to the keys that are watched."""

    revision: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """A lease as its leader sees it. `keys` only where they were asked for."""

    lease: int
    ttl_seconds: float
    remaining_seconds: float
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class LeaseListed:
    """A lease in the list of all."""

    lease: int
    ttl_seconds: float
    keys_count: int


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the cluster. Lag and contact are None where the node that was asked does not know them."""

    node_id: str
    raft_address: str
    http_address: str | None
    is_voter: bool
    is_leader: bool
    match_index: int | None = None
    lag_count: int | None = None
    last_contact_seconds: float | None = None
    #: A learner that stays one until it is promoted.
    is_replica: bool = False


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster, as one node sees it."""

    cluster_id: str
    term: int
    leader_id: str | None
    members: tuple[Member, ...]
