"""One world: nodes, their network, disks and clocks, chance, and those who watch, in one thread and from one seed.

    shape --> World --form--> all voters in --chaos, clients--> ... --ending--> healed, judged

One event after the other; after each, whatever it touched is looked at. Two worlds of one shape are the same to the last event.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from hraft.interfaces import ChunkEnvelope, StateMachine
from hraft.kv.results import decode_result, encode_result
from hraft.kv.store import KeyValueStore
from hraft.kv.tree import Sizes
from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind, HardState
from hraft.raft.messages import Envelope
from hraft.raft.ready import Role, Save
from hraft.simulation.clock import Process, WorldClock
from hraft.simulation.history import History
from hraft.simulation.joiner import Joiner
from hraft.simulation.lease_holder import EXPIRY, LeaseHolder, LeaseJudge
from hraft.simulation.ledger import Ledger
from hraft.simulation.links import Links
from hraft.simulation.marks import Marks
from hraft.simulation.node import SimulatedNode
from hraft.simulation.oracle import Oracle
from hraft.simulation.probe import Probe
from hraft.simulation.promises import Promises
from hraft.simulation.safety import Safety
from hraft.simulation.shape import Shape
from hraft.simulation.story import Story, Violation
from hraft.simulation.watcher import Watcher
from hraft.simulation.witness import Witness
from hraft.simulation.workload import Client

FORM_SECONDS = 60.0
#: So small that the few keys of a world are packed, in several leaves. The models that judge have the ordinary ones.
_SIZES = Sizes(leaf_bytes=120, branch_leaves_count=3, large_value_bytes=40, recent_records_count=4)


@implementer(ILogObserver)
class World:
    """Everything there is. `is_store`: the state machine is the key-value store, and only `Client`s write to it."""

    def __init__(
        self,
        shape: Shape,
        make_state_machine: Callable[[], StateMachine] | None = None,
        encode_result: Callable[[Any], bytes] = encode_result,
        decode_result: Callable[[bytes], Any] = decode_result,
        is_store: bool = True,
    ) -> None:
        self.shape = shape
        self.make_state_machine = make_state_machine or partial(KeyValueStore, shape.store_limits, _SIZES)
        self.encode_result = encode_result
        self.decode_result = decode_result
        self.is_store = is_store
        self.clock = WorldClock()
        self.story = Story(self.clock)
        self.marks = Marks()
        self.nodes: dict[str, SimulatedNode] = {}
        self.clients: list[Client] = []
        self.watchers: list[Watcher] = []
        self.holders: list[LeaseHolder] = []
        #: Who else hears of the death of a process.
        self.listeners: list[Any] = []
        self.network = Links(self.clock, self.stream("network"), shape.messages, self)
        self.ledger = Ledger(self._committed)
        self.oracle = Oracle(self.marks)
        self.lease_judge = LeaseJudge(self)
        self.history = History(self.clock.seconds)
        self.witness = Witness()
        self.promises = Promises(self.nodes)
        self.safety = Safety(self.nodes, self.ledger, self.promises, self.marks)
        self.violation: Violation | None = None
        self.events_count = 0
        #: The members as of the last entry that is committed.
        self.configuration = Configuration()
        #: Until then a change of members that was asked for may still come.
        self.member_change_ends_at = 0.0
        #: Called once for the next node that leads, or for the node that gives the next answer to a write.
        self.leader_trap: Callable[[SimulatedNode], None] | None = None
        self.answer_trap: Callable[[SimulatedNode], None] | None = None
        #: Called once for the next save that is durable and of which its node does not know yet.
        self.trap: Callable[[SimulatedNode, Save, HardState], None] | None = None
        self._touched: list[Process] = []
        self._random = self.stream("world")

    def stream(self, name: str) -> Random:
        """Chance for one purpose: that of another is not disturbed by how much of it is used."""
        return Random(f"{self.shape.seed}/{name}")

    # --- nodes -----------------------------------------------------------------------------------

    def add_node(self, node_id: str | None = None) -> SimulatedNode:
        """A new machine, down as yet."""
        number = len(self.nodes)
        rates = self.shape.clock_rates
        node = SimulatedNode(self, node_id or f"node{number}", rates[number % len(rates)])
        node.disk_seconds = self.shape.disk_seconds
        self.nodes[node.node_id] = node
        return node

    def form(self, nodes_count: int | None = None) -> None:
        """Make the cluster: the first node begins it, the others join one by one."""
        count = self.shape.nodes_count if nodes_count is None else nodes_count
        first = self.add_node()
        first.start(bootstrap=True)
        self.run_until(lambda: self.leader() is not None, FORM_SECONDS, "the first node leads")
        for _ in range(count - 1):
            node = self.add_node()
            node.start()
            self.join(node)
            is_in = partial(self._is_voter, node)
            self.run_until(is_in, FORM_SECONDS, f"{node.node_id} is in")

    def _is_voter(self, node: SimulatedNode) -> bool:
        return self.configuration.is_voter(node.node_id)

    def join(self, node: SimulatedNode) -> Joiner:
        """Have a node ask to be taken in until it is."""
        joiner = Joiner(self, node)
        joiner.start()
        return joiner

    def add_clients(self, count: int) -> None:
        """So many who read and write, one who watches, and one who holds leases."""
        for _ in range(count):
            client = Client(self, f"c{len(self.clients)}")
            self.clients.append(client)
            client.start()
        self.watchers.append(Watcher(self, f"w{len(self.watchers)}"))
        self.watchers[-1].start()
        self.holders.append(LeaseHolder(self, f"h{len(self.holders)}"))
        self.holders[-1].start()

    def up(self) -> list[SimulatedNode]:
        return [node for node in self.nodes.values() if node.is_up]

    def leader(self) -> SimulatedNode | None:
        """The leader of the latest term among those that run."""
        leaders = [node for node in self.up() if not node.is_paused and node.role is Role.LEADER]
        return max(leaders, key=lambda node: node.state.term, default=None)

    def members(self) -> list[SimulatedNode]:
        """The nodes of the committed configuration that may be counted on."""
        return [self.nodes[node_id] for node_id in self.configuration.members if not self.nodes[node_id].is_wiped]

    # --- time ------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let so much time go by. Raises Violation."""
        end = self.clock.now + seconds
        globalLogPublisher.addObserver(self)
        try:
            while self._step(end):
                pass
        finally:
            globalLogPublisher.removeObserver(self)

    def run_until(self, holds: Callable[[], bool], seconds: float, what: str) -> float:
        """Let time go by until something holds, and return how much it took. Raises Violation if it takes too long."""
        begin = self.clock.now
        globalLogPublisher.addObserver(self)
        try:
            while not holds():
                if not self._step(begin + seconds):
                    raise Violation("nothing happens any more", f"not within {seconds:g} s: {what}; {self.describe()}")
        finally:
            globalLogPublisher.removeObserver(self)
        return self.clock.now - begin

    def _step(self, until: float) -> bool:
        call = self.clock.next_call(until)
        if call is None:
            return False
        self.events_count += 1
        try:
            call.function(*call.arguments, **call.keywords)
        except Violation as violation:
            self.note(violation)
        except Exception:
            self.note(Violation("an exception escaped", traceback.format_exc()))
        if call.owner is not None:
            self._touched.append(call.owner)
        self._look()
        return True

    def _look(self) -> None:
        """After every event."""
        for process in self._touched:
            node = self.nodes[process.node_id]
            if node.life is not None and node.life.process is process:
                self.safety.look(node)
        self._touched.clear()
        self.oracle.settle(self.ledger)
        if self.violation is not None:
            raise self.violation

    def note(self, violation: Violation) -> None:
        """A promise was broken, somewhere below code that would swallow an exception. The first one counts."""
        if self.violation is None:
            self.violation = violation

    def broken(self, failure: Failure) -> None:
        """The errback after all others: what comes here was expected by nobody."""
        error = failure.value
        if not isinstance(error, Violation):
            error = Violation("an exception escaped", failure.getTraceback())
        self.note(error)

    def __call__(self, event: LogEvent) -> None:
        """Of Twisted's log: a failure in the log is a defect, or a Deferred's error that nobody handled (X4)."""
        failure = event.get("log_failure")
        if failure is not None:
            self.note(Violation("an error that nobody handled", failure.getTraceback()))

    # --- what nodes tell -------------------------------------------------------------------------

    def touched(self, process: Process) -> None:
        self._touched.append(process)

    def leaving(self, process: Process, envelope: Envelope | ChunkEnvelope) -> None:
        node = self.nodes[process.node_id]
        try:
            if process.is_dead:
                raise Violation("a node that has failed says nothing more", f"{node.node_id} says {envelope}")
            self.promises.check(node, envelope)
        except Violation as violation:
            self.note(violation)
        self.marks.sent(node, envelope)

    def arrived(self, process: Process, envelope: Envelope | ChunkEnvelope) -> None:
        self._touched.append(process)
        self.story.delivered(envelope)
        self.marks.arriving(self.nodes[process.node_id], envelope)

    def applied(self, node: SimulatedNode, index: int, command: bytes, result: Any) -> None:
        try:
            self.ledger.applied(node.node_id, index, command, result)
        except Violation as violation:
            self.note(violation)

    def led(self, node: SimulatedNode) -> None:
        """A node has become the leader."""
        trap, self.leader_trap = self.leader_trap, None
        if trap is not None:
            trap(node)
        self.probe(node)

    def answered(self, node: SimulatedNode) -> None:
        """A client was told that its write is done."""
        trap, self.answer_trap = self.answer_trap, None
        if trap is not None:
            trap(node)

    def probe(self, node: SimulatedNode) -> None:
        """Something has changed for this node that may make it answer wrongly: ask it at once."""
        if self.clients and node.life is not None:
            Probe(self, node).start()
            for holder in self.holders:
                holder.probe(node)

    def started(self, node: SimulatedNode) -> None:
        assert node.life is not None
        self._touched.append(node.life.process)
        self.probe(node)

    def died(self, node: SimulatedNode, process: Process) -> None:
        for listener in (*self.clients, *self.listeners):
            listener.node_died(process)

    def halted(self, node: SimulatedNode, process: Process, reason: str) -> None:
        """A node says that it must stop: only a disk that failed may have it say so."""
        if not node.disk.has_failed:
            self.note(Violation("a node stopped of itself", f"{node.node_id}: {reason}"))
        self.marks.hit("a failed fsync stopped a node")
        process.kill()
        self.clock.schedule(0.0, None, node.crash, (self.shape.loss_chance,))
        node.start_later(self._random.uniform(0.5, 5.0))

    def _committed(self, entry: Entry) -> None:
        self.story.tell("entry %s of term %s, %s, is committed", entry.index, entry.term, entry.kind.value)
        if entry.configuration is not None:
            self._change(self.configuration, entry.configuration)
            self.configuration = entry.configuration
        if entry.command.startswith(EXPIRY):
            self.lease_judge.expired(entry)
        elif self.is_store:
            self.oracle.committed(entry)
        if entry.kind is EntryKind.NOOP:
            for node in self.up():
                if node.role is Role.LEADER and node.state.term < entry.term:
                    self.probe(node)  # It does not know that it is deposed.

    def _change(self, before: Configuration, after: Configuration) -> None:
        self.story.tell("the voters are %s, the learners %s", ", ".join(after.voters), ", ".join(after.learners))
        if before.learners.keys() & after.voters.keys():
            self.marks.hit("a learner was promoted")
        if len(after.removed) > len(before.removed):
            self.marks.hit("a node was removed")

    def describe(self) -> str:
        """All nodes in a few words each."""
        return "; ".join(node.describe() for node in self.nodes.values())
