"""The end of a connection at the node that dialled: it says hello first, and asks whether the other is still there."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols import amp
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import NodeRemoved, PeerUnreachable, WrongPeer
from hraft.interfaces import PeerIdentity
from hraft.peers.commands import Hello, Shape
from hraft.peers.failures import as_hraft_error
from hraft.peers.hello import Hello as HelloSaid
from hraft.peers.hello import Purpose, hello_of, objection_to_answer
from hraft.peers.protocol import PeerConnection
from hraft.peers.questions import PING

HELLO_SAID = Shape(HelloSaid, Hello.arguments)
HELLO_ANSWER = Shape(PeerIdentity, Hello.response)


class DialledConnection(PeerConnection):
    """Speaks first, once `connect` has made it."""

    async def greet(self, expected: str, purpose: Purpose) -> None:
        """Say hello and judge the answer. Raises WrongPeer, or whatever else an answer can fail with."""
        try:
            box = await self.ask(Hello.commandName, HELLO_SAID.strings(hello_of(self.me, expected, purpose)))
        except amp.RemoteAmpError as error:
            reason = as_hraft_error(error) or WrongPeer(f"the other end did not understand the hello: {error.description}")
            raise reason from error
        answer = HELLO_ANSWER.value(box)
        objection = objection_to_answer(self.me, answer, expected)
        if objection:
            raise WrongPeer(objection)
        self.greeted(answer, purpose)

    def looked(self) -> None:
        if self.peer is not None:
            # The answer shows as life when its bytes arrive; that it never came, as a connection that is lost.
            self.ask(PING.command.commandName, {}).addBoth(_forget)


def _forget(result: Any) -> None:
    return None


def connect(
    endpoint: IStreamClientEndpoint, connection: DialledConnection, expected: str, purpose: Purpose
) -> Deferred[DialledConnection]:
    """Dial and say hello, both within one time. Fails with PeerUnreachable, WrongPeer or NodeRemoved, and leaves nothing open."""
    factory = Factory.forProtocol(lambda: connection)
    factory.noisy = False

    async def connected() -> DialledConnection:
        try:
            await endpoint.connect(factory)
            await connection.greet(expected, purpose)
        except BaseException as error:
            connection.abort(str(error))
            raise
        return connection

    dialled = Deferred.fromCoroutine(connected())
    dialled.addTimeout(limits.PEER_DIAL_TIMEOUT_SECONDS, connection.clock, _timed_out)
    return dialled.addErrback(_explained)


def _timed_out(failure: object, seconds: float) -> Failure:
    raise PeerUnreachable(f"no answer within {seconds} s")


def _explained(failure: Failure) -> DialledConnection:
    if failure.check(PeerUnreachable, WrongPeer, NodeRemoved, CancelledError):
        failure.raiseException()
    raise PeerUnreachable(failure.getErrorMessage())
