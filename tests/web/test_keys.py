"""/key through a real client and a real request, in memory: what is asked of the node, and what is answered when it answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from web_doubles import ApiTestCase, ToldApplied, ToldLeader

from hraft.errors import (
    BadCommand,
    HraftError,
    LogCorrupted,
    NotLeader,
    OutcomeUnknown,
    PeerUnreachable,
    ProposalDropped,
    ReadFailed,
    StorageFull,
)
from hraft.kv.commands import Delete, Set, SetMany
from hraft.kv.results import Refused, Written, encode_result


class WriteTests(ApiTestCase):
    def test_a_write_is_answered_when_it_is_applied(self) -> None:
        """200 means committed and applied, and nothing less."""
        answer = self.request("POST", "/key", data=b'{"foo":"bar"}')
        self.assertNoResult(answer)
        self.assertEqual([("propose", Set(b"foo", b"bar"))], [(asked.how, asked.command) for asked in self.node.asked])
        self.node.asked[0].answer.callback(ToldApplied(7, Written(1, 1)))
        response, body = self.answered(answer, 200)
        self.assertEqual(b"", body)
        self.assertEqual(0, response.length)
        self.assertIsNone(response.headers.getRawHeaders("Content-Type"))

    def test_all_keys_of_a_body_are_one_entry(self) -> None:
        """Nobody may see half of a write."""
        self.request("POST", "/key", data=b'{"a":"1","b":null,"a/b":"<"}')
        self.assertEqual([SetMany(((b"a", b"1"), (b"b", b""), (b"a/b", b"<")))], [asked.command for asked in self.node.asked])

    def test_a_write_of_nothing_asks_nobody(self) -> None:
        """An empty object changes nothing, so it needs no leader and no quorum."""
        for body in (b"{}", b"null", b" {} \n"):
            self.answered(self.request("POST", "/key", data=body), 200)
        self.assertEqual([], self.node.asked)

    def test_a_delete(self) -> None:
        """The key is whatever follows /key/, decoded once."""
        for path in ("/key/a", "/key/a%2Fb", "/key/a/b", "/key/a//b", "/key/%252F", "/key/a+b", "/key/%E2%82%AC", "/key/..x"):
            self.request("DELETE", path)
        keys = [b"a", b"a/b", b"a/b", b"a//b", b"%2F", b"a+b", "€".encode(), b"..x"]
        self.assertEqual([Delete(key) for key in keys], [asked.command for asked in self.node.asked])

    def test_bad_bodies_store_nothing(self) -> None:
        """A body is understood as a whole or refused as a whole."""
        for body in (b"", b"[]", b'{"a":"1","b":2}', b'{"a":"1"}{}', b'"a"', b'{"":"x"}'):
            with self.subTest(body):
                _response, problem = self.refused(self.request("POST", "/key", data=body), 400)
                self.assertEqual("not done", problem["outcome"])
        self.assertEqual([], self.node.asked)

    def test_a_refused_command_is_no_success(self) -> None:
        """A store of another version may not know the command; the client must not take that for done."""
        answer = self.request("DELETE", "/key/a")
        self.node.asked[0].answer.callback(ToldApplied(7, Refused("unknown")))
        _response, problem = self.refused(answer, 500)
        self.assertEqual("unknown", problem["outcome"], "nodes that know it carry it out")


class WriteErrorTests(ApiTestCase):
    def fails_with(self, error: Exception, status: int) -> tuple[Any, dict[str, Any]]:
        answer = self.request("POST", "/key", data=b'{"foo":"bar"}')
        self.node.asked[-1].answer.errback(error)
        return self.refused(answer, status)

    def test_a_follower_names_the_leader(self) -> None:
        """hraftd's users asked for exactly this: where to go."""
        self.node.leads, self.node.known_leader = False, ToldLeader()
        response, problem = self.refused(self.request("POST", "/key", data=b'{"foo":"bar"}'), 421)
        self.assertEqual(["http://host1:11001"], response.headers.getRawHeaders("X-Hraft-Leader"))
        self.assertEqual({"id": "node1", "address": "host1:12001", "http_address": "host1:11001"}, problem["leader"])
        self.assertEqual(["not_leader", "not done"], [problem["code"], problem["outcome"]])

    def test_a_leader_that_has_not_said_where_it_serves(self) -> None:
        """Its id and raft address are known before its HTTP address is; a header with half an address would mislead."""
        self.node.leads, self.node.known_leader = False, ToldLeader(http_address=None)
        response, problem = self.refused(self.request("DELETE", "/key/foo"), 421)
        self.assertIsNone(response.headers.getRawHeaders("X-Hraft-Leader"))
        self.assertEqual("host1:12001", problem["leader"]["address"])

    def test_no_leader_is_known(self) -> None:
        """During an election there is nowhere to send the client, but it can come back."""
        self.node.leads = False
        response, problem = self.refused(self.request("POST", "/key", data=b'{"foo":"bar"}'), 503)
        self.assertEqual(["1"], response.headers.getRawHeaders("Retry-After"))
        self.assertEqual(["no_leader", "not done"], [problem["code"], problem["outcome"]])

    def test_a_client_is_never_sent_back_to_this_node(self) -> None:
        """A node that has just lost its leadership may still take itself for the leader: no circles."""
        response, _problem = self.fails_with(NotLeader("node0"), 503)
        self.assertIsNone(response.headers.getRawHeaders("X-Hraft-Leader"))

    @pytest.mark.scenario("C4")
    def test_what_is_certainly_not_done_may_be_repeated(self) -> None:
        """The answer says so, and when."""
        for error in (ProposalDropped("no quorum"), StorageFull("no room"), PeerUnreachable("node1")):
            with self.subTest(error=error):
                response, problem = self.fails_with(error, 503)
                self.assertEqual("not done", problem["outcome"])
                self.assertEqual(["1"], response.headers.getRawHeaders("Retry-After"))

    @pytest.mark.scenario("C4", "C5")
    def test_what_may_be_done_is_told_apart(self) -> None:
        """No Retry-After: doing it twice may be wrong, and only the client knows."""
        response, problem = self.fails_with(OutcomeUnknown("not committed within 10 s"), 503)
        self.assertEqual("unknown", problem["outcome"])
        self.assertIsNone(response.headers.getRawHeaders("Retry-After"))

    def test_a_command_that_cannot_be(self) -> None:
        """Refused before it was proposed, and the client can do something about it."""
        self.assertEqual("not done", self.fails_with(BadCommand("too long"), 400)[1]["outcome"])

    def test_a_defect_is_logged_once_and_not_shown(self) -> None:
        """A traceback helps the operator, and an attacker."""
        for error in (ZeroDivisionError("secret"), LogCorrupted("secret"), HraftError("secret")):
            with self.subTest(error=error):
                _response, problem = self.fails_with(error, 500)
                self.assertNotIn("secret", json.dumps(problem))
                self.assertEqual("unknown", problem["outcome"], "it may have been done before that")
                self.assertEqual(1, len(self.flushLoggedErrors(type(error))))


