"""The same bytes to both ways in, twisted.web with Klein and the front before it: nobody can tell the answers apart."""

from __future__ import annotations

import re
from unittest import TestCase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_doubles import Client, Served, ToldLeader, get, post

from hraft import limits
from hraft.kv.commands import Set

pytest.importorskip("httptools")

FOO = post(b'{"foo":"bar"}')
CHUNKED = b'POST /key HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n4\r\n"b"}\r\n0\r\n\r\n'
LARGE = limits.REQUEST_BODY_BYTES + 1


def raw(first_line: str, *headers: str, body: bytes = b"") -> bytes:
    """The bytes of whatever claims to be a request."""
    return "\r\n".join([first_line, *headers, "", ""]).encode("latin-1") + body


#: What the front answers by itself, or so it seems.
WELL_FORMED = {
    "post": FOO,
    "post with a type": post(b'{"foo":"bar"}', "Content-Type: application/json", "User-Agent: x/1.0", "Accept: */*"),
    "post of several keys": post(b'{"a":"1","b":null,"\xc3\xa9":"<&>"}'),
    "post to a longer path": post(b'{"a":"b"}', path="/key/any/thing"),
    "post of nothing": post(b"{}"),
    "post of what is no JSON": post(b"{nonsense"),
    "post of another shape": post(b'{"a":1}'),
    "post without a body": get("/key", method="POST"),
    "post of an empty body": post(b""),
    "get": get("/key/foo"),
    "get of a missing key": get("/key/missing"),
    "get with a body": get("/key/foo", "Content-Length: 3") + b"abc",
    "get of no key": get("/key"),
    "get of no key, either": get("/key/"),
    "get of an odd key": get("/key/a%2Fb/c+d%20e;f,g:h@i#j"),
    "get of what is not UTF-8": get("/key/%ff"),
    "get by level": get("/key/foo?level=stale"),
    "get by no level": get("/key/foo?level=strong"),
    "get by two levels": get("/key/foo?level=stale&level=linearizable"),
    "get by an odd query": get("/key/foo?level=stale;x=%zz&&?"),
    "get by an empty query": get("/key/foo?"),
    "linearizable get": get("/key/foo?level=linearizable"),
    "head": get("/key/foo", method="HEAD"),
    "head of no key": get("/key/", method="HEAD"),
    "delete": get("/key/foo", method="DELETE"),
    "post once": post(b'{"foo":"baz"}', "Idempotency-Key: 1/1"),
    "post by an odd key": post(b'{"foo":"baz"}', "Idempotency-Key:  1/x "),
    "post by two keys": post(b'{"foo":"baz"}', "Idempotency-Key: 1/1", "idempotency-key: 1/2"),
    "delete of no key": get("/key", method="DELETE"),
    "status": get("/status"),
    "head of status": get("/status", method="HEAD"),
    "join": post(b'{"addr":"h:1","id":"n1"}', path="/join"),
    "join of nobody": post(b"{}", path="/join"),
    "v1 get": get("/v1/kv/foo"),
    "v1 get of an odd key": get("/v1/kv/a%2Fb/%ff+;,{}@"),
    "v1 get of a missing key": get("/v1/kv/missing"),
    "v1 get of no key": get("/v1/kv/"),
    "v1 get, stale and raw": get("/v1/kv/foo?level=stale&raw"),
    "v1 get of what is known": get("/v1/kv/foo?level=stale", 'If-None-Match: "1"'),
    "v1 get of what may be known": get("/v1/kv/foo?level=stale", 'If-None-Match: "7"', 'if-none-match:  W/"1" '),
    "v1 get with an odd condition": get("/v1/kv/foo?level=stale", "If-None-Match: 1"),
    "v1 get with an odd query": get("/v1/kv/foo?&level=stale&&=&x;y=%zz"),
    "v1 head": get("/v1/kv/foo?level=stale", method="HEAD"),
    "v1 head of what is known": get("/v1/kv/foo?level=stale", 'If-None-Match: "1"', method="HEAD"),
    "v1 put": post(b"\xff\0", path="/v1/kv/foo?prev").replace(b"POST", b"PUT"),
    "v1 put of nothing": get("/v1/kv/foo", method="PUT"),
    "v1 put if": post(b"x", 'If-Match: "1"', path="/v1/kv/foo").replace(b"POST", b"PUT"),
    "v1 put if, in vain": post(b"x", "If-None-Match: *", path="/v1/kv/foo").replace(b"POST", b"PUT"),
    "v1 put if and if": post(b"x", 'If-Match: "1"', 'If-Match: "1"', path="/v1/kv/foo").replace(b"POST", b"PUT"),
    "v1 delete": get("/v1/kv/foo", method="DELETE"),
    "v1 list": get("/v1/kv?level=stale&prefix=%66"),
    "v1 delete of a range": get("/v1/kv?prefix=f", method="DELETE"),
    "v1 delete of nothing said": get("/v1/kv", method="DELETE"),
    "v1 txn": post(b'{"then":[{"put":{"key":"a","value":"1"}}]}', path="/v1/txn"),
    "v1 txn of nonsense": post(b"{nonsense", path="/v1/txn"),
    "v1 lease": post(b'{"ttl":5}', path="/v1/leases"),
    "v1 lease, missing": get("/v1/leases/7"),
    "v1 lease, kept": get("/v1/leases/7/keepalive", method="POST"),
    "v1 lease of no number": get("/v1/leases/x/keepalive", method="POST"),
    "v1 session": get("/v1/sessions", method="POST"),
    "v1 cluster": get("/v1/cluster"),
    "v1 status": get("/v1/status"),
    "v1 description": get("/v1/openapi.json"),
    "keep-alive": get("/key/foo", "Connection: keep-alive"),
    "keep-alive, spelt otherwise": get("/key/foo", "connection:Keep-Alive"),
    "no host": raw("GET /key/foo HTTP/1.1"),
    "blanks around values": raw("POST /key HTTP/1.1", "Host:\t h", "Content-Length:  9\t ", body=b'{"a":"b"}'),
    "a body of the largest size": post(b'{"k":"' + b"x" * (limits.REQUEST_BODY_BYTES - 8) + b'"}'),
}

