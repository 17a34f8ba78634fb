"""The whole table: every part of the HTTP interface of a node, put together.

Knows nothing of the parts' insides.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred, fail

from hraft.errors import ReadFailed
from hraft.kv.store import KeyValueStore
from hraft.web.api import Api, Route
from hraft.web.cluster import ClusterApi
from hraft.web.dashboard.page import PageApi
from hraft.web.figures import Figures
from hraft.web.guard import Guard
from hraft.web.health import HealthApi
from hraft.web.keys import KeyApi
from hraft.web.kv import KeyValueApi
from hraft.web.leases import LeaseApi, LeaseClock
from hraft.web.listing import ListingApi
from hraft.web.members import MemberApi
from hraft.web.metrics import MetricsApi
from hraft.web.node import Node
from hraft.web.node_figures import NodeFigures
from hraft.web.openapi import OpenApi
from hraft.web.reads import Reads
from hraft.web.sessions import SessionApi
from hraft.web.tally import HttpTally
from hraft.web.transactions import TransactionApi
from hraft.web.who import WhoApi
from hraft.web.writes import Writes


class NoClock:
    """What stands for a LeaseClock where there is none."""

    def keep_alive(self, lease: int) -> Deferred[Any]:
        return fail(ReadFailed("this node keeps no time for leases"))

    times = keep_alive


def node_api(
    node: Node,
    forward: bool = False,
    clock: LeaseClock | None = None,
    age_seconds: Callable[[], float | None] = lambda: None,
    backups: Callable[[], object] = lambda: None,
    guard: Guard | None = None,
    tally: HttpTally | None = None,
    figures: Callable[[], NodeFigures] | None = None,
) -> Api:
    """The HTTP face of this node. With `forward`, writes to /key that come to a follower are passed to the leader, as those under
    /v1 always are. `clock` knows the leases' times, `age_seconds` how old what the node has may be, and `backups` what became of
    those that it makes by itself. `guard` stands before all routes. Answers are counted in `tally`; `figures` are all counts.

    Around a state machine of an application's own there is the cluster only: it would be asked what it does not know, and given
    commands that are not its own.
    """
    reads, writes = Reads(node, age_seconds), Writes(node, forward=True)
    cluster = ClusterApi(node, reads, backups)
    tally = tally or HttpTally(monotonic)
    who = WhoApi(None if guard is None else guard.logins)
    of_any_node = (cluster, MemberApi(node), who, HealthApi(node), MetricsApi(figures or Figures(node, tally)), PageApi())
    if not isinstance(node.state_machine, KeyValueStore):
        return Api(node, [route for part in of_any_node for route in part.routes()], guard, tally)
    parts = (
        KeyApi(node, Writes(node, forward)),
        *of_any_node,
        KeyValueApi(node, reads, writes),
        ListingApi(node, reads, writes),
        TransactionApi(writes),
        LeaseApi(node, reads, writes, clock or NoClock()),
        SessionApi(writes),
        OpenApi(lambda: table),
    )
    table: list[Route] = [route for part in parts for route in part.routes()]
    return Api(node, table, guard, tally)
