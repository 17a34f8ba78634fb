"""What must hold after every event: the five safety properties, the order of indexes, and what only a whole cluster can break.

Looks at one node at a time, the one that did something, and at what changed in it since the last look: a log of any length costs
nothing where it did not change. The dissertation's Figure 3.2 and docs/simulation.md have the list.
"""

from __future__ import annotations

from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryId, EntryKind, HardState
from hraft.raft.invariants import Facts, InvariantBroken, check_state, check_step, facts
from hraft.raft.quorum import is_majority
from hraft.raft.ready import Role
from hraft.raft.state import RaftState
from hraft.service.alarms import STATE_DIFFERS
from hraft.simulation.ledger import Ledger
from hraft.simulation.marks import Marks
from hraft.simulation.node import SimulatedNode
from hraft.simulation.promises import Promises
from hraft.simulation.story import Violation


class _Watch:
    """One life of one node, as of the last look."""

    __slots__ = ("base_index", "commit_index", "entries", "facts", "glance", "snapshot_index", "state")

    def __init__(self, state: RaftState) -> None:
        self.state = state
        self.facts: Facts | None = None
        self.glance: tuple[object, ...] = ()
        self.base_index = state.log.base.index
        self.entries: list[Entry] = []
        self.commit_index = 0
        self.snapshot_index = 0


