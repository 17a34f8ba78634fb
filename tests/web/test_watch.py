"""GET /v1/watch, byte for byte, on connections of both ways in."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from watch_doubles import delete, messages, put, put_many, store, told
from web_doubles import Client, Served, get

from hraft import limits
from hraft.errors import ReadFailed
from hraft.kv.bounds import StoreLimits
from hraft.kv.commands import Set
from hraft.kv.store import KeyValueStore
from hraft.web.site import connections_count
from hraft.web.watch.views import Form

LINES = "Accept: application/x-ndjson"


def unchunked(data: bytes) -> tuple[bytes, bool]:
    """What chunks hold, and whether the last one has come."""
    body, rest = b"", data
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body, True
        body, rest = body + rest[:length], rest[length + 2 :]
    return body, False


class WatchTestCase(SynchronousTestCase):
    """A site over a node that answers when told."""

    def setUp(self) -> None:
        self.served = Served()
        self.node = self.served.node
        self.head = b""

    def tearDown(self) -> None:
        for client in self.served.clients:
            if not client.is_closed:
                client.hang_up()
        self.assertEqual([], self.served.clock.getDelayedCalls())

    def ask(self, path: str, *headers: str, method: str = "GET") -> Client:
        """Send a request for a watch, and let the node confirm that it is up to date."""
        client = self.served.connect()
        client.send(get(path, *headers, method=method))
        for asked in self.node.asked:
            if not asked.answer.called:
                asked.answer.callback(1)
        return client

    def watch(self, query: str = "", *headers: str) -> Client:
        client = self.ask(f"/v1/watch{query}", *headers)
        self.head, _, rest = client.transport.value().partition(b"\r\n\r\n")
        self.assertIn(b"HTTP/1.1 200 OK", self.head)
        client.transport.io.seek(0)
        client.transport.io.truncate()
        client.transport.io.write(rest)
        return client

    def received(self, client: Client) -> bytes:
        """What came since the last look, without its chunks."""
        self.settle()
        return unchunked(client.received())[0]

    def settle(self) -> None:
        for _ in range(50):
            self.served.clock.advance(0)

    def refused(self, path: str, status: int, code: str, *headers: str, method: str = "GET") -> dict[str, Any]:
        head, _, body = self.ask(path, *headers, method=method).received().partition(b"\r\n\r\n")
        self.assertIn(b"HTTP/1.1 %d " % status, head, body)
        self.assertIn(b"Content-Type: application/problem+json", head)
        problem: dict[str, Any] = json.loads(body)
        self.assertEqual(code, problem["code"])
        return problem


class StreamTests(WatchTestCase):
    """What a client reads."""

    def test_events(self) -> None:
        """As the HTML standard has them: a browser's EventSource needs no more."""
        self.node.put(put("other"))
        client = self.watch("?key=a")
        self.node.change(put("a", "1\n2"), delete("a"))
        self.assertEqual(
            b'id: 1\nevent: progress\ndata: {"revision":1}\n\n'
            b'id: 2\nevent: change\ndata: {"revision":2,"events":[{"type":"put","key":"a","value":"1\\n2",'
            b'"create_revision":2,"mod_revision":2,"version":1,"lease":null}]}\n\n'
            b'id: 3\nevent: change\ndata: {"revision":3,"events":[{"type":"delete","key":"a","mod_revision":3}]}\n\n',
            self.received(client),
        )
        for header in (
            b"Content-Type: text/event-stream",
            b"Cache-Control: no-store",
            b"Transfer-Encoding: chunked",
            b"X-Hraft-Revision: 1",
            b"X-Hraft-Term: 3",
        ):
            self.assertIn(header, self.head.split(b"\r\n"))

    def test_lines(self) -> None:
        """For whoever reads line by line: the same, with the kind inside."""
        client = self.watch("?prefix=a", LINES)
        self.node.change(put("a"))
        self.served.clock.advance(0)
        self.served.site.drained()
        lines = messages(self.received(client), Form.LINES)
        self.assertIn(b"Content-Type: application/x-ndjson", self.head.split(b"\r\n"))
        self.assertEqual(["progress", "change", "error"], [line["type"] for line in lines])
        self.assertEqual([0, 1, "stopping"], [lines[0]["revision"], lines[1]["revision"], lines[2]["code"]])

    def test_bytes_that_are_no_text(self) -> None:
        """Keys and values may be any bytes; they come as base64 under another name."""
        client = self.watch("?key=%FF%2F&prev")
        self.node.change(Set(b"\xff/", b"\x00\xfe"))
        event = messages(self.received(client))[1]["events"][0]
        self.assertEqual(("/y8=", "AP4=", None), (event["key_base64"], event["value_base64"], event["prev"]))
        self.assertFalse({"key", "value"} & set(event))

    def test_what_is_watched(self) -> None:
        """Any of the ways in which a range can be said."""
        for query, seen in (
            ("", "abcd"),
            ("?prefix=", "abcd"),
            ("?key=b", "b"),
            ("?prefix=b", "b"),
            ("?start=b&end=d", "bc"),
            ("?start=c", "cd"),
            ("?end=b", "a"),
        ):
            client = self.watch(query)
            self.node.change(put_many(a="1", b="1", c="1", d="1"))
            self.assertEqual((query, [f"{key}=1" for key in seen]), (query, told(self.received(client))[-1][1]))

    def test_the_past_on_request(self) -> None:
        """By `since`; `Last-Event-ID`, which a browser sends by itself when it connects again, is newer and wins."""
        self.node.change(put("a", "1"), put("a", "2"), put("a", "3"))
        for query, headers, seen in (
            ("?since=1", (), [2, 3]),
            ("?since=0", ("Last-Event-ID: 2",), [3]),
            ("?since=3", (), []),
            ("?since=2", ("Last-Event-ID: ",), [3]),
        ):
            client = self.watch(query, *headers)
            self.assertEqual((query, seen), (query, [revision for revision, _ in told(self.received(client))]))

    def test_silence_is_told(self) -> None:
        """Proxies close what is silent, and clients want to know that they are connected."""
        client = self.watch("?key=a")
        self.received(client)
        self.node.change(put("b"))
        self.served.clock.pump([1.0] * 16)
        self.assertEqual([{"type": "progress", "revision": 1}], messages(self.received(client)))

    def test_head_has_no_body(self) -> None:
        """And is over at once."""
        client = self.ask("/v1/watch?key=a", method="HEAD")
        head, _, body = client.received().partition(b"\r\n\r\n")
        self.assertIn(b"200 OK", head)
        self.assertEqual((b"", 0), (body, len(self.served.site._watches or "")))

    def test_http_1_0_gets_no_chunks(self) -> None:
        """It does not know them; its answer ends with the connection."""
        client = self.served.connect()
        client.send(b"GET /v1/watch?level=stale HTTP/1.0\r\n\r\n")
        self.node.change(put("a"))
        self.settle()
        head, _, body = client.received().partition(b"\r\n\r\n")
        self.assertNotIn(b"chunked", head)
        self.assertEqual([(1, ["a=1"])], told(body))


