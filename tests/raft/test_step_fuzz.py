"""`step()` takes whatever a peer may send: it never raises, and no message leaves a node in a state that cannot be."""

from __future__ import annotations

from unittest import TestCase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raft_cluster import SETTINGS, voters
from raft_solo import Solo, command, log_of

from hraft.errors import HraftError
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryId, EntryKind, HardState, Snapshot
from hraft.raft.invariants import check_state, check_step, facts
from hraft.raft.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Envelope,
    InstallSnapshot,
    InstallSnapshotResponse,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)

NAMES = ("n1", "n2", "n3", "n4", "")
names = st.sampled_from(NAMES)
#: Mostly what might be true, sometimes what can never be.
numbers = st.one_of(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.sampled_from((-1, 2**31, 2**63, 2**80)))
flags = st.booleans()
addresses = st.dictionaries(names, st.sampled_from(("a:1", "b:1", "c:1", "d:1")), max_size=4)
configurations = st.one_of(
    st.sets(names, min_size=1).map(sorted).map(lambda drawn: voters(*drawn)),
    st.builds(Configuration, addresses, addresses, st.lists(names, max_size=2).map(tuple)),
)
entries = st.builds(
    Entry, numbers, numbers, st.sampled_from(EntryKind), st.just(b"{}"), st.one_of(st.none(), st.none(), configurations)
)


@st.composite
def runs(draw: st.DrawFn) -> tuple[int, int, tuple[Entry, ...]]:
    """Entries that follow each other, as a correct leader would send them."""
    index, term = draw(st.integers(0, 6)), draw(st.integers(0, 4))
    terms = draw(st.lists(st.integers(0, 1), max_size=4))
    made = []
    for position, step in enumerate(terms, 1):
        last = made[-1].term if made else max(1, term)
        made.append(command(index + position, last + step))
    return index, term, tuple(made)


messages = st.one_of(
    st.builds(PreVote, numbers, numbers, numbers),
    st.builds(PreVoteResponse, numbers, flags),
    st.builds(RequestVote, numbers, numbers, numbers, flags),
    st.builds(RequestVoteResponse, numbers, flags),
    st.builds(AppendEntries, numbers, numbers, numbers, st.lists(entries, max_size=3).map(tuple), numbers, numbers),
    st.builds(lambda term, run, commit: AppendEntries(term, run[0], run[1], run[2], commit), st.integers(1, 9), runs(), numbers),
    st.builds(AppendEntriesResponse, numbers, flags, numbers, numbers, numbers, numbers, numbers, numbers),
    st.builds(InstallSnapshot, numbers, st.builds(Snapshot, numbers, numbers, configurations)),
    st.builds(InstallSnapshotResponse, numbers, numbers),
    st.builds(TimeoutNow, numbers),
)
envelopes = st.builds(Envelope, names, st.sampled_from(("n1", "n1", "n1", "n2")), messages)
verbs = st.sampled_from(
    ("tick", "time out", "saved", "propose", "read", "add", "remove", "transfer", "snapshot failed", "compact")
)
BEGINNINGS = ("new", "follower", "learner", "behind a snapshot", "candidate", "leader", "alone", "leader of many")


def begin(how: str) -> Solo:
    """A node in one of the situations that messages come in."""
    if how == "new":
        return Solo(())
    if how == "behind a snapshot":
        return Solo((command(4, 1), command(5, 2)), HardState(3, "n2"), Snapshot(4, 1, voters("n1", "n2", "n3")), EntryId(1, 3))
    if how == "learner":
        return Solo(log_of(1, configuration=voters("n2", "n3").with_learner("n1", "n1:1")))
    if how == "alone":
        return Solo(log_of(1, configuration=voters("n1")))
    solo = Solo(log_of(1, 1, 2))
    if how == "candidate":
        solo.stand()
    elif how.startswith("leader"):
        solo.reign()
        if how == "leader of many":
            solo.act(lambda: solo.node.add_learner("n4", "n4:1"))
    return solo


def act(solo: Solo, verb: str) -> None:
    """What the node's own service may ask, at any time."""
    node = solo.node
    try:
        if verb == "tick":
            node.tick()
        elif verb == "time out":
            solo.state.election_ticks += 30
            node.tick()
        elif verb == "propose":
            node.propose(b"{}")
        elif verb == "read":
            node.read_index(1)
        elif verb == "add":
            node.add_learner("n4", "n4:1")
        elif verb == "remove":
            node.remove("n3")
        elif verb == "transfer":
            node.transfer(None)
        elif verb == "snapshot failed":
            node.snapshot_failed("n2")
        elif verb == "compact":
            index = solo.state.applied_index
            if index > solo.state.snapshot_index:
                node.compacted(Snapshot(index, node.term_at(index), node.configuration_at(index)), index + 1)
        elif verb == "saved" and solo.saving is not None:
            save, solo.saving = solo.saving, None
            node.saved(save.number)
    except HraftError:
        return


class StepFuzzTests(TestCase):
    """Any messages, in any order, in any situation."""

    @pytest.mark.scenario("L16", "O10")
    @settings(max_examples=250)
    @given(st.sampled_from(BEGINNINGS), st.booleans(), st.lists(st.one_of(envelopes, envelopes, verbs), max_size=25))
    def test_l16_nothing_breaks_a_node(self, beginning: str, saves: bool, events: list[Envelope | str]) -> None:
        """Every refusal is a sentence; every state is legal; every step is one that may be."""
        solo = begin(beginning)
        solo.saves = saves
        for event in events:
            before = facts(solo.state)
            if isinstance(event, str):
                act(solo, event)
            else:
                reason = solo.node.step(event)
                self.assertTrue(reason is None or len(reason) > 10, reason)
            check_state(solo.state)
            check_step(before, facts(solo.state))
            solo._settle()
            self.assertEqual(list(range(1, len(solo.committed) + 1)), self.applied(solo))

    def applied(self, solo: Solo) -> list[int]:
        """Applied entries are gapless, but for what a snapshot stands for."""
        indexes = [entry.index for entry in solo.committed]
        return list(range(1, len(indexes) + 1)) if indexes == sorted(set(indexes)) else indexes

    @pytest.mark.scenario("L10")
    @settings(max_examples=100)
    @given(st.lists(envelopes.filter(lambda drawn: isinstance(drawn.message, AppendEntries | InstallSnapshot)), max_size=20))
    def test_l10_what_is_committed_stays(self, events: list[Envelope]) -> None:
        """No message, however wrong, takes a committed entry out of the log, or applies another in its place."""
        solo = Solo(log_of(1, 1, 2))
        for event in events:
            commit_index = solo.node.commit_index
            log = solo.state.log
            committed = [log.entry_at(index) for index in range(log.first_index, commit_index + 1)]
            solo.node.step(event)
            solo._settle()
            for entry in committed:
                self.assertTrue(entry.index <= log.base.index or log.entry_at(entry.index) == entry)

    def test_settings_of_these_tests(self) -> None:
        """The fuzz is about messages: settings are those of all the other tests."""
        self.assertEqual(SETTINGS, Solo().state.settings)
