"""Clients of the key-value store: each asks one thing at a time, of any node, and writes down what it was told.

Every command is one of a kind, so that the oracle knows each by its bytes. A client that waits too long gives up and asks the
next thing; its request takes its course. Some number their writes, and ask again until they know (exactly once).
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hraft.errors import NotLeader, OutcomeUnknown, ProposalDropped, ReadFailed
from hraft.interfaces import ReadLevel
from hraft.kv.commands import Once, OpenSession, encode_command
from hraft.kv.results import NotDone, SessionOpened
from hraft.kv.store import KeyValueStore
from hraft.service import Applied
from hraft.simulation.asking import Asking, draw, read
from hraft.simulation.clock import Call, Process
from hraft.simulation.history import Kind, Seen
from hraft.simulation.oracle import Attempt, unlike_any_other
from hraft.simulation.probe import check_read
from hraft.simulation.story import Violation

if TYPE_CHECKING:
    from hraft.simulation.node import SimulatedNode
    from hraft.simulation.world import World

_AGAIN_SECONDS = 0.2


class Client:
    """One of them."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._random: Random = world.stream(f"client/{name}")
        self._keys = [f"k{number}" for number in range(world.shape.keys_count)]
        self._favourite: str | None = None
        self._count = 0
        self._is_over = False
        #: Reads by lease trust clocks, so there are none where clocks are not to be trusted.
        self._reads_by_lease = "drift" not in world.shape.kinds
        #: What it saw last of each key.
        self._known: dict[str, Seen] = {}
        #: Where it numbers its writes: who it is to the store, and the last number.
        self._numbers_writes = self._random.random() < world.shape.once_share
        self._session: int | None = None
        self._serial = 0
        # The one thing asked, if any; the process and the request that it waits for.
        self._asking: Asking | None = None
        self._attempt: Attempt | None = None
        self._token: int | None = None
        self._process: Process | None = None
        self._request = 0
        self._giving_up: Call | None = None

    def start(self) -> None:
        self._next()

    def stop(self) -> None:
        """Ask nothing more; what is asked is left to its course."""
        self._is_over = True

    @property
    def is_waiting(self) -> bool:
        return self._asking is not None

    def node_died(self, process: Process) -> None:
        """The connection broke."""
        if process is self._process and self._asking is not None:
            if self._attempt is not None:
                self._world.oracle.unknown(self._attempt)
            self._over()

    # --- asking ----------------------------------------------------------------------------------

    def _next(self) -> None:
        shape = self._world.shape
        self._world.clock.schedule(self._random.expovariate(1 / shape.think_seconds), None, self._begin)

    def _begin(self) -> None:
        if self._is_over:
            return
        node = self._choose_node()
        if node is None:
            self._next()
            return
        self._giving_up = self._world.clock.schedule(self._patience_seconds(), None, self._gave_up)
        if self._numbers_writes and self._session is None:
            # Of no interest to the history: it changes no key.
            self._asking = Asking(Kind.SET, ("session",), ("",), command=OpenSession())
        else:
            self._count += 1
            self._asking = draw(self._random, self._keys, f"{self.name}-{self._count}", self._known)
            expected, values = self._asking.expected, self._asking.values
            self._token = self._world.history.invoke(
                self.name, self._asking.kind, *self._asking.keys, values=values, expected=expected
            )
        self._attempt = self._new_attempt(self._asking)
        self._ask(node)

    def _new_attempt(self, asking: Asking) -> Attempt | None:
        if asking.command is None:
            return None
        is_repeatable = self._session is not None and self._token is not None
        if self._session is not None and is_repeatable:
            self._serial += 1
            command = encode_command(Once(self._session, self._serial, asking.command))
        else:
            command = encode_command(asking.command)
        # Reads, deletes and sessions have no value that tells them from others.
        self._count += 1
        command = unlike_any_other(command, f"{self.name}-{self._count}")
        return self._world.oracle.attempt(self.name, command, is_repeatable, self._token)

    def _ask(self, node: SimulatedNode) -> None:
        assert node.life is not None
        self._process = node.life.process
        self._request += 1
        self._process.callLater(0, self._read if self._attempt is None else self._write, node, self._request)

    def _choose_node(self) -> SimulatedNode | None:
        """Mostly the one that served well before."""
        up = [node for node in self._world.nodes.values() if node.is_up]
        if not up:
            return None
        for node in up:
            if node.node_id == self._favourite and self._random.random() < 0.8:
                return node
        node = self._random.choice(up)
        self._favourite = node.node_id
        return node

    def _patience_seconds(self) -> float:
        low, high = self._world.shape.patience_seconds
        return self._random.uniform(low, high)

    # --- writes ----------------------------------------------------------------------------------

    def _write(self, node: SimulatedNode, request: int) -> None:
        attempt = self._attempt
        if attempt is None or request != self._request:
            return  # It gave up before its request left.
        leads = node.state.leading is not None
        asked: Deferred[Applied] = node.service.submit(attempt.command)
        asked.addCallbacks(
            self._written, self._not_written, callbackArgs=(request, attempt, leads), errbackArgs=(request, attempt)
        ).addErrback(self._world.broken)

    def _written(self, applied: Applied, request: int, attempt: Attempt, leads: bool) -> None:
        world = self._world
        world.oracle.done(attempt, applied.index, applied.result)
        leader = world.leader()
        if leader is not None:
            world.answered(leader)
        if not leads:
            world.marks.hit("a write went through a follower")
        asking = self._asking
        if request != self._request or asking is None:
            return
        result = applied.result
        if isinstance(result, SessionOpened):
            self._session, self._serial = result.client, 0
        elif isinstance(result, NotDone):
            self._refused(result, attempt)
        elif self._token is not None:
            told = asking.written(result, world.shape.tells_revisions)
            if isinstance(told, tuple):
                self._known.update(zip(asking.keys, told, strict=True))
            elif not told.succeeded:
                world.marks.hit("a compare-and-set was refused")
                self._known.update(zip(asking.keys, asking.found(result, world.shape.tells_revisions), strict=True))
            world.history.done(self._token, told)
        self._heard()

    def _refused(self, result: NotDone, attempt: Attempt) -> None:
        """The store does not know this client any more, or not so much of it."""
        if result.code not in ("session_expired", "serial_expired"):
            raise Violation("a good command was refused", f"{attempt.command!r}: {result}")
        self._world.marks.hit("a client's session expired")
        self._session = None
        assert self._token is not None
        if attempt.tries_count > 1:
            self._world.history.unknown(self._token)
        else:
            self._world.history.not_done(self._token)

    def _not_written(self, failure: Failure, request: int, attempt: Attempt) -> None:
        error = failure.value
        self._world.marks.failed(error)
        if isinstance(error, NotLeader | ProposalDropped):
            self._favourite = error.leader_id if isinstance(error, NotLeader) else None
            self._world.oracle.not_done(attempt)
            if request != self._request or self._ask_again(attempt):
                return
            if attempt.tries_count > 1:
                self._unknown()  # This try was not done; of those before it, nobody knows.
                return
            if self._token is not None:
                self._world.history.not_done(self._token)
            self._heard()
        elif isinstance(error, OutcomeUnknown):
            self._world.oracle.unknown(attempt)
            if request == self._request:
                self._over()
        else:
            raise Violation("an error that a writer does not know", repr(error)) from error

    def _ask_again(self, attempt: Attempt) -> bool:
        """Whether a numbered write is asked for once more: it cannot be done twice."""
        if not attempt.is_repeatable or self._is_over:
            return False
        self._process = None
        self._request += 1
        delay_seconds = self._random.uniform(0, _AGAIN_SECONDS)
        self._world.clock.schedule(delay_seconds, None, self._again, (self._request, attempt))
        return True

    def _again(self, request: int, attempt: Attempt) -> None:
        if request != self._request or self._attempt is not attempt:
            return  # It gave up meanwhile.
        node = self._choose_node()
        if node is None:
            self._ask_again(attempt)
            return
        self._world.oracle.asked_again(attempt)
        self._ask(node)

    # --- reads -----------------------------------------------------------------------------------

    def _read(self, node: SimulatedNode, request: int) -> None:
        leads = node.state.leading is not None
        committed_index = self._world.ledger.commit_index
        level = ReadLevel.LEASE if self._reads_by_lease and self._random.random() < 0.5 else ReadLevel.LINEARIZABLE
        asked: Deferred[int] = node.service.confirm_read(level)
        if asked.called and level is ReadLevel.LEASE and node.state.leading is not None:
            self._world.marks.hit("a read was answered by lease")
        asked.addCallbacks(
            self._confirmed, self._not_read, callbackArgs=(node, request, leads, committed_index), errbackArgs=(request,)
        ).addErrback(self._world.broken)

    def _confirmed(self, read_index: int, node: SimulatedNode, request: int, leads: bool, committed_index: int) -> None:
        check_read(self._world, node, read_index, committed_index)
        if not leads:
            self._world.marks.hit("a read went through a follower")
        if request != self._request or self._asking is None or self._token is None:
            return
        store = node.state_machine
        assert isinstance(store, KeyValueStore)
        answer = read(store, self._asking, self._world.shape.tells_revisions)
        self._known.update(zip(self._asking.keys, answer, strict=True))
        self._world.witness.saw(self._token, node.service.status().applied_index)
        self._world.history.done(self._token, answer)
        self._heard()

    def _not_read(self, failure: Failure, request: int) -> None:
        error = failure.value
        self._world.marks.failed(error)
        if not isinstance(error, NotLeader | ReadFailed):
            raise Violation("an error that a reader does not know", repr(error)) from error
        if request == self._request and self._token is not None:
            self._world.history.not_done(self._token)
            self._heard()

    # --- how it ends -----------------------------------------------------------------------------

    def _gave_up(self) -> None:
        if self._asking is not None:
            self._favourite = None
            self._unknown()

    def _over(self) -> None:
        """Nobody knows what became of this request."""
        if self._attempt is None or not self._ask_again(self._attempt):
            self._unknown()

    def _unknown(self) -> None:
        if self._token is not None:
            self._world.history.unknown(self._token)
        self._heard()

    def _heard(self) -> None:
        self._asking = self._attempt = self._token = self._process = None
        self._request += 1
        if self._giving_up is not None and self._giving_up.active():
            self._giving_up.cancel()
        self._giving_up = None
        if not self._is_over:
            self._next()
