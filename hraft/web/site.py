# mypy: allow-untyped-calls
"""The HTTP server: how many connections there may be, and when the last of them has its answer.

No access log: it costs more than it tells. Knows nothing of what is asked.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Site

from hraft import limits
from hraft.kv.store import KeyValueStore
from hraft.web.api import Api
from hraft.web.channel import STOPPING, BoundedRequest, Channel
from hraft.web.dashboard.feed import Feed
from hraft.web.dashboard.resource import PATH as EVENTS_PATH
from hraft.web.dashboard.resource import EventsResource
from hraft.web.guarded_streams import guarded_streams
from hraft.web.problems import NOT_DONE, Problem, retry_later
from hraft.web.snapshot import PATH as SNAPSHOT_PATH
from hraft.web.snapshot import SnapshotResource
from hraft.web.tree import KleinTree
from hraft.web.watch.hub import Hub
from hraft.web.watch.resource import PATH, WatchResource

#: Where there is no httptools, as on PyPy, every connection is twisted.web's from the beginning.
HAS_FRONT = find_spec("httptools") is not None
if HAS_FRONT:
    from hraft.web.front import Front, ServerAndDate


class HttpSite(Site):
    """Serves at most `connections_count` clients at a time. One more takes the place of one that asks for nothing.

    All find `resource`, until an API is there to be served.
    """

    noisy = False
    protocol = Channel  # type: ignore[assignment]

    def __init__(self, resource: IResource, clock: IReactorTime, connections_count: int = limits.HTTP_CONNECTIONS_COUNT) -> None:
        # Parsing forms would cost more than all the rest of a request, for bodies that are never forms.
        super().__init__(
            resource,
            requestFactory=BoundedRequest,
            parsePOSTFormSubmission=False,
            timeout=limits.IDLE_CONNECTION_TIMEOUT_SECONDS,
            reactor=clock,
        )
        self._connections_count = connections_count
        self._connections: dict[Channel | Front, None] = {}
        #: Told why they are not served, and about to be closed; the first was told first.
        self._refused: dict[Channel, None] = {}
        #: Since the start.
        self.refused_count = 0
        self._drained: list[Deferred[None]] | None = None
        self._clock = clock
        self._api: Api | None = None
        self._watches: Hub | None = None
        self._backups: SnapshotResource | None = None
        self._pages: Feed | None = None

    def serve(self, api: Api, has_front: bool = HAS_FRONT) -> None:
        """Give this API to whoever asks; with `has_front`, plain requests without the cost of twisted.web."""
        watchers_count = min(limits.WATCHERS_COUNT, self._connections_count * 3 // 4)
        self._backups = SnapshotResource(api.node, self._clock, api.failed)
        pages_count = max(1, min(limits.EVENT_STREAMS_COUNT, self._connections_count // 8))
        events = EventsResource(api.node, self._clock, api.failed, api.tally.writes, pages_count)
        self._pages = events.feed
        streams: dict[bytes, Any] = {SNAPSHOT_PATH: self._backups, EVENTS_PATH: events}
        if isinstance(api.node.state_machine, KeyValueStore):
            streams[PATH] = WatchResource(api.node, self._clock, api.failed, watchers_count)
            self._watches = streams[PATH].hub
        self.resource = KleinTree(api, guarded_streams(api, streams))
        if has_front:
            self._api = api
            self._server_and_date = ServerAndDate()

    def end_streams(self) -> None:
        """End all watches and backups: this node will tell nothing any more."""
        if self._watches is not None:
            self._watches.stop()
        if self._backups is not None:
            self._backups.stop()

    def drained(self) -> Deferred[None]:
        """Begin to stop: close idle connections, answer what is in hand, and fire when the last answer has been delivered.

        A client that has only just connected is given a moment to ask, and is told (as by `http.Server.Shutdown` of Go).
        """
        deferred: Deferred[None] = Deferred()
        if self._drained is None:
            self._drained = []
            self.end_streams()
            if self._pages is not None:
                self._pages.stop()
            for connection in list(self._connections):
                connection.finish(self._is_fresh(connection.turn))
        self._drained.append(deferred)
        self._look_whether_drained()
        return deferred

    # --- connections -----------------------------------------------------------------------------

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if self._drained is not None:
            return self._turned_away(STOPPING)
        if len(self._connections) >= self._connections_count and not self._make_room():
            return self._turned_away(_too_many(self._connections_count))
        if self._api is not None:
            return Front(self, self._api, self._clock, self._server_and_date)
        return self.channel()

    @property
    def connections_count(self) -> int:
        """Clients that are connected now."""
        return len(self._connections)

    @property
    def watchers_count(self) -> int:
        return 0 if self._watches is None else len(self._watches)

    def _make_room(self) -> bool:
        """Refuse the client that lets the node wait longest, so that silent clients lock nobody out (O6).

        Those that never asked anything go first: whoever is known to work keeps its connection. False when all wait for the node.
        """
        turns = [(turn, connection) for connection in self._connections if (turn := connection.turn) is not None]
        if not turns:
            return False
        turn, connection = min(turns, key=lambda pair: pair[0])
        if self._is_fresh(turn):
            return False  # All have come in one burst.
        connection.refuse(_too_many(self._connections_count))
        return True

    def _is_fresh(self, turn: tuple[bool, float] | None) -> bool:
        """Whether a client is so new that it has perhaps asked already, and it has not been read yet."""
        if turn is None:
            return False
        has_asked, since = turn
        return not has_asked and self.seconds() - since < limits.HTTP_GRACE_SECONDS

    def _turned_away(self, problem: Problem) -> Channel:
        """The protocol of a client that is one too many: it is told so, and closed."""
        channel = self.channel()
        channel.refusal = problem
        return channel

    def channel(self) -> Channel:
        """The protocol of a connection that twisted.web serves."""
        channel: Channel = super().buildProtocol(None)
        return channel

    def acceptableProtocols(self) -> list[bytes]:
        """Not HTTP/2: Twisted's has none of the limits of `hraft.web.channel`."""
        return [b"http/1.1"]

    def opened(self, connection: Channel | Front) -> None:
        """A client has connected, or goes on by another protocol."""
        self._connections[connection] = None

    def closed(self, connection: Channel | Front) -> None:
        """A client is gone, for whatever reason, or is another protocol's."""
        self._connections.pop(connection, None)
        self._refused.pop(connection, None)  # type: ignore[arg-type]
        self._look_whether_drained()

    def refused(self, connection: Channel) -> None:
        """A client was told why it is not served, and has a moment to read it: in nobody's place, and only so many at a time."""
        self._connections.pop(connection, None)
        self.refused_count += 1
        self._refused[connection] = None
        if len(self._refused) > limits.HTTP_REFUSED_COUNT:
            first = next(iter(self._refused))
            del self._refused[first]
            first.cut()

    def seconds(self) -> float:
        """The time by this server's clock."""
        return self._clock.seconds()

    def _look_whether_drained(self) -> None:
        if self._drained and not self._connections and not self._refused:
            waiting, self._drained = self._drained, []
            for deferred in waiting:
                deferred.callback(None)

    # --- no access log, nor the timer that keeps its time ----------------------------------------

    def startFactory(self) -> None:
        pass

    def stopFactory(self) -> None:
        pass


def connections_count(files_count: int) -> int:
    """How many clients a process can serve that may have so many open files: peers, the disk and refused clients need some."""
    return max(1, min(limits.HTTP_CONNECTIONS_COUNT, files_count - limits.RESERVED_FILES_COUNT))


def _too_many(count: int) -> Problem:
    detail = f"{count} connections are open already, and that is the limit"
    return retry_later("too_many_connections", detail, outcome=NOT_DONE)