class ForwardTests(ApiTestCase):
    forward = True

    def test_a_follower_forwards(self) -> None:
        """The answer is the leader's, and says who served it."""
        self.node.leads, self.node.known_leader = False, ToldLeader()
        answer = self.request("POST", "/key", data=b'{"foo":"bar"}')
        self.assertEqual([("submit", Set(b"foo", b"bar"))], [(asked.how, asked.command) for asked in self.node.asked])
        self.node.asked[0].answer.callback(ToldApplied(7, encode_result(Written(1, 1))))
        response, body = self.answered(answer, 200)
        self.assertEqual(b"", body)
        self.assertEqual(["node1"], response.headers.getRawHeaders("X-Hraft-Served-By"))

    def test_a_leader_that_is_found_meanwhile(self) -> None:
        """The submission may wait for an election."""
        self.node.leads = False
        answer = self.request("DELETE", "/key/foo")
        self.node.known_leader = ToldLeader("node2")
        self.node.asked[0].answer.callback(ToldApplied(7, encode_result(Written(1, 0))))
        response, _body = self.answered(answer, 200)
        self.assertEqual(["node2"], response.headers.getRawHeaders("X-Hraft-Served-By"))

    def test_a_refusal_that_travelled(self) -> None:
        """The leader's store may be of another version than this node's."""
        answer = self.request("DELETE", "/key/foo")
        self.node.asked[0].answer.callback(ToldApplied(7, encode_result(Refused("unknown"))))
        self.refused(answer, 500)

    def test_reads_are_not_forwarded(self) -> None:
        """A read is local by contract."""
        self.answered(self.request("GET", "/key/foo"), 200)
        self.assertEqual([], self.node.asked)


