"""What a node says of itself and its cluster once a second, for the dashboard: the documents of /v1, and how fast things go.

Rates are of this node: how many writes it has applied, which is how many the cluster has done. Knows nothing of who listens.
"""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from hraft.kv.store import KeyValueStore
from hraft.web.node import Node
from hraft.web.status import ClusterDocument, cluster_document, store_document


class FiguresDocument(msgspec.Struct):
    """`writes_per_second` since the last figures, null in the first ones and where there are no keys. `agreement_ms`: how long
    the last question took whether this node is up to date, which a majority must answer; null while there is no answer.
    """

    cluster: ClusterDocument
    node: dict[str, Any]
    writes_per_second: float | None
    agreement_ms: float | None


class Figures:
    """Of one node. What it measures it measures only while it is asked for figures."""

    def __init__(self, node: Node, clock: IReactorTime) -> None:
        self._node = node
        self._clock = clock
        self._counted: tuple[int, float] | None = None
        self._asked_at: float | None = None
        self._agreement_ms: float | None = None

    def begin(self) -> None:
        """Somebody listens again: what was counted before is no second ago."""
        self._counted = self._agreement_ms = None

    def document(self) -> FiguresDocument:
        """The figures of now."""
        node = self._node
        age_seconds = node.age_seconds()
        age_ms = None if age_seconds is None else int(age_seconds * 1000) + 1
        document = FiguresDocument(
            cluster_document(node), store_document(node, age_ms), self._writes_per_second(), self._agreement_ms
        )
        self._ask()
        return document

    def _writes_per_second(self) -> float | None:
        store, now = self._node.state_machine, self._clock.seconds()
        if not isinstance(store, KeyValueStore):
            return None
        before, self._counted = self._counted, (store.revision, now)
        if before is None or now <= before[1]:
            return None
        return round(max(0, store.revision - before[0]) / (now - before[1]), 1)

    def _ask(self) -> None:
        """One question at a time; how long it takes is told with the next figures."""
        if self._asked_at is not None:
            self._agreement_ms = None
            return
        asked_at = self._asked_at = self._clock.seconds()

        def agreed(_: int) -> None:
            self._agreement_ms = round((self._clock.seconds() - asked_at) * 1000, 2)

        def failed(_: Failure) -> None:
            self._agreement_ms = None

        def over(_: object) -> None:
            self._asked_at = None

        maybeDeferred(self._node.confirm_read).addCallbacks(agreed, failed).addBoth(over)
