"""Watches: every change once and in order, whatever becomes of connections and nodes."""

from __future__ import annotations

from random import Random
from typing import Any

from client_cases import ClientTestCase
from fake_cluster import FakeCluster, Pausable, Response
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.task import Clock

import hraft.client as hraft
from hraft import limits
from hraft.client import Watch
from hraft.client.streams import Lines
from hraft.kv.bounds import StoreLimits
from hraft.kv.commands import Delete, Set


class WatchTests(ClientTestCase):
    """A watch of a cluster whose nodes come and go."""

    def follow(self, watch: Watch, into: list[int]) -> Deferred[None]:
        """Take changes until the end; their revisions are noted."""

        async def take() -> None:
            async for change in watch:
                into.append(change.revision)

        return self.begin(take())

    def test_what_a_change_tells(self) -> None:
        """Keys, values, numbers, and what was before."""
        watch = self.client.watch(prefix="a", since=0, previous=True)
        self.cluster.apply(Set(b"a\xff", b"1"))
        self.cluster.apply(Set(b"b", b"1"))
        self.cluster.apply(Delete(b"a\xff"))
        first, second = self.done(watch.__anext__()), self.done(watch.__anext__())
        [put], [delete] = first.events, second.events
        self.assertEqual((1, "put", b"a\xff", None), (first.revision, put.kind, put.key, put.previous))
        self.assertEqual(b"1", put.record.value)
        self.assertEqual((3, "delete", 3, None), (second.revision, delete.kind, delete.mod_revision, delete.record))
        self.assertEqual(b"1", delete.previous.value)
        watch.close()
        self.assertEqual([], self.cluster.clock.getDelayedCalls())

    def test_from_now_on(self) -> None:
        """What comes after `async with` began is told, and nothing from before."""
        self.cluster.apply(Set(b"a", b"0"))
        watch = self.done(self.client.watch("a").__aenter__())
        self.assertEqual(1, watch.revision)
        self.cluster.apply(Set(b"a", b"1"))
        self.assertEqual(2, self.done(watch.__anext__()).revision)
        self.done(watch.__aexit__(None, None, None))
        self.assertEqual([], self.cluster.streams)

    def test_exactly_once_over_lost_connections(self) -> None:
        """Nodes die in every order while changes come; also in the middle of a line, and those that send again what was told."""
        for seed in range(30):
            self.setUp()
            drawn, cluster, told = Random(seed), self.cluster, []
            watch = self.client.watch(prefix="", since=0)
            under_way = self.follow(watch, told)
            for number in range(60):
                what = drawn.randrange(6)
                if what == 0 and cluster.streams:
                    stream = cluster.streams[-1]
                    stream.protocol.dataReceived(b'{"type":"change","revision":9999,"ev')
                    stream.end_now(ConnectionLost())
                elif what == 1 and len(cluster.down) < 2:
                    cluster.kill(drawn.randrange(3))
                elif what == 2:
                    cluster.down.clear()
                elif what == 3 and cluster.streams:
                    cluster.streams[-1].since = max(0, cluster.streams[-1].since - 2)
                    cluster.streams[-1].go_on()
                cluster.apply(Set(b"k%d" % number, b"v"))
                cluster.advance(drawn.choice((0, 0.1, 0.7)), step=0.1)
            cluster.advance(5)
            self.assertEqual(list(range(1, 61)), told, f"seed {seed}")
            watch.close()
            self.successResultOf(under_way)
            self.assertEqual([], cluster.clock.getDelayedCalls())

    def test_marks_of_progress_count(self) -> None:
        """A watcher of a quiet key goes on from the last mark, not from the last change of its key, which is long compacted."""
        watch = self.client.watch("quiet", since=0)
        waiting = self.begin(watch.__anext__())
        self.cluster.apply(Set(b"other", b"1"))
        self.cluster.streams[0].send({"type": "progress", "revision": 1})
        self.cluster.kill(0)
        self.cluster.advance(1)
        self.assertEqual(b"1", self.said("GET", "/v1/watch")[-1].query["since"])
        self.assertNoResult(waiting)
        watch.close()
        self.failureResultOf(waiting, StopAsyncIteration)

    def test_history_that_is_gone(self) -> None:
        """Told at the start, in the middle, and at a resumption: never passed over."""
        self.cluster = FakeCluster(store_limits=StoreLimits(history_events_count=3))
        self.client = self.new_client()
        for number in range(9):
            self.cluster.apply(Set(b"a", b"%d" % number))
        watch = self.client.watch("a", since=1)
        self.assertEqual(6, self.fails(hraft.Compacted, watch.__anext__()).oldest_revision)
        self.fails(StopAsyncIteration, watch.__anext__())
        watch = self.client.watch("a", since=9)
        waiting = self.begin(watch.__anext__())
        self.cluster.streams[0].send({"type": "error", "code": "compacted", "detail": "gone", "oldest_revision": 12})
        self.assertEqual(12, self.failureResultOf(waiting, hraft.Compacted).value.oldest_revision)
        self.assertEqual([], self.cluster.streams)
        watch = self.client.watch("a", since=9)
        waiting = self.begin(watch.__anext__())
        for number in range(3):
            self.cluster.kill(number)
        for number in range(9):
            self.cluster.apply(Set(b"a", b"%d" % number))
        self.cluster.down.clear()
        self.cluster.advance(2)
        self.assertEqual(15, self.failureResultOf(waiting, hraft.Compacted).value.oldest_revision)

    def test_ended_by_its_node(self) -> None:
        """A node that stops, or finds us too slow, is no reason to end: we go on at another."""
        for code in ("stopping", "too_slow"):
            told: list[int] = []
            watch = self.client.watch(prefix="", since=self.cluster.store.revision)
            self.follow(watch, told)
            stream = self.cluster.streams[-1]
            stream.send({"type": "error", "code": code, "detail": code})
            self.cluster.advance(1)
            self.assertNotEqual(stream.node, self.cluster.streams[-1].node)
            self.cluster.apply(Set(b"a", b"1"))
            self.assertEqual([self.cluster.store.revision], told)
            watch.close()

    def test_silence(self) -> None:
        """A connection that is dead without a word is given up, and while it speaks it is not."""
        watch = self.client.watch("a", since=0)
        waiting = self.begin(watch.__anext__())
        first = self.cluster.streams[0]
        for _ in range(10):
            first.send({"type": "progress", "revision": 0})
            self.cluster.advance(15)
        self.assertEqual(1, len(self.said("GET", "/v1/watch")))
        self.cluster.advance(limits.CLIENT_WATCH_SILENCE_SECONDS + 1)
        self.assertIsNot(first, self.cluster.streams[0])
        self.cluster.apply(Set(b"a", b"1"))
        self.assertEqual(1, self.successResultOf(waiting).revision)
        watch.close()

    def test_nobody_to_watch_at(self) -> None:
        """It says so at its deadline, and where it was; a new one goes on from there."""
        watch = self.client.watch("a", since=0, patience_seconds=5)
        self.cluster.apply(Set(b"a", b"1"))
        self.done(watch.__anext__())
        for number in range(3):
            self.cluster.kill(number)
        waiting = self.begin(watch.__anext__())
        self.cluster.advance(4)
        self.assertNoResult(waiting)
        self.cluster.advance(2)
        self.assertIn("5 s", str(self.failureResultOf(waiting, hraft.Unavailable).value))
        self.cluster.down.clear()
        self.cluster.apply(Set(b"a", b"2"))
        self.assertEqual(2, self.done(self.client.watch("a", since=watch.revision).__anext__()).revision)

    def test_nodes_that_refuse(self) -> None:
        """Too many watchers here: another node may have room. What is wrong with the question itself is said at once."""
        self.cluster.faults.append(self.cluster.say(429, "too_many_watchers"))
        self.cluster.apply(Set(b"a", b"1"))
        watch = self.client.watch("a", since=0)
        self.assertEqual(1, self.done(watch.__anext__(), seconds=1).revision)
        watch.close()
        self.cluster.faults.append(self.cluster.say(400, "bad_revision"))
        self.assertEqual("bad_revision", self.fails(hraft.Refused, self.client.watch("a", since=99).__anext__()).code)
        self.cluster.faults.append(lambda asked: succeed(Response(404, b"<html>")))
        self.fails(hraft.BadAnswer, self.client.watch("a", since=0).__anext__())

    def test_a_wait_that_is_cancelled(self) -> None:
        """The watch is as it was, and nothing is lost; also when it was just connecting."""
        for fault in (self.cluster.passed, lambda asked: Deferred(lambda it: it.errback(ConnectError()))):
            watch = self.client.watch("a", since=self.cluster.store.revision)
            self.cluster.faults.append(fault)
            waiting = self.begin(watch.__anext__())
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
            self.cluster.apply(Set(b"a", b"1"))
            self.assertEqual(self.cluster.store.revision, self.done(watch.__anext__(), seconds=1).revision)
            watch.close()

    def test_two_at_once(self) -> None:
        """Changes are in order, so only one is waited for."""
        watch = self.client.watch("a", since=0)
        waiting = self.begin(watch.__anext__())
        self.fails(RuntimeError, watch.__anext__())
        self.done(self.client.close())
        watch.close()
        self.failureResultOf(waiting, StopAsyncIteration)

    def test_a_reader_that_takes_its_time(self) -> None:
        """The node has to wait; then nothing is lost, and nothing is taken for silence."""
        watch = self.client.watch(prefix="", since=0)
        self.cluster.apply(Set(b"first", b""))
        self.done(watch.__anext__())
        for number in range(40):
            self.cluster.apply(Set(b"k%d" % number, b"v" * 100_000))
        [stream] = self.cluster.streams
        self.assertTrue(stream.transport.is_paused)
        self.assertLess(stream.since, 20)
        self.cluster.advance(1000, step=100)
        told = []
        for _ in range(40):
            told.append(self.done(watch.__anext__(), seconds=0.1).revision)
            if not stream.transport.is_paused:
                stream.go_on()
        self.assertEqual(list(range(2, 42)), told)
        self.assertEqual(1, len(self.said("GET", "/v1/watch")))
        watch.close()


