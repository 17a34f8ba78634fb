"""The state machine and what waits for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from clusters import Outcome
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hraft import limits
from hraft.errors import LogCorrupted, OutcomeUnknown, ProposalDropped
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryId, EntryKind, Snapshot
from hraft.service.applying import Applying
from hraft.service.events import Events
from hraft.service.proposals import Applied, Proposals
from hraft.simulation.thread import SimulatedThread


class Tape:
    """A state machine that remembers what it was given, and may take its time."""

    def __init__(self, clock: Clock, lines: Iterable[bytes] = ()) -> None:
        self.clock = clock
        self.applied = [line.decode() for line in lines]
        self.seconds_each = 0.0

    def apply(self, index: int, command: bytes) -> str:
        self.clock.rightNow += self.seconds_each
        if command == b'"broken"':
            raise ValueError("a state machine must never raise")
        self.applied.append(f"{index}:{command.decode()}")
        return f"did {index}"

    def snapshot(self) -> Iterable[bytes]:
        return [line.encode() for line in self.applied]

    def restored(self, lines: Iterable[bytes]) -> Tape:
        return Tape(self.clock, lines)


class Shelf:
    """Storage, as far as reading snapshots goes."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.missing: set[int] = set()

    @contextmanager
    def read_snapshot(self, snapshot: Snapshot) -> Iterator[Iterator[bytes]]:
        self.read.append(snapshot.index)
        if snapshot.index in self.missing:
            raise LogCorrupted(f"no snapshot of entry {snapshot.index}")
        yield iter([b"up to %d" % snapshot.index])


def commands(first: int, last: int) -> tuple[Entry, ...]:
    return tuple(Entry(index, 1, EntryKind.COMMAND, b"%d" % index) for index in range(first, last + 1))


def snapshot_at(index: int) -> Snapshot:
    return Snapshot(index, 1, Configuration(voters={"node0": "node0:1"}))