class BeginningTests(WatchTestCase):
    """When a watch begins, and when it does not."""

    def test_now_is_not_before_what_was_acknowledged(self) -> None:
        """A write that a client had answered before it asked for a watch is not told as news; on a follower, too."""
        client = self.served.connect()
        client.send(get("/v1/watch"))
        self.assertEqual((["confirm_read"], b""), ([asked.how for asked in self.node.asked], client.received()))
        self.node.change(put("a"))
        self.node.asked[0].answer.callback(1)
        self.assertIn(b'{"revision":1}', client.received())

    def test_the_leader_is_not_asked_without_need(self) -> None:
        """A revision that this node has needs no confirming, and a stale watch wants none."""
        self.node.change(put("a"))
        for query in ("?since=1", "?since=0", "?level=stale"):
            self.watch(query)
        self.assertEqual([], self.node.asked)

    def test_a_node_that_lags_finds_out(self) -> None:
        """A client that comes from a node that was further is not told that it is wrong."""
        client = self.served.connect()
        client.send(get("/v1/watch?since=1"))
        self.node.change(put("a"), put("b"))
        self.node.asked[0].answer.callback(1)
        self.settle()
        self.assertEqual([(2, ["b=1"])], told(unchunked(client.received().partition(b"\r\n\r\n")[2])[0]))

    def test_says_what_is_wrong(self) -> None:
        """Nothing is guessed, and what is not known is named."""
        long = "x" * (limits.KEY_BYTES + 1)
        for query, code, named in (
            ("?kye=a", "bad_request", "kye"),
            ("?key=a&prefix=b", "bad_request", "one key"),
            ("?key=a&start=b", "bad_request", "one key"),
            ("?key=a&key=b", "bad_request", "key"),
            ("?start=b&end=b", "bad_request", "'b'"),
            ("?prev=no", "bad_request", "prev"),
            ("?key=", "bad_key", "one byte"),
            (f"?key={long}", "bad_key", "1025"),
            ("?level=lease", "bad_level", "lease"),
            ("?since=-1", "bad_revision", "-1"),
            ("?since=", "bad_revision", "''"),
            ("?since=1", "bad_revision", "1"),
            (f"?since={'9' * 5000}", "bad_revision", "999"),
        ):
            self.assertIn(named, self.refused(f"/v1/watch{query}", 400, code)["detail"])
        self.refused("/v1/watch", 400, "bad_revision", "Last-Event-ID: x")
        self.refused("/v1/watch", 405, "method_not_allowed", method="DELETE")

    def test_says_that_it_is_too_late(self) -> None:
        """With the revision from which on it is not: the client must read the keys again."""
        self.node.state_machine = KeyValueStore(StoreLimits(history_events_count=2))
        self.node.change(*(put("a", str(number)) for number in range(5)))
        self.assertEqual(3, self.refused("/v1/watch?since=2", 410, "compacted")["oldest_revision"])

    def test_says_when_the_leader_cannot_be_asked(self) -> None:
        """As a linearizable read would."""
        client = self.served.connect()
        client.send(get("/v1/watch"))
        self.node.asked[0].answer.errback(ReadFailed("no majority answers"))
        self.assertIn(b'"read_failed"', client.received())

    def test_leaves_places_to_others(self) -> None:
        """Watchers hold their connections; whoever reads and writes must find one."""
        self.served = Served(connections_count=4)
        self.node = self.served.node
        for _ in range(3):
            self.watch()
        self.refused("/v1/watch", 429, "too_many_watchers")


