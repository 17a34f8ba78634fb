"""The one loop: what arrives in one turn of the reactor goes into the node together, then one `Ready` is carried out.

    messages, proposals, ticks, "saved" --> node --> ready() --> send, save, restore, apply, answer reads
                                              ^                   |
                                              '---- durable ------'

A save on its way lets everything new gather, and that is the next save: group commit without a timer. Never blocks, and
never waits but for the disk. Knows nothing of clients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hraft.interfaces import Timing, Transport
from hraft.raft.entry import Snapshot
from hraft.raft.messages import Envelope, InstallSnapshot
from hraft.raft.node import RaftNode
from hraft.raft.ready import ReadReady, Ready, Save
from hraft.service.applying import Applying
from hraft.service.events import Events
from hraft.service.saves import Saves

_log = Logger(namespace="hraft.service")


class Around(Protocol):
    """What the loop tells those around it."""

    def before_turn(self) -> None:
        """The last moment to give the node something for this turn."""

    def turned(self) -> None:
        """Anything about the node may have changed."""

    def ticked(self) -> None: ...

    def saved(self, save: Save) -> None:
        """That save is durable, and the node knows."""

    def send_snapshot(self, peer: str, term: int) -> None: ...

    def reads_confirmed(self, reads: tuple[ReadReady, ...]) -> None: ...


class Loop:
    """Owns the node: every event for it comes through here or is followed by `wake`."""

    def __init__(
        self,
        clock: IReactorTime,
        node: RaftNode,
        timing: Timing,
        transport: Transport,
        saves: Saves,
        applying: Applying,
        around: Around,
        events: Events,
        halt: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._node = node
        self._tick_seconds = timing.tick_seconds
        self._transport = transport
        self._saves = saves
        self._applying = applying
        self._around = around
        self._events = events
        self._halt = halt
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = clock
        self._next_turn: IDelayedCall | None = None
        self._is_turning = False
        #: What happened in a turn wants another.
        self._is_due = False
        self._is_stopped = False
        #: A received snapshot that the state machine may be restored from once the save that installs it is durable.
        self._restore: Snapshot | None = None

    def start(self) -> None:
        """Begin to count time. Missed ticks are not made up for: after a stall of our own, peers are read first (X6)."""
        self._ticking.start(self._tick_seconds, now=False)
        self.wake()

    def stop(self) -> None:
        """Carry nothing out any more."""
        self._is_stopped = True
        if self._ticking.running:
            self._ticking.stop()
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    @property
    def is_stopped(self) -> bool:
        return self._is_stopped

    # --- events ----------------------------------------------------------------------------------

    def receive(self, envelope: Envelope) -> None:
        """A message from a peer."""
        if self._is_stopped:
            return
        try:
            dropped_reason = self._node.step(envelope)
        except Exception:
            self.broken()
            return
        if dropped_reason is not None:
            _log.debug("{node}: dropped what {peer} said: {why}", node=envelope.to, peer=envelope.sender, why=dropped_reason)
        self.wake()

    def saved(self, save: Save) -> None:
        """That save is durable. What gathered meanwhile goes out at once."""
        if self._is_stopped:
            return
        try:
            self._node.saved(save.number)
            if save.install is not None and self._restore is not None and save.install.snapshot.id == self._restore.id:
                restore, self._restore = self._restore, None
                self._applying.restore(restore)
            self._around.saved(save)
        except Exception:
            self.broken()
            return
        self.turn()

    def wake(self) -> None:
        """The node was told something: have it heard once all that arrives in this turn of the reactor is in."""
        if self._next_turn is None and not self._is_stopped:
            self._next_turn = self._clock.callLater(0, self._woken)

    def _woken(self) -> None:
        self._next_turn = None
        self.turn()

    def _tick(self) -> None:
        try:
            self._node.tick()
            self._around.ticked()
        except Exception:
            self.broken()
            return
        self.wake()

    # --- one turn --------------------------------------------------------------------------------

    def turn(self) -> None:
        """Carry one `Ready` out, and tell whoever waits for changes."""
        if self._is_stopped:
            return
        if self._is_turning:  # A save was done before `start` returned, or a client called back in.
            self._is_due = True
            return
        self._is_turning = True
        try:
            self._turn_once()
            if self._is_due and not self._is_stopped:
                self._turn_once()
        except Exception:
            self.broken()
        finally:
            self._is_turning = False
        if self._is_due:  # Not without end: whoever else has something for the node comes first.
            self.wake()

    def _turn_once(self) -> None:
        self._is_due = False
        self._around.before_turn()
        ready = self._node.ready()
        if ready is not None:
            self._carry_out(ready)
        if not self._is_stopped:
            self._around.turned()

    def _carry_out(self, ready: Ready) -> None:
        if ready.restore is not None:
            self._restore = ready.restore
            self._applying.expect_restore(ready.restore)
        # The others' disks are further away than this node's own, so what they are to write leaves first (10.2.1).
        for envelope in ready.send:
            if isinstance(envelope.message, InstallSnapshot):
                self._around.send_snapshot(envelope.to, envelope.message.term)
            else:
                self._transport.send(envelope)
        if ready.save is not None:
            self._saves.start(ready.save)
            if self._is_stopped:
                return
        if ready.committed:
            self._applying.committed(ready.committed)
            # A whole log may be committed at once; the node hands it out in parts.
            if ready.committed[-1].index < self._node.commit_index:
                self.wake()
        if ready.reads:
            self._around.reads_confirmed(ready.reads)

    def broken(self) -> None:
        """An invariant does not hold: going on could break promises, stopping cannot (X4)."""
        failure = Failure()
        self._events.broken(failure)
        self._halt(f"a defect in hraft: {failure.value!r}")
