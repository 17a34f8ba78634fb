"""hraftd's wire behaviour, as measured on the original, row by row; and beside it every row in which hraft differs.

A row is a request and hraftd's answer to it: the status, the body byte for byte, and what the store holds afterwards. Where
hraft differs the row says how and why, in the words of docs/http-api.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from unittest import TestCase

from web_doubles import Client, Served, ToldLeader, get

from hraft.kv.commands import Set

NOTHING = b""


@dataclass(frozen=True)
class Row:
    """`status` and `body` are hraftd's. `ours` is hraft's status where it differs, with a problem in JSON as the body.

    `why` says why, and `ours_body` gives the body where it is no problem. Each row starts from a store with foo=bar.
    """

    request: str
    body_sent: bytes | None
    status: int
    body: bytes
    holds: dict[str, str] | None = None
    ours: int | None = None
    ours_body: bytes | None = None
    why: str = ""


ON_THE_LEADER = [
    Row("POST /key", b'{"foo":"baz"}', 200, NOTHING, {"foo": "baz"}),
    Row("GET /key/foo", None, 200, b'{"foo":"bar"}'),
    Row("GET /key/missing", None, 200, b'{"missing":""}'),
    Row("GET /key", None, 400, b'{"":""}', ours=400, why="400 with a value is a missing return"),
    Row("GET /key/", None, 400, b'{"":""}', ours=400, why="400 with a value is a missing return"),
    Row("GET /key/a/b", None, 400, b'{"":""}', ours=200, ours_body=b'{"a/b":""}', why="keys may contain slashes"),
    Row("GET /key/a%2Fb", None, 400, b'{"":""}', ours=200, ours_body=b'{"a/b":""}', why="keys may contain slashes"),
    Row("GET /keyzzz/foo", None, 200, b'{"foo":"bar"}', ours=404, why="matching /keyzzz is a bug"),
    Row("POST /key", b'{"a":"1","b":"2"}', 200, NOTHING, {"a": "1", "b": "2", "foo": "bar"}),
    Row("POST /key/any/thing", b'{"p":"q"}', 200, NOTHING, {"foo": "bar", "p": "q"}),
    Row("POST /key", b'{"n":1}', 400, NOTHING, {"foo": "bar"}, ours=400, why="a 400 says what was wrong"),
    Row("POST /key", b"[]", 400, NOTHING, {"foo": "bar"}, ours=400, why="a 400 says what was wrong"),
    Row("POST /key", b"", 400, NOTHING, {"foo": "bar"}, ours=400, why="a 400 says what was wrong"),
    Row("POST /key", b'{"n":', 400, NOTHING, {"foo": "bar"}, ours=400, why="a 400 says what was wrong"),
    Row("POST /key", b'{"n":null}', 200, NOTHING, {"foo": "bar", "n": ""}),
    Row("POST /key", b"null", 200, NOTHING, {"foo": "bar"}),
    Row("POST /key", b"{}", 200, NOTHING, {"foo": "bar"}),
    Row("POST /key", b'{"a":"1"} junk', 200, NOTHING, ours=400, why="junk is not silently dropped"),
    Row("POST /key", b'{"a":"1","a":"2"}', 200, NOTHING, {"a": "2", "foo": "bar"}),
    Row("POST /key", b'{"":"x"}', 200, NOTHING, ours=400, why="nobody could read the empty key"),
    Row("DELETE /key/foo", None, 200, NOTHING, {}),
    Row("DELETE /key/missing", None, 200, NOTHING, {"foo": "bar"}),
    Row("DELETE /key", None, 400, NOTHING, {"foo": "bar"}, ours=400, why="a 400 says what was wrong"),
    Row("PUT /key/foo", b"x", 405, NOTHING, {"foo": "bar"}, ours=405, why="a 405 says what is allowed"),
    Row("HEAD /key/foo", None, 405, NOTHING, ours=200, ours_body=NOTHING, why="HEAD works wherever GET does"),
    Row("POST /status", b"", 405, b"(the status)", ours=405, why="405 with a value is a missing return"),
    Row("GET /join", None, 400, NOTHING, ours=405, why="the method is checked"),
    Row("GET /nothing", None, 404, NOTHING, ours=404, why="a 404 says what there is"),
]

ON_A_FOLLOWER = [
    Row("GET /key/foo", None, 200, b'{"foo":"bar"}'),
    Row("POST /key", b'{"foo":"baz"}', 500, NOTHING, {"foo": "bar"}, ours=421, why="names the leader"),
    Row("DELETE /key/foo", None, 500, NOTHING, {"foo": "bar"}, ours=421, why="names the leader"),
]


def exchange(client: Client, method_and_path: str, body: bytes | None) -> tuple[int, dict[str, str], bytes]:
    """Send one request; return the status, the headers and the body."""
    method, path = method_and_path.split(" ")
    headers = [] if body is None else [f"Content-Length: {len(body)}"]
    client.send(get(path, *headers, method=method) + (body or b""))
    head, _, answer = client.received().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split(" ")[1]), dict(line.split(": ", 1) for line in lines), answer


class HraftdContractTests(TestCase):
    def check(self, row: Row, served: Served) -> None:
        """One row against one node."""
        status, headers, body = exchange(served.connect(), row.request, row.body_sent)
        self.assertEqual(row.ours or row.status, status)
        self.assertEqual("13" if row.request.startswith("HEAD") else str(len(body)), headers["Content-Length"])
        if row.holds is not None:
            held = {key.decode(): record.value.decode() for key, record in served.node.state_machine.range()}
            self.assertEqual(row.holds, held)
        if row.ours is not None:
            self.assertTrue(row.why)
        if row.ours_body is not None:
            self.assertEqual(row.ours_body, body)
        elif row.ours is not None:
            self.assertEqual("application/problem+json", headers["Content-Type"])
            self.assertEqual(status, json.loads(body)["status"])
        else:
            self.assertEqual(row.body, body)
            self.assertEqual("text/plain; charset=utf-8" if body else None, headers.get("Content-Type"))

    def served(self) -> Served:
        served = Served()
        served.node.put(Set(b"foo", b"bar"))
        return served

    def test_on_the_leader(self) -> None:
        """A client written for hraftd works unchanged, but for the rows that say why not."""
        for row in ON_THE_LEADER:
            with self.subTest(row.request, sent=row.body_sent):
                self.check(row, self.served())

    def test_on_a_follower(self) -> None:
        """Reads are local everywhere; a write is refused with more than hraftd's bare 500."""
        for row in ON_A_FOLLOWER:
            with self.subTest(row.request, sent=row.body_sent):
                served = self.served()
                served.node.leads, served.node.known_leader = False, ToldLeader()
                self.check(row, served)

    def test_go_spells_json_so(self) -> None:
        """Byte for byte: Go's encoder escapes what could mean something in HTML and JavaScript, and nothing else beyond ASCII."""
        spellings = {
            "<a href='x'>&</a>": r'{"k":"\u003ca href=' + "'x'" + r'\u003e\u0026\u003c/a\u003e"}',
            "\u2028\u2029": r'{"k":"\u2028\u2029"}',
            "é€😀\x7f": '{"k":"é€😀\x7f"}',
            '"\\/': r'{"k":"\"\\/"}',
            "\n\r\t\x01\x1f": r'{"k":"\n\r\t\u0001\u001f"}',
        }
        for value, expected in spellings.items():
            with self.subTest(value):
                served = self.served()
                served.node.put(Set(b"k", value.encode()))
                self.assertEqual(expected.encode(), exchange(served.connect(), "GET /key/k", None)[2])

    def test_status_begins_as_hraftds(self) -> None:
        """The three fields come first and in hraftd's order, and the leader is no follower of its own."""
        status, headers, body = exchange(self.served().connect(), "GET /status", None)
        expected = (
            b'{"me":{"id":"node0","address":"host0:12000"},"leader":{"id":"node0","address":"host0:12000"},'
            b'"followers":[{"id":"node1","address":"host1:12001"},{"id":"node2","address":"host2:12002"}],'
        )
        self.assertEqual((200, "application/json"), (status, headers["Content-Type"]))
        self.assertEqual(expected, body[: len(expected)])
