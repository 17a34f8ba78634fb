"""The dashboard's files and its stream: what a browser is given, and how the stream tells, waits and ends."""

from __future__ import annotations

import json
import re
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from watch_doubles import put
from web_doubles import Client, Served, ToldNode, WireTestCase, get, typed

from hraft import limits
from hraft.counting import Histogram
from hraft.errors import ReadFailed
from hraft.service.chronicle import ELECTION, Chronicle
from hraft.service.shared_view import MemberView
from hraft.web.dashboard.feed import Feed, Page
from hraft.web.dashboard.page import FILES
from hraft.web.dashboard.pulse import Pulse
from hraft.web.problems import Problem

RULES = ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'")
#: What would make HTML or a script of a text.
UNSAFE = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(| style=| on\w+=")


def messages(data: bytes) -> list[tuple[str, Any]]:
    """What a stream was sent: the kind and the document of each message."""
    found = []
    for block in data.split(b"\n\n"):
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
        if b"event" in fields:
            found.append((fields[b"event"].decode(), json.loads(fields[b"data"])))
    return found


class FileTests(WireTestCase):
    """What is served to a browser."""

    def ask(self, path: str, *headers: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        self.client.send(get(path, *headers, method=method))
        head, _, body = self.client.received().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body

    def test_nothing_but_the_page_runs(self) -> None:
        """A key called <script> must not run, nor may another page frame this one, nor a browser guess at types."""
        for path, (_, content_type) in FILES.items():
            status, headers, body = self.ask(path.decode())
            self.assertEqual((200, content_type.decode()), (status, headers["content-type"]))
            policy = headers["content-security-policy"]
            for rule in RULES:
                self.assertIn(rule, policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(("nosniff", "no-cache"), (headers["x-content-type-options"], headers["cache-control"]))
            self.assertTrue(body)

    def test_it_needs_nobody_else(self) -> None:
        """A cluster may be where there is no internet; and no file is named that is not served."""
        for path in FILES:
            text = self.ask(path.decode())[2].decode().replace("http://www.w3.org/2000/svg", "")
            self.assertEqual([], re.findall(r"https?://[^$]", text), path)
            self.assertEqual([], UNSAFE.findall(text), path)
            named = re.findall(r"""(?:src|href)="(/dashboard/[^"]+)"|from '\./([^']+)'""", text)
            for absolute, relative in named:
                self.assertIn((absolute or f"/dashboard/{relative}").encode(), FILES)

    def test_not_again_what_a_browser_has(self) -> None:
        """By its ETag, also where it names several; another one's is another file."""
        etag = self.ask("/")[1]["etag"]
        self.assertEqual((304, b""), self.ask("/", f'If-None-Match: "x", W/{etag}')[::2])
        self.assertEqual(200, self.ask("/", 'If-None-Match: "x"')[0])
        self.assertEqual(len(FILES), len({self.ask(path.decode())[1]["etag"] for path in FILES}))


class ToldPage:
    """A page that reads nothing while it is told not to."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.data = b""
        self.is_full = False
        self.ended_with = b""
        self.page: Page = feed.add(self)

    def send(self, data: bytes) -> None:
        assert not self.is_full
        self.data += data

    def end(self, last: bytes) -> None:
        self.ended_with = last

    def stand_still(self) -> None:
        self.is_full = True
        self.feed.is_full(self.page)

    def read_on(self) -> None:
        self.is_full = False
        self.feed.has_room(self.page)

    def told(self) -> list[tuple[str, Any]]:
        """Since the last look."""
        data, self.data = self.data, b""
        return messages(data)


class Counting:
    """Figures that count how often they were made."""

    def __init__(self) -> None:
        self.begun_count = self.made_count = 0

    def begin(self) -> None:
        self.begun_count += 1

    def document(self) -> int:
        self.made_count += 1
        return self.made_count


class FeedTests(SynchronousTestCase):
    """Who is told what, and when."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.source = Counting()
        self.chronicle = Chronicle(lambda: 5.0)
        self.feed = Feed(self.clock, self.source, lambda: self.chronicle, pages_count=2)

    def tearDown(self) -> None:
        self.feed.stop()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_at_once_and_then_each_second(self) -> None:
        """All pages get the same figures, which are made once for all of them."""
        first, second = ToldPage(self.feed), ToldPage(self.feed)
        self.assertEqual([("figures", 1)], first.told())
        self.assertEqual([("figures", 2)], second.told())
        self.clock.advance(1)
        self.assertEqual([[("figures", 3)]] * 2, [first.told(), second.told()])

    def test_nothing_is_made_for_nobody(self) -> None:
        """A node that no one looks at does no work for it."""
        page = ToldPage(self.feed)
        self.feed.remove(page.page)
        self.feed.remove(page.page)
        self.assertEqual([], self.clock.getDelayedCalls())
        self.clock.advance(5)
        self.assertEqual(1, self.source.made_count)
        ToldPage(self.feed)
        self.assertEqual(2, self.source.begun_count)

    def test_what_has_happened_comes_once_and_before_the_figures(self) -> None:
        """All of it for a new page, and for each page what is new to it."""
        self.chronicle.add(ELECTION, "a")
        page = ToldPage(self.feed)
        happened = {"number": 1, "at_seconds": 5.0, "kind": "election", "words": "a"}
        self.assertEqual([("happenings", [happened]), ("figures", 1)], page.told())
        self.chronicle.add(ELECTION, "b")
        self.clock.advance(1)
        [(_, [only]), _] = page.told()
        self.assertEqual("b", only["words"])
        self.clock.advance(1)
        self.assertEqual([("figures", 3)], page.told())

    def test_a_page_that_does_not_read(self) -> None:
        """It misses figures, and is told all that has happened when it reads again; others do not wait for it."""
        slow, quick = ToldPage(self.feed), ToldPage(self.feed)
        slow.told()
        slow.stand_still()
        for words in "ab":
            self.chronicle.add(ELECTION, words)
            self.clock.advance(1)
        self.assertEqual(b"", slow.data)
        self.assertEqual(["figures", *["happenings", "figures"] * 2], [kind for kind, _ in quick.told()])
        slow.read_on()
        self.clock.advance(1)
        [(_, happened), (_, figures)] = slow.told()
        self.assertEqual((["a", "b"], 5), ([each["words"] for each in happened], figures))

    def test_one_that_never_reads_is_cut_off(self) -> None:
        """Its place is somebody else's, and it is told why."""
        page = ToldPage(self.feed)
        page.stand_still()
        self.clock.pump([1.0] * int(limits.WATCH_UNREAD_SECONDS))
        [(kind, problem)] = messages(page.ended_with)
        self.assertEqual(("error", "too_slow"), (kind, problem["code"]))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_so_many_and_no_more(self) -> None:
        """Dashboards left open must not take the connections of those who ask."""
        pages = [ToldPage(self.feed) for _ in range(2)]
        problem = self.assertRaises(Problem, self.feed.check)
        self.assertEqual((429, "too_many_streams"), (problem.status, problem.members["code"]))
        self.feed.remove(pages[0].page)
        self.feed.check()

    def test_a_node_that_stops(self) -> None:
        """Says so to those who listen, and takes nobody any more."""
        page = ToldPage(self.feed)
        self.feed.stop()
        self.assertEqual("stopping", messages(page.ended_with)[0][1]["code"])
        self.assertEqual(503, self.assertRaises(Problem, self.feed.check).status)


class PulseTests(SynchronousTestCase):
    """What is measured."""

    def setUp(self) -> None:
        self.node, self.clock = ToldNode(), Clock()
        self.writes = Histogram()
        self.figures = Pulse(typed(self.node), self.clock, self.writes)

    def test_writes_are_those_since_the_last_figures(self) -> None:
        """And not those since somebody looked yesterday."""
        self.node.change(put("a"), put("b"))
        self.assertIsNone(self.figures.document().writes_per_second)
        self.node.change(put("a"), put("b"), put("c"))
        self.clock.advance(2)
        self.assertEqual(1.5, self.figures.document().writes_per_second)
        self.figures.begin()
        self.clock.advance(1000)
        self.assertIsNone(self.figures.document().writes_per_second)

    def test_a_follower_has_its_leader_asked(self) -> None:
        """Each time, so that the next figures have what the leader knows of the members."""
        self.node.leads = False
        self.node.told_views = {"node1": MemberView(7, 2, 0.25)}
        document = self.figures.document()
        self.assertEqual(1, self.node.looks_count)
        found = {member.id: (member.match_index, member.lag, member.last_contact_ms) for member in document.cluster.members}
        self.assertEqual((7, 2, 250), found.pop("node1"))
        self.assertEqual({(None, None, None)}, set(found.values()))

    def test_how_long_writes_take(self) -> None:
        """Those of the last second, and not the average since the start; nothing where there were none."""
        self.writes.observe(9.0)
        self.assertIsNone(self.figures.document().write_ms)
        self.writes.observe(0.002)
        self.writes.observe(0.004)
        self.assertEqual(3.0, self.figures.document().write_ms)
        self.assertIsNone(self.figures.document().write_ms)

    def test_how_long_agreement_takes(self) -> None:
        """One question at a time: a cluster without a majority is not asked more and more."""
        self.figures.document()
        [asked] = self.node.asked
        self.clock.advance(0.25)
        asked.answer.callback(1)
        self.assertEqual(250.0, self.figures.document().agreement_ms)
        self.clock.advance(1)
        self.assertIsNone(self.figures.document().agreement_ms)
        self.assertEqual(2, len(self.node.asked))
        self.node.asked[1].answer.errback(ReadFailed("no majority"))
        self.assertIsNone(self.figures.document().agreement_ms)
        self.assertEqual(3, len(self.node.asked))

    def test_no_leader_is_no_defect(self) -> None:
        """A node that refuses the question at once still tells how it is."""

        def refused(level: Any = None) -> Deferred[int]:
            return fail(ReadFailed("no leader"))

        self.node.confirm_read = refused  # type: ignore[method-assign]
        self.figures.document()
        self.assertIsNone(self.figures.document().agreement_ms)

        def answered(level: Any = None) -> Deferred[int]:
            return succeed(1)

        self.node.confirm_read = answered  # type: ignore[method-assign]
        self.figures.document()
        self.assertEqual(0.0, self.figures.document().agreement_ms)


class EventsTests(SynchronousTestCase):
    """GET /v1/events, byte for byte."""

    def setUp(self) -> None:
        self.served = Served()

    def tearDown(self) -> None:
        for client in self.served.clients:
            if not client.is_closed:
                client.hang_up()
        self.assertEqual([], self.served.clock.getDelayedCalls())

    def ask(self, path: str = "/v1/events", method: str = "GET") -> Client:
        client = self.served.connect()
        client.send(get(path, method=method))
        return client

    def test_a_stream_of_events(self) -> None:
        """As an EventSource reads it, also on a node that knows no leader: then it is needed most."""
        self.served.node.leads = False
        client = self.ask()
        head, _, body = client.received().partition(b"\r\n\r\n")
        for line in (b"200 OK", b"Content-Type: text/event-stream", b"Cache-Control: no-store", b"Content-Type-Options: nosniff"):
            self.assertIn(line, head)
        self.assertIn(b"retry: 1000\n\n", body)
        self.assertIn(b'event: figures\ndata: {"cluster":{"cluster_id":"c1"', body)
        self.served.clock.advance(1)
        self.assertIn(b"event: figures", client.received())

    def test_one_that_hangs_up_is_forgotten(self) -> None:
        """The timer that tears down this test would be left."""
        client = self.ask()
        client.hang_up()
        self.assertEqual([], self.served.clock.getDelayedCalls())

    def test_refusals(self) -> None:
        """In words, as everywhere."""
        for path, method, status in (("/v1/events?since=1", "GET", b"400"), ("/v1/events", "POST", b"405")):
            self.assertIn(b"HTTP/1.1 " + status, self.ask(path, method).received())
        self.assertIn(b"Content-Type: text/event-stream", self.ask(method="HEAD").received())

    def test_a_site_that_drains(self) -> None:
        """A page left open must not hold up the end of a node."""
        client = self.ask()
        drained = self.served.site.drained()
        self.assertIn(b'"code":"stopping"', client.received())
        self.successResultOf(drained)
