"""What clients were told, held against what the cluster committed: an oracle beside the linearizability checker.

Every write is known by its bytes, which no other write has. So each committed command must be one that somebody asked for, at
most once, and never one that somebody was told is not done; each acknowledged one is committed, at the index its client was told.
"""

from __future__ import annotations

from dataclasses import dataclass

from hraft.raft.entry import Entry, EntryKind
from hraft.simulation.history import Outcome
from hraft.simulation.ledger import Ledger
from hraft.simulation.marks import Marks
from hraft.simulation.story import Violation


@dataclass(slots=True)
class Attempt:
    """One write of one client, from its first byte on."""

    client: str
    command: bytes
    outcome: Outcome | None = None
    #: Where it was committed, as far as the cluster has shown.
    index: int | None = None
    #: What the client was told.
    told_index: int | None = None


class Oracle:
    """All writes of a world."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._attempts: dict[bytes, Attempt] = {}
        #: Acknowledged in the present event, and not yet looked up.
        self._answered: list[Attempt] = []
        self.acknowledged_count = 0

    def attempt(self, client: str, command: bytes) -> Attempt:
        """A client is about to ask for this. No two commands may be equal."""
        if command in self._attempts:
            raise ValueError(f"{command!r} was asked for before")
        attempt = self._attempts[command] = Attempt(client, command)
        return attempt

    # --- what clients are told -------------------------------------------------------------------

    def done(self, attempt: Attempt, index: int) -> None:
        """It was acknowledged."""
        attempt.outcome, attempt.told_index = Outcome.OK, index
        self.acknowledged_count += 1
        self._answered.append(attempt)

    def not_done(self, attempt: Attempt) -> None:
        """Its client was told that it certainly is not done, and never will be."""
        attempt.outcome = Outcome.NOT_DONE
        if attempt.index is not None:
            raise _appeared(attempt)

    def unknown(self, attempt: Attempt) -> None:
        """Its client was told that nobody knows, or was told nothing."""
        attempt.outcome = Outcome.UNKNOWN

    # --- what the cluster did --------------------------------------------------------------------

    def committed(self, entry: Entry) -> None:
        """The ledger has a new entry."""
        if entry.kind is not EntryKind.COMMAND:
            return
        attempt = self._attempts.get(entry.command)
        if attempt is None:
            raise Violation("a phantom", f"{entry.command!r} was committed at {entry.index}, but nobody asked for it")
        if attempt.index is not None:
            raise Violation("done twice", f"{entry.command!r} was committed at {attempt.index} and at {entry.index}")
        attempt.index = entry.index
        if attempt.outcome is Outcome.NOT_DONE:
            raise _appeared(attempt)

    def settle(self, ledger: Ledger) -> None:
        """After an event: whatever was acknowledged in it is committed, there and nowhere else."""
        if not self._answered:
            return
        answered, self._answered = self._answered, []
        for attempt in answered:
            if attempt.index is None or attempt.index != attempt.told_index:
                raise Violation(
                    "acknowledged but not committed",
                    f"{attempt.client} was told that {attempt.command!r} is entry {attempt.told_index}; "
                    f"it was committed at {attempt.index}, of {ledger.commit_index} entries that are",
                )

    def finish(self) -> None:
        """When all is over: what became of the unknown ones."""
        for attempt in self._attempts.values():
            if attempt.outcome is Outcome.UNKNOWN:
                done = attempt.index is not None
                self._marks.hit(f"a write was answered with unknown and {'done' if done else 'never done'}")


def _appeared(attempt: Attempt) -> Violation:
    return Violation(
        "certainly not done, yet it was",
        f"{attempt.client} was told that {attempt.command!r} was not done, but it was committed at {attempt.index}",
    )
