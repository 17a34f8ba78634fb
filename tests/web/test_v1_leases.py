"""/v1/leases, /v1/sessions, /v1/cluster and /v1/status, by every row of docs/http-api.md and each of its refusals."""

from __future__ import annotations

from unittest import mock

from twisted.internet.defer import fail
from web_doubles import ToldLeader, WireTestCase

from hraft import limits
from hraft.errors import ReadFailed
from hraft.kv.commands import GrantLease, OpenSession, Set, encode_command
from hraft.kv.transactions import Put, Transaction
from hraft.raft.ready import FollowerStatus


class LeaseTests(WireTestCase):
    def test_grant(self) -> None:
        """Made, and where it is."""
        reply = self.ask("POST", "/v1/leases", b'{"ttl":60}')
        self.assertEqual((201, {"id": 1, "ttl": 60}, "/v1/leases/1"), (reply.status, reply.json(), reply.headers["location"]))
        expected = {"id": 1, "ttl": 60, "remaining": 30.0, "keys": [], "keys_count": 0}
        self.assertEqual(expected, self.answered(200, "GET", "/v1/leases/1"))

    def test_bad_bodies(self) -> None:
        """A time that is none makes no lease."""
        for ttl in (b"0", b"31536001", b"1.5", b'"1"', b'1,"x":1', b"[" * 10**5, b""):
            self.refused(400, "bad_body", "POST", "/v1/leases", b'{"ttl":%b}' % ttl)
        for body in (b"", b"{}", b"60"):
            problem = self.refused(400, "bad_body", "POST", "/v1/leases", body)
            self.assertEqual("not done", problem["outcome"])
        self.assertEqual([], self.node.asked)

    def test_too_many(self) -> None:
        """A limit of the store's, which every node sees alike."""
        with mock.patch.object(limits, "LEASES_COUNT", 1):
            self.answered(201, "POST", "/v1/leases", b'{"ttl":60}')
            self.assertEqual("not done", self.refused(429, "too_many_leases", "POST", "/v1/leases", b'{"ttl":60}')["outcome"])

    def test_a_keep_alive_that_is_not_confirmed(self) -> None:
        """Nothing was prolonged, and the client is told so: it is a write, if one without an entry."""
        self.served.lease_clock.keep_alive = lambda lease: fail(ReadFailed("the leader changed"))  # type: ignore[method-assign]
        self.assertEqual("not done", self.refused(503, "read_failed", "POST", "/v1/leases/1/keepalive")["outcome"])

    def test_keep_alive(self) -> None:
        """The clock is asked, and says what is left."""
        self.node.put(GrantLease(60))
        self.assertEqual({"id": 1, "ttl": 60, "remaining": 60.0}, self.answered(200, "POST", "/v1/leases/1/keepalive"))
        self.assertEqual([1], self.served.lease_clock.kept)
        self.refused(404, "lease_not_found", "POST", "/v1/leases/2/keepalive")

    def test_keys(self) -> None:
        """Those that end with it, in order; not as many as it likes."""
        self.node.put(GrantLease(60))
        self.node.put(Transaction(then=(Put(b"b", b"", 1), Put(b"a", b"", 1), Put(b"\xff", b"", 1))))
        lease = self.answered(200, "GET", "/v1/leases/1")
        self.assertEqual((["a", "b", {"base64": "/w=="}], 3), (lease["keys"], lease["keys_count"]))
        with mock.patch.object(limits, "PAGE_KEYS_COUNT", 2):
            lease = self.answered(200, "GET", "/v1/leases/1")
            self.assertEqual((["a", "b"], 3), (lease["keys"], lease["keys_count"]))
        self.refused(404, "lease_not_found", "GET", "/v1/leases/2")

    def test_ended_meanwhile(self) -> None:
        """The leader still knew it, and then this node learned that it is gone."""
        self.node.put(GrantLease(60))
        self.node.is_fresh = False
        self.send("GET", "/v1/leases/1")
        self.node.put_line(2, b'{"op":"lease_revoke","lease":1}')
        self.node.asked[-1].answer.callback(2)
        self.assertEqual(404, self.reply().status)

    def test_list(self) -> None:
        """By page, as keys."""
        for index in (3, 5, 9):
            self.node.put_line(index, encode_command(GrantLease(index)))
        self.node.put(Transaction(then=(Put(b"a", b"", 5),)))
        page = self.answered(200, "GET", "/v1/leases?limit=2")
        leases = [{"id": 3, "ttl": 3, "keys_count": 0}, {"id": 5, "ttl": 5, "keys_count": 1}]
        self.assertEqual({"leases": leases, "next": 5}, page)
        last = {"leases": [{"id": 9, "ttl": 9, "keys_count": 0}], "next": None}
        self.assertEqual(last, self.answered(200, "GET", "/v1/leases?limit=1&after=5"))
        self.refused(400, "bad_request", "GET", "/v1/leases?after=x")

    def test_revoke(self) -> None:
        """Its keys go with it, as one change."""
        self.node.put(GrantLease(60))
        self.node.put(Transaction(then=(Put(b"b", b"", 1), Put(b"a", b"", 1))))
        self.assertEqual({"deleted": 2, "revision": 2}, self.answered(200, "DELETE", "/v1/leases/1"))
        self.assertEqual("not done", self.refused(404, "lease_not_found", "DELETE", "/v1/leases/1")["outcome"])

    def test_names(self) -> None:
        """A lease is a number."""
        for name in ("x", "0", "-1", "1.0", "9" * 19, "%31"):
            for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/keepalive")):
                self.refused(400, "bad_request", method, f"/v1/leases/{name}{path}")
        self.refused(400, "bad_request", "POST", "/v1/leases/1/keepalive?redirect")


