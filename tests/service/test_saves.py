"""What is done when a save succeeds, finds no room, or fails."""

from __future__ import annotations

import pytest
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hraft.errors import ProposalDropped, StorageFailed, StorageFull
from hraft.limits import SMALL_SAVE_ENTRIES_COUNT
from hraft.raft.entry import Entry, EntryKind, HardState
from hraft.raft.ready import Save
from hraft.service.events import Events
from hraft.service.saves import Saves
from hraft.service.surroundings import RunInThread
from hraft.simulation.thread import SimulatedThread

SAVE = Save(1, HardState(1))


class FailingStorage:
    """Raises the given errors, one a call, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tried: list[Save] = []

    def save(self, save: Save) -> None:
        self.tried.append(save)
        if self.errors:
            raise self.errors.pop(0)


class SavesTests(SynchronousTestCase):
    """One at a time, and never again what failed."""

    def start(self, *errors: Exception) -> Saves:
        self.clock = Clock()
        self.storage = FailingStorage(*errors)
        self.saved: list[Save] = []
        self.halted: list[str] = []
        thread = SimulatedThread(self.clock, 0.0)
        self.reasons: list[str | None] = []
        saved, halted, told = self.saved.append, self.halted.append, self.reasons.append
        saves = Saves(self.clock, self.storage, thread, thread, saved, halted, Events("node0"), told)  # type: ignore[arg-type]
        saves.start(SAVE)
        self.clock.advance(0.0)
        return saves

    def test_durable(self) -> None:
        """The loop hears of it once."""
        saves = self.start()
        self.assertEqual(([SAVE], None), (self.saved, saves.in_flight))

    @pytest.mark.scenario("D3")
    def test_no_room_is_tried_again(self) -> None:
        """No room leaves nothing on disk, so the very same save may be repeated; meanwhile nothing counts as saved."""
        saves = self.start(StorageFull("no space left"), StorageFull("no space left"))
        self.assertRaisesRegex(ProposalDropped, "no space left", saves.check_room)
        self.assertEqual([], self.saved)
        self.clock.pump([1.0, 0.0, 1.0, 0.0])
        self.assertEqual(([SAVE] * 3, [SAVE]), (self.storage.tried, self.saved))
        self.assertIsNone(self.reasons.pop(), "whoever raised an alarm may clear it")
        self.assertTrue(all(self.reasons))
        saves.check_room()
        self.assertEqual(([], []), (self.halted, self.clock.getDelayedCalls()))

    @pytest.mark.scenario("D1")
    def test_a_failed_fsync_is_never_repeated(self) -> None:
        """The kernel may have dropped the pages: a second fsync that succeeds would vouch for nothing."""
        for error in (StorageFailed("fsync: EIO"), RuntimeError("anything else")):
            self.start(error)
            self.clock.pump([1.0] * 5)
            self.assertEqual(([SAVE], [], 1), (self.storage.tried, self.saved, len(self.halted)))

    def test_what_the_operator_reads(self) -> None:
        """One sentence that says what failed, once; for what is not hraft's own, its type as well."""
        self.start(StorageFailed("/data/log: fdatasync failed: EIO; what is on disk is unknown"))
        self.assertEqual(["a save failed: /data/log: fdatasync failed: EIO; what is on disk is unknown"], self.halted)
        self.start(RuntimeError("anything else"))
        self.assertEqual(["a save failed: RuntimeError('anything else')"], self.halted)

    def test_stopped_while_there_is_no_room(self) -> None:
        """A node that waits for room must still be able to stop."""
        saves = self.start(StorageFull("no space left"))
        saves.stop()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_small_ones_may_be_waited_for(self) -> None:
        """Few clients have nothing better to wait for; many want to be heard while the disk is busy."""
        small, large = (
            Save(1, HardState(1), entries=tuple(Entry(index, 1, EntryKind.NOOP) for index in range(1, count + 1)))
            for count in (SMALL_SAVE_ENTRIES_COUNT, SMALL_SAVE_ENTRIES_COUNT + 1)
        )
        ways: list[tuple[str, Save]] = []

        def way(name: str) -> RunInThread:
            return lambda function, save: succeed(ways.append((name, save)))

        saved, events = self.ignored, Events("node0")
        saves = Saves(Clock(), FailingStorage(), way("thread"), way("waited"), saved, saved, events, saved)  # type: ignore[arg-type]
        for save in (small, large):
            saves.start(save)
        self.assertEqual([("waited", small), ("thread", large)], ways)

    def ignored(self, told: object) -> None:
        """What it says does not matter."""
