"""The client of a hraft cluster (docs/client.md). For Twisted programs; `hraft.client.blocking` is for those without a reactor.

Speaks HTTP and nothing else: knows nothing of Raft, the store and the node.
"""

from hraft.client.client import HraftClient
from hraft.client.elections import Incumbent, LeaderElection, Observation
from hraft.client.errors import (
    BadAnswer,
    ClientError,
    Closed,
    Compacted,
    ConditionFailed,
    Forbidden,
    KeyNotFound,
    LeaseLost,
    LeaseNotFound,
    LimitReached,
    LockLost,
    LockTimeout,
    LoginNeeded,
    OutcomeUnknown,
    Refused,
    SessionRefused,
    Unavailable,
)
from hraft.client.leases import Lease
from hraft.client.locks import Lock
from hraft.client.results import (
    Change,
    ClusterView,
    DeleteDone,
    DeleteResult,
    Event,
    GetDone,
    KeyValue,
    LeaseListed,
    LeaseTimes,
    Member,
    Page,
    PutDone,
    PutResult,
    TxnResult,
)
from hraft.client.transactions import Compare, Comparison, Delete, Fence, Get, Put
from hraft.client.watches import Watch
from hraft.credentials import Credentials

__all__ = [
    "BadAnswer",
    "Change",
    "ClientError",
    "Closed",
    "ClusterView",
    "Compacted",
    "Compare",
    "Comparison",
    "ConditionFailed",
    "Credentials",
    "Delete",
    "DeleteDone",
    "DeleteResult",
    "Event",
    "Fence",
    "Forbidden",
    "Get",
    "GetDone",
    "HraftClient",
    "Incumbent",
    "KeyNotFound",
    "KeyValue",
    "LeaderElection",
    "Lease",
    "LeaseListed",
    "LeaseLost",
    "LeaseNotFound",
    "LeaseTimes",
    "LimitReached",
    "Lock",
    "LockLost",
    "LockTimeout",
    "LoginNeeded",
    "Member",
    "Observation",
    "OutcomeUnknown",
    "Page",
    "Put",
    "PutDone",
    "PutResult",
    "Refused",
    "SessionRefused",
    "TxnResult",
    "Unavailable",
    "Watch",
]
