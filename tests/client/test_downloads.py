"""HraftClient.snapshot: bytes given on as they come, from a node that has them, and never a part that passes for the whole."""

from __future__ import annotations

from typing import Any

from client_cases import ClientTestCase
from fake_cluster import Asked, Pausable, Response
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from hraft import limits
from hraft.client import Refused, Unavailable


class SlowResponse(Response):
    """An answer whose pieces come when the test says so."""

    protocol: Any = None

    def deliverBody(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = Pausable()
        protocol.makeConnection(self.transport)


def answers(response: Any) -> Any:
    def answer(asked: Asked) -> Deferred[Any]:
        return succeed(response)

    return answer


class DownloadTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.written: list[bytes] = []

    def begun(self) -> tuple[SlowResponse, Deferred[None]]:
        response = SlowResponse(200, b"")
        self.cluster.faults.append(answers(response))
        return response, self.begin(self.client.snapshot(self.written.append))

    def test_piece_by_piece(self) -> None:
        """A store may be larger than the client's memory: nothing is collected."""
        response, done = self.begun()
        response.protocol.dataReceived(b"one")
        self.assertEqual([b"one"], self.written)
        response.protocol.dataReceived(b"two")
        self.assertNoResult(done)
        response.protocol.connectionLost(Failure(ResponseDone()))
        self.successResultOf(done)
        self.assertEqual([b"one", b"two"], self.written)
        self.assertEqual([], self.cluster.clock.getDelayedCalls())

    def test_it_breaks_off(self) -> None:
        """A part is never taken for all; and it is not begun again on top of what was written."""
        response, done = self.begun()
        response.protocol.dataReceived(b"one")
        response.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertIn("broke off", str(self.failureResultOf(done, Unavailable).value))
        self.assertEqual(1, len(self.said("GET", "/v1/snapshot")))

    def test_nothing_comes_any_more(self) -> None:
        """A machine that vanished says nothing; a large store that goes on coming may take as long as it needs."""
        response, done = self.begun()
        for _ in range(10):
            self.cluster.advance(limits.CLIENT_WATCH_SILENCE_SECONDS - 1)
            response.protocol.dataReceived(b"x")
        self.assertNoResult(done)
        self.cluster.advance(limits.CLIENT_WATCH_SILENCE_SECONDS + 1)
        self.assertIn("nothing came", str(self.failureResultOf(done, Unavailable).value))

    def test_a_full_disk(self) -> None:
        """What `write` fails with is for its caller, and ends the answer."""

        def full(data: bytes) -> None:
            raise OSError(28, "No space left on device")

        response = SlowResponse(200, b"")
        self.cluster.faults.append(answers(response))
        done = self.begin(self.client.snapshot(full))
        response.protocol.dataReceived(b"one")
        self.failureResultOf(done, OSError)
        response.protocol.dataReceived(b"two")

    def test_another_node_has_it(self) -> None:
        """Any node will do: one that is down, has no leader, or gives enough backups already is passed over."""
        busy = Response(429, {"code": "too_many_backups", "detail": "two"})
        none = Response(503, {"code": "no_leader", "detail": "none"})
        self.cluster.faults += [self.cluster.lose_request, answers(busy), answers(none), answers(Response(200, b"all"))]
        self.done(self.client.snapshot(self.written.append), 5)
        self.assertEqual([b"all"], self.written)

    def test_none_has_it(self) -> None:
        """An end, and the last reason."""
        for number in range(3):
            self.cluster.kill(number)
        self.fails(Unavailable, self.client.snapshot(self.written.append), limits.CLIENT_DEADLINE_SECONDS + 1)

    def test_refused(self) -> None:
        """A node of an older version, or one that does not permit it: no other will."""
        self.cluster.faults.append(answers(Response(403, {"code": "forbidden", "detail": "not you"})))
        error = self.fails(Refused, self.client.snapshot(self.written.append))
        self.assertEqual(("forbidden", []), (error.code, self.written))
