"""Reads: how fresh an answer must be, and how old a stale one may be.

Knows nothing of what is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from twisted.internet.defer import Deferred

from hraft.interfaces import ReadLevel
from hraft.kv.store import KeyValueStore
from hraft.web.answers import Answer
from hraft.web.node import Node
from hraft.web.parameters import Choice, Given, Number, bad
from hraft.web.problems import Problem, retry_later

LEVEL: Final = Choice(
    "level",
    "how fresh the answer must be: not before whatever was acknowledged; the same by the leader's lease; or what this node has",
    "bad_level",
    ("linearizable", "lease", "stale"),
)
MAX_LAG: Final = Number("max_lag", "how many milliseconds old a stale answer may be", highest=10**12)
MIN_REVISION: Final = Number(
    "min_revision", "the revision that a stale answer must have seen: the last one that the client knows of"
)
FRESHNESS: Final = (LEVEL, MAX_LAG, MIN_REVISION)
_AGE: Final = b"X-Hraft-Age-Ms"


class Reads:
    """Of one node. `age_seconds` tells how old what it has may be; None: it has never heard of a leader."""

    def __init__(self, node: Node, age_seconds: Callable[[], float | None]) -> None:
        self._node = node
        self._age_seconds = age_seconds

    def serve(self, given: Given, read: Callable[[], Answer]) -> Answer | Deferred[Answer]:
        """Call `read` when this node's store is as fresh as was asked. What `read` raises fails the Deferred."""
        if not given:  # The commonest read is the one of which nothing is said.
            return self._node.confirm_read().addCallback(lambda _: read())
        level, max_lag_ms, min_revision = LEVEL.of(given), MAX_LAG.of(given), MIN_REVISION.of(given)
        if level == "stale":
            self._check_revision(min_revision)
            return self._stale(max_lag_ms, read)
        for bound, name in ((max_lag_ms, "max_lag"), (min_revision, "min_revision")):
            if bound is not None:
                raise bad(f"{name} goes with level=stale: a {level} read is not late")
        return self._node.confirm_read(ReadLevel(level)).addCallback(lambda _: read())

    def _check_revision(self, min_revision: int | None) -> None:
        """A client that goes from node to node never sees time go backwards, if it says how far it has seen (6.4.1, R12)."""
        if min_revision is None:
            return
        revision = cast(KeyValueStore, self._node.state_machine).revision
        if revision < min_revision:
            detail = f"this node has seen revision {revision}, and not yet {min_revision}"
            raise retry_later("too_stale", detail, revision=revision, age_ms=self.age_ms())

    def _stale(self, max_lag_ms: int | None, read: Callable[[], Answer]) -> Answer:
        age_ms = self.age_ms()
        if max_lag_ms is not None and (age_ms is None or age_ms > max_lag_ms):
            said = "how old it is, is not known" if age_ms is None else f"it may be {age_ms} ms old"
            raise retry_later("too_stale", f"what this node has is too old for max_lag={max_lag_ms}: {said}", age_ms=age_ms)
        age = "unknown" if age_ms is None else str(age_ms)
        try:
            answer = read()
        except Problem as problem:  # That there is no such key is as old as any value.
            problem.headers[_AGE] = age
            raise
        return Answer(answer.status, answer.headers, answer.body, (*answer.varying, (_AGE, age.encode())))

    def age_ms(self) -> int | None:
        """In whole milliseconds, rather too many than too few."""
        age_seconds = self._age_seconds()
        return None if age_seconds is None else int(age_seconds * 1000) + 1
