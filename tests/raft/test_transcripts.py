"""The stage that the stories in `transcripts/` are played on: each command is a method, each answer a list of lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import TestCase

import pytest
from raft_cluster import Cluster, Disk, voters
from transcript import run_transcript

from hraft.errors import HraftError
from hraft.raft.entry import Entry, EntryKind, HardState
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Envelope,
    InstallSnapshot,
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from hraft.raft.ready import Role, Save
from hraft.raft.settings import Settings

FOLDER = Path(__file__).parent / "transcripts"
STORIES = sorted(path.stem for path in FOLDER.glob("*.txt"))
TEXTS = {EntryKind.NOOP: "noop"}


def text_of_entry(entry: Entry) -> str:
    """`3.2:set` is entry 3 of term 2."""
    if entry.configuration is not None:
        members = [*entry.configuration.voters, *(f"({learner})" for learner in entry.configuration.learners)]
        return f"{entry.index}.{entry.term}:[{' '.join(members)}]"
    return f"{entry.index}.{entry.term}:{TEXTS.get(entry.kind) or entry.command.decode()}"


def text_of(message: Message) -> str:
    """A message on one line, without what is always so."""
    if isinstance(message, AppendEntries):
        entries = f" {', '.join(text_of_entry(entry) for entry in message.entries)}" if message.entries else " heartbeat"
        read_round = f" round {message.read_round}" if message.read_round else ""
        place = f"after {message.prev_log_index}.{message.prev_log_term}"
        return f"AppendEntries term {message.term} {place}{entries} commit {message.leader_commit}{read_round}"
    if isinstance(message, AppendEntriesResponse):
        read_round = f" round {message.read_round}" if message.read_round else ""
        if message.success:
            return f"AppendEntriesResponse term {message.term} match {message.match_index}{read_round}"
        hint = f"conflict {message.conflict_index}.{message.conflict_term} last {message.last_log_index}"
        return f"AppendEntriesResponse term {message.term} refused {message.prev_log_index}: {hint}{read_round}"
    if isinstance(message, InstallSnapshot):
        return f"InstallSnapshot term {message.term} of {message.snapshot.index}.{message.snapshot.term}"
    if isinstance(message, PreVoteResponse | RequestVoteResponse):
        return f"{type(message).__name__} term {message.term} {'granted' if message.vote_granted else 'refused'}"
    if isinstance(message, PreVote | RequestVote):
        transfer = " transfer" if isinstance(message, RequestVote) and message.leadership_transfer else ""
        return f"{type(message).__name__} term {message.term} last {message.last_log_index}.{message.last_log_term}{transfer}"
    words = [f"{name} {getattr(message, name)}" for name in message.__slots__]
    return f"{type(message).__name__} {' '.join(words)}"


def text_of_save(save: Save) -> str:
    """What a save would put on disk."""
    words = [f"term {save.hard_state.term}"]
    if save.hard_state.voted_for:
        words.append(f"vote {save.hard_state.voted_for}")
    if save.install:
        words.append(f"install {save.install.snapshot.index}" + (" keep the rest" if save.install.keep_suffix else ""))
    if save.truncate_from is not None:
        words.append(f"truncate from {save.truncate_from}")
    words += [text_of_entry(entry) for entry in save.entries]
    return " ".join(words)


class Stage:
    """Commands: see `docs/raft.md`, "Transcripts"."""

    def __init__(self) -> None:
        self.cluster = Cluster(voters("nobody"))
        self.told: list[str] = []
        self.stalled: set[str] = set()
        self.entries_count = 4

    def __call__(self, line: str) -> list[str]:
        verb, *names = line.split()
        self.told = []
        try:
            getattr(self, verb.replace("-", "_"))(*names)
        except HraftError as error:
            self.told.append(f"{type(error).__name__}: {error}")
        return self.told

    # --- the cast --------------------------------------------------------------------------------

    def entries_per_message(self, count: str) -> None:
        """How many entries one AppendEntries may carry; before `voters`."""
        self.entries_count = int(count)

    def voters(self, *names: str) -> None:
        """Begin with these voters; `n1:1,2,2` has a log of those terms (entry 1 is the configuration)."""
        logs = dict(name.partition(":")[::2] for name in names)
        settings = Settings(10, 3, append_entries_count=self.entries_count, inflight_messages_count=3)
        self.cluster = Cluster(voters(*logs), lambda low, high: low, settings)
        for name, log in logs.items():
            if log:
                first = self.cluster.servers[name].disk.entries[0]
                terms = [int(term) for term in log.split(",")]
                rest = [Entry(index, term, EntryKind.COMMAND, b"t%d" % term) for index, term in enumerate(terms[1:], 2)]
                self.cluster.start(name, Disk(HardState(terms[-1]), entries=[first, *rest]))
                self.cluster[name].state.ticks_since_leader = settings.election_timeout_ticks
        self.cluster.choose = lambda low, high: low

    def empty(self, name: str) -> None:
        """Start a node that never was a member of anything."""
        self.cluster.start_empty(name)

    def crash(self, name: str) -> None:
        self.cluster.crash(name)

    def restart(self, name: str) -> None:
        self._around(name, lambda: self.cluster.restart(name))

    # --- time ------------------------------------------------------------------------------------

    def tick(self, name: str, count: str = "1") -> None:
        self._around(name, lambda: self.cluster.tick(name, int(count)))

    def timeout(self, name: str) -> None:
        """Tick until the election timer fires."""

        def fire() -> None:
            state = self.cluster[name].state
            self.cluster.tick(name, state.randomized_election_timeout_ticks - state.election_ticks)

        self._around(name, fire)

    # --- the wire and the disk -------------------------------------------------------------------

    def deliver(self, *names: str) -> None:
        """Hand in what is on the wire now, to everybody or to those named; their disks do their work at once."""
        for envelope in [envelope for envelope in self.cluster.wire if not names or envelope.to in names]:
            self._hand_in(envelope)

    def drop(self, *names: str) -> None:
        """Lose what is on its way to somebody, or to everybody."""
        for envelope in list(self.cluster.wire):
            if not names or envelope.to in names:
                self.cluster.wire.remove(envelope)

    def stall(self, name: str) -> None:
        """From now on this disk does one save at a time, with `save`."""
        self.stalled.add(name)

    def save(self, name: str) -> None:
        """The save on its way is done."""
        self._around(name, lambda: self.cluster.saved(name))

    def settle(self, *but: str) -> None:
        """Deliver and save until all is quiet, and tell only how everybody stands then. `but` hear and say nothing."""
        self.cluster.pump(*but, stalled=tuple(self.stalled))
        self.log()

    def pass_time(self, ticks: str, *but: str) -> None:
        """The same, tick by tick."""
        self.cluster.pass_time(int(ticks), *but, stalled=tuple(self.stalled))
        self.log()

    # --- what clients and operators ask ----------------------------------------------------------

    def propose(self, name: str, text: str) -> None:
        self._around(name, lambda: self.cluster.propose(name, text.encode()))

    def read(self, name: str, number: str) -> None:
        self._ask(name, lambda: self.cluster[name].read_index(int(number)))

    def add(self, name: str, learner: str) -> None:
        self._ask(name, lambda: self.cluster[name].add_learner(learner, f"{learner}:1"))

    def remove(self, name: str, gone: str) -> None:
        self._ask(name, lambda: self.cluster[name].remove(gone))

    def transfer(self, name: str, target: str) -> None:
        self._ask(name, lambda: self.cluster[name].transfer(target))

    def snapshot(self, name: str) -> None:
        """Snapshot what is applied, and keep no entry behind it."""
        self.cluster.take_snapshot(name)
        self._tell(name)

    # --- what is told ----------------------------------------------------------------------------

    def log(self) -> None:
        """How everybody stands."""
        for name in self.cluster.servers:
            self._tell(name)

    def progress(self, name: str) -> None:
        """How the leader sees its followers."""
        for peer, follower in self.cluster[name].status().followers.items():
            self.told.append(f"{peer} {follower.progress} match {follower.match_index} next {follower.next_index}")

    def _tell(self, name: str) -> None:
        server = self.cluster.servers[name]
        if server.node is None:
            self.told.append(f"{name} is down")
            return
        node = server.node
        terms = " ".join(str(node.term_at(index)) for index in range(node.state.log.first_index, node.last_index + 1))
        snapshot = f"snapshot {node.state.snapshot_index} " if node.state.snapshot_index else ""
        leader = "" if node.leader_id in (None, name) else f" of {node.leader_id}"
        self.told.append(
            f"{name} {node.role.value}{leader} term {node.current_term} {snapshot}log [{terms}] commit {node.commit_index}"
        )

    def _ask(self, name: str, event: Callable[[], object]) -> None:
        self._around(name, lambda: self.cluster.act(name, event))

    def _hand_in(self, envelope: Envelope) -> None:
        self.cluster.wire.remove(envelope)
        self.told.append(f"{envelope.sender}->{envelope.to} {text_of(envelope.message)}")
        self._around(envelope.to, lambda: self.cluster.deliver(envelope))

    def _around(self, name: str, event: Callable[[], object]) -> None:
        """Let something happen to a node, and tell what changed, what is saved and what is sent."""
        server = self.cluster.servers[name]
        before = self._facts(name)
        wire, saving = list(self.cluster.wire), server.saving
        event()
        server = self.cluster.servers[name]
        self._tell_changes(name, before)
        while server.node is not None and server.saving is not None:
            if server.saving is not saving:
                self.told.append(f"  {name} saves {text_of_save(server.saving)}")
            if name in self.stalled:
                break
            before, saving = self._facts(name), server.saving
            self.cluster.saved(name)
            self._tell_changes(name, before)
        self.told += [
            f"  {envelope.sender}->{envelope.to} {text_of(envelope.message)}"
            for envelope in self.cluster.wire
            if all(envelope is not other for other in wire)
        ]
        self.told += [
            f"  {name} read {read.read_id} " + ("failed" if read.read_index is None else f"confirmed at {read.read_index}")
            for read in server.reads
        ]
        server.reads.clear()

    def _facts(self, name: str) -> tuple[Role, int, int, int] | None:
        node = self.cluster.servers[name].node
        return None if node is None else (node.role, node.current_term, node.commit_index, node.last_index)

    def _tell_changes(self, name: str, before: tuple[Role, int, int, int] | None) -> None:
        after = self._facts(name)
        if before is None or after is None:
            self._tell(name)
            return
        if before[:2] != after[:2]:
            self.told.append(f"  {name} is a {after[0].value} in term {after[1]}")
        if before[2] != after[2]:
            self.told.append(f"  {name} commits {after[2]}")


@pytest.mark.parametrize("story", STORIES)
def test_story(story: str) -> None:
    """A change of behaviour shows as a diff that somebody has to read."""
    told, happened = run_transcript(FOLDER / f"{story}.txt", Stage())
    assert told == happened, f"{story}.txt tells another story; set UPDATE_TRANSCRIPTS=1 and read the diff"


class StageTests(TestCase):
    """The stage itself."""

    def test_there_are_stories(self) -> None:
        """A folder that moved would make every story pass."""
        self.assertGreaterEqual(len(STORIES), 9)
