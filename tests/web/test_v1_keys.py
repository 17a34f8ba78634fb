"""/v1/kv/{key}: reading and writing one key, by every row of docs/http-api.md and each of its refusals."""

from __future__ import annotations

from typing import Any

import pytest
from web_doubles import ToldApplied, ToldLeader, WireTestCase

from hraft import limits
from hraft.errors import OutcomeUnknown, ReadFailed
from hraft.interfaces import ReadLevel
from hraft.kv.commands import GrantLease, Set
from hraft.kv.results import Transacted, encode_result


class ReadTests(WireTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.node.put(Set(b"a", b"1"))
        self.node.put(Set(b"a", b"2"))

    def test_a_record(self) -> None:
        """All that the store knows of a key, and the tag that a later condition is made of."""
        reply = self.ask("GET", "/v1/kv/a")
        expected = {"key": "a", "value": "2", "create_revision": 1, "mod_revision": 2, "version": 2, "lease": None}
        self.assertEqual((200, expected), (reply.status, reply.json()))
        self.assertEqual(('"2"', "2", "3"), tuple(reply.headers[n] for n in ("etag", "x-hraft-revision", "x-hraft-term")))

    def test_fresh_by_default(self) -> None:
        """Nothing is served before the node is certain to have whatever was acknowledged."""
        self.node.is_fresh = False
        self.send("GET", "/v1/kv/a")
        self.assertEqual(b"", self.client.received())
        self.node.put(Set(b"a", b"3"))
        self.node.asked[-1].answer.callback(7)
        self.assertEqual("3", self.reply().json()["value"])

    def test_a_read_that_cannot_be_confirmed(self) -> None:
        """Told so, and when to come again; a read has no outcome."""
        self.node.is_fresh = False
        self.send("GET", "/v1/kv/a")
        self.node.asked[-1].answer.errback(ReadFailed("no quorum"))
        reply = self.reply()
        self.assertEqual((503, "1", "read_failed"), (reply.status, reply.headers["retry-after"], reply.json()["code"]))
        self.assertNotIn("outcome", reply.json())
        self.assert_stamped(reply)

    def test_stale(self) -> None:
        """By choice, at once, from any node, and with how old it may be."""
        self.node.is_fresh = False
        for age_seconds, said in ((None, "unknown"), (0.25, "251")):
            self.served.age_seconds = age_seconds
            reply = self.ask("GET", "/v1/kv/a?level=stale")
            self.assertEqual((200, said), (reply.status, reply.headers["x-hraft-age-ms"]))
        self.assertEqual([], self.node.asked)
        self.assertEqual(200, self.ask("GET", "/v1/kv/a?level=stale&max_lag=251").status)

    def test_a_stale_answer_of_nothing(self) -> None:
        """That a key is not there may be as old as any value, so its age is told as well."""
        self.served.age_seconds = 0.25
        reply = self.ask("GET", "/v1/kv/missing?level=stale")
        self.assertEqual((404, "251"), (reply.status, reply.headers.get("x-hraft-age-ms")))

    def test_levels(self) -> None:
        """The node is told how sure the client wants to be; by default, as sure as can be."""
        for query, level in (("", "linearizable"), ("?level=linearizable", "linearizable"), ("?level=lease", "lease")):
            self.ask("GET", f"/v1/kv/a{query}")
            self.assertEqual((ReadLevel(level),), self.node.asked[-1].arguments)

    def test_too_stale(self) -> None:
        """A bound that is not kept is an error, and never an old value."""
        for age_seconds in (None, 0.25):
            self.served.age_seconds = age_seconds
            self.refused(503, "too_stale", "GET", "/v1/kv/a?level=stale&max_lag=250")

    @pytest.mark.scenario("R12")
    def test_a_client_never_sees_time_go_backwards(self) -> None:
        """Not even on another node, by reads that may be stale, if it says how far it has seen."""
        revision = self.node.state_machine.revision
        self.assertEqual(200, self.ask("GET", f"/v1/kv/a?level=stale&min_revision={revision}").status)
        reply = self.refused(503, "too_stale", "GET", f"/v1/kv/a?level=stale&min_revision={revision + 1}")
        self.assertIn(f"{revision}, and not yet {revision + 1}", str(reply))
        self.refused(400, "bad_request", "GET", "/v1/kv/a?min_revision=1")

    def test_missing(self) -> None:
        """Not an empty value: it may have one."""
        self.refused(404, "key_not_found", "GET", "/v1/kv/b")
        self.refused(404, "key_not_found", "GET", "/v1/kv/b?raw&level=stale")

    def test_raw(self) -> None:
        """The bytes as they were stored, which no browser may take for a page."""
        self.node.put(Set(b"a", b"<script>\xff\0"))
        reply = self.ask("GET", "/v1/kv/a?raw")
        self.assertEqual((200, b"<script>\xff\0", '"3"'), (reply.status, reply.body, reply.headers["etag"]))
        self.assertEqual(
            ("application/octet-stream", "nosniff"), (reply.headers["content-type"], reply.headers["x-content-type-options"])
        )
        self.assertEqual({"raw": "PHNjcmlwdD7/AA=="}, {"raw": self.ask("GET", "/v1/kv/a").json()["value_base64"]})

    def test_head(self) -> None:
        """All but the body, with its length."""
        get, head = self.ask("GET", "/v1/kv/a"), self.ask("HEAD", "/v1/kv/a")
        self.assertEqual((200, b"", get.headers["content-length"]), (head.status, head.body, head.headers["content-length"]))
        self.assertEqual(404, self.ask("HEAD", "/v1/kv/b").status)

    def test_not_modified(self) -> None:
        """Who has the newest is told so, without a body and without the length of one."""
        for tags in ('"2"', 'W/"2"', '"1", "2"', '"x",W/"2"', "*"):
            reply = self.ask("GET", "/v1/kv/a", If_None_Match=tags)
            self.assertEqual((304, b"", '"2"'), (reply.status, reply.body, reply.headers["etag"]), tags)
            self.assertNotIn("content-length", reply.headers)
            self.assertNotIn("transfer-encoding", reply.headers)
        for tags in ('"1"', '"22"', 'W/"1", "3"'):
            self.assertEqual(200, self.ask("GET", "/v1/kv/a", If_None_Match=tags).status)
        self.refused(404, "key_not_found", "GET", "/v1/kv/b", If_None_Match="*")

    def test_any_key(self) -> None:
        """Bytes, percent-decoded once; slashes and dots are nothing special."""
        for path, key in (
            ("a/b", b"a/b"),
            ("a%2Fb", b"a/b"),
            ("%ff%00", b"\xff\0"),
            ("a+b", b"a+b"),
            ("%2525", b"%25"),
            ("..", b".."),
            ("a//", b"a//"),
            ("{key}", b"{key}"),
            ("%7Bkey%7D", b"{key}"),
            ("\x81", b"\x81"),
            ("%", b"%"),
            ("%zz", b"%zz"),
            ("a" * 1024, b"a" * 1024),
        ):
            self.node.put(Set(key, b"value of " + key))
            reply = self.ask("GET", f"/v1/kv/{path}?raw")
            self.assertEqual((200, b"value of " + key), (reply.status, reply.body), path)

    def test_no_key(self) -> None:
        """What cannot be a key is not looked up."""
        self.refused(400, "bad_key", "GET", "/v1/kv/")
        self.refused(400, "bad_key", "PUT", "/v1/kv/", b"x")
        self.refused(400, "bad_key", "GET", "/v1/kv/" + "a" * 1025)
        self.assertEqual([], self.node.asked)

    def test_what_means_nothing(self) -> None:
        """It would be missed by who sent it, so it is named and refused."""
        for path, word in (
            ("?levle=stale", "levle"),
            ("?raw=maybe", "raw"),
            ("?raw&raw", "raw"),
            ("?max_lag=-1&level=stale", "max_lag"),
            ("?max_lag=1", "max_lag"),
            ("?max_lag=x&level=stale", "max_lag"),
            ("?lease=1", "lease"),
            ("?max_lag=" + "1" * 5000, "max_lag"),
        ):
            self.assertIn(word, self.refused(400, "bad_request", "GET", f"/v1/kv/a{path}")["detail"])
        self.refused(400, "bad_level", "GET", "/v1/kv/a?level=strong")
        for name in ("If_Match", "Idempotency_Key"):
            self.assertIn(name.replace("_", "-"), self.refused(400, "bad_request", "GET", "/v1/kv/a", **{name: "1"})["detail"])
        self.refused(400, "bad_request", "GET", "/v1/kv/a", If_None_Match="2")

    def test_methods_and_paths(self) -> None:
        """405 says what is allowed; errors below /v1 are as all answers are."""
        reply = self.ask("POST", "/v1/kv/a", b"")
        self.assertEqual((405, "DELETE, GET, HEAD, PUT"), (reply.status, reply.headers["allow"]))
        self.refused(405, "method_not_allowed", "PATCH", "/v1/kv", b"")
        for path in ("/v1/", "/v1/kvx", "/v1/leases/", "/v1/leases/1/keepalive/x", "/v1/leases//keepalive", "/v1/txn/"):
            self.refused(404, "not_found", "POST", path, b"")


class WriteTests(WireTestCase):
    def put(self, path: str, body: bytes = b"v", **headers: str) -> Any:
        return self.answered(200, "PUT", f"/v1/kv/{path}", body, **headers)

    def test_put(self) -> None:
        """What the key has become, and the revision that the write made."""
        self.node.put(Set(b"other", b"x"))
        expected = {"key": "a", "revision": 2, "create_revision": 2, "version": 1, "lease": None}
        reply = self.ask("PUT", "/v1/kv/a", b"\xff\0")
        self.assertEqual(
            (200, expected, '"2"', "2"), (reply.status, reply.json(), reply.headers["etag"], reply.headers["x-hraft-revision"])
        )
        self.assertEqual({**expected, "revision": 3, "version": 2}, self.put("a"))
        self.assertEqual("/w==", self.put("%ff")["key_base64"])
        self.assertEqual(b"", self.ask("GET", "/v1/kv/a?raw").body if self.put("a", b"") else None)

    def test_previous(self) -> None:
        """What was there, or that nothing was; nothing is said where nobody asked."""
        self.assertNotIn("prev", self.put("a", b"1"))
        self.assertIsNone(self.put("b?prev")["prev"])
        prev = {"key": "a", "value": "1", "create_revision": 1, "mod_revision": 1, "version": 1, "lease": None}
        self.assertEqual(prev, self.put("a?prev=true", b"2")["prev"])
        deleted = self.answered(200, "DELETE", "/v1/kv/a?prev=1")
        self.assertEqual({"deleted": 1, "revision": 4, "prev": {**prev, "value": "2", "mod_revision": 3, "version": 2}}, deleted)

    def test_if_match(self) -> None:
        """Only over the revision that the client has seen; else nothing is done, and it is told what is there now."""
        self.put("a", b"1")
        problem = self.refused(412, "condition_failed", "PUT", "/v1/kv/a", b"2", If_Match='"7"')
        current = {"key": "a", "value": "1", "create_revision": 1, "mod_revision": 1, "version": 1, "lease": None}
        self.assertEqual((current, "not done"), (problem["current"], problem["outcome"]))
        self.assertEqual(2, self.put("a", b"2", If_Match='"1"')["revision"])
        self.assertEqual(3, self.put("a", b"3", If_Match="*")["revision"])
        for condition in ("*", '"1"'):
            self.assertIsNone(self.refused(412, "condition_failed", "PUT", "/v1/kv/b", b"2", If_Match=condition)["current"])
        self.assertEqual(b"3", self.ask("GET", "/v1/kv/a?raw").body)

    def test_if_none_match(self) -> None:
        """Only the first of several who want to create a key does."""
        self.assertEqual(1, self.put("a", b"1", If_None_Match="*")["revision"])
        problem = self.refused(412, "condition_failed", "PUT", "/v1/kv/a", b"2", If_None_Match="*")
        self.assertEqual("1", problem["current"]["value"])

    def test_current_in_base64(self) -> None:
        """A problem, too, can tell bytes that are no text."""
        self.put("%ff", b"\xfe")
        problem = self.refused(412, "condition_failed", "DELETE", "/v1/kv/%ff", If_Match='"9"')
        self.assertEqual(("/w==", "/g=="), (problem["current"]["key_base64"], problem["current"]["value_base64"]))

    def test_conditions_that_nobody_knows(self) -> None:
        """A condition that was passed over would be a write that should not have been."""
        for name, value in (
            ("If_Match", 'W/"3"'),
            ("If_Match", "3"),
            ("If_Match", '"1", "2"'),
            ("If_Match", '"0"'),
            ("If_Match", '"x"'),
            ("If_Match", ""),
            ("If_None_Match", '"3"'),
            ("If_None_Match", ""),
            ("If_None_Match", "*, *"),
        ):
            problem = self.refused(400, "bad_request", "PUT", "/v1/kv/a", b"x", **{name: value})
            self.assertIn(name.replace("_", "-"), problem["detail"])
        self.refused(400, "bad_request", "PUT", "/v1/kv/a", b"x", If_Match="*", If_None_Match="*")
        self.refused(400, "bad_request", "DELETE", "/v1/kv/a", If_None_Match="*")
        self.assertEqual([], self.node.asked)

    def test_delete(self) -> None:
        """One that is not there is an error here, unlike under /key; with a condition it is the condition that failed."""
        self.put("a", b"1")
        self.assertIsNone(self.refused(412, "condition_failed", "DELETE", "/v1/kv/b", If_Match="*")["current"])
        self.refused(412, "condition_failed", "DELETE", "/v1/kv/a", If_Match='"9"')
        self.assertEqual({"deleted": 1, "revision": 2}, self.answered(200, "DELETE", "/v1/kv/a", If_Match='"1"'))
        problem = self.refused(404, "key_not_found", "DELETE", "/v1/kv/a")
        self.assertEqual("not done", problem["outcome"])
        self.assertEqual(2, self.node.state_machine.revision)

    def test_a_lease(self) -> None:
        """A key says what it ends with, and is not attached to what does not exist."""
        self.node.put(GrantLease(60))
        self.assertEqual(1, self.put("a?lease=1")["lease"])
        self.assertEqual(1, self.answered(200, "GET", "/v1/kv/a")["lease"])
        problem = self.refused(404, "lease_not_found", "PUT", "/v1/kv/b?lease=2", b"x")
        self.assertEqual("not done", problem["outcome"])
        for number in ("0", "-1", "x", "9" * 19, ""):
            self.refused(400, "bad_request", "PUT", f"/v1/kv/b?lease={number}", b"x")

    def test_the_largest(self) -> None:
        """1 MiB of any bytes is a value; more is refused before it is read."""
        self.put("a", b"\x01" * limits.REQUEST_BODY_BYTES)
        self.assertEqual(limits.REQUEST_BODY_BYTES, len(self.ask("GET", "/v1/kv/a?raw").body))
        self.put("a?prev", b"\xff" * limits.REQUEST_BODY_BYTES)
        self.client.send(f"PUT /v1/kv/a HTTP/1.1\r\nHost: h\r\nContent-Length: {limits.REQUEST_BODY_BYTES + 1}\r\n\r\n".encode())
        self.assertEqual(413, self.reply().status)

    @pytest.mark.scenario("C4", "C5")
    def test_outcomes(self) -> None:
        """What is not known is told as that."""
        self.node.at_once = False
        self.send("PUT", "/v1/kv/a", b"x")
        self.node.asked[-1].answer.errback(OutcomeUnknown("the leader is gone"))
        reply = self.reply()
        self.assertEqual((503, "unknown"), (reply.status, reply.json()["outcome"]))
        self.assertNotIn("retry-after", reply.headers)


class FollowerTests(WireTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.node.leads, self.node.known_leader = False, ToldLeader()

    def test_writes_are_passed_on(self) -> None:
        """Any node takes any write; the revision is the write's, whatever this node has seen."""
        self.node.at_once = False
        self.send("PUT", "/v1/kv/a", b"x")
        told = self.node.state_machine.restored(self.node.state_machine.snapshot()).apply(9, self.node.asked[-1].arguments[0])
        assert isinstance(told, Transacted)
        result = encode_result(Transacted(True, 41, told.results))
        self.assertEqual("submit", self.node.asked[-1].how)
        self.node.asked[-1].answer.callback(ToldApplied(9, result))
        reply = self.reply()
        self.assertEqual(
            (200, "node1", "41"), (reply.status, reply.headers["x-hraft-served-by"], reply.headers["x-hraft-revision"])
        )
        self.assertEqual(0, self.node.state_machine.revision)

    def test_redirect(self) -> None:
        """By choice to the leader instead, with everything that was said."""
        paths = {"PUT": "/v1/kv/%ff?prev&redirect", "DELETE": "/v1/kv?prefix=&redirect", "POST": "/v1/leases?redirect"}
        for method, path in paths.items():
            reply = self.ask(method, path, b'{"ttl":1}')
            self.assertEqual((307, f"http://host1:11001{path}"), (reply.status, reply.headers["location"]))
            self.assertEqual(b"", reply.body)
        self.assertEqual([], self.node.asked)
        self.node.leads = True
        self.assertEqual(200, self.ask("PUT", "/v1/kv/a?redirect", b"x").status)

    def test_no_way_to_redirect(self) -> None:
        """An unknown leader is worth waiting for; one whose address is unknown is named."""
        self.node.known_leader = ToldLeader(http_address=None)
        self.assertEqual("node1", self.refused(421, "not_leader", "PUT", "/v1/kv/a?redirect", b"x")["leader"]["id"])
        self.node.known_leader = None
        self.refused(503, "no_leader", "PUT", "/v1/kv/a?redirect", b"x")
        self.assertEqual([], self.node.asked)

    def test_no_header_of_anybody_else(self) -> None:
        """What a peer says of itself cannot add a header."""
        self.node.known_leader = ToldLeader(node_id="n\r\nX-Evil: 1", http_address="h:1\r\nX-Evil: 1")
        for path in ("/v1/kv/a?redirect", "/v1/kv/a"):
            self.assertNotIn("x-evil", self.ask("PUT", path, b"x").headers)
