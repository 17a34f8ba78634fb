"""One who has a lease, attaches a key to it, keeps it alive for a while and then does not; and the judge of how long leases live.

A lease never ends before the time that its holder was promised, and ends some time after it. Knows nothing of other clients.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from twisted.python.failure import Failure

from hraft.errors import HraftError
from hraft.kv.commands import GrantLease, encode_command
from hraft.kv.results import LeaseGranted, NotDone
from hraft.kv.store import KeyValueStore
from hraft.kv.transactions import Put, Transaction
from hraft.leases import LeaseTimes
from hraft.raft.entry import Entry
from hraft.service import Applied
from hraft.simulation.oracle import Attempt, unlike_any_other
from hraft.simulation.story import Violation

if TYPE_CHECKING:
    from hraft.simulation.node import SimulatedNode
    from hraft.simulation.world import World

#: What is asked of a node, in its process.
_Ask: TypeAlias = "Callable[[SimulatedNode], None]"
_TTLS_SECONDS = (1, 2, 4)
_THINK_SECONDS = 2.0
#: Asking again after an answer that did not come.
_PATIENCE_SECONDS = 3.0
_PROBE_CHANCE = 0.5
_KEYS_PREFIX = b"leased/"
#: The command that nodes propose by themselves.
EXPIRY = b'{"op":"lease_expire",'


class LeaseJudge:
    """What holders were promised, and when their leases ended."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._promised_until: dict[int, float] = {}
        self._ended_at: dict[int, float] = {}
        #: A leader's clock may run fast, and then it counts less time than there is.
        self._fastest_rate = max(1.0, *world.shape.clock_rates)

    def promised(self, lease: int, asked_at: float, ttl_seconds: int) -> None:
        """A holder was told that its lease lives for so long after it asked. Raises Violation."""
        until = asked_at + ttl_seconds / self._fastest_rate
        self._promised_until[lease] = max(until, self._promised_until.get(lease, 0.0))
        self._check(lease)

    def expired(self, entry: Entry) -> None:
        """Some leases have ended by their time. Raises Violation."""
        for lease in json.loads(entry.command)["leases"]:
            self._ended_at.setdefault(lease, self._world.clock.now)
            self._world.marks.hit("a lease expired")
            self._check(lease)

    def _check(self, lease: int) -> None:
        ended_at, until = self._ended_at.get(lease), self._promised_until.get(lease)
        if ended_at is not None and until is not None and ended_at < until:
            raise Violation("a lease lives as long as promised", f"lease {lease} ended at {ended_at}, promised until {until}")

    def look_at_end(self, store: KeyValueStore) -> None:
        """When nobody has kept a lease alive for long, there is none, and no key of one. Raises Violation."""
        leases = store.leases_after(0)
        keys = [key for key, _ in store.range(_KEYS_PREFIX, b"leased0")]
        if leases or keys:
            raise Violation("a lease ends when its time is over", f"leases {leases} and keys {keys} are left")


class LeaseHolder:
    """Asks one thing at a time, of any node."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._random: Random = world.stream(f"holder/{name}")
        self._count = 0
        self._request = 0
        self._is_over = False
        self._lease: int | None = None
        self._ttl_seconds = 0
        self._left_count = 0

    def start(self) -> None:
        """Begin, and go on until told to stop."""
        self._later(self._random.expovariate(1 / _THINK_SECONDS), self._grant)

    def stop(self) -> None:
        """Ask nothing more."""
        self._is_over = True

    def probe(self, node: SimulatedNode) -> None:
        """Something has changed for this node that may make it answer wrongly: keep the lease alive there, for the last time."""
        if self._lease is not None and node.life is not None and not self._is_over and self._random.random() < _PROBE_CHANCE:
            self._left_count = 1
            self._request += 1
            node.life.process.callLater(0, self._in_process, node, self._request, self._keep)
            self._world.clock.schedule(_PATIENCE_SECONDS, None, self._give_up, (self._request,))

    # --- one thing after the other ---------------------------------------------------------------

    def _grant(self, node: SimulatedNode) -> None:
        self._ttl_seconds = self._random.choice(_TTLS_SECONDS)
        self._left_count = self._random.randint(0, 6)
        asked_at = self._world.clock.now

        def granted(applied: Applied) -> None:
            assert isinstance(applied.result, LeaseGranted), applied
            self._lease = applied.result.lease
            self._world.lease_judge.promised(self._lease, asked_at, self._ttl_seconds)
            self._later(0.0, self._put)

        self._submit(node, encode_command(GrantLease(self._ttl_seconds)), granted)

    def _put(self, node: SimulatedNode) -> None:
        assert self._lease is not None
        put = Put(_KEYS_PREFIX + self._name.encode() + b"/%d" % self._lease, b"held", self._lease)

        def done(applied: Applied) -> None:
            if isinstance(applied.result, NotDone):
                self.start()
            else:
                self._later(self._ttl_seconds / 3, self._keep)

        self._submit(node, encode_command(Transaction((), (put,))), done)

    def _keep(self, node: SimulatedNode) -> None:
        assert self._lease is not None
        if not self._left_count:
            self.start()
            return
        self._left_count -= 1
        lease, asked_at, request = self._lease, self._world.clock.now, self._request

        def kept(times: LeaseTimes) -> None:
            self._world.lease_judge.promised(lease, asked_at, times.ttl_seconds)
            self._world.marks.hit("a lease was kept alive")
            if request == self._request:
                self._later(self._ttl_seconds / 3, self._keep)

        node.leases.keep_alive(lease).addCallbacks(kept, self._failed, errbackArgs=(request,)).addErrback(self._world.broken)

    # --- asking ----------------------------------------------------------------------------------

    def _later(self, seconds: float, ask: _Ask) -> None:
        """Ask some node after so long, and begin anew if there is no answer."""
        self._request += 1
        self._world.clock.schedule(seconds, None, self._ask, (self._request, ask))
        self._world.clock.schedule(seconds + _PATIENCE_SECONDS, None, self._give_up, (self._request,))

    def _ask(self, request: int, ask: _Ask) -> None:
        up = self._world.up()
        if request != self._request or self._is_over or not up:
            return
        node = self._random.choice(up)
        assert node.life is not None
        node.life.process.callLater(0, self._in_process, node, request, ask)

    def _in_process(self, node: SimulatedNode, request: int, ask: _Ask) -> None:
        if request == self._request and not self._is_over:
            ask(node)

    def _give_up(self, request: int) -> None:
        if request == self._request and not self._is_over:
            self.start()

    def _submit(self, node: SimulatedNode, command: bytes, done: Callable[[Applied], None]) -> None:
        self._count += 1
        attempt = self._world.oracle.attempt(self._name, unlike_any_other(command, f"{self._name}-{self._count}"))
        request = self._request

        def answered(applied: Applied) -> None:
            self._world.oracle.done(attempt, applied.index, applied.result)
            if request == self._request:
                done(applied)

        asked = node.service.submit(attempt.command).addCallback(answered)
        asked.addErrback(self._failed, request, attempt).addErrback(self._world.broken)

    def _failed(self, failure: Failure, request: int, attempt: Attempt | None = None) -> None:
        """Whatever it was, begin anew; what was promised stays promised."""
        failure.trap(HraftError)
        if attempt is not None:
            self._world.oracle.failed(attempt, failure.value)
        if request == self._request and not self._is_over:
            self.start()
