"""Calls of the client: what they say, what they make of every answer, and what they repeat."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from client_cases import ClientTestCase
from fake_cluster import Response
from twisted.internet.defer import CancelledError, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

import hraft.client as hraft
from hraft import limits
from hraft.client import Compare, Delete, Get, Put
from hraft.client.exchange import agent_of
from hraft.errors import BadAddress
from hraft.kv.commands import Set
from hraft.tls.files import CertificateFiles

BINARY = b"\x00\xff/../%2F?#"


class DataTests(ClientTestCase):
    """Everything a user can say, and hear."""

    def test_any_bytes_are_a_key_and_a_value(self) -> None:
        """What HTTP, JSON and URLs do to bytes is the client's to undo."""
        for key in (BINARY, b".", b"..", b"a/./b", "ключ".encode(), b"/", b"a b+c"):
            self.done(self.client.put(key, BINARY))
            pair = self.done(self.client.get(key))
            assert pair is not None
            self.assertEqual((key, BINARY), (pair.key, pair.value))
            self.assertEqual(b"%s" % BINARY, self.cluster.store.get(key).value)  # type: ignore[union-attr]
        self.assertEqual({BINARY, b".", b"..", b"a/./b", "ключ".encode(), b"/", b"a b+c"}, set(self.done(self._keys(b""))))

    async def _keys(self, prefix: bytes) -> list[bytes]:
        return [pair.key async for pair in self.client.items(prefix)]

    def test_a_key_that_cannot_be_is_refused_here(self) -> None:
        """Nothing is sent that no node can take."""
        for key in ("", "k" * 1025):
            self.fails(ValueError, self.client.get(key))
        self.assertEqual([], self.cluster.asked)

    def test_put_and_delete_tell_what_was_before(self) -> None:
        """Also that there was nothing."""
        first = self.done(self.client.put("a", "1", want_previous=True))
        self.assertEqual((1, 1, 1, None), (first.revision, first.create_revision, first.version, first.previous))
        second = self.done(self.client.put("a", "2", want_previous=True))
        assert second.previous is not None
        self.assertEqual((2, 1, 2, "1"), (second.revision, second.create_revision, second.version, second.previous.text))
        deleted = self.done(self.client.delete("a", want_previous=True))
        assert deleted.previous is not None
        self.assertEqual((1, 3, "2"), (deleted.deleted_count, deleted.revision, deleted.previous.text))
        self.assertEqual((0, 3), (lambda none: (none.deleted_count, none.revision))(self.done(self.client.delete("a"))))
        self.assertIsNone(self.done(self.client.get("a")))

    def test_conditions(self) -> None:
        """Compare-and-set: who is wrong is told what is right."""
        first = self.done(self.client.put("a", "1", if_absent=True))
        error = self.fails(hraft.ConditionFailed, self.client.put("a", "2", if_absent=True))
        self.assertEqual((b"1", first.revision), (error.current.value, error.current.mod_revision))
        self.done(self.client.put("a", "2", if_revision=first.revision))
        self.assertEqual(
            b"2", self.fails(hraft.ConditionFailed, self.client.delete("a", if_revision=first.revision)).current.value
        )
        self.assertIsNone(self.fails(hraft.ConditionFailed, self.client.put("b", "2", if_revision=7)).current)

    def test_pages(self) -> None:
        """`items` is every key once and in order, over as many pages as it takes."""
        for number in range(8):
            self.done(self.client.put(f"p/{number}", str(number)))
        self.assertEqual([b"p/%d" % number for number in range(8)], self.done(self._keys(b"p/")))
        page = self.done(self.client.get_many("p/", limit=2, keys_only=True, level="stale", max_lag_seconds=2))
        self.assertEqual((8, b"p/1", b"", 1.5), (page.count, page.next, page.pairs[0].value, page.age_seconds))
        self.assertEqual((b"stale", b"2000"), (self.cluster.asked[-1].query["level"], self.cluster.asked[-1].query["max_lag"]))
        self.assertEqual(3, self.done(self.client.count(start="p/2", end="p/5")))
        self.assertEqual(3, self.done(self.client.delete_range("p/2", "p/5")).deleted_count)
        self.assertEqual(5, self.done(self.client.delete_prefix("p/")).deleted_count)

    def test_transactions(self) -> None:
        """Both branches, and each operation's result."""
        compare = [Compare("a").version == 0, Compare("b").value != b"\xff"]
        self.done(self.client.put("b", "x"))
        done = self.done(self.client.txn(compare, [Put("a", b"\xfe"), Delete("b", wants_previous=True), Get("", is_prefix=True)]))
        self.assertTrue(done.succeeded)
        put, delete, get = done.results
        self.assertEqual((2, 1, 1), (put.record.create_revision, delete.deleted_count, get.count))  # type: ignore[union-attr]
        self.assertEqual((b"x", b"\xfe"), (delete.previous[0].value, get.pairs[0].value))  # type: ignore[union-attr,index]
        done = self.done(self.client.txn(compare, [Put("a", "2")], [Get("a", limit=1)]))
        self.assertEqual((False, b"\xfe"), (done.succeeded, done.results[0].pairs[0].value))  # type: ignore[union-attr]
        with self.assertRaisesRegex(TypeError, "compared to a whole number, and not to 'x'"):
            Compare("a").version > "x"  # noqa: B015

    def test_cluster_and_status(self) -> None:
        """Of any node, or of one."""
        view = self.done(self.client.cluster())
        self.assertEqual(("node0", 3, "node1:11000"), (view.leader_id, view.term, view.members[1].http_address))
        self.assertEqual(self.cluster.nodes[2], self.done(self.client.status("node2:11000"))["me"])
        self.cluster.down.add(self.cluster.nodes[2])
        self.fails(hraft.Unavailable, self.client.status("node2:11000"))

    def test_endpoints_that_are_none(self) -> None:
        """Said at once, in words."""
        for wrong in ("", "ftp://a:1", "http://a:1/path", "http://user@a:1", []):
            with self.assertRaises(BadAddress):
                hraft.HraftClient(wrong, agent=self.cluster, clock=self.cluster.clock)


