"""What the tests of the client share: a fake cluster, a client of it, and coroutines that run while time is turned."""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

from fake_cluster import FakeCluster
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hraft.client import HraftClient

T = TypeVar("T")


class ClientTestCase(SynchronousTestCase):
    """Three nodes, the first of which leads, and a client that asks the first of them first."""

    def setUp(self) -> None:
        self.cluster = FakeCluster()
        self.client = self.new_client()

    def new_client(self, **options: Any) -> HraftClient:
        client = HraftClient(self.cluster.endpoints, agent=self.cluster, clock=self.cluster.clock, chance=Random(1), **options)
        client.caller.endpoints._current = 0
        return client

    def begin(self, call: Coroutine[Any, Any, T]) -> Deferred[T]:
        return Deferred.fromCoroutine(call)

    def done(self, call: Coroutine[Any, Any, T], seconds: float = 0.0) -> T:
        """What it gives, within so many seconds of the cluster's."""
        under_way = self.begin(call)
        self.cluster.advance(seconds)
        return self.successResultOf(under_way)

    def fails(self, kind: type[Exception], call: Coroutine[Any, Any, Any], seconds: float = 0.0) -> Any:
        """The error it fails with."""
        under_way = self.begin(call)
        self.cluster.advance(seconds)
        return self.failureResultOf(under_way, kind).value

    def said(self, method: str, path: str = "") -> list[Any]:
        """The requests of a kind that nodes have seen."""
        return [asked for asked in self.cluster.asked if asked.method == method and asked.path.startswith(path)]
