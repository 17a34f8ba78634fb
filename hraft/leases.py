"""The time of leases: the store knows which there are, and the leader, by its own clock, when they end.

While a node leads, every lease has a deadline: its time after it was granted, or after this node began to lead, or after it was
last kept alive. One that is overdue is ended by an entry like any other (`ExpireLeases`), so all nodes end it at the same place.

After an answered keep-alive a lease lives at least its time from the moment at which the leader was asked, whoever leads later:

- The leader confirms that it leads by a round of heartbeats that begins after the question arrived, and only then moves the
  deadline. Had another leader been elected before, the round would not have been confirmed.
- Whoever is elected later begins with new deadlines for all leases, counted from its first entry, which is later than that.
- What earlier leaders wrote to end leases is before that first entry, and has been carried out, or never will be. A lease that
  this leader has asked to end is not kept alive any more; it is either gone or asked for again a moment later.
- A leader that was deposed may still ask to end leases, but what it writes is never committed; and it forgets all deadlines.

Times are of the clocks of those who lead, so they are as true as these run. `docs/leases.md` says how late a lease may end.
Knows nothing of clients and HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import cast

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import BadCommand, HraftError, LeaseNotFound, NotLeader, OutcomeUnknown, ProposalDropped, ReadFailed
from hraft.kv.commands import ExpireLeases, encode_command
from hraft.kv.store import KeyValueStore
from hraft.service import Applied, NodeService, ReadLevel

_log = Logger(namespace="hraft.leases")
#: So many leases that ended by themselves may be remembered before they are looked for.
_FORGOTTEN_COUNT = 1_000


class LeaseTimes(msgspec.Struct, frozen=True):
    """What the leader said of a lease. `remaining_seconds` is 0 while it is being ended."""

    lease: int
    ttl_seconds: int
    remaining_seconds: float


class _KeepAlive(msgspec.Struct, frozen=True, tag_field="ask", tag="keep_alive"):
    lease: int


class _Times(msgspec.Struct, frozen=True, tag_field="ask", tag="times"):
    lease: int


_Question = _KeepAlive | _Times
_questions: msgspec.json.Decoder[_Question] = msgspec.json.Decoder(_Question)
_answers = msgspec.json.Decoder(LeaseTimes)


class _Reign:
    """What a leader knows of time. `due` has each lease once, at its deadline or an earlier one."""

    __slots__ = ("deadlines", "due", "ending", "newest", "not_before")

    def __init__(self) -> None:
        self.deadlines: dict[int, float] = {}
        self.due: list[tuple[float, int]] = []
        #: Those that were asked to end, and may have.
        self.ending: set[int] = set()
        #: The last lease that was seen; later ones have higher ids.
        self.newest = 0
        #: When to look again, after something could not be ended.
        self.not_before = 0.0


class LeaseClock:
    """One node's; an observer of it."""

    def __init__(self, clock: IReactorTime, node: NodeService, store: Callable[[], KeyValueStore] | None = None) -> None:
        """`store` is the node's present one; needed where its state machine is something around a store."""
        self._clock = clock
        self._node = node
        self._store = store or (lambda: cast(KeyValueStore, node.state_machine))
        self._reign: _Reign | None = None
        self._next_look: IDelayedCall | None = None
        self._is_proposing = False
        node.answer_questions(self._answer)
        node.observe(self)

    # --- for clients, on any node ----------------------------------------------------------------

    def keep_alive(self, lease: int) -> Deferred[LeaseTimes]:
        """Give a lease its whole time again, counted from when the leader is asked.

        Fails with LeaseNotFound; with ProposalDropped while it is about to end, NotLeader, ReadFailed, OutcomeUnknown: ask again.
        """
        return self._ask(_KeepAlive(lease))

    def times(self, lease: int) -> Deferred[LeaseTimes]:
        """How long a lease has still to live. Fails as `keep_alive`."""
        return self._ask(_Times(lease))

    def _ask(self, question: _Question) -> Deferred[LeaseTimes]:
        return self._node.ask_leader(msgspec.json.encode(question)).addCallback(_read)

    # --- the leader answers ----------------------------------------------------------------------

    def _answer(self, question: bytes) -> Deferred[bytes]:
        """Asked by this node's clients or by a peer, while this node leads."""
        try:
            asked = _questions.decode(question)
        except msgspec.MsgspecError as error:
            return fail(BadCommand(f"this is no question about leases: {error}"))
        arrived_at = self._clock.seconds()
        return self._node.confirm_read(ReadLevel.LINEARIZABLE).addCallback(self._confirmed, asked, arrived_at)

    def _confirmed(self, _: int, asked: _Question, arrived_at: float) -> bytes:
        """This node led after the question arrived, and has applied whatever was acknowledged before."""
        reign = self._reign
        if reign is None:
            raise ReadFailed("the leader changed meanwhile; ask again")
        lease = self._store().lease(asked.lease)
        if lease is None:
            raise LeaseNotFound(f"there is no lease {asked.lease} (any more)")
        self._follow(reign)
        self._schedule(reign)
        deadline = reign.deadlines[asked.lease]
        if isinstance(asked, _KeepAlive):
            if asked.lease in reign.ending:
                raise ProposalDropped(f"lease {asked.lease} is over and about to end; ask again to see whether it did")
            deadline = reign.deadlines[asked.lease] = max(deadline, arrived_at + lease.ttl_seconds)
        remaining_seconds = 0.0 if asked.lease in reign.ending else max(0.0, deadline - self._clock.seconds())
        return msgspec.json.encode(LeaseTimes(asked.lease, lease.ttl_seconds, remaining_seconds))

    # --- what the node tells ---------------------------------------------------------------------

    def leading(self, term: int | None) -> None:
        """All deadlines are of one reign: nobody can know how a deposed leader's would have gone on."""
        self._reign = None
        self._is_proposing = False
        if self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
        if term is not None:
            self._reign = _Reign()
            self._follow(self._reign)
            self._schedule(self._reign)

    def applied(self) -> None:
        """Leases may have been granted, or have ended."""
        reign = self._reign
        if reign is None:
            return
        self._follow(reign)
        self._schedule(reign)
        if len(reign.deadlines) > 2 * self._store().leases_count + _FORGOTTEN_COUNT:
            self._forget_ended(reign)

    def _follow(self, reign: _Reign) -> None:
        """Give those that are new their deadlines."""
        store, now = self._store(), self._clock.seconds()
        for granted in store.leases_after(reign.newest):
            lease = store.lease(granted)
            assert lease is not None
            reign.deadlines[granted] = now + lease.ttl_seconds
            heappush(reign.due, (reign.deadlines[granted], granted))
            reign.newest = granted

    def _forget_ended(self, reign: _Reign) -> None:
        """Leases that were revoked long before their time."""
        store = self._store()
        reign.deadlines = {lease: at for lease, at in reign.deadlines.items() if store.lease(lease) is not None}
        reign.due = [due for due in reign.due if due[1] in reign.deadlines]
        heapify(reign.due)

    # --- ending ----------------------------------------------------------------------------------

    def _schedule(self, reign: _Reign) -> None:
        """Look when the next may be due; while an entry is on its way, after it."""
        if self._is_proposing or not reign.due:
            return
        at = max(reign.due[0][0], reign.not_before)
        if self._next_look is not None:
            if self._next_look.getTime() <= at:
                return
            self._next_look.cancel()
        self._next_look = self._clock.callLater(max(0.0, at - self._clock.seconds()), self._look)

    def _look(self) -> None:
        self._next_look = None
        reign = self._reign
        assert reign is not None
        overdue = self._take_overdue(reign)
        if overdue:
            self._end(reign, overdue)
        else:
            self._schedule(reign)

    def _take_overdue(self, reign: _Reign) -> list[int]:
        """Some of those whose deadline is over: what one entry may end, and no longer than others can wait."""
        store, now = self._store(), self._clock.seconds()
        overdue: list[int] = []
        keys_count = 0
        for _ in range(limits.LEASES_LOOKED_AT_COUNT):
            if not reign.due or reign.due[0][0] > now:
                break
            lease = store.lease(reign.due[0][1])
            if lease is not None and overdue and keys_count + len(lease.keys) > limits.DELETE_KEYS_COUNT:
                break
            _, candidate = heappop(reign.due)
            if lease is None:
                del reign.deadlines[candidate]
            elif reign.deadlines[candidate] > now:
                heappush(reign.due, (reign.deadlines[candidate], candidate))
            else:
                overdue.append(candidate)
                keys_count += len(lease.keys)
            if len(overdue) == limits.LEASES_ENDED_COUNT:
                break
        return overdue

    def _end(self, reign: _Reign, leases: list[int]) -> None:
        """Ask for an entry that ends them. From here on they are not kept alive, unless it is certain that there is none."""
        reign.ending.update(leases)
        self._is_proposing = True
        asked = self._node.propose(encode_command(ExpireLeases(tuple(leases))))
        asked.addBoth(self._asked_to_end, reign, leases)

    def _asked_to_end(self, outcome: Applied | Failure, reign: _Reign, leases: list[int]) -> None:
        if reign is not self._reign:
            return  # Deposed: what became of it is for the next leader to see.
        self._is_proposing = False
        if isinstance(outcome, Failure):
            reign.not_before = self._clock.seconds() + limits.LEASE_RETRY_SECONDS
            if not outcome.check(HraftError):
                _log.failure("a defect in ending leases", outcome)
            if outcome.check(NotLeader, ProposalDropped):
                reign.ending.difference_update(leases)
        for lease in leases:
            if self._store().lease(lease) is None:
                reign.deadlines.pop(lease, None)
                reign.ending.discard(lease)
            else:
                heappush(reign.due, (reign.deadlines[lease], lease))
        self._schedule(reign)


def _read(answer: bytes) -> LeaseTimes:
    try:
        return _answers.decode(answer)
    except msgspec.MsgspecError as error:
        raise OutcomeUnknown(f"the leader's answer cannot be read: {error}") from error


__all__ = ["LeaseClock", "LeaseTimes"]
