"""How many wrong logins there were, so that nobody tries passwords for long; and nobody is locked out by what others try.

Counted for each user at each address, for each address, and for all together; never for a user alone, or anybody could lock one
out. Each count sinks with time. Pure: is told the time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address

from hraft import limits


class _Counts:
    """For each key a number that sinks by one in `seconds_each`. Keeps so many keys, those counted last."""

    def __init__(self, most: int, seconds_each: float) -> None:
        self._most = most
        self._seconds_each = seconds_each
        #: When the count of a key will have sunk to nothing.
        self._empty_at: OrderedDict[Hashable, float] = OrderedDict()

    def count(self, key: Hashable, now: float) -> float:
        return max(0.0, self._empty_at.get(key, 0.0) - now) / self._seconds_each

    def wait_seconds(self, key: Hashable, now: float) -> float:
        """Until one more would be allowed."""
        return max(0.0, self.count(key, now) + 1 - self._most) * self._seconds_each

    def add(self, key: Hashable, now: float, number: int = 1) -> None:
        self._empty_at[key] = max(now, self._empty_at.pop(key, 0.0)) + number * self._seconds_each
        if len(self._empty_at) > limits.FAILED_LOGINS_KEPT_COUNT:
            self._empty_at.popitem(last=False)


class FailedLogins:
    """A try is counted when it begins, and taken back when it was right: many at once are no more than one after another."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._of_users = _Counts(limits.FAILED_LOGINS_OF_USER_COUNT, limits.FAILED_LOGIN_OF_USER_SECONDS)
        self._of_addresses = _Counts(limits.FAILED_LOGINS_OF_ADDRESS_COUNT, limits.FAILED_LOGIN_OF_ADDRESS_SECONDS)
        self._of_all = _Counts(limits.FAILED_LOGINS_COUNT, limits.FAILED_LOGIN_SECONDS)

    def wait_seconds(self, address: str, user: str) -> float:
        """How long this address has to wait before it may try to be this user; mostly 0.

        While there are too many wrong logins from everywhere, only those wait who had one lately.
        """
        now, network = self._seconds(), _network(address)
        waits = [self._of_users.wait_seconds((network, user), now), self._of_addresses.wait_seconds(network, now)]
        if self._of_addresses.count(network, now) > 0:
            waits.append(self._of_all.wait_seconds(None, now))
        return max(waits)

    def is_first(self, address: str) -> bool:
        """Whether a failure would be this address's first one lately, and there are few from everywhere: worth a line of log."""
        now = self._seconds()
        is_quiet = self._of_all.wait_seconds(None, now) == 0
        return is_quiet and self._of_addresses.count(_network(address), now) <= 1

    def begun(self, address: str, user: str) -> None:
        self._add(address, user, 1)

    def was_right(self, address: str, user: str) -> None:
        """Take back what `begun` counted."""
        self._add(address, user, -1)

    def _add(self, address: str, user: str, number: int) -> None:
        now, network = self._seconds(), _network(address)
        self._of_users.add((network, user), now, number)
        self._of_addresses.add(network, now, number)
        self._of_all.add(None, now, number)


def _network(address: str) -> Hashable:
    """What one client has: an IPv4 address, but 2**64 IPv6 addresses."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:  # A socket of this machine.
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped) if found.ipv4_mapped is not None else found.packed[:8]
    return address