class ReadTests(ApiTestCase):
    def test_a_value_and_a_missing_key(self) -> None:
        """In hraftd a missing key and an empty value look alike; a header tells them apart."""
        self.node.put(SetMany(((b"foo", b"bar"), (b"empty", b""))))
        for key, body, exists in (
            ("foo", b'{"foo":"bar"}', "true"),
            ("empty", b'{"empty":""}', "true"),
            ("no", b'{"no":""}', "false"),
        ):
            response, found = self.answered(self.request("GET", f"/key/{key}"), 200)
            self.assertEqual(body, found)
            self.assertEqual([exists], response.headers.getRawHeaders("X-Hraft-Exists"))
            self.assertEqual(["nosniff"], response.headers.getRawHeaders("X-Content-Type-Options"))
            self.assertEqual(["text/plain; charset=utf-8"], response.headers.getRawHeaders("Content-Type"))

    def test_keys_in_paths(self) -> None:
        """Any key that can be set can be read again, whatever a URL router would make of it."""
        paths = {
            "a/b": "/key/a/b",
            "a//b": "/key/a//b",
            "/a": "/key//a",
            "/": "/key//",
            "a/": "/key/a/",
            "a b+c": "/key/a%20b+c",
            "\x00": "/key/%00",
            "%2F": "/key/%252F",
            "é": "/key/%C3%A9",
            "a?b=c": "/key/a%3Fb=c",
            "<key>": "/key/<key>",
        }
        self.node.put(SetMany(tuple((key.encode(), b"here") for key in paths)))
        for key, path in paths.items():
            with self.subTest(key):
                _response, body = self.answered(self.request("GET", path), 200)
                self.assertEqual({key: "here"}, json.loads(body))

    def test_a_key_that_is_not_utf8(self) -> None:
        """JSON cannot say it, so it cannot be there; Klein alone would log a traceback."""
        _response, problem = self.refused(self.request("GET", "/key/%FF"), 400)
        self.assertEqual("bad_key", problem["code"])
        self.refused(self.request("DELETE", "/key/%C3"), 400)
        self.assertEqual([], self.node.asked)

    def test_a_value_that_is_not_utf8(self) -> None:
        """Set through an interface that takes bytes; JSON texts cannot carry it exactly, but a read may not fail."""
        self.node.put(Set(b"foo", b"a\xffb"))
        _response, body = self.answered(self.request("GET", "/key/foo"), 200)
        self.assertEqual({"foo": "a\ufffdb"}, json.loads(body))

    def test_a_linearizable_read_waits(self) -> None:
        """The value is looked up after the read is confirmed, in the state machine that is there by then."""
        answer = self.request("GET", "/key/foo?level=linearizable")
        self.assertNoResult(answer)
        self.assertEqual(["confirm_read"], [asked.how for asked in self.node.asked])
        self.node.state_machine = self.node.state_machine.restored(list(self.node.state_machine.snapshot()))
        self.node.put(Set(b"foo", b"new"))
        self.node.asked[0].answer.callback(7)
        self.assertEqual(b'{"foo":"new"}', self.answered(answer, 200)[1])

    def test_a_linearizable_read_that_fails(self) -> None:
        """It may be repeated at once; there is no outcome to wonder about."""
        for error in (ReadFailed("the leader changed"), NotLeader(None), ProposalDropped("too many wait")):
            with self.subTest(error=error):
                self.node.leads = not isinstance(error, NotLeader)
                answer = self.request("GET", "/key/foo?level=linearizable")
                self.node.asked[-1].answer.errback(error)
                response, problem = self.refused(answer, 503)
                self.assertEqual(["1"], response.headers.getRawHeaders("Retry-After"))
                self.assertNotIn("outcome", problem)

    def test_levels(self) -> None:
        """A level that is misspelt must not quietly become the weakest."""
        self.answered(self.request("GET", "/key/foo?level=stale"), 200)
        for query in ("level=strong", "level=", "level=stale&level=linearizable", "level=%FF"):
            with self.subTest(query):
                self.refused(self.request("GET", f"/key/foo?{query}"), 400)
        self.assertEqual([], self.node.asked)

    def test_head(self) -> None:
        """The headers of a GET, without its body."""
        self.node.put(Set(b"foo", b"bar"))
        response, body = self.answered(self.request("HEAD", "/key/foo"), 200)
        self.assertEqual(b"", body)
        self.assertEqual(["13"], response.headers.getRawHeaders("Content-Length"))
        self.assertEqual(["true"], response.headers.getRawHeaders("X-Hraft-Exists"))


class RoutingTests(ApiTestCase):
    def test_other_methods(self) -> None:
        """405 with Allow, in every case as JSON."""
        allowed = {
            "/key": "DELETE, GET, HEAD, POST",
            "/key/a/b": "DELETE, GET, HEAD, POST",
            "/status": "GET, HEAD",
            "/join": "POST",
        }
        for path, methods in allowed.items():
            for method in {"PUT", "PATCH", "OPTIONS", "DELETE", "GET", "NONSENSE"} - set(methods.split(", ")):
                with self.subTest(method=method, path=path):
                    response, _problem = self.refused(self.request(method, path), 405)
                    self.assertEqual([methods], response.headers.getRawHeaders("Allow"))

    def test_other_paths(self) -> None:
        """404, and neither a redirect nor a traceback, however odd the path."""
        for path in (
            "/keyzzz/foo",
            "/keys",
            "/Key/foo",
            "//key/foo",
            "//status",
            "/status/",
            "/status//",
            "/join/x",
            "/%FF",
            "/v1/%C3",
            "/%2F",
        ):
            with self.subTest(path):
                self.refused(self.request("GET", path), 404)

    def test_a_host_that_is_no_text(self) -> None:
        """Klein would log a traceback for each."""
        self.refused(self.request("GET", "/status", headers={"Host": b"a\xff"}), 400)

    def test_a_host_that_is_none(self) -> None:
        """Werkzeug raises for it before any of Klein's error handling."""
        for host in ("a..b", "\u00e4" * 70, "..", "a:b:c"):
            with self.subTest(host):
                self.treq.flush()
                answer = self.request("GET", "/status", headers={"Host": host.encode()})
                self.treq.flush()
                self.assertIn(self.successResultOf(answer).code, (200, 400))