class ApplyingTests(SynchronousTestCase):
    """In order, once each, and never too much at a time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.shelf = Shelf()
        self.proposals = Proposals()
        self.halted: list[str] = []
        self.heard_count = 0
        self.thread = SimulatedThread(self.clock, 1.0)
        storage: Any = self.shelf
        machine: Any = Tape(self.clock)
        self.applying = Applying(
            self.clock, storage, machine, self.proposals, self.thread, self.heard, self.halted.append, Events("node0")
        )

    def heard(self) -> None:
        self.heard_count += 1

    @property
    def tape(self) -> Tape:
        machine = self.applying.state_machine
        assert isinstance(machine, Tape)
        return machine

    @pytest.mark.scenario("L19")
    def test_in_order_and_answered(self) -> None:
        """Who proposed an entry gets the state machine's own answer to it; entries that are no commands are not for it."""
        waiting = Outcome(self.proposals.wait(EntryId(1, 2), 0.0))
        configuration = Configuration(voters={"node0": "node0:1"})
        self.applying.committed((Entry(1, 1, EntryKind.CONFIGURATION, configuration=configuration), *commands(2, 3)))
        self.applying.committed((Entry(4, 1, EntryKind.NOOP), *commands(5, 5)))
        self.assertEqual(["2:2", "3:3", "5:5"], self.tape.applied)
        self.assertEqual(Applied(2, "did 2"), waiting.value)
        self.assertEqual((EntryId(1, 5), configuration), (self.applying.applied_id, self.applying.configuration))

    def test_a_turn_has_an_end(self) -> None:
        """A long log to apply must not keep heartbeats from leaving."""
        self.applying.committed(commands(1, limits.APPLY_TURN_ENTRIES_COUNT + 1))
        self.assertEqual(limits.APPLY_TURN_ENTRIES_COUNT, len(self.tape.applied))
        self.clock.advance(0.0)
        self.assertEqual(limits.APPLY_TURN_ENTRIES_COUNT + 1, len(self.tape.applied))

    def test_a_turn_has_an_end_in_time_too(self) -> None:
        """Entries may be large, and the answers to clients take longer than the entries."""
        self.tape.seconds_each = limits.APPLY_TURN_SECONDS / 10
        self.applying.committed(commands(1, 200))
        self.assertLess(len(self.tape.applied), 100)
        self.clock.pump([0.0] * 20)
        self.assertEqual(200, len(self.tape.applied))

    @pytest.mark.scenario("L24")
    def test_the_lag_is_bounded(self) -> None:
        """What cannot be applied should not be taken: refused while too much is committed and not applied."""
        self.applying.expect_restore(snapshot_at(3))
        self.applying.committed(commands(4, 4 + limits.APPLY_LAG_ENTRIES_COUNT))
        self.assertRaises(ProposalDropped, self.applying.check_lag)
        self.applying.restore(self.applying._restore)  # type: ignore[arg-type]
        self.clock.pump([1.0] + [0.0] * 200)
        self.applying.check_lag()
        self.assertEqual(4 + limits.APPLY_LAG_ENTRIES_COUNT, self.applying.applied_id.index)

    @pytest.mark.scenario("S7")
    def test_what_is_committed_during_a_restore_waits(self) -> None:
        """The old state machine is behind the snapshot, the new one is not there yet: neither may take the entries."""
        self.applying.committed(commands(1, 2))
        snapshot = snapshot_at(9)
        self.applying.expect_restore(snapshot)
        self.applying.restore(snapshot)
        self.applying.committed(commands(10, 11))
        self.assertEqual(["1:1", "2:2"], self.tape.applied)
        self.clock.advance(1.0)
        self.assertEqual(["up to 9", "10:10", "11:11"], self.tape.applied)
        self.assertEqual((EntryId(1, 11), snapshot.configuration), (self.applying.applied_id, self.applying.configuration))

    def test_entries_that_waited_and_are_in_the_snapshot_are_not_applied_again(self) -> None:
        """A snapshot may overtake entries that were committed but had to wait for their turn; their clients cannot know."""
        late = limits.APPLY_TURN_ENTRIES_COUNT + 1
        self.applying.committed(commands(1, late + 2))
        waiting = Outcome(self.proposals.wait(EntryId(1, late + 2), 0.0))
        self.applying.expect_restore(snapshot_at(late + 5))
        self.assertIsInstance(waiting.error, OutcomeUnknown)
        self.applying.committed(commands(late + 6, late + 6))
        self.applying.restore(self.applying._restore)  # type: ignore[arg-type]
        self.clock.advance(1.0)
        self.assertEqual([f"up to {late + 5}", f"{late + 6}:{late + 6}"], self.tape.applied)

    @pytest.mark.scenario("S13")
    def test_two_snapshots_in_short_order(self) -> None:
        """The newer one counts, also when the older one's file has gone before it was read to the end."""
        first, second = snapshot_at(5), snapshot_at(9)
        self.applying.expect_restore(first)
        self.applying.restore(first)
        self.shelf.missing.add(5)
        self.applying.expect_restore(second)
        self.applying.restore(second)
        self.applying.committed(commands(10, 10))
        self.clock.pump([1.0, 1.0])
        self.assertEqual((["up to 9", "10:10"], []), (self.tape.applied, self.halted))
        self.assertEqual([5, 9], self.shelf.read)

    @pytest.mark.scenario("S13")
    def test_the_older_of_two_snapshots_is_not_shown(self) -> None:
        """Not even for a moment: entries between the two would be applied to it, that are not there to be applied."""
        first, second = snapshot_at(5), snapshot_at(9)
        self.applying.expect_restore(first)
        self.applying.restore(first)
        self.applying.expect_restore(second)
        self.applying.committed(commands(10, 10))
        self.clock.advance(1.0)
        self.assertEqual(([], True), (self.tape.applied, self.applying.is_restoring))
        self.applying.restore(second)
        self.clock.pump([1.0, 1.0])
        self.assertEqual((["up to 9", "10:10"], []), (self.tape.applied, self.halted))

    def test_a_snapshot_that_cannot_be_read_stops_the_node(self) -> None:
        """It was verified when it came, so the disk is not what it was; and there is no state to go on from."""
        self.shelf.missing.add(5)
        snapshot = snapshot_at(5)
        self.applying.expect_restore(snapshot)
        self.applying.restore(snapshot)
        self.clock.advance(1.0)
        self.assertEqual(1, len(self.halted))

    @pytest.mark.scenario("X4")
    def test_a_state_machine_that_raises_stops_the_node(self) -> None:
        """Skipping the entry would make this node differ from the others for ever."""
        self.applying.committed((*commands(1, 1), Entry(2, 1, EntryKind.COMMAND, b'"broken"'), *commands(3, 3)))
        self.assertEqual((["1:1"], 1), (self.tape.applied, len(self.halted)))
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_counts_since_the_last_snapshot(self) -> None:
        """By which the next one is due; a received one counts as well as our own."""
        self.applying.committed(commands(1, 3))
        size_bytes = sum(entry.size_bytes for entry in commands(1, 3))
        counted = (self.applying.entries_since_snapshot_count, self.applying.bytes_since_snapshot)
        self.assertEqual((3, size_bytes), counted)
        self.applying.restore_now(snapshot_at(9))
        self.assertEqual((0, 0), (self.applying.entries_since_snapshot_count, self.applying.bytes_since_snapshot))