class LinesTests(ClientTestCase):
    """Lines of a long answer, cut anywhere."""

    def lines(self) -> tuple[Lines, Pausable, Clock]:
        clock = Clock()
        lines, transport = Lines(clock, 45.0), Pausable()
        lines.makeConnection(transport)
        return lines, transport, clock

    def test_cut_at_every_byte(self) -> None:
        """Bytes come as they like."""
        data = b'{"a":1}\n\n{"b":"\xe2\x80\xa8"}\r\n'
        for step in range(1, len(data)):
            lines, _, clock = self.lines()
            for at in range(0, len(data), step):
                lines.dataReceived(data[at : at + step])
            self.assertEqual(data.split(b"\n")[:-1], [self.successResultOf(lines.next()) for _ in range(3)])
            lines.close()
            self.assertEqual([], clock.getDelayedCalls())

    def test_a_line_that_is_longer_than_the_buffer(self) -> None:
        """It is taken whole: who waits for its end must not keep it from coming."""
        lines, transport, _ = self.lines()
        lines.dataReceived(b"x" * (limits.CLIENT_WATCH_BYTES + 10))
        self.assertFalse(transport.is_paused)
        lines.dataReceived(b"\nnext")
        self.assertTrue(transport.is_paused)
        self.assertEqual(limits.CLIENT_WATCH_BYTES + 10, len(self.successResultOf(lines.next()) or b""))
        self.assertFalse(transport.is_paused)
        lines.close()

    def test_a_line_without_end(self) -> None:
        """Whatever a server sends, a client keeps so much and no more."""
        self.patch(limits, "CLIENT_ANSWER_BYTES", 1000)
        lines, _, _ = self.lines()
        waiting = lines.next()
        lines.dataReceived(b"x" * 1001)
        self.assertIsNone(self.successResultOf(waiting))
        self.assertIsNone(self.successResultOf(lines.next()))


def test_a_refused_body_is_read_to_its_end() -> None:
    """Else its connection is never used again, and never closed."""
    cluster = FakeCluster()
    answer: Any = Response(410, {"code": "compacted", "detail": "", "oldest_revision": 3})
    cluster.faults.append(lambda asked: succeed(answer))
    delivered = []
    deliver = answer.deliverBody
    answer.deliverBody = lambda protocol: (delivered.append(protocol), deliver(protocol))
    client = hraft.HraftClient(cluster.endpoints, agent=cluster, clock=cluster.clock)
    waiting = Deferred.fromCoroutine(client.watch("a", since=1).__anext__())
    waiting.addErrback(lambda failure: failure.trap(hraft.Compacted))
    assert len(delivered) == 1
