"""What a node says of itself and its cluster once a second, for the dashboard: the documents of /v1, and how fast things go.

Rates are of this node: it applies whatever the cluster writes, and answers those writes that came to it. Knows not who listens.
"""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft.counting import Histogram
from hraft.web.node import Node
from hraft.web.status import ClusterDocument, cluster_document, store_document


class PulseDocument(msgspec.Struct):
    """`writes_per_second` since the last figures, null in the first ones and where there are no keys. `write_ms`: how long the
    writes took, on the average, that this node has answered since then; null if there were none. `agreement_ms`: how long the
    last question took whether this node is up to date, which a majority must answer; null while there is no answer.
    """

    cluster: ClusterDocument
    node: dict[str, Any]
    writes_per_second: float | None
    write_ms: float | None
    agreement_ms: float | None


class Pulse:
    """Of one node. What it measures it measures only while it is asked for figures. `writes` are the durations of all writes."""

    def __init__(self, node: Node, clock: IReactorTime, writes: Histogram) -> None:
        self._node = node
        self._clock = clock
        self._writes = writes
        self._counted: tuple[int, float] | None = None
        self._answered: tuple[int, float] | None = None
        self._asked_at: float | None = None
        self._agreement_ms: float | None = None

    def begin(self) -> None:
        """Somebody listens again: what was counted before is no second ago."""
        self._counted = self._answered = self._agreement_ms = None

    def document(self) -> PulseDocument:
        """The figures of now."""
        node = self._node
        age_seconds = node.age_seconds()
        age_ms = None if age_seconds is None else int(age_seconds * 1000) + 1
        agreement_ms = self._agreement_ms if self._asked_at is None else None
        self._ask()
        # Of the moment before; the next figures have what is answered now.
        node.look_around()
        document = store_document(node, age_ms)
        return PulseDocument(
            cluster=cluster_document(node),
            node=document,
            writes_per_second=self._writes_per_second(document.get("revision")),
            write_ms=self._write_ms(),
            agreement_ms=agreement_ms,
        )

    def _writes_per_second(self, revision: object) -> float | None:
        if not isinstance(revision, int):
            return None
        now = self._clock.seconds()
        before, self._counted = self._counted, (revision, now)
        if before is None or now <= before[1]:
            return None
        return round(max(0, revision - before[0]) / (now - before[1]), 1)

    def _write_ms(self) -> float | None:
        before, self._answered = self._answered, (self._writes.count, self._writes.sum)
        if before is None or self._answered[0] <= before[0]:
            return None
        return round((self._answered[1] - before[1]) / (self._answered[0] - before[0]) * 1000, 2)

    def _ask(self) -> None:
        """One question at a time; how long it takes is told with the next figures."""
        if self._asked_at is not None:
            return
        asked_at = self._asked_at = self._clock.seconds()

        def agreed(_: int) -> None:
            self._agreement_ms = round((self._clock.seconds() - asked_at) * 1000, 2)

        def failed(_: Failure) -> None:
            self._agreement_ms = None

        def over(_: object) -> None:
            self._asked_at = None

        maybeDeferred(self._node.confirm_read).addCallbacks(agreed, failed).addBoth(over)
