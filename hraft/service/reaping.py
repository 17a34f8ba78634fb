"""A leader that removes members which were not heard for as long as the operator has said: one at a time, where that is safe.

Time is the leader's own, and stands still while it does: so neither a clock that is set nor a leader that was stopped takes
anybody for dead, and each leader begins to count anew.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from hraft.errors import ChangeRefused, NotLeader
from hraft.interfaces import Timing
from hraft.raft.node import RaftNode
from hraft.raft.ready import Role
from hraft.service.events import Events
from hraft.service.loop import Loop

_SECONDS_BETWEEN_LOOKS = 0.25
#: From one look to the next no more than this went by, as far as anybody's silence is concerned.
_STALL_SECONDS = 1.0


class Reaping:
    """Of one node, while it leads. `after_seconds` is None where nobody is to be removed."""

    def __init__(
        self,
        clock: IReactorTime,
        node: RaftNode,
        loop: Loop,
        timing: Timing,
        after_seconds: float | None,
        events: Events,
    ) -> None:
        self._clock = clock
        self._node = node
        self._loop = loop
        self._events = events
        self._after_seconds = after_seconds
        self._silent_ticks = timing.election_timeout_ticks
        #: The reign, the time in it, and when each member was last heard by that time.
        self._term = 0
        self._seconds = 0.0
        self._looked_at = clock.seconds()
        self._heard_at: dict[str, float] = {}
        #: Who could not be removed, and why: said once.
        self._refusals: dict[str, str] = {}

    def tick(self) -> None:
        """See who was heard, and who was not for too long."""
        if self._after_seconds is None or self._node.role is not Role.LEADER:
            return
        now = self._clock.seconds()
        if self._node.current_term != self._term:
            self._term, self._seconds, self._heard_at = self._node.current_term, 0.0, {}
        elif now - self._looked_at < _SECONDS_BETWEEN_LOOKS:
            return
        else:
            self._seconds += min(now - self._looked_at, _STALL_SECONDS)
        self._looked_at = now
        silence = self._silence()
        self._refusals = {peer: reason for peer, reason in self._refusals.items() if silence.get(peer, 0.0) > 0.0}
        peer = max(silence, key=lambda peer: silence[peer], default=None)
        if peer is not None and silence[peer] >= self._after_seconds:
            self._reap(peer)

    def _silence(self) -> dict[str, float]:
        """For how many seconds each member was not heard."""
        followers = self._node.status().followers
        self._heard_at = {
            peer: self._seconds if each.ticks_since_contact < self._silent_ticks else self._heard_at.get(peer, self._seconds)
            for peer, each in followers.items()
        }
        return {peer: self._seconds - heard_at for peer, heard_at in self._heard_at.items()}

    def _reap(self, peer: str) -> None:
        try:
            self._node.remove(peer)
        except (ChangeRefused, NotLeader) as refusal:
            if self._refusals.get(peer) != str(refusal):
                self._refusals[peer] = str(refusal)
                self._events.not_reaped(peer, str(refusal))
            return
        self._events.reaped(peer)
        self._loop.wake()
