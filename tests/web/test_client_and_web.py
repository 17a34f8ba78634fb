"""Our client against our web: what one says the other understands, word for word. What each does by itself is tested with it."""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

import pytest
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from web_doubles import URL, Served, ToldLeader

import hraft.client as hraft
from hraft.client import Compare, Delete, Get, HraftClient, Put
from hraft.kv.commands import CloseSession

pytest.importorskip("hraft.web.kv", reason="/v1/kv has not landed yet")

T = TypeVar("T")

BINARY = b"\x00\xff/../%2F?#&=+ "


class ClientAndWebTests(SynchronousTestCase):
    """One node that applies at once, behind the real site."""

    def setUp(self) -> None:
        self.served = Served()
        self.node = self.served.node
        self.node.is_fresh = True
        self.agent = RequestTraversalAgent(self.served.site.resource)
        # treq makes a server of its own for a resource; this one has ours.
        self.agent._serverFactory = self.served.site
        self.client = self.new_client()

    def new_client(self, **options: Any) -> HraftClient:
        return HraftClient(URL, agent=self.agent, clock=self.served.clock, chance=Random(1), **options)

    def done(self, call: Coroutine[Any, Any, T]) -> T:
        under_way = Deferred.fromCoroutine(call)
        for _ in range(20):
            self.agent.flush()
        return self.successResultOf(under_way)

    def fails(self, kind: type[Exception], call: Coroutine[Any, Any, Any]) -> Any:
        under_way = Deferred.fromCoroutine(call)
        for _ in range(20):
            self.agent.flush()
        return self.failureResultOf(under_way, kind).value

    def test_any_key_and_value(self) -> None:
        """What JSON, paths and queries do to bytes, both undo alike."""
        keys = [BINARY, b".", b"..", b"a//b/", "ключ".encode(), b"\xff"]
        for key in keys:
            put = self.done(self.client.put(key, BINARY, want_previous=True))
            self.assertEqual((key, 1, None), (put.key, put.version, put.previous))
            pair = self.done(self.client.get(key))
            assert pair is not None
            self.assertEqual((key, BINARY, put.revision), (pair.key, pair.value, pair.mod_revision))

        async def listed() -> list[bytes]:
            return [pair.key async for pair in self.client.items(limit=2)]

        self.assertEqual(sorted(keys), self.done(listed()))
        self.assertEqual(1, self.done(self.client.count(BINARY)))
        self.assertEqual(2, self.done(self.client.count(start=b".", end=b"/")))
        self.assertEqual(1, self.done(self.client.delete_prefix(b"\xff")).deleted_count)
        self.assertEqual(2, self.done(self.client.delete_range(b".", b"/")).deleted_count)
        self.assertEqual(3, self.done(self.client.delete_prefix(b"")).deleted_count)

    def test_levels_and_ages(self) -> None:
        """As they are asked for."""
        self.served.age_seconds = 0.25
        self.done(self.client.put("a", "1"))
        self.assertEqual(0.251, self.done(self.client.get_many("a", level="stale", max_lag_seconds=1)).age_seconds)
        self.assertIsNotNone(self.done(self.client.get("a", level="stale", max_lag_seconds=1)))
        self.assertIsNone(self.done(self.client.get_many("a", keys_only=True)).age_seconds)

    def test_conditions_and_deletes(self) -> None:
        """The refusal says what is there."""
        first = self.done(self.client.put("a", "1", if_absent=True))
        self.assertEqual(b"1", self.fails(hraft.ConditionFailed, self.client.put("a", "2", if_absent=True)).current.value)
        self.assertIsNone(self.fails(hraft.ConditionFailed, self.client.put("b", "2", if_revision=7)).current)
        self.fails(hraft.ConditionFailed, self.client.delete("a", if_revision=first.revision + 9))
        deleted = self.done(self.client.delete("a", if_revision=first.revision, want_previous=True))
        assert deleted.previous is not None
        self.assertEqual((1, b"1"), (deleted.deleted_count, deleted.previous.value))
        gone = self.done(self.client.delete("a"))
        self.assertEqual((0, deleted.revision), (gone.deleted_count, gone.revision))
        self.fails(hraft.ConditionFailed, self.client.delete("a", if_revision=first.revision))
        self.assertIsNone(self.done(self.client.get("a")))

    def test_transactions(self) -> None:
        """Every comparison and operation."""
        self.done(self.client.put(b"\xff", BINARY))
        compare = [
            Compare(b"\xff").value == BINARY,
            Compare(b"\xff").version == 1,
            Compare(b"\xff").create_revision < 9,
            Compare(b"\xff").mod_revision > 0,
            Compare(b"\xff", is_prefix=True).lease == 0,
            Compare("none").version != 1,
        ]
        then = [
            Put("a", b"\xfe", wants_previous=True),
            Delete(b"\xff", wants_previous=True),
            Delete("x", "y"),
            Delete("z", is_prefix=True),
            Get("", is_prefix=True, limit=1, keys_only=True),
            Get("a"),
            Get("a", ""),
        ]
        done = self.done(self.client.txn(compare, then, [Get("a")]))
        self.assertTrue(done.succeeded)
        put, delete, none, nothing, listed, got, rest = done.results
        self.assertEqual((b"a", 1, None), (put.record.key, put.record.version, put.previous))  # type: ignore[union-attr]
        self.assertEqual((1, BINARY), (delete.deleted_count, delete.previous[0].value))  # type: ignore[union-attr,index]
        self.assertEqual((0, 0), (none.deleted_count, nothing.deleted_count))  # type: ignore[union-attr]
        self.assertEqual((1, b""), (listed.count, listed.pairs[0].value))  # type: ignore[union-attr]
        self.assertEqual([b"\xfe"] * 2, [each.pairs[0].value for each in (got, rest)])  # type: ignore[union-attr]
        self.assertFalse(self.done(self.client.txn(compare, then, [Get("a")])).succeeded)
        self.assertEqual("key_written_twice", self.fails(hraft.Refused, self.client.txn([], [Put("a", "1"), Put("a", "2")])).code)

    def test_leases(self) -> None:
        """From grant to revocation."""
        lease = self.done(self.client.lease(30))
        self.assertEqual(30, lease.ttl_seconds)
        self.assertEqual(lease.id, self.done(self.client.put(b"\xff", "1", lease=lease.id)).lease)
        self.done(lease.keep_alive())
        times = self.done(self.client.lease_times(lease.id))
        self.assertEqual((lease.id, 30, 15, (b"\xff",)), (times.lease, times.ttl_seconds, times.remaining_seconds, times.keys))
        [listed] = self.done(self.client.leases())
        self.assertEqual((lease.id, 30, 1), (listed.lease, listed.ttl_seconds, listed.keys_count))
        self.assertEqual(1, self.done(self.client.revoke(lease.id)).deleted_count)
        for call in (self.client.revoke, self.client.lease_times, self.client.keep_alive):
            self.fails(hraft.LeaseNotFound, call(lease.id))
        self.fails(hraft.LeaseNotFound, self.client.put("a", "1", lease=lease.id))

    def test_sessions(self) -> None:
        """Opened, numbered, forgotten by the cluster, had anew, and given back."""
        self.done(self.client.put("a", "1"))
        self.node.put(CloseSession(1))
        self.assertEqual(2, self.done(self.client.put("a", "2")).version)
        self.done(self.client.close())
        self.assertEqual(0, len(self.node.state_machine._sessions))

    def test_the_leader_elsewhere(self) -> None:
        """Its address is looked for, and where there is none the node forwards."""
        self.node.leads = False
        self.node.known_leader = ToldLeader()
        client = self.new_client(idempotent=False)
        Deferred.fromCoroutine(client.put("a", "1")).addErrback(lambda _: None)
        self.assertEqual("http://host1:11001", client.caller.endpoints.leader)
        self.node.known_leader = ToldLeader(http_address=None)
        client = self.new_client(idempotent=False)
        Deferred.fromCoroutine(client.put("a", "1")).addErrback(lambda _: None)
        self.served.clock.advance(1)
        self.assertFalse(client.caller.endpoints.follows_leader)
        self.assertEqual("submit", self.node.asked[-1].how)

    def test_cluster_and_status(self) -> None:
        """Members as they are; the node in its own words."""
        view = self.done(self.client.cluster())
        self.assertEqual(("c1", 3, "node0"), (view.cluster_id, view.term, view.leader_id))
        self.assertEqual(
            [("node0", True, True), ("node1", True, False), ("node2", False, False)],
            [(member.node_id, member.is_voter, member.is_leader) for member in view.members],
        )
        self.assertEqual(0, self.done(self.client.status())["keys_count"])
