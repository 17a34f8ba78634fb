"""The one loop, around a node that says what it is told to say."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hraft.interfaces import Timing
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, HardState, Snapshot
from hraft.raft.messages import Envelope, InstallSnapshot, TimeoutNow
from hraft.raft.ready import Install, ReadReady, Ready, Save
from hraft.service.events import Events
from hraft.service.loop import Loop

SNAPSHOT = Snapshot(9, 1, Configuration())
NOOP = Entry(1, 1, EntryKind.NOOP)
MESSAGE = Envelope("node0", "node1", TimeoutNow(1))


class ScriptedNode:
    """Gives the Readys it was told to, and writes down what happens to it and around it."""

    def __init__(self, story: list[Any]) -> None:
        self.story = story
        self.readys: list[Ready] = []
        self.error: Exception | None = None
        self.commit_index = 1

    def step(self, envelope: Envelope) -> None:
        if self.error is not None:
            raise self.error
        self.story.append("step")

    def tick(self) -> None:
        self.story.append("tick")

    def saved(self, number: int) -> None:
        self.story.append(("saved", number))

    def ready(self) -> Ready | None:
        self.story.append("ready")
        return self.readys.pop(0) if self.readys else None


class Recorder:
    """Stands for the parts around the loop: every call becomes a line of the story."""

    def __init__(self, story: list[Any], **quiet: bool) -> None:
        self._story = story

    def __getattr__(self, name: str) -> Any:
        def called(*arguments: Any) -> None:
            if name not in ("before_turn", "turned", "ticked"):
                self._story.append((name, *arguments))

        return called


class LoopTests(SynchronousTestCase):
    """Order and rhythm."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.story: list[Any] = []
        self.node: Any = ScriptedNode(self.story)
        self.halted: list[str] = []
        part: Any = Recorder(self.story)
        self.loop = Loop(self.clock, self.node, Timing(), part, part, part, part, Events("node0"), self.halted.append)

    def turn(self) -> list[Any]:
        """Let the reactor turn once; return what happened."""
        self.story.clear()
        self.clock.advance(0.0)
        return list(self.story)

    def test_everything_of_one_turn_goes_in_before_one_ready_comes_out(self) -> None:
        """Group commit without a timer: what arrives together is saved together."""
        for _ in range(3):
            self.loop.receive(MESSAGE)
        self.assertEqual(["step"] * 3, self.story)
        self.assertEqual(["ready"], self.turn())
        self.assertEqual([], self.turn())

    def test_order_inside(self) -> None:
        """What others are to write leaves first, then this node's own disk begins; the reads come last."""
        save, reads = Save(1, HardState(1)), (ReadReady(1, 1),)
        self.node.readys = [Ready(save, (MESSAGE,), None, (NOOP,), reads)]
        self.loop.wake()
        expected = ["ready", ("send", MESSAGE), ("start", save), ("committed", (NOOP,)), ("reads_confirmed", reads)]
        self.assertEqual(expected, self.turn())

    @pytest.mark.scenario("D1")
    def test_nothing_is_done_after_a_save_that_failed_at_once(self) -> None:
        """What was sent before it vouched for nothing; but nobody is answered by a node that must stop."""
        part: Any = self.loop._saves
        part.start = lambda save: self.loop.stop()
        self.node.readys = [Ready(Save(1, HardState(1)), (MESSAGE,), None, (NOOP,))]
        self.loop.wake()
        self.assertEqual(["ready", ("send", MESSAGE)], self.turn())

    def test_a_save_that_is_done_brings_the_next_turn_at_once(self) -> None:
        """What gathered while the disk was busy must not wait for anything else."""
        save = Save(1, HardState(1))
        self.loop.saved(save)
        self.assertEqual([("saved", 1), ("saved", save), "ready"], self.story)

    def test_a_save_that_is_done_within_its_turn_brings_another_in_the_same(self) -> None:
        """What a follower owes its leader does not wait for the reactor, as long as its disk is fast."""
        first, second = Save(1, HardState(1)), Save(2, HardState(1))
        part: Any = self.loop._saves
        part.start = self.loop.saved
        self.node.readys = [Ready(first), Ready(second, (MESSAGE,)), Ready(send=(MESSAGE,))]
        self.loop.wake()
        call_later = self.clock.callLater

        def later(*arguments: Any) -> Any:
            self.story.append("later")
            return call_later(*arguments)

        self.clock.callLater = later  # type: ignore[method-assign]
        one, other = [("saved", 1), ("saved", first)], [("saved", 2), ("saved", second)]
        # A client that always has more must not keep all others from being heard: the third comes through the reactor.
        expected = ["ready", *one, "ready", ("send", MESSAGE), *other, "later", "ready", ("send", MESSAGE)]
        self.assertEqual(expected, self.turn())

    def test_a_snapshot_to_send_is_not_sent_as_a_message(self) -> None:
        """The node's InstallSnapshot is a wish: the file travels in chunks."""
        self.node.readys = [Ready(send=(Envelope("node0", "node1", InstallSnapshot(7, SNAPSHOT)),))]
        self.loop.wake()
        self.assertEqual(["ready", ("send_snapshot", "node1", 7)], self.turn())

    @pytest.mark.scenario("S7")
    def test_a_received_snapshot_is_read_only_when_it_is_installed(self) -> None:
        """Its file becomes visible by the save; until then nothing that follows it may be applied either."""
        before = Save(1, HardState(1))
        install = Save(2, HardState(1), install=Install(SNAPSHOT, False))
        self.node.readys = [Ready(restore=SNAPSHOT), Ready(save=install)]
        self.loop.wake()
        self.assertEqual(["ready", ("expect_restore", SNAPSHOT)], self.turn())
        self.story.clear()
        self.loop.saved(before)
        self.assertEqual([("saved", 1), ("saved", before), "ready", ("start", install)], self.story)
        self.story.clear()
        self.loop.saved(install)
        self.assertEqual([("saved", 2), ("restore", SNAPSHOT), ("saved", install), "ready"], self.story)

    @pytest.mark.scenario("X6")
    def test_ticks_that_were_missed_are_not_made_up_for(self) -> None:
        """After a stall of our own, ten ticks at once would start an election before a word of the peers was read."""
        self.loop.start()
        self.clock.advance(10.0)
        self.assertEqual(1, self.story.count("tick"))
        self.clock.pump([0.02] * 3)
        self.assertEqual(4, self.story.count("tick"))

    def test_a_long_log_comes_in_parts(self) -> None:
        """The node hands out a bounded number of committed entries; the loop must ask for the rest by itself."""
        self.node.commit_index = 2
        second = Entry(2, 1, EntryKind.NOOP)
        self.node.readys = [Ready(committed=(NOOP,)), Ready(committed=(second,))]
        self.loop.wake()
        self.assertEqual(["ready", ("committed", (NOOP,)), "ready", ("committed", (second,))], self.turn())
        self.assertEqual([], self.turn())

    @pytest.mark.scenario("X4")
    def test_a_defect_stops_the_node(self) -> None:
        """An invariant that does not hold leaves no state that could be trusted further."""
        self.node.error = ValueError("broken")
        self.loop.receive(MESSAGE)
        self.assertEqual(1, len(self.halted))
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_stopped(self) -> None:
        """Nothing goes in, nothing comes out, no timer is left."""
        self.loop.start()
        self.loop.stop()
        self.loop.receive(MESSAGE)
        self.loop.saved(Save(1, HardState(1)))
        self.loop.wake()
        self.clock.advance(10.0)
        self.assertEqual(([], []), (self.story, self.clock.getDelayedCalls()))
