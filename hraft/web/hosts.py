"""Under which names this node may be asked, and by pages of which origin: what keeps a web page from using its reader's browser
to reach a node that the page's own server cannot reach.

A page's name can be made to mean this machine (DNS rebinding): then Host is that name, so foreign names are refused. A page can
post to any address: then Origin, or Sec-Fetch-Site, tells of it. Programs send neither. Knows nothing of what is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from hraft import limits
from hraft.web.asked import Asked
from hraft.web.problems import NOT_DONE, Problem

ANY: Final = "*"
_READS: Final = (b"GET", b"HEAD")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^:\[\]]*)(?::[0-9]{0,5})?")


class Hosts:
    """`own` are the names that this node is known by, with or without ports; `allowed` those that the operator adds: names,
    *.names, or *.

    Without `allowed`, where users must say who they are, any name will do: a browser shows no password of one name to another.
    """

    def __init__(self, own: Iterable[str] = (), allowed: Iterable[str] | None = None, has_users: bool = False) -> None:
        said = [name.lower().rstrip(".") for name in allowed or ()]
        self._allowed = frozenset(name for name in said if not name.startswith("*"))
        self._endings = tuple(name[1:] for name in said if name.startswith("*."))
        self._own = frozenset(name for each in own if (name := _name(each.encode("latin-1", "replace"))))
        self._is_any = ANY in said or (allowed is None and has_users)
        #: Values of Host that are good, so that most requests cost one look.
        self._good: dict[bytes, None] = {b"": None}

    def check(self, asked: Asked) -> None:
        """Raises Problem (403) for a request that a browser may have been tricked into."""
        if asked.host not in self._good:
            self._check_host(asked.host)
        if asked.headers:
            self._check_origin(asked)

    def _check_host(self, host: bytes) -> None:
        name = _name(host)
        if name is None or not self._is_good(name):
            shown = host[:80].decode("latin-1")
            detail = f"this node is not known as {shown!r}: ask by its IP address, or start it with --allowed-hosts"
            raise Problem(403, "host_not_allowed", detail, outcome=NOT_DONE)
        if len(self._good) < limits.HOSTS_KEPT_COUNT:
            self._good[host] = None

    def _is_good(self, name: str) -> bool:
        """An address cannot be made to mean another; nor can a name without a dot, which no stranger can own."""
        if self._is_any or name in self._own or self._is_allowed(name):
            return True
        return "." not in name or name.endswith(".localhost") or _is_address(name)

    def _is_allowed(self, name: str) -> bool:
        return name in self._allowed or name.endswith(self._endings)

    def _check_origin(self, asked: Asked) -> None:
        origin = asked.header(b"origin")
        if origin is not None:
            if self._is_own_origin(origin, asked.host):
                return
            if origin != b"null" or asked.method not in _READS:
                raise _foreign(f"pages of {origin[:80].decode('latin-1')!r}")
        site = asked.header(b"sec-fetch-site")
        if site in (b"cross-site", b"same-site") and asked.method not in _READS:
            raise _foreign("pages of other origins")

    def _is_own_origin(self, origin: bytes, host: bytes) -> bool:
        scheme, _, place = origin.lower().partition(b"://")
        if scheme not in (b"http", b"https"):
            return False
        if place == host.lower():
            return True
        name = _name(place)
        return name is not None and self._is_allowed(name)


def _foreign(whose: str) -> Problem:
    return Problem(403, "foreign_origin", f"{whose} may not do this: only a page that this node has served", outcome=NOT_DONE)


def _name(host: bytes) -> str | None:
    """Without the port, and in small letters."""
    found = _HOST.fullmatch(host.decode("latin-1"))
    return None if found is None else found[1].lower().rstrip(".").strip("[]")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
