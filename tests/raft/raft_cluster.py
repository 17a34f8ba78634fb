"""A cluster of RaftNodes under a test's hand: nothing is delivered, saved, lost or restarted unless the test says so.

It plays the service (one save at a time, snapshots, one transfer per peer) and the disk (what was not saved is lost in a
crash), and checks after every event what must always hold: of each node, of each step, and across nodes.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hraft.errors import NotLeader
from hraft.raft.configuration import Configuration
from hraft.raft.entry import ORIGIN, Entry, EntryId, EntryKind, HardState, Snapshot
from hraft.raft.invariants import check_state, check_step, facts, require
from hraft.raft.messages import Envelope, InstallSnapshot, Message
from hraft.raft.node import RaftNode
from hraft.raft.ready import ReadReady, Role, Save
from hraft.raft.settings import Settings

SETTINGS = Settings(election_timeout_ticks=10, heartbeat_interval_ticks=3)


def voters(*names: str) -> Configuration:
    """A configuration of voters only, each with an address of its own."""
    return Configuration(voters={name: f"{name}:1" for name in names})


def first_entry(configuration: Configuration) -> Entry:
    """Where every log begins: a log without any entry never grants a vote (D19)."""
    return Entry(1, 1, EntryKind.CONFIGURATION, configuration=configuration)


def digest_of(digest: int, entry: Entry) -> int:
    """The state machine: a checksum over all that it was given."""
    return zlib.crc32(b"%d %d %s" % (entry.index, entry.term, entry.command), digest)


@dataclass(slots=True)
class Disk:
    """What survives a crash: the contract of `hraft.interfaces.Storage`, and nothing else."""

    hard_state: HardState = HardState()
    snapshot: Snapshot | None = None
    digest: int = 0
    base: EntryId = ORIGIN
    entries: list[Entry] = field(default_factory=list)
    #: It took the place of another disk of this node (D19).
    is_wiped: bool = False

    def save(self, save: Save, digests: Mapping[EntryId, int]) -> None:
        """First install, then truncate_from, then entries; all or nothing. A gap is a bug of whoever made the save."""
        if save.install is not None:
            self.snapshot, self.digest = save.install.snapshot, digests[save.install.snapshot.id]
            if save.install.keep_suffix:
                require(self.reaches(self.snapshot), "keep_suffix, but the log on disk does not hold the snapshot's last entry")
            else:
                require(save.truncate_from is None, "there is nothing left to truncate")
                self.base, self.entries = self.snapshot.id, []
        if save.truncate_from is not None:
            require(self.base.index < save.truncate_from <= self.last_index + 1, f"cannot truncate from {save.truncate_from}")
            del self.entries[save.truncate_from - self.base.index - 1 :]
        if save.entries:
            require(save.entries[0].index == self.last_index + 1, f"a gap: {save.entries[0].index} after {self.last_index}")
            self.entries += save.entries
        require(save.hard_state.term >= self.hard_state.term, "the term on disk fell")
        self.hard_state = save.hard_state

    def compact(self, first_index: int) -> None:
        """Drop the prefix, never past the snapshot."""
        require(self.snapshot is not None, "nothing may go without a snapshot (S2)")
        count = min(first_index - 1 - self.base.index, self.snapshot.index - self.base.index, len(self.entries))
        if count > 0:
            self.base = self.entries[count - 1].id
            del self.entries[:count]

    def recover(self) -> bool:
        """Fit the log to the snapshot, as `Storage.recover` does; returns whether the log had to go."""
        if self.snapshot is None or self.reaches(self.snapshot):
            return False
        self.base, self.entries = self.snapshot.id, []
        if self.hard_state.term < self.snapshot.term:
            self.hard_state = HardState(self.snapshot.term)
        return True

    @property
    def last_index(self) -> int:
        return self.base.index + len(self.entries)

    def entry_at(self, index: int) -> Entry | None:
        position = index - self.base.index - 1
        return self.entries[position] if 0 <= position < len(self.entries) else None

    def reaches(self, snapshot: Snapshot) -> bool:
        """Whether the log holds the snapshot's last entry."""
        entry = self.entry_at(snapshot.index)
        return self.base == snapshot.id or (entry is not None and entry.id == snapshot.id)

    def holds(self, entry_id: EntryId) -> bool:
        """Whether this disk has an entry, in its log or behind its snapshot."""
        if self.snapshot is not None and entry_id.index <= self.snapshot.index:
            return True
        entry = self.entry_at(entry_id.index)
        return entry is not None and entry.id == entry_id


