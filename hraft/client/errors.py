"""What a call of the client can fail with; each class says what the caller may do next.

    Unavailable         nobody could be asked in time. Nothing was done.
    OutcomeUnknown      a write may have been done, or may still be. Nothing else leaves that open.
    Refused             the cluster has answered, and has not done it: ConditionFailed, LeaseNotFound, Compacted ...
    LeaseLost, LockLost this client does not hold any more what it held

Knows nothing of HTTP but its status codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hraft import errors

if TYPE_CHECKING:
    from hraft.client.results import KeyValue


class ClientError(errors.HraftError):
    """The root of what a client's calls fail with."""


class Unavailable(ClientError):
    """No node could answer within the deadline. A write was certainly not done; it is safe to ask again."""


class OutcomeUnknown(ClientError, errors.OutcomeUnknown):
    """The write may have been done, or may still be. Read before you repeat it, unless doing it twice is harmless."""


class BadAnswer(ClientError):
    """Something answered that does not speak as hraft does: is there another server, or a proxy, at this address?"""


class Closed(ClientError):
    """The client, or the watch, was closed before."""


class Refused(ClientError):
    """The cluster's answer is no, and nothing was done. `code` names the kind, `status` is HTTP's, `members` all it said."""

    def __init__(self, detail: str, code: str = "", status: int = 0, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{detail} ({code})" if code else detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.members: Mapping[str, Any] = members or {}


class ConditionFailed(Refused):
    """The key is not as the call demanded. `current` is what it is now; None: there is no such key."""

    current: KeyValue | None = None


class KeyNotFound(Refused):
    """There is no such key."""


class LeaseNotFound(Refused):
    """There is no such lease (any more)."""


class Compacted(Refused):
    """The changes asked for are not kept any more: read the keys anew, and watch from that revision on."""

    @property
    def oldest_revision(self) -> int | None:
        """All changes after this one are kept."""
        value = self.members.get("oldest_revision")
        return value if isinstance(value, int) else None


class LimitReached(Refused):
    """Too many, or too large: leases, keys in one delete, a result, a body."""


class LoginNeeded(Refused):
    """The cluster does not know who asks, or the password or token is wrong: give the client other `credentials`."""


class Forbidden(Refused):
    """Who asks is known, and may not: `detail` says which role or key it would take."""


class SessionRefused(Refused):
    """The client's session, or one of its serials, is unknown to the cluster. Handled inside, unless the user made the key."""


class LeaseLost(ClientError):
    """The lease has ended, or may have: its keys may be gone, and others may have what they stood for."""


class LockLost(ClientError):
    """The lock, or the office, is not held any more. A guarded write that fails with this was not done."""


class LockTimeout(ClientError):
    """Others held the lock for as long as the caller wanted to wait."""


#: By the `code` of a problem; what is not here is a plain Refused.
BY_CODE: dict[str, type[Refused]] = {
    "condition_failed": ConditionFailed,
    "key_not_found": KeyNotFound,
    "lease_not_found": LeaseNotFound,
    "compacted": Compacted,
    "unauthorized": LoginNeeded,
    "forbidden": Forbidden,
    "host_not_allowed": Forbidden,
    "foreign_origin": Forbidden,
    "too_many_logins": LimitReached,
    "too_many_leases": LimitReached,
    "too_many_keys": LimitReached,
    "result_too_large": LimitReached,
    "session_expired": SessionRefused,
    "serial_expired": SessionRefused,
    "serial_reused": SessionRefused,
}
