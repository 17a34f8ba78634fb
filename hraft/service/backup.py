"""A backup under way: the bytes of a snapshot file of one state, made part by part while the node goes on.

The state is copied shallowly, so the node changes its own meanwhile; encoding is done in another thread, a part at a time, so
that neither the reactor nor a snapshot that is due waits long. Knows nothing of where the bytes go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from hraft.raft.entry import Snapshot
from hraft.service.surroundings import RunInThread


@dataclass(frozen=True, slots=True)
class Backup:
    """The state after entry `snapshot.index`. `parts` are made as they are asked for, by one thread at a time."""

    snapshot: Snapshot
    parts: Iterator[bytes]
    run_in_background: RunInThread

    def next_part(self) -> Deferred[bytes]:
        """The next bytes of the file; none at its end. One at a time."""
        return self.run_in_background(next, self.parts, b"")
