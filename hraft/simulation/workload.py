"""Clients of the key-value store: each asks one thing at a time, of any node, and writes down what it was told.

Every value is written once, and every delete is one of a kind, so that the oracle knows each command by its bytes. A client that
waits too long gives up and asks the next thing; its request takes its course.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hraft.errors import NotLeader, OutcomeUnknown, ProposalDropped, ReadFailed
from hraft.kv.commands import Delete, Set, SetMany, encode_command
from hraft.kv.results import Written as StoreWritten
from hraft.kv.store import KeyValueStore
from hraft.service import Applied
from hraft.simulation.clock import Call, Process
from hraft.simulation.history import Kind, Seen, Written, seen
from hraft.simulation.oracle import Attempt
from hraft.simulation.story import Violation

if TYPE_CHECKING:
    from hraft.simulation.node import SimulatedNode
    from hraft.simulation.world import World

_READ_SHARE, _DELETE_SHARE, _SEVERAL_SHARE = 0.4, 0.06, 0.06


class Client:
    """One of them."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._random: Random = world.stream(f"client/{name}")
        self._favourite: str | None = None
        self._count = 0
        self._is_over = False
        # The one thing asked, if any.
        self._token: int | None = None
        self._process: Process | None = None
        self._giving_up: Call | None = None

    def start(self) -> None:
        self._next()

    def stop(self) -> None:
        """Ask nothing more; what is asked is left to its course."""
        self._is_over = True

    @property
    def is_waiting(self) -> bool:
        return self._token is not None

    def node_died(self, process: Process) -> None:
        """The connection broke."""
        if process is self._process and self._token is not None:
            self._over()

    # --- asking ----------------------------------------------------------------------------------

    def _next(self) -> None:
        shape = self._world.shape
        self._world.clock.schedule(self._random.expovariate(1 / shape.think_seconds), None, self._ask)

    def _ask(self) -> None:
        if self._is_over:
            return
        node = self._choose_node()
        if node is None or node.life is None:
            self._next()
            return
        self._process = node.life.process
        keys = [f"k{number}" for number in range(self._world.shape.keys_count)]
        key, luck = self._random.choice(keys), self._random.random()
        self._giving_up = self._world.clock.schedule(self._patience_seconds(), None, self._gave_up)
        if luck < _READ_SHARE:
            self._token = self._world.history.invoke(self.name, Kind.GET, key)
            self._process.callLater(0, self._read, node, self._token, key)
            return
        self._count += 1
        value = f"{self.name}-{self._count}"
        if luck < _READ_SHARE + _DELETE_SHARE:
            self._token = self._world.history.invoke(self.name, Kind.DELETE, key)
            command = _unlike_any_other(encode_command(Delete(key.encode())), value)
        elif luck < _READ_SHARE + _DELETE_SHARE + _SEVERAL_SHARE and len(keys) > 1:
            pair = self._random.sample(keys, 2)
            self._token = self._world.history.invoke(self.name, Kind.SET, *pair, values=[value, value])
            command = encode_command(SetMany(tuple((key.encode(), value.encode()) for key in pair)))
        else:
            self._token = self._world.history.invoke(self.name, Kind.SET, key, values=[value])
            command = encode_command(Set(key.encode(), value.encode()))
        attempt = self._world.oracle.attempt(self.name, command)
        self._process.callLater(0, self._write, node, self._token, attempt)

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

    def _write(self, node: SimulatedNode, token: int, attempt: Attempt) -> None:
        leads = node.state.leading is not None
        asked: Deferred[Applied] = node.service.submit(attempt.command)
        asked.addCallbacks(
            self._written, self._not_written, callbackArgs=(token, attempt, leads), errbackArgs=(token, attempt)
        ).addErrback(self._world.broken)

    def _written(self, applied: Applied, token: int, attempt: Attempt, leads: bool) -> None:
        result = applied.result
        if not isinstance(result, StoreWritten):
            raise Violation("a good command was refused", f"{attempt.command!r}: {result}")
        self._world.oracle.done(attempt, applied.index)
        leader = self._world.leader()
        if leader is not None:
            self._world.answered(leader)
        if not leads:
            self._world.marks.hit("a write went through a follower")
        if token == self._token:
            tells = self._world.shape.tells_revisions
            self._world.history.done(token, Written(True, result.revision, result.changed_count) if tells else Written())
            self._heard()

    def _not_written(self, failure: Failure, token: int, attempt: Attempt) -> None:
        error = failure.value
        self._world.marks.failed(error)
        if isinstance(error, NotLeader | ProposalDropped):
            self._favourite = error.leader_id if isinstance(error, NotLeader) else None
            self._world.oracle.not_done(attempt)
            if token == self._token:
                self._world.history.not_done(token)
                self._heard()
        elif isinstance(error, OutcomeUnknown):
            self._world.oracle.unknown(attempt)
            if token == self._token:
                self._over()
        else:
            raise Violation("an error that a writer does not know", repr(error)) from error

    # --- reads -----------------------------------------------------------------------------------

    def _read(self, node: SimulatedNode, token: int, key: str) -> None:
        leads = node.state.leading is not None
        committed_index = self._world.ledger.commit_index
        asked: Deferred[int] = node.service.confirm_read()
        asked.addCallbacks(
            self._confirmed, self._not_read, callbackArgs=(node, token, key, leads, committed_index), errbackArgs=(token,)
        ).addErrback(self._world.broken)

    def _confirmed(self, read_index: int, node: SimulatedNode, token: int, key: str, leads: bool, committed_index: int) -> None:
        check_read(self._world, node, read_index, committed_index)
        if not leads:
            self._world.marks.hit("a read went through a follower")
        if token != self._token:
            return
        store = node.state_machine
        assert isinstance(store, KeyValueStore)
        record = store.get(key.encode())
        if record is None:
            answer = seen(None)
        elif self._world.shape.tells_revisions:
            answer = Seen(record.value.decode(), record.mod_revision, record.version)
        else:
            answer = Seen(record.value.decode())
        self._world.history.done(token, answer)
        self._heard()

    def _not_read(self, failure: Failure, token: int) -> None:
        error = failure.value
        self._world.marks.failed(error)
        if not isinstance(error, NotLeader | ReadFailed):
            raise Violation("an error that a reader does not know", repr(error)) from error
        if token == self._token:
            self._world.history.not_done(token)
            self._heard()

    # --- how it ends -----------------------------------------------------------------------------

    def _gave_up(self) -> None:
        if self._token is not None:
            self._favourite = None
            self._over()

    def _over(self) -> None:
        """Nobody knows what became of it."""
        assert self._token is not None
        self._world.history.unknown(self._token)
        self._heard()

    def _heard(self) -> None:
        self._token = self._process = None
        if self._giving_up is not None and self._giving_up.active():
            self._giving_up.cancel()
        self._giving_up = None
        if not self._is_over:
            self._next()


