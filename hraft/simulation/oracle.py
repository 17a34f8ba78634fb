"""What clients were told, held against what the cluster committed: an oracle beside the linearizability checker.

Every write is known by its bytes, which no other write has. So each committed command must be one that somebody asked for, at
most once, and never one that somebody was told is not done; each acknowledged one is committed, at the index its client was told.
A numbered write may be committed again and again, as often as it was asked for; but it is answered as it was the first time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hraft.errors import NotLeader, ProposalDropped
from hraft.kv.results import NotDone
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
    #: Whether it is numbered, so that asking for it again does no harm; and how often it was asked for.
    is_repeatable: bool = False
    #: What the history calls it, if it knows of it.
    token: int | None = None
    tries_count: int = 1
    outcome: Outcome | None = None
    #: Where it was committed first, as far as the cluster has shown.
    index: int | None = None
    #: What the client was told last.
    told_index: int | None = None
    told_result: Any = None
    #: Where it was committed, in order.
    indexes: list[int] = field(default_factory=list)


class Oracle:
    """All writes of a world."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks
        self._attempts: dict[bytes, Attempt] = {}
        #: Acknowledged in the present event, and not yet looked up.
        self._answered: list[Attempt] = []
        self.acknowledged_count = 0

    def attempt(self, client: str, command: bytes, is_repeatable: bool = False, token: int | None = None) -> Attempt:
        """A client is about to ask for this. No two commands may be equal."""
        if command in self._attempts:
            raise ValueError(f"{command!r} was asked for before")
        attempt = self._attempts[command] = Attempt(client, command, is_repeatable, token)
        return attempt

    def asked_again(self, attempt: Attempt) -> None:
        """A numbered write is asked for once more."""
        attempt.tries_count += 1
        attempt.outcome = None

    # --- what clients are told -------------------------------------------------------------------

    def done(self, attempt: Attempt, index: int, result: Any = None) -> None:
        """It was acknowledged."""
        attempt.outcome, attempt.told_index, attempt.told_result = Outcome.OK, index, result
        self.acknowledged_count += 1
        self._answered.append(attempt)

    def not_done(self, attempt: Attempt) -> None:
        """Its client was told that it certainly is not done, and never will be."""
        if attempt.tries_count > 1:
            return  # This try was not done; of those before it, nobody knows.
        attempt.outcome = Outcome.NOT_DONE
        if attempt.index is not None:
            raise _appeared(attempt)

    def unknown(self, attempt: Attempt) -> None:
        """Its client was told that nobody knows, or was told nothing."""
        attempt.outcome = Outcome.UNKNOWN

    def failed(self, attempt: Attempt, error: BaseException | None) -> None:
        """Its client met an error."""
        if isinstance(error, NotLeader | ProposalDropped):
            self.not_done(attempt)
        else:
            self.unknown(attempt)

    # --- what the cluster did --------------------------------------------------------------------

    def committed(self, entry: Entry) -> None:
        """The ledger has a new entry."""
        if entry.kind is not EntryKind.COMMAND:
            return
        attempt = self._attempts.get(entry.command)
        if attempt is None:
            raise Violation("a phantom", f"{entry.command!r} was committed at {entry.index}, but nobody asked for it")
        if len(attempt.indexes) >= attempt.tries_count:
            raise Violation("done twice", f"{entry.command!r} was committed at {attempt.indexes} and at {entry.index}")
        attempt.indexes.append(entry.index)
        attempt.index = attempt.indexes[0]
        if attempt.outcome is Outcome.NOT_DONE:
            raise _appeared(attempt)

    def settle(self, ledger: Ledger) -> None:
        """After an event: whatever was acknowledged in it is committed, there and nowhere else."""
        if not self._answered:
            return
        answered, self._answered = self._answered, []
        for attempt in answered:
            if attempt.told_index not in attempt.indexes:
                raise Violation(
                    "acknowledged but not committed",
                    f"{attempt.client} was told that {attempt.command!r} is entry {attempt.told_index}; "
                    f"it was committed at {attempt.indexes}, of {ledger.commit_index} entries that are",
                )
            self._check_repetition(attempt, ledger)

    def _check_repetition(self, attempt: Attempt, ledger: Ledger) -> None:
        """A numbered write that was done is answered as it was when it was done, or not at all any more (C1)."""
        if not attempt.is_repeatable or attempt.told_index == attempt.index or isinstance(attempt.told_result, NotDone):
            return
        first = next(result for index in attempt.indexes if not isinstance(result := ledger.result_at(index), NotDone))
        if attempt.told_result != first:
            raise Violation("a repetition gets the first answer", f"{attempt.command!r}: {attempt.told_result}, first {first}")
        self._marks.hit("a repeated write got its first answer")

    def attempts(self) -> Iterable[Attempt]:
        """All of them."""
        return self._attempts.values()

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


def unlike_any_other(command: bytes, name: str) -> bytes:
    """The same command in other bytes: blanks before its first value spell the name."""
    digits = "".join(f"{byte:08b}" for byte in name.encode())
    return command.replace(b":", b":" + digits.translate({ord("0"): " ", ord("1"): "\t"}).encode(), 1)