class ErrorTests(ClientTestCase):
    """Every answer that is no success, as the class that says what to do."""

    def test_each_code_has_its_class(self) -> None:
        """A program asks for the class; `code`, `status` and the members are there too."""
        for status, code, kind in (
            (404, "lease_not_found", hraft.LeaseNotFound),
            (409, "change_refused", hraft.Refused),
            (410, "compacted", hraft.Compacted),
            (412, "condition_failed", hraft.ConditionFailed),
            (413, "body_too_large", hraft.Refused),
            (422, "too_many_keys", hraft.LimitReached),
            (422, "result_too_large", hraft.LimitReached),
            (422, "serial_reused", hraft.SessionRefused),
            (429, "too_many_leases", hraft.LimitReached),
            (400, "bad_request", hraft.Refused),
        ):
            self.done(self.client.put("a", "1"))
            before = len(self.cluster.asked)
            self.cluster.faults.append(self.cluster.say(status, code, current=None))
            error = self.fails(hraft.Refused, self.client.put("a", "2"))
            self.assertEqual((kind, code, status, before + 1), (type(error), error.code, error.status, len(self.cluster.asked)))
            self.assertIn(f"told to say {code}", str(error))

    def test_not_done_of_the_store_is_not_repeated(self) -> None:
        """500 with `not done` is an answer: the same command would be refused again."""
        self.done(self.client.put("a", "1"))
        self.cluster.faults.append(self.cluster.say(500, "command_refused", "not done"))
        self.assertEqual("command_refused", self.fails(hraft.Refused, self.client.put("a", "2")).code)

    def test_another_server(self) -> None:
        """A proxy or a stranger at the address is named as such, and after a write nobody knows."""
        self.cluster.faults.append(lambda asked: succeed(Response(404, b"<html>nothing here")))
        self.assertIn("not as hraft does: b'<html>", str(self.fails(hraft.BadAnswer, self.client.get("a"))))
        self.cluster.faults.append(lambda asked: succeed(Response(200, b"<html>welcome")))
        self.fails(hraft.BadAnswer, self.client.get("a"))
        self.done(self.client.put("a", "1"))
        self.cluster.faults.append(lambda asked: succeed(Response(200, b"<html>welcome")))
        self.fails(hraft.OutcomeUnknown, self.client.put("a", "1"))

    def test_closed(self) -> None:
        """A closed client asks nobody; its session is given back first."""
        self.done(self.client.put("a", "1"))
        self.done(self.client.close())
        self.assertEqual(1, len(self.said("DELETE", "/v1/sessions/")))
        self.fails(hraft.Closed, self.client.get("a"))
        self.done(self.client.close())


