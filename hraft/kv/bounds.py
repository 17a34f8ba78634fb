"""How much the store remembers of the past. Part of what commands mean, so the same on all nodes of a cluster, always.

Tests and simulated clusters have smaller ones, to see things forgotten. Knows nothing of what is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass

from hraft import limits


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """See `hraft.limits` for each."""

    history_events_count: int = limits.HISTORY_EVENTS_COUNT
    history_bytes: int = limits.HISTORY_BYTES
    sessions_count: int = limits.SESSIONS_COUNT
    session_answers_count: int = limits.SESSION_ANSWERS_COUNT
    sessions_bytes: int = limits.SESSIONS_BYTES


DEFAULTS = StoreLimits()
