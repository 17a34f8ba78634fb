"""One node alone on the stage: the test plays its peers, its disk and its clock, and sees every message it sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from raft_cluster import SETTINGS, first_entry, voters

from hraft.raft.configuration import Configuration
from hraft.raft.entry import ORIGIN, Entry, EntryId, EntryKind, HardState, Snapshot
from hraft.raft.invariants import check_state, check_step, facts
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Envelope,
    Message,
    PreVoteResponse,
    RequestVoteResponse,
)
from hraft.raft.node import RaftNode
from hraft.raft.ready import ReadReady, Ready, Role, Save
from hraft.raft.settings import Settings

THREE = voters("n1", "n2", "n3")
Sent = tuple[str, Message]
Kind = TypeVar("Kind")


def command(index: int, term: int, text: bytes = b"{}") -> Entry:
    return Entry(index, term, EntryKind.COMMAND, text)


def configuration_entry(index: int, term: int, configuration: Configuration) -> Entry:
    return Entry(index, term, EntryKind.CONFIGURATION, configuration=configuration)


def log_of(*terms: int, configuration: Configuration = THREE) -> tuple[Entry, ...]:
    """Entry 1 with the configuration, then commands with these terms."""
    return (first_entry(configuration), *(command(index, term) for index, term in enumerate(terms, 2)))


def heartbeat(term: int, prev: EntryId = ORIGIN, commit: int = 0, read_round: int = 0) -> AppendEntries:
    return AppendEntries(term, prev.index, prev.term, (), commit, read_round)


def append(term: int, prev: EntryId, *entries: Entry, commit: int = 0) -> AppendEntries:
    return AppendEntries(term, prev.index, prev.term, entries, commit)


def accepted(
    term: int, index: int, prev: int | None = None, last: int | None = None, read_round: int = 0
) -> AppendEntriesResponse:
    """A follower has everything up to `index` on disk."""
    return AppendEntriesResponse(
        term, True, index if prev is None else prev, index, last_log_index=index if last is None else last, read_round=read_round
    )


def of_kind(sent: list[Sent], kind: type[Kind], to: str | None = None) -> list[Kind]:
    """Those messages that are of a kind, and to somebody."""
    return [message for name, message in sent if isinstance(message, kind) and to in (None, name)]


class Solo:
    """`n1`, with `saves` deciding whether its disk works at once or only on `save()`.

    It has been there for long, and heard of no leader, unless it is `fresh`.
    """

    def __init__(
        self,
        entries: tuple[Entry, ...] = log_of(),
        hard_state: HardState | None = None,
        snapshot: Snapshot | None = None,
        base: EntryId = ORIGIN,
        settings: Settings = SETTINGS,
        saves: bool = True,
        choose: Callable[[int, int], int] = lambda low, high: low,
        fresh: bool = False,
    ) -> None:
        last_term = entries[-1].term if entries else base.term
        self.saves = saves
        self.saving: Save | None = None
        self.done: list[Save] = []
        self.readies: list[Ready] = []
        self.committed: list[Entry] = []
        self.reads: list[ReadReady] = []
        self.node = RaftNode("n1", settings, choose, hard_state or HardState(last_term), snapshot, base, entries)
        self.state = self.node.state
        if not fresh:
            self.state.ticks_since_leader = settings.election_timeout_ticks

    @property
    def term(self) -> int:
        return self.node.current_term

    @property
    def terms(self) -> list[int]:
        """The terms of the log's entries, from the first one kept on."""
        return [self.node.term_at(index) for index in range(self.state.log.first_index, self.node.last_index + 1)]

    def act(self, event: Callable[[], Any]) -> list[Sent]:
        """Let one event happen; returns what was sent then."""
        before = facts(self.state)
        try:
            event()
        finally:
            check_state(self.state)
            check_step(before, facts(self.state))
            sent = self._settle()
        return sent

    def hear(self, sender: str, message: Message) -> list[Sent]:
        """A message arrives; it must not be refused."""

        def step() -> None:
            reason = self.node.step(Envelope(sender, "n1", message))
            assert reason is None, reason

        return self.act(step)

    def refuses(self, sender: str, message: Message) -> str | None:
        """A message arrives that should be refused; returns why it was."""
        reasons: list[str | None] = []
        self.act(lambda: reasons.append(self.node.step(Envelope(sender, "n1", message))))
        return reasons[0]

    def tick(self, count: int = 1) -> list[Sent]:
        return [message for _ in range(count) for message in self.act(self.node.tick)]

    def save(self) -> list[Sent]:
        """The save on its way is done; returns what was waiting for it."""
        save, self.saving = self.saving, None
        assert save is not None, "nothing is on its way to the disk"
        self.done.append(save)
        return self.act(lambda: self.node.saved(save.number))

    def time_out(self) -> list[Sent]:
        """Tick until the election timeout is over."""
        self.state.election_ticks = self.state.randomized_election_timeout_ticks - 1
        return self.tick()

    def stand(self, *agreeing: str) -> list[Sent]:
        """Become a candidate: everybody agrees in the pre-vote."""
        self.time_out()
        return [
            message
            for peer in agreeing or self.others
            for message in self.hear(peer, PreVoteResponse(self.term + (self.node.role is Role.PRE_CANDIDATE), True))
        ]

    def lead(self) -> list[Sent]:
        """Become a leader by everybody's vote."""
        self.stand()
        sent: list[Sent] = []
        for peer in self.others:
            if self.node.role is Role.CANDIDATE:
                sent += self.hear(peer, RequestVoteResponse(self.term, True))
        assert self.node.role is Role.LEADER, self.node.role
        return sent

    def reign(self) -> list[Sent]:
        """Become a leader whose no-op is committed and on everybody's disk."""
        self.lead()
        return self.all_accept()

    def all_accept(self) -> list[Sent]:
        """Every other member has the whole log on disk."""
        sent: list[Sent] = []
        for peer in list(self.state.leading.progress if self.state.leading else {}):
            if self.node.role is Role.LEADER:
                sent += self.hear(peer, accepted(self.term, self.node.last_index))
        return sent

    def propose(self, text: bytes = b"{}") -> list[Sent]:
        return self.act(lambda: self.node.propose(text))

    @property
    def others(self) -> list[str]:
        return [name for name in self.node.configuration.voters if name != "n1"]

    def _settle(self) -> list[Sent]:
        sent: list[Sent] = []
        while (ready := self.node.ready()) is not None:
            self.readies.append(ready)
            sent += [(envelope.to, envelope.message) for envelope in ready.send]
            self.committed += ready.committed
            self.reads += ready.reads
            if ready.save is not None:
                assert self.saving is None, "two saves at a time"
                self.saving = ready.save
            if self.saves and self.saving is not None:
                save, self.saving = self.saving, None
                self.done.append(save)
                self.node.saved(save.number)
            check_state(self.state)
        return sent
