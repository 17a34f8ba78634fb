"""What a node is given to live in. Everything that blocks, waits, speaks or draws lots comes from here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from hraft.interfaces import Precautions, SnapshotPolicy, Storage, Timing, Transport


class RunInThread(Protocol):
    """Calls a blocking function elsewhere, in order; the Deferred fires with its result in the reactor's thread."""

    def __call__(self, function: Callable[..., Any], /, *arguments: Any) -> Deferred[Any]: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One node's. See `NodeService` for each."""

    clock: IReactorTime
    node_id: str
    cluster_id: str
    storage: Storage
    transport: Transport
    #: One thread, which runs what it is given in order.
    run_in_writer: RunInThread
    #: The same thread, for small saves: what is done in a moment may be done when this returns.
    save_in_writer: RunInThread
    #: Another one, for snapshots.
    run_in_background: RunInThread
    #: A third, for their parts on the way, lest these wait until one is written.
    run_in_transfers: RunInThread
    choose: Callable[[int, int], int]
    halt: Callable[[str], None]
    timing: Timing
    snapshot_policy: SnapshotPolicy
    precautions: Precautions


def check_clock(clock: IReactorTime) -> None:
    """Raise RuntimeError for a reactor that counts time by the wall clock, as Twisted's do of themselves (X1).

    An operator who sets the clock would start elections everywhere, or stop heartbeats.
    """
    if clock.seconds is time.time:
        raise RuntimeError("this reactor follows the wall clock; set reactor.seconds = time.monotonic before anything else")