#: What the front leaves to twisted.web.
ODD = {
    "expect": raw("POST /key HTTP/1.1", "Host: h", "Expect: 100-continue", "Content-Length: 9", body=b'{"a":"b"}'),
    "chunked": CHUNKED,
    "chunked and a length": raw("POST /key HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 3", body=b"abc"),
    "chunked, badly": CHUNKED.replace(b"5\r\n", b"z\r\n"),
    "gzip": raw("POST /key HTTP/1.1", "Transfer-Encoding: gzip"),
    "upgrade": get("/key/foo", "Connection: Upgrade", "Upgrade: websocket"),
    "upgrade alone": get("/key/foo", "Upgrade: h2c"),
    "close": get("/key/foo", "Connection: close"),
    "close among others": get("/key/foo", "Connection: close, x"),
    "close of a proxy": get("/key/foo", "Proxy-Connection: close") * 2,
    "HTTP/1.0": raw("GET /key/foo HTTP/1.0", "Host: h"),
    "HTTP/1.0 with keep-alive": raw("GET /key/foo HTTP/1.0", "Connection: keep-alive"),
    "HTTP/2.0": raw("GET /key/foo HTTP/2.0"),
    "HTTP/1.2": raw("GET /key/foo HTTP/1.2"),
    "HTTP/0.9": b"GET /key/foo\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "absolute form": get("http://h/key/foo"),
    "asterisk": get("*", method="OPTIONS"),
    "another method": get("/key/foo", method="PUT"),
    "a method in small letters": get("/key/foo", method="get"),
    "another path": get("/nothing"),
    "another method of v1": get("/v1/kv/foo", method="PATCH"),
    "another path of v1": get("/v1/nothing"),
    "no lease's path": get("/v1/leases//keepalive"),
    "an escaped path of v1": get("/%761/kv/foo"),
    "an escaped path": get("/%6bey"),
    "a path beside": get("/keyzzz/foo"),
    "two slashes": get("//key/foo"),
    "no path": raw("GET  HTTP/1.1"),
    "two blanks": raw("GET  /key/foo HTTP/1.1"),
    "two more blanks": raw("GET /key/foo  HTTP/1.1"),
    "a blank at the end": raw("GET /key/foo HTTP/1.1 "),
    "a tab": raw("GET\t/key/foo HTTP/1.1"),
    "bytes beyond ASCII": raw("GET /key/f\xf6 HTTP/1.1"),
    "bytes beyond ASCII that Twisted takes": raw("GET /key/\x81 HTTP/1.1"),
    "an empty line before": b"\r\n" + get("/key/foo"),
    "two empty lines before": b"\r\n\r\n" + get("/key/foo"),
    "line ends of Unix": get("/key/foo").replace(b"\r\n", b"\n"),
    "a line end of Unix among headers": raw("POST /key HTTP/1.1", "X: a\nContent-Length: 2", body=b"{}"),
    "a folded header": raw("GET /key/foo HTTP/1.1", "X: a", " b"),
    "a folded first header": raw("GET /key/foo HTTP/1.1", " X: a"),
    "no colon": raw("GET /key/foo HTTP/1.1", "no colon"),
    "a blank before the colon": raw("GET /key/foo HTTP/1.1", "X : a"),
    "a header without a name": raw("GET /key/foo HTTP/1.1", ": a"),
    "a NUL": raw("GET /key/foo HTTP/1.1", "X: a\0b"),
    "a control byte": raw("GET /key/foo HTTP/1.1", "X: a\x01b"),
    "bytes beyond ASCII in a header": raw("GET /key/foo HTTP/1.1", "X: \xff"),
    "a host that is none": raw("GET /key/foo HTTP/1.1", "Host: a..b"),
    "a host with an underscore": raw("GET /key/foo HTTP/1.1", "Host: a_b:80"),
    "a host of IPv6": raw("GET /key/foo HTTP/1.1", "Host: [::1]:80"),
    "a long host": raw("GET /key/foo HTTP/1.1", f"Host: {'h' * 62}:8000"),
    "an empty host": raw("GET /key/foo HTTP/1.1", "Host:"),
    "two hosts": raw("GET /key/foo HTTP/1.1", "Host: a..b", "Host: h"),
    "two lengths": raw("POST /key HTTP/1.1", "Content-Length: 2", "Content-Length: 2", body=b"{}"),
    "two other lengths": raw("POST /key HTTP/1.1", "Content-Length: 2", "content-length: 3", body=b"{} "),
    "lengths in a list": raw("POST /key HTTP/1.1", "Content-Length: 2, 2", body=b"{}"),
    "no length": raw("POST /key HTTP/1.1", "Content-Length:", body=b"{}"),
    "a length with a sign": raw("POST /key HTTP/1.1", "Content-Length: +2", body=b"{}"),
    "a length with an underscore": raw("POST /key HTTP/1.1", "Content-Length: 1_0", body=b"{}"),
    "a length in hexadecimal": raw("POST /key HTTP/1.1", "Content-Length: 0x2", body=b"{}"),
    "a length with zeros": raw("POST /key HTTP/1.1", "Content-Length: 002", body=b"{}"),
    "a length beyond all reason": raw("POST /key HTTP/1.1", f"Content-Length: {'9' * 50}"),
    "a length over the limit": raw("POST /key HTTP/1.1", f"Content-Length: {LARGE}", body=b"xyz"),
    "expect and a length over the limit": raw("POST /key HTTP/1.1", "Expect: 100-continue", f"Content-Length: {LARGE}"),
    "too many headers for Twisted": raw("GET /key/foo HTTP/1.1", *["X: y"] * 501),
    "too many headers for the front": raw("GET /key/foo HTTP/1.1", *["X: y"] * 101),
    "a long head": raw("GET /key/foo HTTP/1.1", f"X: {'y' * 9000}"),
    "a head that is too long": raw("GET /key/foo HTTP/1.1", f"X: {'y' * 17000}"),
    "a line that is too long": b"GET /key/" + b"x" * 20_000,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "nothing that ends": b"hello",
    "half a request": FOO[:-1],
}