class Safety:
    """All nodes of a world."""

    def __init__(self, nodes: dict[str, SimulatedNode], ledger: Ledger, promises: Promises, marks: Marks) -> None:
        self._nodes = nodes
        self._promises = promises
        self._ledger = ledger
        self._marks = marks
        self._watches: dict[str, _Watch] = {}

    def look(self, node: SimulatedNode) -> None:
        """Judge a node that is up, after an event. Raises Violation."""
        state = node.state
        watch = self._watches.get(node.node_id)
        if watch is None or watch.state is not state:
            watch = self._watches[node.node_id] = _Watch(state)
        glance = _glance(state)
        if glance == watch.glance:
            return
        watch.glance = glance
        try:
            check_state(state)
            now = facts(state)
            if watch.facts is not None:
                check_step(watch.facts, now)
        except InvariantBroken as broken:
            raise Violation("an invariant of hraft.raft", f"{node.node_id}: {broken}") from broken
        before, watch.facts = watch.facts, now
        self._marks.looked_at_step(node, before, now, state)
        differs = node.service.alarms.get(STATE_DIFFERS)
        if differs is not None:
            raise Violation("members have equal states", f"{node.node_id}: {differs.detail}")
        self._look_at_log(node, watch)
        if state.role is Role.LEADER and (before is None or before.role is not Role.LEADER):
            self._look_at_leader(node, state)
            node.world.led(node)
        if state.snapshot_index < watch.snapshot_index:
            raise Violation("the snapshot index fell", f"{node.node_id}: {watch.snapshot_index} to {state.snapshot_index}")
        if state.snapshot is not None and state.snapshot_index != watch.snapshot_index:
            watch.snapshot_index = state.snapshot_index
            self._ledger.check_snapshot(node.node_id, state.snapshot)
        if state.commit_index > watch.commit_index:
            self._look_at_commit(node, state, watch.commit_index)
            watch.commit_index = state.commit_index

    # --- the log ---------------------------------------------------------------------------------

    def _look_at_log(self, node: SimulatedNode, watch: _Watch) -> None:
        log = watch.state.log
        entries, known = log._entries, watch.entries
        if log.base.index != watch.base_index:
            gone = log.base.index - watch.base_index
            watch.base_index = log.base.index
            del known[: max(0, gone)]
            if gone < 0:
                known.clear()
            if entries:
                self._ledger.appended(node.node_id, entries[0], log.base.term)
        same = min(len(entries), len(known))
        while same and entries[same - 1] is not known[same - 1]:
            same -= 1
        if same == len(entries) == len(known):
            return
        if same < len(known):
            self._marks.truncated(node, known[same:], watch.state)
            if known[same].index <= watch.commit_index and watch.state.snapshot_index < known[same].index:
                raise Violation("committed entries never change", f"{node.node_id} drops {known[same].id}")
            del known[same:]
            _look_at_configuration(node, watch.state)
        previous_term = entries[same - 1].term if same else log.base.term
        for entry in entries[same:]:
            is_new = self._ledger.appended(node.node_id, entry, previous_term)
            if is_new and entry.configuration is not None:
                self._look_at_change(node, known, entry, watch.state)
            previous_term = entry.term
            known.append(entry)

    def _look_at_change(self, node: SimulatedNode, before: list[Entry], entry: Entry, state: RaftState) -> None:
        """A leader changes the members: by one voter (Section 4.1), when the change before is committed (M1), and when it has
        committed something in its own term (M2). Entry 1 begins the cluster. What it committed in this very event is looked at
        after its log, and counts."""
        if entry.index == 1 or entry.configuration is None:
            return
        in_log = [other for other in before if other.configuration is not None]
        old = in_log[-1].configuration if in_log else state.snapshot.configuration if state.snapshot else None
        if old is not None and not entry.configuration.differs_by_one_voter_at_most(old):
            raise Violation("one voter at a time", f"{node.node_id} goes from {old} to {entry.configuration}")
        if in_log and in_log[-1].index > max(self._ledger.commit_index, state.commit_index):
            raise Violation("one change at a time", f"{node.node_id} appends {entry.id} while {in_log[-1].id} is not committed")
        has_committed = state.log.base.index <= state.commit_index and state.log.term_at(state.commit_index) == entry.term
        if not has_committed and not self._ledger.has_committed_in(entry.term):
            raise Violation("no change before a commit of one's own", f"{node.node_id} appends {entry.id}")

    def _look_at_leader(self, node: SimulatedNode, state: RaftState) -> None:
        """Election Safety and Leader Completeness."""
        if node.is_wiped:
            raise Violation("a node that forgot its promises leads", node.node_id)
        if not self._ledger.led(node.node_id, state.term):
            raise Violation("Election Safety", f"{node.node_id} leads term {state.term} twice")
        voters = state.configuration.voters
        for_it = {voter for voter in voters if self._promises.has_voted(voter, state.term, node.node_id)}
        # Its own vote is said to nobody where it is the only voter; it counts when it is on disk (E3).
        for_it.discard(node.node_id)
        if node.truth.hard_state == HardState(state.term, node.node_id):
            for_it.add(node.node_id)
        if not is_majority(for_it & voters.keys(), voters):
            raise Violation(
                "a leader has the votes of a majority", f"{node.node_id} leads term {state.term} with those of {sorted(for_it)}"
            )
        needed = self._ledger.committed_before(state.term)
        log = state.log
        if needed.index > log.base.index and not log.holds(needed):
            raise Violation("Leader Completeness", f"{node.node_id} leads term {state.term} without {needed}, which is committed")

    # --- commit ----------------------------------------------------------------------------------

    def _look_at_commit(self, node: SimulatedNode, state: RaftState, known_index: int) -> None:
        ledger, log = self._ledger, state.log
        first_index = max(known_index, log.base.index) + 1
        for index in range(first_index, min(state.commit_index, ledger.commit_index) + 1):
            ledger.check_committed(node.node_id, EntryId(log.term_at(index), index))
        if state.leading is not None and log.term_at(state.commit_index) != state.term:
            raise Violation("only entries of the current term are committed by counting", f"{node.node_id}: {state.commit_index}")
        if state.commit_index <= ledger.commit_index:
            return
        self._look_at_quorum(node, state)
        while ledger.commit_index < state.commit_index:
            entry = log.entry_at(ledger.commit_index + 1)
            ledger.commit(entry, state.term)
            if entry.kind is EntryKind.CONFIGURATION:
                self._marks.hit("a configuration change was committed")

    def _look_at_quorum(self, node: SimulatedNode, state: RaftState) -> None:
        """Committed entries lie on a quorum of disks, synced, and not merely where somebody says so."""
        entry_id = EntryId(state.log.term_at(state.commit_index), state.commit_index)
        voters = state.configuration.voters
        # What a wiped disk had was acknowledged once. It counts, since the one that lost it never votes again: so each of the
        # majorities that may elect is one of the others alone, and has a node that still has the entry.
        having = [
            voter
            for voter in voters
            if (other := self._nodes.get(voter)) is not None
            and (other.lost if other.is_wiped else other.truth).holds(entry_id.index, entry_id.term)
        ]
        if not is_majority(having, voters):
            raise Violation(
                "committed entries are on a quorum of disks",
                f"{node.node_id} committed {entry_id} with voters {sorted(voters)}, but only {having} have it on disk",
            )


def _look_at_configuration(node: SimulatedNode, state: RaftState) -> None:
    """After a log lost entries: the last configuration that it still has is in force (M3, M4)."""
    in_log = [entry.configuration for entry in state.log._entries if entry.configuration is not None]
    in_snapshot = state.snapshot.configuration if state.snapshot is not None else Configuration()
    expected = in_log[-1] if in_log else in_snapshot
    if state.configuration != expected:
        raise Violation("the last configuration in the log is in force", f"{node.node_id}: {state.configuration}, not {expected}")


def _glance(state: RaftState) -> tuple[object, ...]:
    """What differs whenever a check could come out differently."""
    log, leading = state.log, state.leading
    return (
        state.hard_state,
        state.role,
        state.leader_id,
        state.commit_index,
        state.applied_index,
        log.base.index,
        len(log._entries),
        id(log._entries[-1]) if log._entries else 0,
        state.saving.persisted_index,
        state.snapshot_index,
        state.campaign is None,
        None if leading is None else [(peer, p.match_index, p.next_index) for peer, p in leading.progress.items()],
    )