class EndTests(WatchTestCase):
    """How a watch ends, and what is left of it: nothing."""

    def watchers(self) -> int:
        assert self.served.site._watches is not None
        return len(self.served.site._watches)

    def test_hanging_up_ends_it(self) -> None:
        """At once, whether it has begun or not."""
        client = self.watch()
        client.hang_up()
        waiting = self.served.connect()
        waiting.send(get("/v1/watch"))
        waiting.hang_up()
        self.assertEqual((0, True), (self.watchers(), self.node.asked[-1].is_cancelled))

    def test_a_stop_says_so(self) -> None:
        """And does not wait: the client goes on at another node."""
        client = self.watch()
        drained = self.served.site.drained()
        body, is_whole = unchunked(client.received())
        self.assertEqual(("stopping", True, True), (messages(body)[-1]["code"], is_whole, client.is_closed))
        self.successResultOf(drained)

    def test_a_stop_while_the_leader_is_asked(self) -> None:
        """Whoever is about to begin is told the same."""
        client = self.served.connect()
        client.send(get("/v1/watch"))
        drained = self.served.site.drained()
        self.node.asked[0].answer.callback(1)
        self.assertIn(b'"stopping"', client.received())
        self.successResultOf(drained)

    def test_who_does_not_read_costs_a_buffer_and_then_nothing(self) -> None:
        """Memory is bounded whatever is written and however many do not read; and after a while they are cut off."""
        client = self.watch()
        client.transport.is_slow_to_send = True
        for number in range(40):
            self.node.change(*(put("a", "x" * 5000) for _ in range(10)))
            self.settle()
            self.assertLess(len(client.transport.value()), 3 * limits.WATCH_PORTION_BYTES, number)
        client.transport.is_slow_to_close = True
        self.served.clock.pump([1.0] * (int(limits.WATCH_UNREAD_SECONDS) + 1))
        self.assertEqual(0, self.watchers())
        self.assertIn(b'"code":"too_slow"', client.transport.value())
        self.served.clock.pump([1.0] * int(limits.HTTP_CLOSE_TIMEOUT_SECONDS + 1))
        self.assertTrue(client.transport.is_aborted)

    def test_one_large_message_is_sent_in_portions(self) -> None:
        """One that deletes a lot of keys, say: it is shared by all who are sent it, and never copied for each."""
        client = self.watch()
        client.transport.is_slow_to_send = True
        self.node.change(put_many(**{f"k{number}": "x" * 1000 for number in range(500)}))
        self.settle()
        self.assertLess(len(client.transport.value()), 3 * limits.WATCH_PORTION_BYTES)
        self.node.change(put("after"), put_many(**{f"k{number}": "y" * 1000 for number in range(500)}))
        data = b""
        for _ in range(40):
            data += client.received()
            self.settle()
        self.assertEqual([(1, 500), (2, 1), (3, 500)], [(revision, len(events)) for revision, events in told(unchunked(data)[0])])

    def test_within_a_message_there_is_no_other(self) -> None:
        """The connection breaks, so that nobody takes half a change for a whole one."""
        client = self.watch()
        client.transport.is_slow_to_send = True
        self.node.change(put_many(**{f"k{number}": "x" * 1000 for number in range(500)}))
        self.settle()
        self.served.site.drained()
        self.assertTrue(client.transport.is_aborted)
        self.assertNotIn(b"stopping", client.transport.value())

    def test_reads_on_after_a_pause(self) -> None:
        """A client that was slow for a moment, and then hangs up, must not be a watcher for ever."""
        client = self.watch()
        client.transport.is_slow_to_send = True
        self.node.change(*(put("a", "x" * 5000) for _ in range(20)))
        self.settle()
        self.assertEqual("paused", client.transport.producerState)
        client.received()
        self.assertEqual("producing", client.transport.producerState)

    def test_a_late_snapshot(self) -> None:
        """The store was replaced by one that does not know how it came about."""
        client = self.watch()
        self.node.state_machine = store(*(put("a", str(number)) for number in range(5)), remembers_count=2)
        self.node.change()
        self.assertEqual("compacted", messages(self.received(client))[-1]["code"])
        self.assertTrue(client.is_closed)


class ConnectionsTests(SynchronousTestCase):
    """How many clients there may be."""

    def test_files_are_left_for_others(self) -> None:
        """A node full of clients still hears its peers and writes its log."""
        for files_count, expected in (
            (1024, 576),
            (limits.FILES_COUNT, limits.HTTP_CONNECTIONS_COUNT),
            (1_000_000, limits.HTTP_CONNECTIONS_COUNT),
            (100, 1),
        ):
            self.assertEqual(expected, connections_count(files_count))