class Probe:
    """One read, at a moment when an answer may be wrong: just elected, just resumed, just started."""

    def __init__(self, world: World, node: SimulatedNode) -> None:
        self._world = world
        self._node = node
        self._committed_index = 0

    def start(self) -> None:
        """Ask, in the process' next event."""
        life = self._node.life
        assert life is not None
        life.process.callLater(0, self._ask)

    def _ask(self) -> None:
        self._committed_index = self._world.ledger.commit_index
        asked = self._node.service.confirm_read()
        asked.addCallbacks(self._confirmed, self._not_read).addErrback(self._world.broken)

    def _confirmed(self, read_index: int) -> None:
        check_read(self._world, self._node, read_index, self._committed_index)

    def _not_read(self, failure: Failure) -> None:
        self._world.marks.failed(failure.value)
        failure.trap(NotLeader, ReadFailed)


def check_read(world: World, node: SimulatedNode, read_index: int, committed_index: int) -> None:
    """What was committed before a read was asked for is in its answer, and the answer is of a state that has it all."""
    if read_index < committed_index:
        what = f"{node.node_id} reads at {read_index}, but {committed_index} was committed before it was asked"
        raise Violation("a read sees all that was committed before it", what)
    applied_index = node.service.status().applied_index
    if applied_index < read_index:
        raise Violation("a read waits for its index", f"{node.node_id} answers at {applied_index} for {read_index}")


def _unlike_any_other(command: bytes, name: str) -> bytes:
    """The same command in other bytes: blanks between the fields spell the name."""
    digits = "".join(f"{byte:08b}" for byte in name.encode())
    return command.replace(b",", b"," + digits.translate({ord("0"): " ", ord("1"): "\t"}).encode(), 1)
