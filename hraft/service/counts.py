"""What a node has counted since its start, at one look. Costs the same however much the node has."""

from __future__ import annotations

from dataclasses import dataclass, field

from hraft.counting import COUNT_BOUNDS, Histogram
from hraft.interfaces import DiskUse
from hraft.service.running import Running


@dataclass(frozen=True, slots=True)
class Counts:
    """The histograms are the living ones: to be read at once, and not kept."""

    elections_count: int = 0
    leader_changes_count: int = 0
    #: Clients' proposals by what became of them: applied, dropped (certainly not done), unknown.
    proposals: dict[str, int] = field(default_factory=dict)
    pending_proposals_count: int = 0
    #: Committed entries that wait to be applied.
    unapplied_count: int = 0
    saves: Histogram = field(default_factory=Histogram)
    batches: Histogram = field(default_factory=lambda: Histogram(COUNT_BOUNDS))
    full_saves_count: int = 0
    snapshots: Histogram = field(default_factory=Histogram)
    disk: DiskUse | None = None
    disk_reserve_bytes: int = 0


def counts_of(running: Running, elections_count: int, leader_changes_count: int) -> Counts:
    """As of now."""
    proposals, saves, room = running.proposals, running.saves, running.room
    return Counts(
        elections_count=elections_count,
        leader_changes_count=leader_changes_count,
        proposals={
            "applied": proposals.applied_count,
            "dropped": proposals.dropped_count,
            "unknown": proposals.unknown_count,
        },
        pending_proposals_count=len(proposals),
        unapplied_count=running.applying.lag_count,
        saves=saves.seconds,
        batches=saves.entries,
        full_saves_count=saves.full_count,
        snapshots=running.compaction.seconds,
        disk=room.use,
        disk_reserve_bytes=room.reserve_bytes,
    )