class RetryTests(ClientTestCase):
    """What is repeated: reads, what was certainly not done, and writes that have a key."""

    def test_reads_are_repeated_whatever_happens(self) -> None:
        """Nothing changes by reading twice."""
        cluster = self.cluster
        self.done(self.client.put("a", "1"))
        for fault in (
            cluster.lose_answer,
            cluster.say(503, "read_failed"),
            cluster.say(500, "internal"),
            cluster.say(502, "proxy"),
        ):
            cluster.faults.append(fault)
            pair = self.done(self.client.get("a"), seconds=2)
            assert pair is not None
            self.assertEqual(b"1", pair.value)
        self.cluster.faults.append(cluster.hang)
        self.assertIsNotNone(self.done(self.client.get("a"), seconds=11))

    def test_without_a_key_an_unknown_outcome_is_never_repeated(self) -> None:
        """The one rule that must hold: it could be done twice."""
        client = self.new_client(idempotent=False)
        cluster = self.cluster
        for fault in (cluster.lose_answer, cluster.lose_request, cluster.hang, cluster.say(503, "outcome_unknown", "unknown")):
            for call in (client.put, client.delete):
                before = len(cluster.asked)
                cluster.faults.append(fault)
                arguments = ("a", "1") if call == client.put else ("a",)
                self.fails(hraft.OutcomeUnknown, call(*arguments), seconds=11)  # type: ignore[operator]
                self.assertEqual(before + 1, len(cluster.asked), fault)
        for status in (500, 502, 504):
            cluster.faults.append(lambda asked, status=status: succeed(Response(status, b"")))
            self.fails(hraft.OutcomeUnknown, client.put("a", "1"), seconds=5)
        self.assertTrue(all(asked.key is None for asked in cluster.asked))

    def test_without_a_key_what_was_not_done_is_repeated(self) -> None:
        """No connection, or `not done`: it cannot be done twice."""
        client = self.new_client(idempotent=False)
        self.cluster.down.add(self.cluster.nodes[0])
        self.cluster.leader = 1
        self.cluster.faults.extend([self.cluster.say(503, "proposal_dropped", "not done")] * 4)
        self.assertEqual(1, self.done(client.put("a", "1"), seconds=5).version)

    def test_the_pool_repeats_nothing_itself(self) -> None:
        """Twisted's would send a DELETE twice when a kept connection breaks, and its kept connections outlive a node's."""
        _, pool = agent_of(MemoryReactorClock(), CertificateFiles())
        self.assertFalse(pool.retryAutomatically)
        self.assertLess(pool.cachedConnectionTimeout, limits.IDLE_CONNECTION_TIMEOUT_SECONDS)

    def test_a_delete_on_a_kept_connection_that_breaks_is_sent_once(self) -> None:
        """The same, on the wire."""
        reactor = MemoryReactorClock()
        client = hraft.HraftClient("http://10.0.0.1:1", reactor, clock=reactor, idempotent=False)
        reading = self.begin(client.get("a"))
        sent: list[bytes] = []
        protocol, transport = self._connected(reactor)
        protocol.dataReceived(b'HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\n\r\n{"code":"key_not_found"}')
        self.assertIsNone(self.successResultOf(reading))
        transport.clear()
        deleting = self.begin(client.delete("a"))
        sent.append(transport.value())
        protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(deleting, hraft.OutcomeUnknown)
        self.assertTrue(sent[0].startswith(b"DELETE /v1/kv/a?redirect HTTP/1.1\r\n"), sent)
        self.assertEqual(1, len(reactor.tcpClients))

    def _connected(self, reactor: MemoryReactorClock) -> tuple[Any, Any]:
        from twisted.internet.testing import StringTransportWithDisconnection

        protocol = reactor.tcpClients[-1][2].buildProtocol(None)
        transport = StringTransportWithDisconnection()
        transport.protocol = protocol
        transport.abortConnection = transport.loseConnection  # type: ignore[method-assign]
        protocol.makeConnection(transport)
        return protocol, transport

    def test_a_write_with_a_key_is_done_once(self) -> None:
        """Lost answers and hangs: the same key goes out again, and the version shows that it was done once."""
        for fault in (self.cluster.lose_answer, self.cluster.lose_request, self.cluster.hang):
            self.done(self.client.delete("a"))
            self.cluster.faults.append(fault)
            self.assertEqual(1, self.done(self.client.put("a", "1"), seconds=12).version)
        self.assertEqual(["1/2", "1/4", "1/6"], sorted({asked.key for asked in self.said("PUT")}))
        self.assertEqual(1, len(self.said("POST", "/v1/sessions")))

    def test_a_cancelled_call_is_over(self) -> None:
        """It is neither repeated nor taken for a broken connection."""
        self.cluster.faults.append(self.cluster.hang)
        call = self.begin(self.client.get("a"))
        call.cancel()
        self.failureResultOf(call, CancelledError)
        self.cluster.advance(60)
        self.assertEqual(1, len(self.cluster.asked))
        self.assertEqual([], self.cluster.clock.getDelayedCalls())


