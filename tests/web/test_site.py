"""Limits on clients, and the end of a server: on a fake clock and connections without a network."""

from __future__ import annotations

import gc
import json
from io import BytesIO
from typing import Any

import pytest
from twisted.trial.unittest import SynchronousTestCase
from web_doubles import Client, Served, ToldApplied, front, get, post

from hraft import limits
from hraft.kv.commands import Set
from hraft.kv.results import Written

LIMIT = limits.REQUEST_BODY_BYTES
CHUNKED = b"POST /key HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


def body_of(size_bytes: int) -> bytes:
    """A good body of exactly this size."""
    return b'{"k":"' + b"x" * (size_bytes - 8) + b'"}'


def chunk(data: bytes) -> bytes:
    """One chunk of a body whose length is not told beforehand."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class SiteTestCase(SynchronousTestCase):
    """A site over a node that answers at once."""

    def setUp(self) -> None:
        self.served = Served(connections_count=3)
        self.node = self.served.node
        self.clock = self.served.clock
        self.client = self.served.connect()

    def tearDown(self) -> None:
        for client in self.served.clients:
            if not client.is_closed:
                client.hang_up()
        self.assertEqual([], self.clock.getDelayedCalls())

    def answer(self, client: Client | None = None) -> tuple[int, dict[str, str], bytes]:
        head, _, body = (client or self.client).received().partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        return int(first.split(" ")[1]), dict(line.split(": ", 1) for line in lines), body

    def refused(self, status: int, code: str, client: Client | None = None) -> dict[str, Any]:
        """The answer is this problem and nothing else, and ends the connection."""
        found, headers, body = self.answer(client)
        self.assertEqual(status, found)
        self.assertEqual("application/problem+json", headers["Content-Type"])
        self.assertEqual("close", headers["Connection"])
        self.assertEqual(str(len(body)), headers["Content-Length"])
        problem: dict[str, Any] = json.loads(body)
        self.assertEqual([code, status], [problem["code"], problem["status"]])
        return problem


class BodyLimitTests(SiteTestCase):
    def test_a_body_at_the_limit_works(self) -> None:
        """Exactly 1 MiB is promised."""
        data = post(body_of(LIMIT))
        for start in range(0, len(data), 65536):
            self.assertEqual("producing", self.client.transport.producerState)
            self.client.send(data[start : start + 65536])
        self.assertEqual(200, self.answer()[0])
        self.assertEqual(LIMIT - 8, len(self.node.state_machine.range()[0][1].value))

    @pytest.mark.scenario("O1")
    def test_a_body_over_the_limit_is_refused_by_its_length(self) -> None:
        """Before any of it is accepted, not after it has filled the memory."""
        self.client.send(get("/key", f"Content-Length: {LIMIT + 1}", method="POST") + b"x" * 1000)
        problem = self.refused(413, "body_too_large")
        self.assertEqual("not done", problem["outcome"])
        self.assertIn(str(LIMIT + 1), problem["detail"])
        self.assertEqual([], self.node.asked)

    def test_a_length_beyond_all_reason(self) -> None:
        """A number that no machine word holds is a length over the limit."""
        self.client.send(get("/key", f"Content-Length: {'9' * 1000}", method="POST"))
        self.refused(413, "body_too_large")

    @pytest.mark.scenario("O1")
    def test_a_chunked_body_is_refused_as_soon_as_it_is_too_large(self) -> None:
        """Its length is not told, so it is counted, and what is over the limit is not kept."""
        self.client.send(CHUNKED)
        for _ in range(LIMIT // 65536):
            self.client.send(chunk(b"x" * 65536))
        self.assertEqual(b"", self.client.received())
        self.client.send(chunk(b"x"))
        self.refused(413, "body_too_large")
        for _ in range(40):
            self.client.send(chunk(b"x" * 65536))
        self.client.send(b"0\r\n\r\n")
        self.assertEqual(b"", self.client.received())
        self.assertEqual([], self.node.asked)

    def test_a_chunked_body_at_the_limit_works(self) -> None:
        """Clients that stream may send as much as others."""
        body = body_of(LIMIT)
        self.client.send(CHUNKED + chunk(body[:1000]) + chunk(body[1000:]) + b"0\r\n\r\n")
        self.assertEqual(200, self.answer()[0])

    def test_one_chunk_over_the_limit(self) -> None:
        """The whole request in one read: the end of the body, seen after the refusal, must not start it."""
        self.client.send(CHUNKED + chunk(body_of(LIMIT + 1)) + b"0\r\n\r\n" + get("/status"))
        self.refused(413, "body_too_large")
        self.assertEqual([], self.node.asked)

    def test_expect_100_continue(self) -> None:
        """curl asks so before it sends a large body, and waits a second where nobody answers."""
        body = body_of(LIMIT)
        head, _, _ = post(body, "Expect: 100-continue").partition(b"\r\n\r\n")
        self.client.send(head + b"\r\n\r\n")
        self.assertEqual(b"HTTP/1.1 100 Continue\r\n\r\n", self.client.received())
        self.client.send(body)
        self.assertEqual(200, self.answer()[0])

    def test_expect_100_continue_for_too_much(self) -> None:
        """No invitation: the client learns before it has sent a byte of the body."""
        self.client.send(get("/key", "Expect: 100-continue", f"Content-Length: {LIMIT + 1}", method="POST"))
        self.refused(413, "body_too_large")

    def test_a_refused_client_may_finish_its_sentence(self) -> None:
        """Closing with unread bytes would reset the connection and destroy the answer; but patience has an end."""
        self.client.send(get("/key", f"Content-Length: {LIMIT + 1}", method="POST"))
        self.client.received()
        self.client.send(b"x" * 65536)
        self.clock.advance(limits.REFUSED_LINGER_SECONDS - 0.1)
        self.assertFalse(self.client.is_closed)
        self.clock.advance(0.1)
        self.assertTrue(self.client.is_closed)

    def test_no_body_is_kept_in_a_file(self) -> None:
        """The reactor thread never waits for a disk; Twisted would use a temporary file here."""
        served = Served(has_front=False)
        served.node.at_once = False
        client = served.connect()
        client.send(post(body_of(LIMIT)))
        [request] = client.protocol.requests
        self.assertIsInstance(request.content, BytesIO)
        client.hang_up()


class MalformedTests(SiteTestCase):
    def test_what_is_no_http(self) -> None:
        """Every error is a problem in JSON, also those that Twisted answers itself."""
        odd = [
            b"hello\r\n\r\n",
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n",
            b"POST /key HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            b"POST /key HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST /key HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            CHUNKED + b"zz\r\n",
            b"GET /" + b"x" * 20_000,
            b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"X-Long: x\r\n" * 2_000 + b"\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ]
        for data in odd:
            with self.subTest(data[:40]):
                client = self.served.connect()
                client.send(data)
                self.refused(400, "bad_request", client)
                self.clock.advance(limits.REFUSED_LINGER_SECONDS)
                self.assertTrue(client.is_closed)
        self.assertEqual([], self.node.asked)

    def test_nothing_is_read_after_a_refusal(self) -> None:
        """What follows on the same connection may be the rest of the bad request, so it is no request."""
        self.client.send(b"nonsense\r\n\r\n" + post(b'{"a":"b"}'))
        self.refused(400, "bad_request")
        self.client.send(post(b'{"a":"b"}'))
        self.assertEqual(b"", self.client.received())
        self.assertEqual([], self.node.asked)

    def test_a_method_in_small_letters(self) -> None:
        """Werkzeug takes it for the same, so it has always worked."""
        self.node.put(Set(b"foo", b"bar"))
        self.client.send(get("/key/foo", method="get"))
        self.assertEqual(b'{"foo":"bar"}', self.answer()[2])

    def test_a_proxys_form_of_the_path(self) -> None:
        """A server must accept the absolute form."""
        self.node.put(Set(b"foo", b"bar"))
        self.client.send(get("http://localhost:11000/key/foo"))
        self.assertEqual(b'{"foo":"bar"}', self.answer()[2])
        self.client.send(get("http://localhost:11000"))  # Without any path, it is /.
        self.assertEqual(200, self.answer()[0])


class SlowClientTests(SiteTestCase):
    @pytest.mark.scenario("O3")
    def test_a_request_must_arrive_in_time(self) -> None:
        """One byte a second keeps Twisted's own idle timer quiet for ever."""
        data = post(body_of(1000))
        for length in (1, 20, 60, len(data) - 1):
            with self.subTest(length):
                client = self.served.connect()
                step_seconds = limits.REQUEST_TIMEOUT_SECONDS / 10
                for number in range(9):
                    if part := data[-(-number * length // 9) : -(-(number + 1) * length // 9)]:
                        client.send(part)
                    self.clock.advance(step_seconds)
                self.assertEqual(b"", client.received())
                self.clock.advance(2 * step_seconds)
                self.assertEqual("not done", self.refused(408, "too_slow", client)["outcome"])
                self.clock.advance(limits.REFUSED_LINGER_SECONDS)
                self.assertTrue(client.is_closed)

    @pytest.mark.scenario("O3")
    def test_others_are_served_meanwhile(self) -> None:
        """One slow client costs one connection."""
        self.client.send(b"GET /sta")
        other = self.served.connect()
        other.send(get("/status"))
        self.assertEqual(200, self.answer(other)[0])

    def test_each_request_has_its_own_time(self) -> None:
        """A connection that is used all day is not cut."""
        for _ in range(10):
            self.client.send(b"GET /status HTTP/1.1\r\n")
            self.clock.advance(limits.REQUEST_TIMEOUT_SECONDS - 1)
            self.client.send(b"\r\n")
            self.assertEqual(200, self.answer()[0])
        self.assertFalse(self.client.is_closed)

    def test_an_idle_connection_is_closed(self) -> None:
        """After a request, and before the first; nobody waits for an answer, so none is sent."""
        self.client.send(get("/status"))
        self.answer()
        silent = self.served.connect()
        self.clock.advance(limits.IDLE_CONNECTION_TIMEOUT_SECONDS - 1)
        self.assertFalse(self.client.is_closed or silent.is_closed)
        self.clock.advance(1)
        self.assertTrue(self.client.is_closed and silent.is_closed)
        self.assertEqual(b"", self.client.received())

    def test_waiting_for_the_node_is_not_idle(self) -> None:
        """How long an answer may take is the service's business; a pipelined request that waits behind it is not slow."""
        self.node.at_once = False
        self.client.send(post(b'{"a":"b"}') + b"GET")
        self.client.send(b" /sta")
        self.clock.advance(10 * limits.IDLE_CONNECTION_TIMEOUT_SECONDS)
        self.node.asked[0].answer.callback(ToldApplied(1, Written(1, 1)))
        self.assertEqual(200, self.answer()[0])
        self.client.send(b"tus HTTP/1.1\r\n\r\n")
        self.assertEqual(200, self.answer()[0])

    def test_half_a_request_behind_a_whole_one(self) -> None:
        """It came with the other, so nothing has to arrive for its time to begin."""
        self.client.send(get("/status") + b"GET /sta")
        self.assertEqual(200, self.answer()[0])
        self.clock.advance(limits.REQUEST_TIMEOUT_SECONDS)
        self.refused(408, "too_slow")
        self.client.hang_up()

    def test_the_time_of_the_next_request_begins_with_it(self) -> None:
        """However long the one before it took to come."""
        self.client.send(get("/status")[:-1])
        self.clock.advance(limits.REQUEST_TIMEOUT_SECONDS - 1)
        self.client.send(b"\n" + b"GET /sta")
        self.assertEqual(200, self.answer()[0])
        self.clock.advance(limits.REQUEST_TIMEOUT_SECONDS - 1)
        self.assertEqual(b"", self.client.received())
        self.clock.advance(1)
        self.refused(408, "too_slow")
        self.client.hang_up()

    def test_time_goes_on_when_the_connection_moves(self) -> None:
        """A client that is found odd late has not twice the time."""
        self.client.send(b"POST /key HTTP/1.1\r\nHost: h\r\n")
        self.clock.advance(limits.REQUEST_TIMEOUT_SECONDS - 1)
        self.client.send(b"Expect: nothing\r\nX: y\r\n")
        self.clock.advance(1)
        self.refused(408, "too_slow")
        self.client.hang_up()

    @pytest.mark.scenario("O4")
    def test_a_client_that_asks_and_does_not_read(self) -> None:
        """Its answers would fill the memory: so many requests fit into one read, and each answer can be a megabyte."""
        self.client.transport.is_slow_to_send = True
        self.node.put(Set(b"k", b"x" * 50_000))
        self.client.send(get("/key/k") * 1_000)
        self.assertLess(len(self.client.transport.value()), 200_000)
        self.assertEqual("paused", self.client.transport.producerState)
        answers_count = 0
        while data := self.client.received():
            answers_count += data.count(b"HTTP/1.1 200 OK")
        self.assertEqual(1_000, answers_count)
        self.assertEqual("producing", self.client.transport.producerState)

    @pytest.mark.scenario("O4")
    def test_a_client_that_never_reads(self) -> None:
        """It is not slow, for its requests are all there; but it is idle, and in the end it is cut off."""
        self.client.transport.is_slow_to_close = self.client.transport.is_slow_to_send = True
        self.node.put(Set(b"k", b"x" * 50_000))
        self.client.send(get("/key/k") * 10)
        held_bytes = len(self.client.transport.value())
        self.clock.advance(limits.IDLE_CONNECTION_TIMEOUT_SECONDS)
        self.assertTrue(self.client.transport.disconnecting)
        self.assertEqual(held_bytes, len(self.client.transport.value()))
        self.clock.advance(limits.HTTP_CLOSE_TIMEOUT_SECONDS)
        self.assertTrue(self.client.transport.is_aborted and self.client.is_closed)
        self.assertNotIn(b" 408 ", self.client.received())

    @pytest.mark.scenario("O4")
    def test_a_client_that_does_not_read(self) -> None:
        """Its answer stays in a buffer, which must go in the end."""
        self.client.transport.is_slow_to_close = True
        self.client.send(get("/status", "Connection: close"))
        self.assertFalse(self.client.is_closed)
        self.clock.advance(limits.HTTP_CLOSE_TIMEOUT_SECONDS)
        self.assertTrue(self.client.transport.is_aborted and self.client.is_closed)


class ConnectionLimitTests(SiteTestCase):
    @pytest.mark.scenario("O6")
    def test_one_too_many(self) -> None:
        """Clients cannot use up the file descriptors that peers and files need: where all wait, the next is told."""
        self.node.at_once = False
        others = [self.client, self.served.connect(), self.served.connect()]
        for other in others:
            other.send(post(b'{"a":"b"}'))
        late = self.served.connect()
        self.assertEqual("not done", self.refused(503, "too_many_connections", late)["outcome"])
        self.assertFalse(late.is_closed, "it may have sent its request, and must read the answer before its connection is gone")
        late.send(post(b'{"late":"b"}'))
        self.clock.advance(limits.REFUSED_LINGER_SECONDS)
        self.assertEqual((True, b"", 3), (late.is_closed, late.received(), len(self.node.asked)))
        others[0].hang_up()
        again = self.served.connect()
        again.send(get("/status"))
        self.assertEqual(200, self.answer(again)[0])

    @pytest.mark.scenario("O6")
    def test_silent_clients_lock_nobody_out(self) -> None:
        """However many there are, who asks is answered; and the client that has been silent longest is told why it must go."""
        silent = [self.client, self.served.connect(), self.served.connect()]
        for _ in range(10):
            self.clock.advance(limits.HTTP_GRACE_SECONDS)
            asking = self.served.connect()
            asking.send(get("/status"))
            self.assertEqual(200, self.answer(asking)[0])
            oldest = silent.pop(0)
            self.assertEqual("not done", self.refused(503, "too_many_connections", oldest)["outcome"])
            oldest.send(post(b'{"a":"b"}'))
            self.assertEqual([], self.node.asked, "what crosses the refusal is not done")
            asking.hang_up()
            silent.append(self.served.connect())

    @pytest.mark.scenario("O6", "O3")
    def test_who_has_asked_stays_longer_than_who_never_did(self) -> None:
        """A pool of connections that are used now and then, while slow and silent strangers come and come."""
        for way in (get("/status"), get("/status", "Upgrade: h2c")):
            with self.subTest(way):
                served = Served(connections_count=3)
                known = served.connect()
                known.send(way)
                known.received()
                for number in range(20):
                    served.clock.advance(0.2)
                    stranger = served.connect()
                    stranger.send(b"" if number % 2 else post(b'{"a":"b"}')[:-1])
                    self.assertEqual(b"", known.received())
                known.send(get("/status"))
                self.assertEqual(200, self.answer(known)[0])
                for client in served.clients:
                    client.hang_up()

    def test_of_those_who_have_asked_the_longest_silent_goes(self) -> None:
        """Not the one that connected first, which may be the busiest of all."""
        for way in (get("/status"), get("/status", "Upgrade: h2c")):
            with self.subTest(way):
                served = Served(connections_count=3)
                clients = [served.connect() for _ in range(3)]
                for client in (*clients, clients[0]):
                    served.clock.advance(1)
                    client.send(way)
                    self.assertEqual(200, self.answer(client)[0])
                served.connect()
                self.assertEqual([b"", b"HTTP/1.1 503", b""], [client.received()[:12] for client in clients])
                for client in served.clients:
                    client.hang_up()

    def test_who_has_asked_plainly_has_asked(self) -> None:
        """Also when its next request is one for twisted.web."""
        self.client.send(get("/status") + get("http://host/status")[:-2])
        self.answer()
        for _ in range(5):
            self.clock.advance(1)
            self.served.connect()
        self.client.send(b"\r\n")
        self.assertEqual(200, self.answer()[0])

    def test_who_does_not_read_makes_room(self) -> None:
        """Of what it has sent ahead nothing more is done."""
        self.node.put(Set(b"k", b"x" * 70_000))
        self.client.transport.is_slow_to_send = True
        self.client.send(get("/key/k") + post(b'{"a":"b"}'))
        self.served.connect().send(get("/status"))
        self.served.connect().send(get("/status"))
        self.clock.advance(1)
        self.served.connect()
        self.assertIn(b"too_many_connections", self.client.received())
        self.assertEqual([], self.node.asked)

    def test_a_burst_gives_nobodys_place_away(self) -> None:
        """Clients that connect in one turn of the reactor have perhaps asked, and it has not been read yet."""
        burst = [self.served.connect() for _ in range(4)]
        for client in burst[2:]:
            self.assertEqual("not done", self.refused(503, "too_many_connections", client)["outcome"])
        for client in (self.client, *burst[:2]):
            client.send(get("/status"))
            self.assertEqual(200, self.answer(client)[0])

    def test_refused_clients_are_limited(self) -> None:
        """A flood of them must not hold all file descriptors, just because each may read its answer for a while."""
        self.node.put(Set(b"k", b"x" * 70_000))
        self.client.transport.is_slow_to_send = True
        self.client.send(get("/key/k"))
        others = [self.served.connect() for _ in range(2)]
        for other in others:
            other.send(get("/status"))
        self.clock.advance(1)
        flood = [self.served.connect() for _ in range(limits.HTTP_REFUSED_COUNT + 20)]
        self.assertIn(b"too_many_connections", self.client.transport.value())
        self.assertEqual(limits.HTTP_REFUSED_COUNT + 3, len([client for client in self.served.clients if not client.is_closed]))
        self.assertTrue(self.client.transport.is_aborted, "it does not read")
        self.assertEqual((True, False), (flood[1].is_closed, flood[1].transport.is_aborted), "it may have read it")
        self.assertFalse(flood[-1].is_closed)

    def test_refused_and_broken_connections_give_their_place_back(self) -> None:
        """However a connection ends, it is counted no more."""
        for _ in range(10):
            client = self.served.connect()
            client.send(b"nonsense\r\n\r\n")
            self.clock.advance(limits.REFUSED_LINGER_SECONDS)
            client = self.served.connect()
            client.send(post(b'{"a":"b"}')[:-3])
            client.hang_up()
        self.served.connect().send(get("/status"))
        self.assertFalse(self.served.connect().is_closed)


class HangingUpTests(SiteTestCase):
    @pytest.mark.scenario("C7")
    def test_a_client_that_hangs_up_ends_its_wait(self) -> None:
        """Nothing leaks, nothing is logged, and what becomes of the write is not the connection's business."""
        self.node.at_once = False
        self.client.send(post(b'{"a":"b"}'))
        [asked] = self.node.asked
        self.assertFalse(asked.is_cancelled)
        self.client.hang_up()
        self.assertTrue(asked.is_cancelled)
        del asked
        self.node.asked.clear()
        gc.collect()  # A Deferred that failed unheard says so only when it goes.
        self.assertEqual([], self.flushLoggedErrors())

    @pytest.mark.scenario("C7")
    def test_a_reader_that_hangs_up(self) -> None:
        """The same for a read that waits for its confirmation."""
        self.client.send(get("/key/a?level=linearizable"))
        self.client.hang_up()
        self.assertTrue(self.node.asked[0].is_cancelled)
        self.assertEqual([], self.flushLoggedErrors())

    def test_a_client_that_hangs_up_halfway_through_its_body(self) -> None:
        """What was not asked completely was not asked."""
        self.client.send(post(b'{"a":"b"}')[:-1])
        self.client.hang_up()
        self.assertEqual([], self.node.asked)
        self.assertEqual([], self.flushLoggedErrors())


class SendingAheadTests(SiteTestCase):
    def test_answers_keep_the_order(self) -> None:
        """One request of a connection is answered at a time, so a later one cannot overtake, and sees what the earlier did."""
        self.node.at_once = False
        self.client.send(post(b'{"a":"1"}') + get("/key/a") + post(b'{"a":"2"}'))
        self.assertEqual((b"", 1), (self.client.received(), len(self.node.asked)))
        self.node.put(Set(b"a", b"1"))
        self.node.asked[0].answer.callback(ToldApplied(1, Written(1, 1)))
        self.assertEqual(2, len(self.node.asked))
        answers = self.client.received()
        self.assertEqual(2, answers.count(b"HTTP/1.1 200 OK"))
        self.assertTrue(answers.endswith(b'{"a":"1"}'))
        self.node.asked[1].answer.callback(ToldApplied(2, Written(2, 1)))
        self.assertEqual(200, self.answer()[0])

    def test_what_is_sent_ahead_is_bounded(self) -> None:
        """A client may not fill the memory with requests either."""
        self.node.at_once = False
        self.client.send(post(b'{"a":"b"}'))
        self.client.send(b"x" * limits.PIPELINED_BYTES)
        self.assertEqual("producing", self.client.transport.producerState)
        self.client.send(b"x")
        self.assertEqual("paused", self.client.transport.producerState)
        self.node.asked[0].answer.callback(ToldApplied(1, Written(1, 1)))
        self.assertEqual("producing", self.client.transport.producerState)

    def test_what_was_sent_ahead_of_a_hang_up_is_not_done(self) -> None:
        """It was never begun."""
        self.node.at_once = False
        self.client.send(post(b'{"a":"b"}') * 2)
        self.client.hang_up()
        self.assertEqual([True], [asked.is_cancelled for asked in self.node.asked])

    def test_what_was_sent_ahead_of_a_stop_is_not_done(self) -> None:
        """The answer before it says that the connection ends there."""
        self.node.at_once = False
        self.client.send(post(b'{"a":"b"}') * 2)
        drained = self.served.site.drained()
        self.node.asked[0].answer.callback(ToldApplied(1, Written(1, 1)))
        self.assertEqual("close", self.answer()[1]["Connection"])
        self.successResultOf(drained)
        self.assertEqual(1, len(self.node.asked))


class DrainTests(SiteTestCase):
    def test_nothing_is_open(self) -> None:
        """There is nobody to wait for."""
        self.client.hang_up()
        self.successResultOf(self.served.site.drained())

    def test_clients_in_flight_are_answered(self) -> None:
        """SIGTERM must not cost a client the answer to a write that is done; the connection then closes, flushed."""
        self.node.at_once = False
        self.client.transport.is_slow_to_close = True
        self.client.send(post(b'{"a":"b"}'))
        drained = self.served.site.drained()
        self.assertNoResult(drained)
        self.node.asked[0].answer.callback(ToldApplied(1, Written(1, 1)))
        status, headers, _body = self.answer()
        self.assertEqual((200, "close"), (status, headers["Connection"]))
        self.assertTrue(self.client.transport.disconnecting)
        self.assertNoResult(drained)
        self.client.hang_up()
        self.successResultOf(drained)

    def test_idle_connections_are_closed(self) -> None:
        """A client's pool of connections must not hold up the stop."""
        self.client.send(get("/status"))
        self.answer()
        self.successResultOf(self.served.site.drained())
        self.assertTrue(self.client.is_closed)

    def test_who_has_only_just_connected_is_told_when_it_asks(self) -> None:
        """What it sends is on its way already: a connection that is closed at once would meet it with a reset."""
        for request in (get("/status"), post(b'{"a":"b"}'), post(b'{"a":"b"}')[:-1]):
            with self.subTest(request):
                served = Served()
                client = served.connect()
                served.clock.advance(0.9 * limits.HTTP_GRACE_SECONDS)
                drained = served.site.drained()
                served.clock.advance(0.9 * limits.HTTP_GRACE_SECONDS)
                self.assertEqual((b"", False), (client.received(), client.is_closed))
                client.send(request)
                self.assertEqual("not done", self.refused(503, "stopping", client)["outcome"])
                self.assertNoResult(drained)
                client.send(request)
                self.assertEqual((b"", []), (client.received(), served.node.asked))
                client.hang_up()
                self.successResultOf(drained)
                self.assertEqual([], served.clock.getDelayedCalls())

    def test_who_has_only_just_connected_has_a_moment_and_no_longer(self) -> None:
        """It may be a pool's spare connection, which must not hold up the stop. One that is older never holds it up."""
        self.clock.advance(limits.HTTP_GRACE_SECONDS)
        fresh = self.served.connect()
        drained = self.served.site.drained()
        self.assertEqual((True, False), (self.client.is_closed, fresh.is_closed))
        self.assertNoResult(drained)
        self.clock.advance(limits.HTTP_GRACE_SECONDS)
        self.assertEqual((b"", True), (fresh.received(), fresh.is_closed))
        self.successResultOf(drained)

    def test_half_a_request_is_refused(self) -> None:
        """It was not begun, and the answer says so."""
        self.client.send(post(b'{"a":"b"}')[:-1])
        drained = self.served.site.drained()
        self.assertEqual("not done", self.refused(503, "stopping")["outcome"])
        self.clock.advance(limits.REFUSED_LINGER_SECONDS)
        self.successResultOf(drained)

    def test_nobody_new_is_let_in(self) -> None:
        """Or the stop would never end."""
        self.node.at_once = False
        self.client.send(post(b'{"a":"b"}'))
        self.served.site.drained()
        late = self.served.connect()
        self.refused(503, "stopping", late)
        late.send(post(b'{"a":"b"}'))
        self.clock.advance(limits.REFUSED_LINGER_SECONDS)
        self.assertEqual((True, 1), (late.is_closed, len(self.node.asked)))

    def test_asked_twice(self) -> None:
        """Both are told, also one that asks when all is over."""
        self.node.at_once = False
        self.client.send(post(b'{"a":"b"}'))
        first, second = self.served.site.drained(), self.served.site.drained()
        self.client.hang_up()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(self.served.site.drained())


class QuietTests(SiteTestCase):
    def test_pipelined_requests(self) -> None:
        """Answered in order, all of them, however many came in one read."""
        self.client.send(post(b'{"a":"b"}') * 2_000)
        self.clock.advance(0)
        self.assertEqual(2_000, self.client.received().count(b"HTTP/1.1 200 OK"))

    @pytest.mark.scenario("O4")
    def test_whoever_sends_ahead_takes_turns_with_the_others(self) -> None:
        """A node that answered a thousand requests of one client in one go would have no time for others, nor for heartbeats."""
        for request in (get("/status"), get("http://host/status"), post(b'{"a":"b"}', "Upgrade: h2c")):
            is_plain = front["is_used"] and request == get("/status")
            count = limits.PIPELINED_COUNT if is_plain else limits.PIPELINED_SLOW_COUNT
            with self.subTest(request):
                served = Served(connections_count=3)
                client = served.connect()
                client.send(request * 1_000)
                self.assertEqual(count, client.received().count(b"HTTP/1.1 200 OK"))
                self.assertEqual("paused", client.transport.producerState)
                client.send(request)
                self.assertEqual(b"", client.received(), "more bytes are no reason to be served first")
                answered: list[int] = []
                served.clock.callLater(0, lambda c=client, a=answered: a.append(c.received().count(b"HTTP/1.1 200 OK")))
                served.clock.advance(0)
                self.assertEqual([count], answered, "whoever waits for the next turn has it")
                self.assertEqual(1_001 - 2 * count, client.received().count(b"HTTP/1.1 200 OK"))
                self.assertEqual("producing", client.transport.producerState)
                client.send(request * 100)
                client.hang_up()
                self.assertEqual([], served.clock.getDelayedCalls())

    @pytest.mark.scenario("O4")
    def test_another_turn_is_no_reason_to_answer_who_does_not_read(self) -> None:
        """The turn ends with the very answer that is one too many for the transport."""
        for request in (get("/key/k"), get("http://host/key/k")):
            is_plain = front["is_used"] and request == get("/key/k")
            count = limits.PIPELINED_COUNT if is_plain else limits.PIPELINED_SLOW_COUNT
            with self.subTest(request):
                served = Served(connections_count=3)
                served.node.put(Set(b"k", b"x" * (3_900 if is_plain else 33_000)))
                client = served.connect()
                client.transport.is_slow_to_send = True
                client.send(request * 40)
                served.clock.advance(0)
                self.assertTrue(client.transport.is_full)
                self.assertEqual(count, client.transport.value().count(b" 200 OK"))
                answers = client.received()
                while more := client.received():
                    answers += more
                    served.clock.advance(0)
                self.assertEqual(40, answers.count(b" 200 OK"))
                client.hang_up()

    def test_no_access_log_and_no_timer_of_its_own(self) -> None:
        """Nothing per request is logged, and a site that is not used has nothing to do."""
        self.served.site.doStart()
        self.client.send(get("/status"))
        self.client.hang_up()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.served.site.doStop()

    def test_no_http2(self) -> None:
        """Its implementation in Twisted has none of these limits."""
        self.assertEqual([b"http/1.1"], self.served.site.acceptableProtocols())
