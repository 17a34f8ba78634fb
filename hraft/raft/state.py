"""What one node knows, in the order of the dissertation's Figure 3.1, and the one transition that everybody needs.

Leader-only state is an object that exists only while leading, candidate-only state one that exists only while campaigning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hraft.raft.configuration import Configuration
from hraft.raft.configuration_history import ConfigurationHistory
from hraft.raft.entry import ORIGIN, Entry, EntryId, HardState, Snapshot
from hraft.raft.invariants import require
from hraft.raft.log import Log
from hraft.raft.messages import Message
from hraft.raft.outbox import Outbox
from hraft.raft.progress import Progress
from hraft.raft.reads import Reads
from hraft.raft.ready import ReadReady, Role
from hraft.raft.saving import Saving
from hraft.raft.settings import Settings


@dataclass(slots=True)
class Campaign:
    """(pre-candidate, candidate) Who answered what; `term` is the one asked for."""

    term: int
    votes: dict[str, bool] = field(default_factory=dict)
    is_transfer: bool = False


@dataclass(slots=True)
class Transfer:
    """(leader) Handing leadership over (Section 3.10)."""

    target: str
    ticks: int = 0
    is_told: bool = False


@dataclass(slots=True)
class Leading:
    """(leader) Reinitialised after every election."""

    #: The no-op of this reign: until it is committed no read is served and no configuration changed (R1, M2).
    noop_index: int
    progress: dict[str, Progress] = field(default_factory=dict)
    reads: Reads = field(default_factory=Reads)
    transfer: Transfer | None = None
    #: Somebody may have been told to campaign at once, against stickiness, and may still do so when the transfer was given up.
    has_handed_over: bool = False
    uncommitted_bytes: int = 0
    ticks: int = 0


class RaftState:
    """Mutable, with one owner, `hraft.raft.node`; the other modules of this package are its verbs."""

    def __init__(
        self,
        node_id: str,
        settings: Settings,
        choose: Callable[[int, int], int],
        hard_state: HardState,
        snapshot: Snapshot | None,
        base: EntryId,
        entries: Sequence[Entry],
    ) -> None:
        self.node_id = node_id
        self.settings = settings
        self.choose = choose
        # Persistent state.
        self.hard_state = hard_state
        self.log = Log(base, entries)
        require(
            base == ORIGIN if snapshot is None else self.log.holds(snapshot.id),
            f"a log after {base} up to {self.log.last} does not fit {snapshot}",
        )
        self.snapshot = snapshot
        self.saving = Saving(self.log, hard_state)
        # Volatile state.
        self.configurations = ConfigurationHistory(snapshot, entries)
        self.commit_index = self.snapshot_index
        self.applied_index = self.snapshot_index
        self.role = Role.FOLLOWER
        self.leader_id: str | None = None
        # What was heard in an earlier life is forgotten, so a node that may have heard a leader begins as one that just did:
        # leases count on it (Section 6.4.1). Nobody's timer is shorter. One without entries never answered a leader.
        self.ticks_since_leader = 0 if self.log.last_index else settings.election_timeout_ticks
        self.election_ticks = 0
        self.randomized_election_timeout_ticks = 0
        # On candidates, and on leaders.
        self.campaign: Campaign | None = None
        self.leading: Leading | None = None
        # On its way out.
        self.outbox = Outbox(node_id)
        self.restore: Snapshot | None = None
        self.read_answers: list[ReadReady] = []
        self.reset_election_timer()

    @property
    def term(self) -> int:
        return self.hard_state.term

    @property
    def snapshot_index(self) -> int:
        return 0 if self.snapshot is None else self.snapshot.index

    @property
    def configuration(self) -> Configuration:
        """The one in force: the last appended, committed or not (Section 4.1)."""
        return self.configurations.current

    @property
    def is_configuration_committed(self) -> bool:
        return self.configurations.current_index <= self.commit_index

    @property
    def may_be_needed(self) -> bool:
        """Whether this node is a voter, or may still be: one that is removed has to lead until its removal is committed,
        where nobody else has the entry; its own vote does not count (Section 4.2.2, E21)."""
        if self.configuration.is_voter(self.node_id):
            return True
        return not self.is_configuration_committed and self.configurations.previous.is_voter(self.node_id)

    @property
    def hears_leader(self) -> bool:
        """Leader stickiness: heard one within the minimum election timeout, or is one (Section 4.2.3).

        Also where it is not known any more who that was: a later term that was only heard of ends no lease (Section 6.4.1).
        """
        return self.ticks_since_leader < self.settings.election_timeout_ticks

    @property
    def is_disk_stalled(self) -> bool:
        """A save has been on its way for an election timeout: this node must not lead (D15)."""
        return self.saving.in_flight is not None and self.saving.ticks_in_flight >= self.settings.election_timeout_ticks

    def reset_election_timer(self) -> None:
        """Draw a new timeout in (T, 2T], so that rivals seldom meet again (Section 3.4, E18)."""
        timeout = self.settings.election_timeout_ticks
        self.election_ticks = 0
        self.randomized_election_timeout_ticks = self.choose(timeout + 1, 2 * timeout)

    def vouch(self, to: str, message: Message) -> None:
        """Send a message that vouches for all that this node knows now: when it is on disk, and not before."""
        self.outbox.send_when_saved(to, message, self.saving.number_needed(self.hard_state))

    def become_follower(self, term: int, leader_id: str | None) -> None:
        """Step down, or up to a later term. In the same term the vote is kept (E8)."""
        if term > self.term:
            self.hard_state = HardState(term)
        if self.leading is not None:
            self.read_answers.extend(self.leading.reads.failed())
            self.ticks_since_leader = self.settings.election_timeout_ticks
        self.role = Role.FOLLOWER
        self.leader_id = leader_id
        self.campaign = None
        self.leading = None
        self.reset_election_timer()

    def append(self, entry: Entry) -> None:
        """Append one entry; a configuration is in force from here on."""
        self.log.append(entry)
        if entry.configuration is not None:
            self.configurations.appended(entry)

    def commit_up_to(self, index: int) -> bool:
        """Move the commit index, never back; returns whether it moved."""
        if index <= self.commit_index:
            return False
        self.commit_index = index
        return True
