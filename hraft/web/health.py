"""`/livez` and `/readyz`, as Kubernetes and load balancers ask: 200 or 503, and as text one line for each check; or one check
alone, by its name.

Knows nothing of what is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final
from urllib.parse import unquote_to_bytes

from hraft.service.health import Check
from hraft.web.answers import TEXT, Answer, headers_of
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.node import Node
from hraft.web.parameters import Flag, Wants, Words
from hraft.web.permissions import OPEN
from hraft.web.problems import Problem

LIVEZ: Final = b"/livez"
READYZ: Final = b"/readyz"
_VERBOSE: Final = Flag("verbose", "one line for each check also when all is well")
_EXCLUDE: Final = Words("exclude", "names of checks that are not to count, between commas or one by one")
_WANTS: Final = Wants((_VERBOSE, _EXCLUDE))
_WANTS_OF_ONE: Final = Wants((_VERBOSE,))
_ANSWERS: Final = {200: bytes, 503: bytes}
_HEADERS: Final = headers_of(TEXT, (b"Cache-Control", b"no-store"))


class HealthApi:
    """Of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        for path, about, checks in (
            (LIVEZ, "Whether this process should go on", self._node.liveness),
            (READYZ, "Whether clients should be sent to this node", self._node.readiness),
        ):
            yield Route(b"GET", path, partial(_all, checks), about, _WANTS, None, _ANSWERS, needs=OPEN)
            alone, about = path + b"/{check}", f"{about}, by one check alone"
            yield Route(b"GET", alone, partial(_one, checks), about, _WANTS_OF_ONE, None, _ANSWERS, ("not_found",), OPEN)


def _all(checks: Callable[[], tuple[Check, ...]], asked: Asked) -> Answer:
    given = _WANTS.of(asked)
    return health_answer(asked.path, checks(), _VERBOSE.of(given), _EXCLUDE.of(given))


def _one(checks: Callable[[], tuple[Check, ...]], asked: Asked) -> Answer:
    return health_answer(asked.path, one_check(asked.path, checks()), _VERBOSE.of(_WANTS_OF_ONE.of(asked)))


def one_check(path: bytes, checks: Iterable[Check]) -> tuple[Check, ...]:
    """The check that a path names after its last slash. Raises Problem where there is none of that name."""
    by_name = {check.name: check for check in checks}
    name = unquote_to_bytes(path.rpartition(b"/")[2]).decode("utf-8", "replace")
    if name not in by_name:
        raise Problem(404, "not_found", f"there is no check {name[:40]!r} here; there are {', '.join(by_name)}")
    return (by_name[name],)


def health_answer(path: bytes, checks: Iterable[Check], is_verbose: bool, excluded: Iterable[str] = ()) -> Answer:
    """All lines where that was asked for, or where something fails: then somebody looks for the reason.

    Names in `excluded` that no check has are told of, and no reason to fail: the same probe may ask nodes of several releases.
    """
    by_name = {check.name: check for check in checks}
    unknown = sorted(set(excluded) - set(by_name))
    counted = [check for name, check in by_name.items() if name not in excluded]
    is_well = all(check.is_ok for check in counted)
    if is_well and not is_verbose:
        return Answer(200, _HEADERS, b"ok\n")
    lines = [_line(check) if check in counted else f"[+] {name} excluded: ok" for name, check in by_name.items()]
    lines += [f"warn: there is no check {name[:40]!r} to exclude" for name in unknown[:1]]
    lines += [f"{path[1:].decode('utf-8', 'replace')} check {'passed' if is_well else 'failed'}", ""]
    return Answer(200 if is_well else 503, _HEADERS, "\n".join(lines).encode())


def _line(check: Check) -> str:
    sign, word = ("+", "ok") if check.is_ok else ("-", "failed")
    return f"[{sign}] {check.name} {word}" + (f": {' '.join(check.words.split())}" if check.words else "")