class DeadlineTests(ClientTestCase):
    """Nothing waits for ever, and what is said at the end is true."""

    def test_nobody_there(self) -> None:
        """Not done, and said so, at the deadline; every node was tried, with pauses that grow."""
        self.cluster.down.update(self.cluster.nodes)
        tried: list[float] = []
        request = self.cluster.request

        def counting(*arguments: Any) -> Any:
            tried.append(self.cluster.clock.seconds())
            return request(*arguments)

        self.cluster.request = counting  # type: ignore[method-assign]
        call = self.begin(self.client.put("a", "1"))
        self.cluster.advance(27, step=0.01)
        self.assertNoResult(call)
        self.cluster.advance(4, step=0.01)
        self.assertIn("refused", str(self.failureResultOf(call, hraft.Unavailable).value).lower())
        pauses = [later - earlier for earlier, later in pairwise(tried) if later > earlier]
        self.assertGreater(len(pauses), 20)
        self.assertLessEqual(max(pauses), limits.CLIENT_RETRY_LAST_SECONDS + 0.02)
        self.assertLess(pauses[0], pauses[-1])
        self.assertEqual([], self.cluster.clock.getDelayedCalls())

    def test_in_doubt_at_the_deadline(self) -> None:
        """An attempt that may have been done is not forgotten because the last one was not."""
        self.done(self.client.put("a", "1"))
        self.cluster.faults.append(self.cluster.lose_request)
        self.cluster.faults.extend([self.cluster.say(503, "no_leader", "not done")] * 200)
        self.fails(hraft.OutcomeUnknown, self.client.put("a", "2"), seconds=31)

    def test_certain_at_the_deadline(self) -> None:
        """What was refused for half a minute is not put in doubt by a last attempt that has no time to be answered."""
        self.done(self.client.put("a", "1"))
        self.cluster.faults.extend([self.cluster.say(503, "peer_unreachable", "not done")] * 200)
        call = self.begin(self.client.put("a", "2"))
        self.cluster.advance(29, step=0.01)
        self.cluster.faults.clear()
        self.cluster.faults.extend([self.cluster.hang] * 50)
        self.cluster.advance(2, step=0.01)
        self.assertIn("503", str(self.failureResultOf(call, hraft.Unavailable).value))

    def test_an_attempt_ends_with_the_call(self) -> None:
        """The deadline also cuts an answer that does not come."""
        client = self.new_client(timeout_seconds=10, deadline_seconds=3)
        self.cluster.faults.append(self.cluster.hang)
        call = self.begin(client.get("a"))
        self.cluster.advance(2.9, step=0.1)
        self.assertNoResult(call)
        self.cluster.advance(0.2, step=0.1)
        self.failureResultOf(call, hraft.Unavailable)