class SessionTests(WireTestCase):
    def test_open_and_close(self) -> None:
        """A client's name is a text, for it is part of one."""
        self.assertEqual({"client": "1"}, self.answered(201, "POST", "/v1/sessions"))
        self.answered(200, "PUT", "/v1/kv/a", b"1", Idempotency_Key="1/1")
        self.assertEqual({"client": "1"}, self.answered(200, "DELETE", "/v1/sessions/1"))
        self.refused(409, "session_expired", "DELETE", "/v1/sessions/1")
        self.refused(409, "session_expired", "PUT", "/v1/kv/a", b"2", Idempotency_Key="1/2")
        self.refused(400, "bad_request", "DELETE", "/v1/sessions/x")

    def test_every_write_once(self) -> None:
        """Each is done once and answered alike, whatever has happened in between; another under the same number is a mistake."""
        self.node.put(OpenSession())
        self.node.put_line(2, encode_command(GrantLease(9)))
        writes = (
            ("PUT", "/v1/kv/a?prev", b"1"),
            ("DELETE", "/v1/kv/a?prev", b""),
            ("PUT", "/v1/kv/c", b""),
            ("DELETE", "/v1/kv?prefix=c", b""),
            ("POST", "/v1/txn", b'{"then":[{"put":{"key":"b","value":"1"}}]}'),
            ("POST", "/v1/leases", b'{"ttl":5}'),
            ("DELETE", "/v1/leases/2", b""),
            ("POST", "/v1/sessions", b""),
            ("DELETE", "/v1/kv/missing", b""),
        )
        for serial, (method, path, body) in enumerate(writes, 1):
            first = self.ask(method, path, body, Idempotency_Key=f"1/{serial}")
            self.node.put(Set(b"a", b"another's"))
            again = self.ask(method, path, body, Idempotency_Key=f"1/{serial}")
            self.assertEqual((first.status, first.json()), (again.status, again.json()), path)
            if path.startswith("/v1/kv"):
                self.assertEqual(first.headers["x-hraft-revision"], again.headers["x-hraft-revision"])
            self.refused(422, "serial_reused", "PUT", "/v1/kv/x", b"", Idempotency_Key=f"1/{serial}")

    def test_a_failed_condition_is_an_answer(self) -> None:
        """Done again, it might succeed: and the client that was told of a failure would be wrong."""
        self.node.put(OpenSession())
        self.refused(412, "condition_failed", "PUT", "/v1/kv/a", b"1", If_Match="*", Idempotency_Key="1/1")
        self.node.put(Set(b"a", b"0"))
        self.refused(412, "condition_failed", "PUT", "/v1/kv/a", b"1", If_Match="*", Idempotency_Key="1/1")

    def test_a_session_that_closes_itself(self) -> None:
        """A client's last write may be to say goodbye: that ends the session, and no node."""
        self.node.put(OpenSession())
        self.answered(200, "DELETE", "/v1/sessions/1", Idempotency_Key="1/1")
        self.refused(409, "session_expired", "DELETE", "/v1/sessions/1", Idempotency_Key="1/1")


class ClusterTests(WireTestCase):
    def test_on_the_leader(self) -> None:
        """How far each member is, which only the leader knows."""
        self.node.followers = {"node1": FollowerStatus(7, 8, "replicate", 3), "node2": FollowerStatus(0, 1, "probe", 100)}
        cluster = self.answered(200, "GET", "/v1/cluster")
        leader = {"id": "node0", "raft_address": "host0:12000", "http_address": "host0:11000"}
        about = [cluster[name] for name in ("cluster_id", "term", "leader", "configuration_committed")]
        self.assertEqual(["c1", 3, leader, True], about)
        self.assertEqual(
            [
                {
                    **leader, "voter": True, "replica": False, "leader": True, "self": True,
                    "match_index": 8, "lag": 1, "last_contact_ms": 0,
                },
                {
                    "id": "node1",
                    "raft_address": "host1:12001",
                    "http_address": "host1:11001",
                    "voter": True,
                    "replica": False,
                    "leader": False,
                    "self": False,
                    "match_index": 7,
                    "lag": 2,
                    "last_contact_ms": 60,
                },
                {
                    "id": "node2",
                    "raft_address": "host2:12002",
                    "http_address": None,
                    "voter": False,
                    "replica": False,
                    "leader": False,
                    "self": False,
                    "match_index": 0,
                    "lag": 9,
                    "last_contact_ms": 2000,
                },
            ],
            cluster["members"],
        )

    def test_elsewhere(self) -> None:
        """A follower knows who leads and who is a member, and claims no more."""
        self.node.leads, self.node.known_leader = False, ToldLeader()
        cluster = self.answered(200, "GET", "/v1/cluster")
        self.assertEqual("node1", cluster["leader"]["id"])
        for member in cluster["members"]:
            self.assertEqual((None, None, None), (member["match_index"], member["lag"], member["last_contact_ms"]))
        self.node.known_leader = None
        self.assertIsNone(self.answered(200, "GET", "/v1/cluster")["leader"])

    def test_status(self) -> None:
        """As /status, and what the store has; null while nothing is known of its age."""
        self.node.put(GrantLease(60))
        self.node.put(Set(b"a", b"1"))
        before = self.ask("GET", "/status").json()
        store = {"revision": 1, "keys_count": 1, "leases_count": 1, "age_ms": None, "disk": None, "alarms": [], "backups": None}
        self.assertEqual({**before, **store}, self.answered(200, "GET", "/v1/status"))
        self.served.age_seconds = 1.5
        self.assertEqual(1501, self.answered(200, "GET", "/v1/status")["age_ms"])
        self.refused(400, "bad_request", "GET", "/v1/status?x")
