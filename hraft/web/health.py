"""`/livez` and `/readyz`, as Kubernetes and load balancers ask: 200 or 503, and as text one line for each check.

Knows nothing of what is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hraft.service.health import Check
from hraft.web.answers import TEXT, Answer, headers_of
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.node import Node
from hraft.web.parameters import Flag, Wants
from hraft.web.permissions import OPEN

LIVEZ: Final = b"/livez"
READYZ: Final = b"/readyz"
_VERBOSE: Final = Flag("verbose", "one line for each check also when all is well")
_WANTS: Final = Wants((_VERBOSE,))
_HEADERS: Final = headers_of(TEXT, (b"Cache-Control", b"no-store"))


class HealthApi:
    """Of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        yield Route(b"GET", LIVEZ, self._livez, "Whether this process should go on", _WANTS, needs=OPEN)
        yield Route(b"GET", READYZ, self._readyz, "Whether clients should be sent to this node", _WANTS, needs=OPEN)

    def _livez(self, asked: Asked) -> Answer:
        is_verbose = _VERBOSE.of(_WANTS.of(asked))
        return health_answer("livez", self._node.liveness(), is_verbose)

    def _readyz(self, asked: Asked) -> Answer:
        is_verbose = _VERBOSE.of(_WANTS.of(asked))
        return health_answer("readyz", self._node.readiness(), is_verbose)


def health_answer(name: str, checks: Iterable[Check], is_verbose: bool) -> Answer:
    """All lines where that was asked for, or where something fails: then somebody looks for the reason."""
    checks = tuple(checks)
    is_well = all(check.is_ok for check in checks)
    if is_well and not is_verbose:
        return Answer(200, _HEADERS, b"ok\n")
    lines = [*map(_line, checks), f"{name} check {'passed' if is_well else 'failed'}", ""]
    return Answer(200 if is_well else 503, _HEADERS, "\n".join(lines).encode())


def _line(check: Check) -> str:
    sign, word = ("+", "ok") if check.is_ok else ("-", "failed")
    return f"[{sign}] {check.name} {word}" + (f": {' '.join(check.words.split())}" if check.words else "")