class Way:
    """One of the two ways, seen by a client: what it has answered so far, and what became of the connection."""

    def __init__(self, has_front: bool) -> None:
        self.served = Served(has_front=has_front)
        self.served.node.put(Set(b"foo", b"b<r"))
        self.client: Client = self.served.connect()
        self.answers = b""

    def send(self, data: bytes) -> None:
        if not self.client.is_closed:
            self.client.send(data)
            # A client that sends ahead takes turns, which differ in length.
            self.served.clock.advance(0)
        self.answers += self.client.received()

    def wait(self, seconds: float) -> None:
        self.served.clock.advance(seconds)
        self.answers += self.client.received()

    def seen(self) -> tuple[object, ...]:
        """All that can be told from outside, and what the node was asked. The Date may differ by a second."""
        node = self.served.node
        return (
            responses(self.answers),
            self.client.is_closed,
            self.client.transport.disconnecting,
            [(asked.how, asked.arguments) for asked in node.asked],
            node.state_machine.range(),
        )

    def hang_up(self) -> None:
        if not self.client.is_closed:
            self.client.hang_up()


def responses(answers: bytes) -> list[tuple[bytes, object, bytes]]:
    """Each response as its first line, its headers in any order, and its body."""
    found = []
    dated = re.sub(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", b"Date: well-formed\r\n", answers)
    # A body is followed by the next response or nothing, and none of ours contains this.
    for response in re.split(rb"(?=HTTP/1\.[01] \d\d\d )", dated)[1:]:
        head, _, body = response.partition(b"\r\n\r\n")
        first, *headers = head.split(b"\r\n")
        found.append((first, sorted(headers), body))
    return found


class BothWays(TestCase):
    """One connection of each kind."""

    def setUp(self) -> None:
        self.ways = [Way(True), Way(False)]

    def tearDown(self) -> None:
        for way in self.ways:
            way.hang_up()
            self.assertEqual([], way.served.clock.getDelayedCalls())

    def check(self, *parts: bytes) -> None:
        """Send these one after the other, and compare after each; then wait for what becomes of a client that says no more."""
        for part in parts:
            for way in self.ways:
                way.send(part)
            self.assertEqual(self.ways[1].seen(), self.ways[0].seen())
        for seconds in (limits.REFUSED_LINGER_SECONDS, limits.REQUEST_TIMEOUT_SECONDS, limits.IDLE_CONNECTION_TIMEOUT_SECONDS):
            for way in self.ways:
                way.wait(seconds)
            self.assertEqual(self.ways[1].seen(), self.ways[0].seen())

    def fresh(self) -> None:
        self.tearDown()
        self.setUp()


class SameAnswersTests(BothWays):
    def test_one_request(self) -> None:
        """Whatever it is, status, headers, body, effect and the end of the connection are the same."""
        for name, data in {**WELL_FORMED, **ODD}.items():
            with self.subTest(name):
                self.check(data)
            self.fresh()

    def test_byte_by_byte(self) -> None:
        """Also the moment is the same at which a request is answered or refused."""
        for name, data in {**WELL_FORMED, **ODD}.items():
            if len(data) < 2000:
                with self.subTest(name):
                    self.check(*(data[index : index + 1] for index in range(len(data))))
                self.fresh()

    def test_split_anywhere(self) -> None:
        """A request comes in two parts as often as in one."""
        for name in ("post", "expect", "no colon"):
            data = {**WELL_FORMED, **ODD}[name]
            with self.subTest(name):
                for index in range(1, len(data)):
                    self.check(data[:index], data[index:])
                    self.fresh()

    def test_behind_another(self) -> None:
        """Pipelined behind a good one, in one read: the first's bytes must not be handed over, and the second's must."""
        for name, data in {**WELL_FORMED, **ODD}.items():
            with self.subTest(name):
                self.check(FOO + get("/key/foo") + data + FOO)
            self.fresh()

    def test_after_another(self) -> None:
        """On a connection that was in use already, and goes on if it may."""
        for name, data in {**WELL_FORMED, **ODD}.items():
            with self.subTest(name):
                self.check(FOO, data, get("/key/foo"), FOO + FOO)
            self.fresh()

    def test_o23_the_same_headers_again(self) -> None:
        """The front need not read what it has read before, and must not take it for good where another method comes with it."""
        getting, posting, putting, connecting = (
            b"%b /key/foo HTTP/1.1\r\n" % method for method in (b"GET", b"POST", b"PUT", b"CONNECT")
        )
        rests = {data.partition(b"\r\n")[2]: name for name, data in {**WELL_FORMED, **ODD}.items() if len(data) < 2000}
        for rest, name in rests.items():
            with self.subTest(name):
                self.check(getting + rest, posting + rest, getting + rest, putting + rest)
                self.fresh()
                self.check(getting + rest, connecting + rest)
            self.fresh()

    def test_the_front_is_what_is_compared(self) -> None:
        """Or all this would show nothing: well-formed requests stay there, odd ones do not."""
        for name, data in {**WELL_FORMED, **ODD}.items():
            with self.subTest(name):
                front = self.ways[0].client.protocol
                self.ways[0].send(data)
                may_stay = name in WELL_FORMED or name in _HARMLESS
                if name not in _EITHER:
                    self.assertEqual(may_stay, front._channel is None)
            self.fresh()

    def test_no_split_drives_a_request_away(self) -> None:
        """A client on a slow line gets the fast way too."""
        data = post(b'{"a":"b"}')
        for index in range(1, len(data)):
            for part in (data[:index], data[index:]):
                self.ways[0].send(part)
        self.assertIsNone(self.ways[0].client.protocol._channel)
        self.assertEqual(len(data) - 1, len(self.ways[0].served.node.asked))

    def test_errors_of_the_node(self) -> None:
        """A node that does not lead, with and without a leader in sight; what a peer says of itself cannot add a header."""
        for known in (None, "with an address"):
            for data in (FOO, get("/key/foo", method="DELETE"), get("/key/foo?level=linearizable")):
                with self.subTest(known, data=data):
                    for way in self.ways:
                        way.served.node.leads = False
                        way.served.node.known_leader = None if known is None else ToldLeader(http_address="h:1\r\nX-Evil: 1")
                    self.check(data)
                self.fresh()


#: Odd, but not in the front's eyes; or not yet known to be odd.
_HARMLESS = {
    "bytes beyond ASCII in a header",
    "a host with an underscore",
    "a host of IPv6",
    "a length with zeros",
    "nothing that ends",
    "half a request",
    "line ends of Unix",
}

#: Versions of llhttp differ.
_EITHER = {"blanks around values"}

_PARTS = st.lists(
    st.sampled_from([value for value in (*WELL_FORMED.values(), *ODD.values()) if len(value) < 400]), min_size=1, max_size=3
)
_BYTES = st.sampled_from([b"", b"\r", b"\n", b"\r\n", b" ", b":", b"\0", b"\t", b"1", b"\xff", b"?", b"%", b"/"])
#: Where, how many bytes go, and what comes in their place.
_SPOILT = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2), _BYTES), max_size=5)


class FuzzTests(TestCase):
    @given(_PARTS, _SPOILT, st.integers(1, 300))
    def test_spoilt_requests(self, parts: list[bytes], spoilt: list[tuple[int, int, bytes]], step: int) -> None:
        """What nobody thought of: bytes put in place of others anywhere in good and bad requests, cut anywhere."""
        data = bytearray(b"".join(parts))
        for position, count, bad in spoilt:
            start = position % (len(data) + 1)
            data[start : start + count] = bad
        both = BothWays()
        both.setUp()
        try:
            both.check(*(bytes(data[index : index + step]) for index in range(0, len(data), step)))
        finally:
            both.tearDown()
