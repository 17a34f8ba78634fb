"""What the whole cluster has agreed on so far: every entry that ever was in a log, all that is committed, every step applied.

Each fact is recorded once, by whoever shows it first, and can never be contradicted. Knows nothing of how nodes work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hraft.raft.configuration import Configuration
from hraft.raft.entry import ORIGIN, Entry, EntryId, Snapshot
from hraft.simulation.story import Violation


class Ledger:
    """Grows only. `hear_committed` is told of each entry the first time it is known to be committed, in order."""

    def __init__(self, hear_committed: Callable[[Entry], None]) -> None:
        self._hear_committed = hear_committed
        #: By index and term: the entry, and the term of the one before it.
        self._known: dict[tuple[int, int], tuple[Entry, int]] = {}
        #: The entry at index 1 first; beside each, the term of the leader that committed it.
        self.committed: list[Entry] = []
        self._commit_terms: list[int] = []
        #: Those among them, by index.
        self._configurations: list[tuple[int, Configuration]] = []
        #: By index: what was applied, and its result.
        self._applied: dict[int, tuple[bytes, Any]] = {}
        #: Who led each term.
        self.leaders: dict[int, str] = {}

    # --- logs ------------------------------------------------------------------------------------

    def appended(self, node_id: str, entry: Entry, previous_term: int) -> bool:
        """A log has this entry after one of that term (Log Matching, Leader Append-Only). Returns whether it is new."""
        known = self._known.get((entry.index, entry.term))
        if known is None:
            self._known[entry.index, entry.term] = entry, previous_term
            return True
        if known[0] is not entry and known[0] != entry:
            raise Violation("Log Matching", f"{node_id} has {entry}, but {known[0]} is known under that index and term")
        if known[1] != previous_term:
            raise Violation(
                "Log Matching",
                f"{node_id} has {entry.id} after an entry of term {previous_term}, others after one of term {known[1]}",
            )
        return False

    # --- leaders ---------------------------------------------------------------------------------

    def led(self, node_id: str, term: int) -> bool:
        """That node leads in that term (Election Safety); returns whether that is news."""
        leader = self.leaders.get(term)
        if leader is not None and leader != node_id:
            raise Violation("Election Safety", f"{leader} and {node_id} both lead term {term}")
        self.leaders[term] = node_id
        return leader is None

    def committed_before(self, term: int) -> EntryId:
        """The last entry that was committed by a leader of an earlier term."""
        place = len(self.committed)
        while place and self._commit_terms[place - 1] >= term:
            place -= 1
        return self.committed[place - 1].id if place else ORIGIN

    # --- what is committed -----------------------------------------------------------------------

    @property
    def commit_index(self) -> int:
        return len(self.committed)

    def has_committed_in(self, term: int) -> bool:
        """Whether an entry of that term is committed."""
        return bool(self.committed) and self.committed[-1].term >= term

    def has_been_voter(self, node_id: str, address: str) -> bool:
        """Whether a configuration was committed in which that node is a voter, there."""
        return any(configuration.voters.get(node_id) == address for _, configuration in self._configurations)

    def check_snapshot(self, node_id: str, snapshot: Snapshot) -> None:
        """A node's snapshot ends with a committed entry, and has the members as of that (S14)."""
        if snapshot.index > self.commit_index:
            raise Violation("a snapshot of what is not committed", f"{node_id}: {snapshot.id}")
        self.check_committed(node_id, snapshot.id)
        before = [configuration for index, configuration in self._configurations if index <= snapshot.index]
        if before and snapshot.configuration != before[-1]:
            raise Violation("a snapshot has the members as of its entry", f"{node_id}: {snapshot}, not {before[-1]}")

    def check_committed(self, node_id: str, entry_id: EntryId) -> None:
        """A node takes this for committed, in its log or in its snapshot."""
        known = self.committed[entry_id.index - 1]
        if known.term != entry_id.term:
            raise Violation("State Machine Safety", f"{node_id} takes {entry_id} for committed, others {known.id}")

    def commit(self, entry: Entry, term: int) -> None:
        """The next entry is committed, by a leader of that term."""
        if entry.index != len(self.committed) + 1:
            raise Violation("committed out of order", f"entry {entry.index} follows {len(self.committed)}")
        self.committed.append(entry)
        self._commit_terms.append(term)
        if entry.configuration is not None:
            self._configurations.append((entry.index, entry.configuration))
        applied = self._applied.get(entry.index)
        if applied is not None and applied[0] != entry.command:
            raise Violation(
                "State Machine Safety", f"{applied[0]!r} was applied at {entry.index}, {entry.command!r} is committed"
            )
        self._hear_committed(entry)

    # --- what is applied -------------------------------------------------------------------------

    def result_at(self, index: int) -> Any:
        """What the state machines answered to the entry. Raises KeyError where none has applied it yet."""
        return self._applied[index][1]

    def applied(self, node_id: str, index: int, command: bytes, result: Any) -> None:
        """A state machine has made a step (State Machine Safety; the same steps have the same results)."""
        if index <= len(self.committed) and self.committed[index - 1].command != command:
            raise Violation("State Machine Safety", f"{node_id} applies {command!r} at {index}, which is not what is committed")
        known = self._applied.setdefault(index, (command, result))
        if known[0] != command:
            raise Violation("State Machine Safety", f"{node_id} applies {command!r} at {index}, others {known[0]!r}")
        if known[1] != result:
            raise Violation("state machines differ", f"{node_id} has {result} for entry {index}, others {known[1]}")
