"""What one world is like: how many nodes and clients, how long, how they count time, and which faults it has.

Drawn from the seed, swarm style: every world has some of the faults and not others, since those that come together with all
others hide behind them. Any field may be given instead, so that a failure can be shrunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from hraft.interfaces import SnapshotPolicy, Timing
from hraft.kv.bounds import StoreLimits
from hraft.simulation.network import Faults

#: What chance may do to a world, apart from its messages: see docs/simulation.md.
FAULT_KINDS = (
    "partition",
    "one_way_partition",
    "partial_partition",
    "flapping",
    "swizzle",
    "crash",
    "crash_leader",
    "crash_after_save",
    "crash_new_leader",
    "crash_after_answer",
    "power_cut",
    "slow_disk",
    "stalled_disk",
    "failing_disk",
    "full_disk",
    "pause",
    "pause_quorum",
    "pause_all",
    "wipe",
    "join",
    "remove",
    "transfer",
)
#: What chance may do to every message of a world, and to its clocks.
STEADY_KINDS = ("loss", "duplicates", "delay", "drift")
ALL_KINDS = (*STEADY_KINDS, *FAULT_KINDS)

MINUTE_SECONDS = 60.0
#: Of one simulated world, unless somebody says otherwise.
WORLD_SECONDS = 5 * MINUTE_SECONDS
NODES_COUNT_LIMIT = 7


@dataclass(frozen=True, slots=True)
class Shape:
    """One world. `fault_seconds` is the mean time from one fault of a kind to the next, by kind."""

    seed: int
    seconds: float
    nodes_count: int
    clients_count: int
    keys_count: int
    kinds: tuple[str, ...]
    faults: Mapping[str, float]
    messages: Faults
    timing: Timing
    snapshot_policy: SnapshotPolicy
    clock_rates: tuple[float, ...]
    think_seconds: float
    patience_seconds: tuple[float, float]
    #: Whether clients hear of revisions, which ties all keys together and is harder to check.
    tells_revisions: bool
    #: How many of the clients number their writes, and ask again until they know.
    once_share: float
    #: How much the store remembers of the past.
    store_limits: StoreLimits
    #: How much goes into one message, and how many may be on their way: small ones tear apart what else would go together.
    append_entries_count: int
    inflight_messages_count: int
    #: How much of what was not synced a crash loses.
    loss_chance: float
    disk_seconds: tuple[float, float]
    #: How many small saves are done while their process waits, so that it hears of them in the same event.
    quick_saves_share: float
    segment_bytes: int
    padding_bytes: int
    #: How often members compare their states; None: never.
    check_interval_seconds: float | None

    @property
    def election_timeout_seconds(self) -> float:
        """The shortest, by a clock that is right."""
        return self.timing.tick_seconds * self.timing.election_timeout_ticks


@dataclass(frozen=True, slots=True)
class Selection:
    """A seed, and what of its world is not left to it; None leaves it to the seed. `kinds`: the only faults it may have."""

    seed: int
    seconds: float = WORLD_SECONDS
    nodes_count: int | None = None
    clients_count: int | None = None
    kinds: tuple[str, ...] | None = None

    def shape(self) -> Shape:
        """The world selected."""
        given: dict[str, Any] = {}
        if self.nodes_count is not None:
            given["nodes_count"] = self.nodes_count
        if self.clients_count is not None:
            given["clients_count"] = self.clients_count
        if self.kinds is not None:
            given["kinds"] = self.kinds
        return draw_shape(self.seed, self.seconds, **given)

    def command(self) -> str:
        """What to type to see it."""
        words = [f"python -m hraft.simulation --seed {self.seed}"]
        if self.seconds != WORLD_SECONDS:
            words.append(f"--seconds {self.seconds:g}")
        if self.nodes_count is not None:
            words.append(f"--nodes {self.nodes_count}")
        if self.clients_count is not None:
            words.append(f"--clients {self.clients_count}")
        if self.kinds is not None:
            words.append(f"--faults {','.join(self.kinds) or 'none'}")
        return " ".join(words)


def draw_shape(seed: int, seconds: float = WORLD_SECONDS, **given: Any) -> Shape:
    """The world of a seed. What is `given` changes nothing else of it. `kinds`: the only faults that it may have."""
    kinds = given.pop("kinds", ALL_KINDS)
    random = Random(f"{seed}/shape")
    share = random.choice((0.15, 0.3, 0.5))
    drawn = {kind: _log_uniform(random, 4.0, 60.0) for kind in ALL_KINDS if random.random() < share}
    has = {kind: every for kind, every in drawn.items() if kind in kinds}
    loss = random.uniform(0.0, 0.3)
    duplicates = random.uniform(0.0, 0.5)
    delay = random.choice((0.01, 0.03, 0.1))
    rates = [random.choice((0.9, 1.0, 1.1)) for _ in range(NODES_COUNT_LIMIT)]
    rates[random.randrange(3)] = random.choice((0.5, 2.0))
    nodes_count = random.choice((1, 2, 3, 3, 3, 4, 5, 5, 5))
    election_timeout_ticks = random.choice((10, 12, 20))
    tick_seconds = random.choice((0.05, 0.1))
    entries_count = random.choice((5, 10, 20, 50, 100))
    shape = Shape(
        seed=seed,
        seconds=seconds,
        nodes_count=nodes_count,
        clients_count=random.randint(1, 4),
        keys_count=random.randint(1, 5),
        kinds=tuple(has),
        faults={kind: every for kind, every in has.items() if kind in FAULT_KINDS},
        messages=Faults(
            loss_chance=loss if "loss" in has else 0.0,
            duplicate_chance=duplicates if "duplicates" in has else 0.0,
            delay_seconds=(0.0005, delay if "delay" in has else 0.004),
        ),
        timing=Timing(tick_seconds=tick_seconds, heartbeat_interval_ticks=2, election_timeout_ticks=election_timeout_ticks),
        snapshot_policy=SnapshotPolicy(
            entries_count=entries_count,
            kept_entries_count=random.choice((0, 2, 10, 50)),
            chunk_bytes=random.choice((2_000, 8_000, 32_000)),
        ),
        clock_rates=tuple(rates) if "drift" in has else (1.0,) * NODES_COUNT_LIMIT,
        think_seconds=_log_uniform(random, 0.2, 2.0),
        patience_seconds=random.choice(((0.5, 3.0), (3.0, 12.0))),
        tells_revisions=random.random() < 0.3,
        append_entries_count=random.choice((1, 2, 2048)),
        inflight_messages_count=random.choice((1, 2, 64)),
        loss_chance=random.uniform(0.8, 1.0),
        disk_seconds=(0.0005, random.choice((0.002, 0.01, 0.03, 0.1))),
        segment_bytes=random.choice((2_000, 8_000, 64_000)),
        padding_bytes=random.choice((0, 512, 4096)),
        once_share=random.choice((0.0, 0.5, 1.0)),
        store_limits=StoreLimits(
            history_events_count=random.choice((10, 50, 500)),
            sessions_count=random.choice((2, 10, 100)),
            session_answers_count=random.choice((1, 4, 64)),
        ),
        check_interval_seconds=random.choice((None, None, None, 5.0)),
        quick_saves_share=random.choice((0.0, 0.0, 0.3, 0.9)),
    )
    return replace(shape, **given)


def _log_uniform(random: Random, low: float, high: float) -> float:
    """Between the two, each power of ten as likely as the others."""
    return float(low * (high / low) ** random.random())
