"""Who founds the cluster of several nodes that are started with the same command line, so that one does and never two. Pure.

Each node asks all addresses, its own among them, again and again, and says what it saw in its last round (`View`):

    nobody has a cluster, and all that are expected answer  -->  it sees that set, and takes the lowest id of it for the founder
    all others see the same set, and it is the founder      -->  it founds the cluster, durably, and says so from then on
    anybody has a cluster                                   -->  it joins that

Never two: a founder has heard from every other address, from the process that runs there, that this process has taken it for
the founder. That is for the process's whole life, so none of these founds any more; one that is started anew has to hear from the
founder's own address that there is no cluster, which is not said again once there is. If a founder dies before the others have
joined, they wait until it is back. Knows nothing of addresses and of how they are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class View:
    """What one process says of itself. `life` is of this process alone; `sees` are ids, in order, empty where it lacks some."""

    node_id: str
    life: str
    is_member: bool = False
    expected_count: int | None = None
    sees: tuple[str, ...] = ()


class Verdict(Enum):
    """What to do after a round."""

    WAIT = "wait"
    JOIN = "join"
    FOUND = "found"


class Founding:
    """One process's part in it. `reason` says, for the log, what it waits for."""

    def __init__(self, node_id: str, life: str, expected_count: int) -> None:
        self._me = View(node_id, life, expected_count=expected_count)
        self._expected_count = expected_count
        self._sees: tuple[str, ...] = ()
        self._founder: str | None = None
        self._has_founded = False
        self.reason = "nobody was asked yet"

    def view(self) -> View:
        """What to say to whoever asks."""
        return View(self._me.node_id, self._me.life, self._has_founded, self._expected_count, self._sees)

    def heard(self, answers: Sequence[View | None]) -> Verdict:
        """Take in one round: what each address answered, None for none."""
        self._sees = ()
        views = [view for view in answers if view is not None]
        if any(view.is_member for view in views):
            return Verdict.JOIN
        self.reason = self._what_is_missing(answers, views)
        if self.reason:
            return Verdict.WAIT
        ids = tuple(sorted(view.node_id for view in views))
        if self._founder not in (None, ids[0]):
            # For the life of this process: the other may have founded, and only be away.
            self.reason = f"{self._founder} was taken for the founder before, and may have founded: bring it back"
            return Verdict.WAIT
        self._founder, self._sees = ids[0], ids
        if ids[0] != self._me.node_id:
            self.reason = f"{ids[0]} is to found the cluster"
            return Verdict.WAIT
        doubtful = sorted(view.node_id for view in views if view.node_id != self._me.node_id and view.sees != ids)
        if doubtful:
            self.reason = f"not everybody sees all yet: {', '.join(doubtful)}"
            return Verdict.WAIT
        self._has_founded = True
        return Verdict.FOUND

    def _what_is_missing(self, answers: Sequence[View | None], views: list[View]) -> str:
        ids = {view.node_id for view in views}
        if not any((view.node_id, view.life) == (self._me.node_id, self._me.life) for view in views):
            return f"none of the addresses in --join is that of this node, {self._me.node_id!r}"
        if len(ids) < len(views):
            return f"two of the addresses in --join lead to one node, or two nodes have one id: {', '.join(sorted(ids))}"
        differing = sorted(view.node_id for view in views if view.expected_count != self._expected_count)
        if differing:
            return f"{', '.join(differing)} were not started with --bootstrap-expect {self._expected_count}"
        if len(views) < len(answers) or len(views) != self._expected_count:
            return f"{len(views)} of {self._expected_count} nodes answer: {', '.join(sorted(ids))}"
        return ""