class LeaderTests(ClientTestCase):
    """The leader is found, followed and forgotten."""

    def test_writes_go_to_the_leader_once_it_is_known(self) -> None:
        """One way round, not one for each write."""
        self.cluster.leader = 2
        for number in range(3):
            self.done(self.client.put("a", str(number)))
        self.assertEqual(["node0", "node2", "node2", "node2"], [asked.node[7:12] for asked in self.said("PUT")])

    def test_a_leader_that_changes_in_the_middle_of_a_call(self) -> None:
        """The old one dies with the answer; the new one gives the first answer again."""
        self.done(self.client.put("a", "1"))

        def die(asked: Any) -> Any:
            answer = self.cluster.lose_answer(asked)
            self.cluster.kill(0)
            self.cluster.leader = None
            self.cluster.clock.callLater(1.5, setattr, self.cluster, "leader", 2)
            return answer

        self.cluster.faults.append(die)
        self.assertEqual((2, 2), (lambda put: (put.version, put.revision))(self.done(self.client.put("a", "2"), seconds=4)))
        self.assertEqual(2, self.cluster.store.revision)

    def test_without_its_address_nodes_forward(self) -> None:
        """Who does not know where the leader is for clients still knows where it is for nodes."""
        self.cluster.leader = 1
        self.cluster.knows_addresses = False
        self.done(self.client.put("a", "1"), seconds=1)
        self.done(self.client.put("a", "2"), seconds=1)
        self.assertEqual([True, False, False], ["redirect" in asked.query for asked in self.said("PUT")])

    def test_an_address_that_only_nodes_can_reach(self) -> None:
        """Behind a wall of its own a leader is not looked for again and again: nodes forward for a while."""
        self.client = self.new_client()
        self.client.caller.endpoints.urls = tuple(self.cluster.nodes[:2])
        self.cluster.leader = 2
        self.cluster.down.add(self.cluster.nodes[2])
        for number in range(3):
            self.done(self.client.put("a", str(number)), seconds=1)
        self.assertEqual([True, False, False, False], ["redirect" in asked.query for asked in self.said("PUT")])

    def test_tls_is_not_left(self) -> None:
        """A node that points out a plain address does not lead a client away from TLS."""
        self.cluster.nodes = [node.replace("http:", "https:") for node in self.cluster.nodes]
        self.client = self.new_client()
        self.cluster.leader = 1
        answer = Response(307, {}, {"Location": "http://node1:11000/v1/kv/a"})
        self.cluster.faults.extend([self.cluster.passed, lambda asked: succeed(answer)])
        tried: list[bytes] = []
        request = self.cluster.request

        def noting(method: bytes, uri: bytes, *more: Any) -> Any:
            tried.append(uri)
            return request(method, uri, *more)

        self.cluster.request = noting  # type: ignore[method-assign]
        self.done(self.client.put("a", "1"), seconds=1)
        self.assertEqual({b"https:"}, {uri[:6] for uri in tried})

    def test_a_pointer_to_nowhere(self) -> None:
        """What a node says of the leader is looked at, not trusted."""
        for location in ("http://[", "http://a:99999/", "/v1/kv/a", "gopher://a:1", ""):
            answer = Response(307, {}, {"Location": location})
            self.done(self.client.get("a"))
            self.cluster.faults.append(lambda asked, answer=answer: succeed(answer))
            self.done(self.new_client().put("a", "1"), seconds=2)

    def test_nodes_that_point_at_each_other(self) -> None:
        """A circle is left at the deadline, and asked slowly."""
        for number in range(600):
            answer = Response(307, {}, {"Location": self.cluster.nodes[number % 2]})
            self.cluster.faults.append(lambda asked, answer=answer: succeed(answer))
        client = self.new_client(idempotent=False)
        self.fails(hraft.Unavailable, client.put("a", "1"), seconds=31)
        self.assertLess(len(self.cluster.asked), 250)


