"""Which node to ask: the ones the user named, and the leader once one has been pointed out.

    EndpointList("http://10.0.0.1:11000,10.0.0.2:11000")

Pure bookkeeping: opens no connection, and is told what came of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from hraft.addresses import parse_address
from hraft.errors import BadAddress

#: A leader whose address does not answer us may be one that only nodes can reach: let them forward for so long.
LEADER_DISTRUST_SECONDS = 30.0


def parse_endpoint(text: str) -> str:
    """http://host:port or host:port, as scheme://host:port. Raises BadAddress."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
    except ValueError as error:  # Brackets that do not match, for one.
        raise BadAddress(f"bad endpoint {text[:100]!r}: {str(error)[:100]}; write http://host:port") from error
    if parts.scheme not in ("http", "https"):
        raise BadAddress(f"bad endpoint {text[:100]!r}: write http://host:port or https://host:port")
    if not parts.netloc:
        raise BadAddress(f"bad endpoint {text[:100]!r}: the host is missing: write http://host:port")
    if parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise BadAddress(f"bad endpoint {text[:100]!r}: write the scheme, host and port alone: http://host:port")
    has_port = not parts.netloc.endswith("]") and ":" in parts.netloc
    netloc = parts.netloc if has_port else f"{parts.netloc}:{443 if parts.scheme == 'https' else 80}"
    return f"{parts.scheme}://{parse_address(netloc).dialable}"


class EndpointList:
    """The endpoints in the order of trying. `seconds` is the clock, `first` where to begin."""

    def __init__(self, endpoints: str | Iterable[str], seconds: Callable[[], float], first: int = 0) -> None:
        named = endpoints.split(",") if isinstance(endpoints, str) else endpoints
        self.urls = tuple(dict.fromkeys(parse_endpoint(text.strip()) for text in named if text.strip()))
        if not self.urls:
            raise BadAddress("no endpoint is named: write http://host:port, several with commas between them")
        self._seconds = seconds
        self._current = first % len(self.urls)
        self.leader: str | None = None
        self._distrusted_until = float("-inf")

    def __len__(self) -> int:
        return len(self.urls)

    @property
    def follows_leader(self) -> bool:
        """Whether nodes should point out the leader, rather than forward to it."""
        return self._seconds() >= self._distrusted_until

    def is_less_safe(self, url: str) -> bool:
        """Whether this one is asked without TLS, and all those that the user named with it."""
        return not url.startswith("https:") and all(named.startswith("https:") for named in self.urls)

    def choose(self, to_leader: bool) -> str:
        """Whom to ask next."""
        return self.leader if to_leader and self.leader is not None else self.urls[self._current]

    def pointed_out(self, location: str | None, by: str) -> bool:
        """A node says who leads; whether that is of use. No address, or none that we go to: nodes shall forward for a while."""
        try:
            leader = parse_endpoint(location) if location else None
        except BadAddress:
            leader = None
        # Whoever asked for TLS is not led away from it.
        if leader is None or (by.startswith("https:") and not leader.startswith("https:")):
            self.leader = None
            self._distrusted_until = self._seconds() + LEADER_DISTRUST_SECONDS
            return False
        self.leader = leader
        return True

    def failed(self, url: str, is_unreachable: bool = False) -> None:
        """It gave no answer, or none of use: another one next time."""
        if url == self.leader:
            self.leader = None
            if is_unreachable and url not in self.urls:
                self._distrusted_until = self._seconds() + LEADER_DISTRUST_SECONDS
        if url == self.urls[self._current]:
            self._current = (self._current + 1) % len(self.urls)