class Server:
    """One node with its disk and what its service knows. `node` is None while it is down."""

    def __init__(self, name: str, disk: Disk) -> None:
        self.name = name
        self.disk = disk
        self.node: RaftNode | None = None
        self.saving: Save | None = None
        #: The save that a world has already set a time for.
        self.planned: Save | None = None
        self.applied_index = 0
        self.digest = 0
        self.digests: dict[EntryId, int] = {}
        self.reads: list[ReadReady] = []

    @property
    def is_wiped(self) -> bool:
        return self.disk.is_wiped

    @property
    def up(self) -> RaftNode:
        """The node, which must be up."""
        assert self.node is not None, f"{self.name} is down"
        return self.node


@dataclass(slots=True)
class Committed:
    """One entry of the one true log, and the term of the leader that committed it."""

    entry: Entry
    digest: int
    committed_in_term: int


class Cluster:
    """Servers by name, the wire between them, and the true log as seen from outside."""

    def __init__(
        self,
        configuration: Configuration,
        choose: Callable[[int, int], int] | None = None,
        settings: Settings = SETTINGS,
        others: Sequence[str] = (),
    ) -> None:
        """All voters begin with `configuration` as entry 1; `others` are running nodes with an empty log."""
        self.choose = choose or random.Random(1).randint
        self.settings = settings
        self.wire: list[Envelope] = []
        #: Snapshots on their way, (sender, receiver): the service runs one transfer to a peer at a time.
        self.transfers: set[tuple[str, str]] = set()
        self.servers: dict[str, Server] = {}
        self.history: list[Committed] = []
        self.leaders: dict[int, str] = {}
        self.known: dict[EntryId, tuple[int, Entry]] = {}
        self.refused: list[str] = []
        self.marks: Counter[str] = Counter()
        for name in configuration.members:
            self.start(name, Disk(HardState(1), entries=[first_entry(configuration)]))
            self[name].state.ticks_since_leader = settings.election_timeout_ticks  # They have been up for long.
        for name in others:
            self.start_empty(name)

    def __getitem__(self, name: str) -> RaftNode:
        return self.servers[name].up

    # --- events ----------------------------------------------------------------------------------

    def start(self, name: str, disk: Disk) -> None:
        """Start a node from what its disk holds."""
        if disk.recover():
            self.marks["log dropped at a restart"] += 1
        server = self.servers[name] = Server(name, disk)
        server.node = RaftNode(name, self.settings, self.choose, disk.hard_state, disk.snapshot, disk.base, tuple(disk.entries))
        if disk.snapshot is not None:
            server.applied_index, server.digest = disk.snapshot.index, disk.digest
        check_state(server.up.state)
        self.settle(name)

    def crash(self, name: str, save_survives: bool = False) -> None:
        """Stop a node at once. What was not saved is lost; the save on its way, too, unless it just made it."""
        server = self.servers[name]
        if save_survives and server.saving is not None:
            self._write(server, server.saving)
        server.node, server.saving = None, None

    def start_empty(self, name: str) -> None:
        """Start a node that was never a member of anything."""
        self.start(name, Disk())

    def restart(self, name: str) -> None:
        """Start a node again from its disk."""
        self.start(name, self.servers[name].disk)

    def wipe(self, name: str) -> None:
        """Lose the whole disk and start again under the old id (D19)."""
        self.start(name, Disk(is_wiped=True))

    def tick(self, name: str, count: int = 1) -> None:
        for _ in range(count):
            self.act(name, self[name].tick)

    def deliver(self, envelope: Envelope) -> None:
        """Hand in one message, if its receiver is up."""
        server = self.servers[envelope.to]
        if server.node is None:
            return
        node = server.node
        if isinstance(envelope.message, InstallSnapshot):
            server.digests[envelope.message.snapshot.id] = self.history[envelope.message.snapshot.index - 1].digest
        refused: list[str | None] = []
        self.act(envelope.to, lambda: refused.append(node.step(envelope)))
        if refused[0] is not None:
            self.refused.append(refused[0])

    def deliver_from(self, sender: str, to: str, message: Message) -> None:
        """Hand in a message that a test made up."""
        self.deliver(Envelope(sender, to, message))

    def saved(self, name: str) -> None:
        """The save on its way is durable."""
        server = self.servers[name]
        save = server.saving
        require(save is not None, f"{name} saves nothing")
        assert save is not None
        self._write(server, save)
        server.saving = None
        node = server.up
        self.act(name, lambda: node.saved(save.number))

    def take_snapshot(self, name: str, kept_entries_count: int = 0) -> Snapshot | None:
        """Snapshot what is applied, and compact all but some entries behind it; None when there is nothing new."""
        server = self.servers[name]
        node, index = server.up, server.applied_index
        if index <= node.state.snapshot_index:
            return None
        snapshot = Snapshot(index, node.term_at(index), node.configuration_at(index))
        first_index = node.first_index_to_keep(kept_entries_count, 1 << 30, index)
        if server.disk.snapshot is None or server.disk.snapshot.index < index:
            server.disk.snapshot, server.disk.digest = snapshot, server.digest
        self.act(name, lambda: node.compacted(snapshot, first_index))
        server.disk.compact(node.state.log.first_index)
        return snapshot

    def act(self, name: str, event: Callable[[], object]) -> object:
        """Let one event happen to one node, carry out what it asks for, and check everything."""
        server = self.servers[name]
        state = server.up.state
        before = facts(state)
        configuration = state.configurations.current_index
        try:
            return event()
        finally:
            after = facts(state)
            check_state(state)
            check_step(before, after)
            if before.last.index > state.log.base.index and not state.log.holds(before.last):
                self._mark_truncation(server, configuration)
            self._observe(server)
            self.settle(name)

    def settle(self, name: str) -> None:
        """Carry out what a node asks for."""
        server = self.servers[name]
        node = server.up
        is_busy = False
        while (ready := node.ready()) is not None:
            is_busy = True
            if ready.save is not None:
                require(server.saving is None, "two saves at a time")
                server.saving = ready.save
                self._know(node, ready.save)
            for envelope in ready.send:
                self._post(envelope)
            if ready.restore is not None:
                server.applied_index, server.digest = ready.restore.index, server.digests[ready.restore.id]
            for entry in ready.committed:
                self._apply(server, entry)
            server.reads += ready.reads
        if is_busy:
            check_state(node.state)
            self._observe(server)

    def _post(self, envelope: Envelope) -> None:
        """One transfer of a snapshot to a peer at a time, as the service has it."""
        if isinstance(envelope.message, InstallSnapshot):
            for other in self.wire:
                if isinstance(other.message, InstallSnapshot) and (other.sender, other.to) == (envelope.sender, envelope.to):
                    return
        self.wire.append(envelope)

    # --- what must always hold -------------------------------------------------------------------

    def _write(self, server: Server, save: Save) -> None:
        """Put a save on disk; no disk ever loses a committed entry that it had."""
        disk = server.disk
        lowest = None
        if save.install is not None and not save.install.keep_suffix:
            lowest = save.install.snapshot.index + 1
            self.marks["install drops the log"] += 1
        elif save.install is not None:
            self.marks["install keeps the suffix"] += 1
        elif save.truncate_from is not None:
            lowest = save.truncate_from
        if lowest is not None and lowest <= len(self.history):
            entry = disk.entry_at(lowest)
            true = self.history[lowest - 1].entry
            require(entry is None or entry.id != true.id, f"{server.name} drops the committed entry {true.id} from its disk")
        disk.save(save, server.digests)

    def _know(self, node: RaftNode, save: Save) -> None:
        """Log Matching: an entry's id says what it is and what precedes it, in every log."""
        for entry in save.entries:
            previous = (node.term_at(entry.index - 1), entry)
            known = self.known.setdefault(entry.id, previous)
            require(known == previous, f"Log Matching: {previous} and {known} have one id")

    def _observe(self, server: Server) -> None:
        """Election Safety, Leader Completeness, and whatever was committed just now."""
        state = server.up.state
        if state.role is Role.LEADER:
            leader = self.leaders.setdefault(state.term, server.name)
            require(leader == server.name, f"Election Safety: {leader} and {server.name} lead term {state.term}")
            if state.leading is not None and len(self.leaders) > self.marks["leaders"]:
                self.marks["leaders"] = len(self.leaders)
                self._check_completeness(server)
            self._check_changes(server)
        if state.commit_index > len(self.history):
            self._committed(server)
        elif state.commit_index:
            true = self.history[state.commit_index - 1].entry
            require(
                state.log.holds(true.id),
                f"State Machine Safety: {server.name} committed another entry than {true.id} at {true.index}",
            )

    def _check_changes(self, server: Server) -> None:
        """One change at a time, and none before this reign has committed something (Section 4.1, M1, M2)."""
        state = server.up.state
        index = state.configurations.current_index
        if state.leading is None or index <= state.commit_index or state.log.term_at(index) != state.term:
            return
        require(state.commit_index >= state.leading.noop_index, f"{server.name} changes members before it commits anything (M2)")
        between = state.log.between(state.commit_index + 1, index - 1)
        require(all(entry.configuration is None for entry in between), f"{server.name} makes two changes at a time (M1)")

    def _check_completeness(self, server: Server) -> None:
        state = server.up.state
        for committed in self.history[state.log.base.index :]:
            require(
                committed.committed_in_term >= state.term or state.log.holds(committed.entry.id),
                f"Leader Completeness: {server.name}, leader of term {state.term}, lacks {committed.entry.id}",
            )

    def _committed(self, server: Server) -> None:
        """The first to commit must be a leader, and a majority of its voters must have the entry on disk."""
        state = server.up.state
        last = state.log.entry_at(state.commit_index)
        require(state.term == last.term, f"{server.name} commits {last.id} by counting in term {state.term} (Section 3.6.2)")
        disks = {name: self.servers[name].disk for name in state.configuration.voters}
        # A disk that was lost may have had the entry: its answer was true when it was sent.
        holders = [name for name, disk in disks.items() if disk.holds(last.id) or disk.is_wiped]
        require(
            len(holders) * 2 > len(state.configuration.voters),
            f"{server.name} commits {last.id} of {state.configuration} with only {holders} having it on disk",
        )
        if not self.servers[server.name].disk.holds(last.id):
            self.marks["committed before the own disk had it"] += 1
        for index in range(len(self.history) + 1, state.commit_index + 1):
            entry = state.log.entry_at(index)
            digest = digest_of(self.history[-1].digest if self.history else 0, entry)
            self.history.append(Committed(entry, digest, state.term))

    def _apply(self, server: Server, entry: Entry) -> None:
        require(entry.index == server.applied_index + 1, f"{server.name} applies {entry.index} after {server.applied_index}")
        server.applied_index = entry.index
        server.digest = digest_of(server.digest, entry)
        true = self.history[entry.index - 1]
        require(
            entry == true.entry and server.digest == true.digest,
            f"State Machine Safety: {server.name} applies {entry}, others {true.entry}",
        )

    def _mark_truncation(self, server: Server, configuration_index: int) -> None:
        state = server.up.state
        self.marks["truncation"] += 1
        if server.saving is not None and not all(state.log.holds(entry.id) for entry in server.saving.entries):
            self.marks["truncation while saving"] += 1
        if state.configurations.current_index < configuration_index:
            self.marks["configuration rolled back"] += 1

    # --- vocabulary for tests --------------------------------------------------------------------

    def leader(self) -> str | None:
        """Who leads the latest term, if anybody who is up does."""
        leading = [name for name, server in self.servers.items() if server.node and server.node.role is Role.LEADER]
        return max(leading, key=lambda name: self[name].current_term, default=None)

    def save_all(self, *but: str) -> None:
        """Let every save on its way be done, but those of some nodes."""
        for name, server in self.servers.items():
            while server.node is not None and server.saving is not None and name not in but:
                self.saved(name)

    def pump(self, *cut: str, stalled: Sequence[str] = ()) -> None:
        """Deliver and save until all is quiet. Nothing comes from or to `cut`; disks of `stalled` do nothing."""
        while True:
            self.save_all(*stalled)
            if not self.wire:
                return
            envelope = self.wire.pop(0)
            if envelope.sender not in cut and envelope.to not in cut:
                self.deliver(envelope)

    def pass_time(self, ticks: int, *cut: str, stalled: Sequence[str] = ()) -> None:
        """Let everybody who is up tick, delivering as in `pump` after each tick."""
        for _ in range(ticks):
            for name, server in self.servers.items():
                if server.node is not None:
                    self.tick(name)
            self.pump(*cut, stalled=stalled)

    def elect(self, name: str) -> RaftNode:
        """Let `name` time out, and win; the others hear no other leader any more. Everything is delivered."""
        for other, server in self.servers.items():
            if server.node is not None and other != name and server.node.role is not Role.LEADER:
                while server.node.state.hears_leader:
                    server.node.state.ticks_since_leader += 1
        self.time_out(name)
        self.pump()
        assert self[name].role is Role.LEADER, f"{name} was not elected"
        return self[name]

    def time_out(self, name: str) -> None:
        """Tick until the election timer fires."""
        node = self[name]
        node.state.election_ticks = node.state.randomized_election_timeout_ticks - 1
        self.tick(name)

    def propose(self, name: str, command: bytes = b"{}") -> EntryId:
        entry_id = self.act(name, lambda: self[name].propose(command))
        assert isinstance(entry_id, EntryId)
        return entry_id

    def write(self, name: str, command: bytes = b"{}") -> EntryId:
        """Propose, and let it be committed and known everywhere."""
        entry_id = self.propose(name, command)
        self.pump()
        self.pass_time(1)
        return entry_id

    def must_lead(self) -> RaftNode:
        leader = self.leader()
        if leader is None:
            raise NotLeader(None)
        return self[leader]

    def take(self, to: str, kind: type | None = None, sender: str | None = None) -> list[Envelope]:
        """Take some messages off the wire."""
        taken = [
            envelope
            for envelope in self.wire
            if envelope.to == to
            and (kind is None or isinstance(envelope.message, kind))
            and (sender is None or envelope.sender == sender)
        ]
        self.wire = [envelope for envelope in self.wire if all(envelope is not other for other in taken)]
        return taken
