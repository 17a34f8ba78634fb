"""When this node last had proof of being in touch with its cluster, by its own clock: what leases and the age of reads stand on.

A leader's proof is a round of heartbeats that a majority has answered: nobody else was elected before it began (Section 6.4.1).
A follower's is what its leader says. Time is read before the messages leave and after they arrive, from a clock that goes on
while the process is stopped; ticks do not. Knows nothing of readers.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IReactorTime

from hraft.interfaces import Timing
from hraft.raft.entry import EntryId
from hraft.raft.messages import AppendEntries, Envelope
from hraft.raft.node import RaftNode
from hraft.raft.ready import Role

#: Of the time in which a voter that answered elects nobody else, so much is taken for a lease. The rest is for clocks that
#: differ: a voter's may run faster than the leader's by a quarter.
LEASE_SHARE = 0.8


class Contact:
    """One node's."""

    def __init__(self, clock: IReactorTime, node: RaftNode, timing: Timing) -> None:
        self._clock = clock
        self._node = node
        # The first of a voter's ticks may come at once.
        self._lease_seconds = (timing.election_timeout_ticks - 1) * timing.tick_seconds * LEASE_SHARE
        self._stall_seconds = timing.heartbeat_interval_ticks * timing.tick_seconds
        #: Of the present reign: its term, the last round that left, those that are not confirmed as (first round, when it left),
        #: and when the last confirmed one left.
        self._term = 0
        self._last_round = 0
        self._rounds: deque[tuple[int, float]] = deque()
        self._confirmed_at: float | None = None
        self._turn_began_at = 0.0
        #: Of a follower: a commit index that its leader told, in which term, and when; until it is applied here.
        self._told: tuple[int, int, float] | None = None
        #: What is applied here has all that was acknowledged before this time.
        self._fresh_at: float | None = None
        self._looked_at = clock.seconds()
        self._trusted_from = self._looked_at

    # --- leading ---------------------------------------------------------------------------------

    def turn_begins(self) -> None:
        """Whatever leaves in this turn leaves later than now."""
        self._turn_began_at = self._clock.seconds()

    def turned(self) -> None:
        """Remember when the rounds of this turn began."""
        node = self._node
        term = node.current_term if node.role is Role.LEADER else 0
        if term != self._term:
            self._term, self._last_round, self._confirmed_at = term, 0, None
            self._rounds.clear()
        if node.read_round > self._last_round:
            self._rounds.append((self._last_round + 1, self._turn_began_at))
            self._last_round = node.read_round

    def holds_lease(self) -> bool:
        """Whether nobody else can lead at this moment, so that what is applied here may be read without asking anybody.

        True as of the moment at which it is asked: a read that began before it is linearizable, however late it is answered.
        """
        if not self._node.may_hold_lease:
            return False
        confirmed_at = self._last_confirmed_at()
        return confirmed_at is not None and self._clock.seconds() < confirmed_at + self._lease_seconds

    def _last_confirmed_at(self) -> float | None:
        if self._node.role is not Role.LEADER or self._node.current_term != self._term:
            return None
        confirmed_round = self._node.confirmed_round
        while self._rounds and self._rounds[0][0] <= confirmed_round:
            self._confirmed_at = self._rounds.popleft()[1]
        return self._confirmed_at

    # --- following, and both ---------------------------------------------------------------------

    def heard(self, envelope: Envelope, applied: EntryId) -> None:
        """The core has taken in a message. A leader's is noted, unless it may have lain here while this node stood still."""
        node, message = self._node, envelope.message
        if not isinstance(message, AppendEntries) or message.term != node.current_term or envelope.sender != node.leader_id:
            return
        now = self._clock.seconds()
        self._look(now)
        self._refresh(applied)
        if now >= self._trusted_from and (self._told is None or self._told[1] != message.term):
            self._told = (message.leader_commit, message.term, now)

    def ticked(self, applied: EntryId) -> None:
        self._look(self._clock.seconds())
        self._refresh(applied)

    def age_seconds(self, applied: EntryId) -> float | None:
        """How long ago everything acknowledged was certainly applied here; None when it never was, in this life."""
        self._refresh(applied)
        return None if self._fresh_at is None else max(0.0, self._clock.seconds() - self._fresh_at)

    def _look(self, now: float) -> None:
        """A node that stood still reads first what came meanwhile, and cannot tell how old that is."""
        if now - self._looked_at > self._stall_seconds:
            self._trusted_from = now + self._stall_seconds
        self._looked_at = now

    def _refresh(self, applied: EntryId) -> None:
        """It counts only with an entry of the present term: a leader may not know before it what was acknowledged."""
        if applied.term != self._node.current_term:
            return
        fresh_at = self._last_confirmed_at()
        if fresh_at is None and self._told is not None:
            commit_index, term, told_at = self._told
            if term == applied.term and commit_index <= applied.index:
                fresh_at, self._told = told_at, None
        if fresh_at is not None:
            self._fresh_at = fresh_at if self._fresh_at is None else max(fresh_at, self._fresh_at)
