"""The HTTP port of a node whose state machine is an application's own: the cluster, and nothing of a store that is not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from web_doubles import Served, WireTestCase

from hraft.kv.store import KeyValueStore
from hraft.web.routes import node_api


class Tally:
    """As in docs/embedding.md; a command that is not its own raises, which ends the node."""

    def apply(self, index: int, command: bytes) -> Any:
        raise AssertionError(f"this is no command of mine: {command!r}")

    def snapshot(self) -> Iterable[bytes]:
        return [b"{}"]

    def restored(self, lines: Iterable[bytes]) -> Tally:
        return self


class AnotherMachineTests(WireTestCase):
    def setUp(self) -> None:
        self.served = Served()
        self.node = self.served.node
        self.node.state_machine = cast(KeyValueStore, Tally())
        self.node.is_fresh = True
        self.served.api = node_api(self.node)
        self.served.site.serve(self.served.api)
        self.client = self.served.connect()

    def test_nothing_of_the_store(self) -> None:
        """A request of a stranger must not become a command that the application's state machine fails at, on all nodes."""
        for method, path in (
            ("GET", "/key/a"),
            ("POST", "/key"),
            ("DELETE", "/key/a"),
            ("GET", "/v1/kv/a?level=stale"),
            ("PUT", "/v1/kv/a"),
            ("DELETE", "/v1/kv?prefix="),
            ("POST", "/v1/txn"),
            ("POST", "/v1/leases"),
            ("GET", "/v1/leases"),
            ("POST", "/v1/sessions"),
            ("GET", "/v1/watch"),
        ):
            with self.subTest(path):
                reply = self.ask(method, path, b'{"a":"1"}' if method == "POST" else b"")
                self.assertEqual((404, "not_found"), (reply.status, reply.json()["code"]))
        self.assertEqual([], self.node.asked)

    def test_the_cluster_is_there(self) -> None:
        """Other nodes ask to be taken in here, and operators look here."""
        for path in ("/status", "/v1/status", "/v1/cluster", "/v1/snapshot", "/"):
            self.assertEqual(200, self.ask("GET", path).status, path)
