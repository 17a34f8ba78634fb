"""How one node counts and how much it lets grow. Time is in ticks; how long a tick lasts is not known here."""

from __future__ import annotations

from dataclasses import dataclass

from hraft import limits


@dataclass(frozen=True, slots=True)
class Settings:
    """Raises ValueError for settings under which no leader could last (E19) or nothing could be sent (O12)."""

    election_timeout_ticks: int = 20
    heartbeat_interval_ticks: int = 5
    append_bytes: int = limits.APPEND_BYTES
    append_entries_count: int = limits.APPEND_ENTRIES_COUNT
    inflight_messages_count: int = limits.INFLIGHT_MESSAGES_COUNT
    inflight_bytes: int = limits.INFLIGHT_BYTES
    uncommitted_bytes: int = limits.UNCOMMITTED_BYTES
    uncommitted_entries_count: int = limits.UNCOMMITTED_ENTRIES_COUNT
    waiting_reads_count: int = limits.WAITING_READS_COUNT

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if self.heartbeat_interval_ticks * 2 > self.election_timeout_ticks:
            raise ValueError(
                f"the election timeout ({self.election_timeout_ticks} ticks) must be at least twice the heartbeat "
                f"interval ({self.heartbeat_interval_ticks} ticks), or one late heartbeat deposes a healthy leader"
            )
