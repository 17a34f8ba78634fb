"""The network of a world: that of `hraft.simulation.network`, with links that clog, and ends that may be paused or dead.

Shows every message to an observer when it leaves and when it arrives. Decides nothing about when links are cut or clogged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from hraft.interfaces import ChunkEnvelope, PeerIdentity
from hraft.questions import Request
from hraft.raft.messages import Envelope
from hraft.simulation.clock import Call, Process, WorldClock
from hraft.simulation.network import Faults, Network, SimulatedTransport

#: From whom to whom.
Link = tuple[str, str]


class Observer(Protocol):
    """Sees what nodes say."""

    def leaving(self, process: Process, envelope: Envelope | ChunkEnvelope) -> None:
        """A node sends this now, whatever becomes of it."""

    def arrived(self, process: Process, envelope: Envelope | ChunkEnvelope) -> None:
        """A node is about to hear this."""

    def touched(self, process: Process) -> None:
        """A process is about to do something in an event that is not its own."""


class Links(Network):
    """All links of a world."""

    def __init__(self, clock: WorldClock, random: Random, faults: Faults, observer: Observer) -> None:
        super().__init__(clock, random, faults)
        self.observer = observer
        self._world_clock = clock
        #: From now on no link can be cut or clogged.
        self.is_calm = False
        #: What waits on each clogged link.
        self._clogged: dict[Link, list[Callable[[], None]]] = {}

    def cut(self, sender: str, to: str) -> None:
        if not self.is_calm:
            super().cut(sender, to)

    def cut_all(self, links: Iterable[Link]) -> None:
        for sender, to in links:
            self.cut(sender, to)

    def mend(self, links: Iterable[Link]) -> None:
        """Let these pass again."""
        self._cut.difference_update(links)

    def clog(self, link: Link) -> None:
        """Nothing arrives over this link until it is unclogged, and nothing is lost."""
        if not self.is_calm:
            self._clogged.setdefault(link, [])

    def unclog(self, link: Link) -> None:
        """All that waited arrives at once."""
        for arrived in self._clogged.pop(link, []):
            self._world_clock.schedule(0.0, None, arrived)

    def heal(self) -> None:
        super().heal()
        for link in list(self._clogged):
            self.unclog(link)

    def later(self, sender: SimulatedTransport, to: SimulatedTransport, arrive: Callable[[], None]) -> Call:
        """As for any network, but what comes over a clogged link waits."""
        link = (sender.node_id, to.node_id)

        def arrived() -> None:
            if not sender.is_listening or not to.is_listening or link in self._cut:
                return
            waiting = self._clogged.get(link)
            if waiting is not None:
                waiting.append(arrived)
            else:
                arrive()

        return self._world_clock.schedule(self._random.uniform(*self.faults.delay_seconds), None, arrived)


class ProcessTransport(SimulatedTransport):
    """One process's end of the network: nothing reaches a paused one before it is resumed, or a dead one ever."""

    def __init__(self, network: Links, identity: PeerIdentity, address: str, process: Process) -> None:
        super().__init__(network, identity, address)
        self._observer = network.observer
        self._process = process

    def _send(self, envelope: Envelope | ChunkEnvelope) -> None:
        self._observer.leaving(self._process, envelope)
        super()._send(envelope)

    def receive(self, envelope: Envelope | ChunkEnvelope) -> None:
        if self._process.is_paused:
            self._process.callLater(0, self.receive, envelope)
            return
        self._observer.arrived(self._process, envelope)
        super().receive(envelope)

    def requested(self, sender: str, request: Request) -> Deferred[Any]:
        if not self._process.is_paused:
            self._observer.touched(self._process)
            return super().requested(sender, request)
        answer: Deferred[Any] = Deferred()
        self._process.callLater(0, lambda: self.requested(sender, request).addBoth(answer.callback))
        return answer

    def call(self, to: str, request: Request) -> Deferred[Any]:
        return self._heard(super().call(to, request))

    def dial_back(self, address: str) -> Deferred[PeerIdentity]:
        return self._heard(super().dial_back(address))

    def _heard(self, asked: Deferred[Any]) -> Deferred[Any]:
        """What comes back is heard by the process: when it is awake, in an event of its own."""
        heard: Deferred[Any] = Deferred(lambda _: asked.cancel())

        def answered(result: Any) -> None:
            if not self._process.is_dead:
                self._process.callLater(0, self._hand_in, heard, result)

        asked.addBoth(answered)
        return heard

    def _hand_in(self, heard: Deferred[Any], result: Any) -> None:
        if not heard.called:
            heard.callback(result)
