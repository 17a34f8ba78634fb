"""What the leader knows of each member, also for those who follow it; and what they tell it of their own disks.

A follower asks while somebody looks at it, and while its disk is full, which the leader is to list. What was heard is forgotten
soon unless it is said again. Knows nothing of who looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from hraft import limits
from hraft.questions import ClusterView, ShareView
from hraft.raft.node import RaftNode
from hraft.raft.ready import NodeStatus, Role
from hraft.service.alarms import DISK_FULL, Alarm, Alarms
from hraft.service.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class MemberView:
    """How far a member's log is known to agree, how many entries that is behind the leader's, and since when it is silent."""

    match_index: int
    lag_entries: int
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class _Document:
    """`full_disks`: by member, what is the matter with each."""

    members: dict[str, MemberView]
    full_disks: dict[str, str]


_documents = msgspec.json.Decoder(_Document)


class SharedView:
    """One node's: it answers while it leads, and asks while it follows."""

    def __init__(self, around: Surroundings, node: RaftNode, leader_id: Callable[[], str | None], alarms: Alarms) -> None:
        self._clock = around.clock
        self._transport = around.transport
        self._tick_seconds = around.timing.tick_seconds
        self._node = node
        self._leader_id = leader_id
        self._alarms = alarms
        self._is_asking = False
        #: Whether the leader was last told that this node's disk is full, and when it is to be told again.
        self._has_told = False
        self._due_seconds = 0.0
        #: What the leader of a term said of the members, and when.
        self._told: Mapping[str, MemberView] = {}
        self._told_term = 0
        self._told_seconds = 0.0

    def members(self) -> Mapping[str, MemberView]:
        """By id, as far as it is known: all on the leader; elsewhere what it has said within the last seconds, or nothing."""
        if self._node.role is Role.LEADER:
            return views_of(self._node.status(), self._tick_seconds)
        is_old = self._clock.seconds() - self._told_seconds > limits.VIEW_FRESH_SECONDS
        return {} if is_old or self._told_term != self._node.current_term else self._told

    def ask(self) -> None:
        """(follower) Tell the leader of this node's disk, and have it say what it knows. One question at a time."""
        leader_id = self._leader_id()
        if self._is_asking or leader_id is None or self._node.role is Role.LEADER:
            return
        own = self._alarms.get(DISK_FULL)
        self._is_asking, self._has_told = True, own is not None
        question = ShareView("" if own is None else own.detail[: limits.VIEW_REASON_CHARACTERS])
        asking = self._transport.call(leader_id, question)
        asking.addCallback(self._heard, self._node.current_term).addErrback(lambda _: None).addBoth(self._over)

    def answer(self, sender: str, question: ShareView) -> ClusterView:
        """(leader) Hear of a member's disk, and say what is known of all."""
        if self._node.configuration.is_member(sender):
            self._hear(sender, question.full_disk)
        full = {alarm.members[0]: alarm.detail for alarm in self._alarms.of_others if alarm.kind == DISK_FULL}
        own = self._alarms.get(DISK_FULL)
        if own is not None:
            full[own.members[0]] = own.detail
        return ClusterView(msgspec.json.encode(_Document(dict(self.members()), full)))

    def tick(self) -> None:
        """Tell of a full disk again and again, and once that it is over; forget what nobody says any more."""
        now = self._clock.seconds()
        if (self._has_told or self._alarms.get(DISK_FULL) is not None) and now >= self._due_seconds:
            self._due_seconds = now + limits.VIEW_REPEAT_SECONDS
            self.ask()
        if self._alarms.of_others:
            self._alarms.forget(self._node.configuration.members, limits.VIEW_REPEAT_SECONDS * 3)

    def _hear(self, member: str, full_disk: str) -> None:
        reason = full_disk[: limits.VIEW_REASON_CHARACTERS]
        self._alarms.tell(member, Alarm(DISK_FULL, (member,), reason) if reason else None)

    def _heard(self, answer: ClusterView, term: int) -> None:
        """What does not read is of a later release's making."""
        document = _documents.decode(answer.document)
        self._told, self._told_term, self._told_seconds = document.members, term, self._clock.seconds()
        me = self._node.state.node_id
        for member in self._node.configuration.members:
            if member != me:
                self._hear(member, document.full_disks.get(member, ""))

    def _over(self, _: object) -> None:
        self._is_asking = False


def views_of(status: NodeStatus, tick_seconds: float) -> dict[str, MemberView]:
    """(leader) All members as it sees them; of itself, what is on its disk. Elsewhere nothing."""
    if status.role is not Role.LEADER:
        return {}
    seen = {peer: (follower.match_index, follower.ticks_since_contact) for peer, follower in status.followers.items()}
    seen[status.node_id] = (status.persisted_index, 0)
    last_index = status.last.index
    return {
        member: MemberView(match_index, max(0, last_index - match_index), ticks * tick_seconds)
        for member, (match_index, ticks) in seen.items()
    }