class SessionTests(ClientTestCase):
    """Sessions begin by themselves, and end without harm."""

    def test_an_expired_session_at_the_first_attempt(self) -> None:
        """Nothing was done under it: a new one is had, and nobody notices."""
        self.done(self.client.put("a", "1"))
        for client in range(1, self.cluster.index + 1):
            self.cluster.store._sessions.close(client)
        self.assertEqual(2, self.done(self.client.put("a", "2")).version)
        self.assertEqual(2, len(self.said("POST", "/v1/sessions")))

    def test_an_expired_session_at_a_repetition(self) -> None:
        """It may have been done while the session was known: nobody can say, and it is not done again."""
        for code in ("session_expired", "serial_expired"):
            self.done(self.client.put("a", "1"))
            before = self.cluster.store.revision
            self.cluster.faults.extend([self.cluster.lose_answer, self.cluster.say(409, code, "unknown")])
            self.fails(hraft.OutcomeUnknown, self.client.put("a", "2"), seconds=2)
            self.assertEqual(before + 1, self.cluster.store.revision)

    def test_sessions_that_expire_at_once(self) -> None:
        """A cluster that is full of them is not asked for ever."""
        self.cluster.faults.extend([self.cluster.passed, self.cluster.say(409, "session_expired", "unknown")] * 9)
        self.assertIn("more clients", str(self.fails(hraft.Unavailable, self.client.put("a", "1"))))
        self.assertEqual(0, self.cluster.store.revision)

    def test_no_write_is_so_far_ahead_that_an_answer_is_lost(self) -> None:
        """One write hangs, and a hundred others go on: its answer must still be there when it is asked for again."""
        self.done(self.client.put("a", "0"))
        self.cluster.faults.append(self.cluster.hang)
        first = self.begin(self.client.put("slow", "1"))
        others = [self.begin(self.client.put(f"k{number}", "1")) for number in range(100)]
        self.assertEqual(limits.SESSION_ANSWERS_COUNT - 1, sum(1 for other in others if other.called))
        self.cluster.advance(12)
        self.assertEqual(1, self.successResultOf(first).version)
        for other in others:
            self.assertEqual(1, self.successResultOf(other).version)

    def test_one_session_for_writes_that_begin_together(self) -> None:
        """The first registers, the others wait for it."""
        self.cluster.faults.append(self.cluster.hang)
        calls = [self.begin(self.client.put(f"k{number}", "1")) for number in range(5)]
        self.cluster.advance(12)
        for call in calls:
            self.successResultOf(call)
        self.assertEqual(2, len(self.said("POST", "/v1/sessions")))
        self.assertEqual(1, len({asked.key.partition("/")[0] for asked in self.said("PUT")}))

    def test_revisions_of_others_are_no_matter(self) -> None:
        """Writes of others between ours change nothing."""
        self.done(self.client.put("a", "1"))
        self.cluster.apply(Set(b"a", b"other"))
        self.assertEqual(3, self.done(self.client.put("a", "2")).version)
