"""What an operator must look at: raised and cleared by the node itself, and listed for as long as it is so.

An alarm is a condition, not an event: it is raised once however often it is found, and what it says may change meanwhile.
Knows nothing of what raises it.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace
from typing import Final

from twisted.internet.interfaces import IReactorTime

from hraft.service.events import Events

DISK_FULL: Final = "disk_full"
STATE_DIFFERS: Final = "state_differs"
#: Every kind, and what to do. Each has an anchor of its name in docs/operating.md.
ADVICE: Final = {
    DISK_FULL: "make room on the disk of this node; writes are taken again by themselves when there is some",
    STATE_DIFFERS: "stop the members named, and replace each by a new node with an empty directory and a new id",
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One condition, as long as it lasts. `members`: who has it. `since_seconds` is by the clock of this node."""

    kind: str
    members: tuple[str, ...]
    detail: str
    since_seconds: float = 0.0
    #: Of `state_differs`: the entry after which the states were compared, and each member's hash.
    index: int | None = None
    hashes: dict[str, str] = field(default_factory=dict)


class Alarms:
    """Those of one node, at most one of each kind; and what others have told it, one of each."""

    def __init__(self, clock: IReactorTime, events: Events) -> None:
        self._clock = clock
        self._events = events
        self._active: dict[str, Alarm] = {}
        #: What other members have told of themselves, and when they last did.
        self._told: dict[str, tuple[Alarm, float]] = {}

    @property
    def own(self) -> tuple[Alarm, ...]:
        """Those that this node has raised, or that are about the whole cluster; the longest standing first."""
        return tuple(self._active.values())

    @property
    def of_others(self) -> tuple[Alarm, ...]:
        """What other members have told of themselves."""
        return tuple(alarm for alarm, _ in self._told.values())

    @property
    def active(self) -> tuple[Alarm, ...]:
        """All that this node knows of."""
        return (*self.own, *self.of_others)

    def get(self, kind: str) -> Alarm | None:
        """One of its own."""
        return self._active.get(kind)

    def tell(self, member: str, alarm: Alarm | None) -> None:
        """Another member has this alarm, or none (any more). It has logged it itself."""
        if alarm is None:
            self._told.pop(member, None)
            return
        now, known = self._clock.seconds(), self._told.get(member)
        since_seconds = now if known is None else known[0].since_seconds
        self._told[member] = replace(alarm, since_seconds=since_seconds), now

    def forget(self, members: Container[str], after_seconds: float) -> None:
        """Keep what these members have told within that time, and nothing else."""
        if self._told:
            oldest = self._clock.seconds() - after_seconds
            self._told = {member: told for member, told in self._told.items() if member in members and told[1] > oldest}

    def sound(self, alarm: Alarm) -> None:
        """This is so. Logged when it is new, or now about others; it stands since it was first so."""
        before = self._active.get(alarm.kind)
        since_seconds = self._clock.seconds() if before is None else before.since_seconds
        self._active[alarm.kind] = replace(alarm, since_seconds=since_seconds)
        if before is None or before.members != alarm.members:
            self._events.alarmed(alarm.kind, alarm.members, alarm.detail, ADVICE[alarm.kind])

    def clear(self, kind: str) -> None:
        """This is so no longer, if it was."""
        if self._active.pop(kind, None) is not None:
            self._events.alarm_over(kind)

    def age_seconds(self, alarm: Alarm) -> float:
        """For how long it has been so."""
        return max(0.0, self._clock.seconds() - alarm.since_seconds)
