"""What is wrong with the machines of a cluster, and with the way to them: disks, open files, clocks, and who may listen or ask.

Pure: looks in, findings out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from hraft.addresses import is_loopback, parse_address
from hraft.doctor.findings import Finding, Level
from hraft.doctor.looks import Look
from hraft.errors import BadAddress
from hraft.limits import DISK_RESERVE_BYTES, FILES_COUNT

#: Time enough to do something: about as much as the log may take between two snapshots, ten times.
LOW_DISK_BYTES: Final = 10 * DISK_RESERVE_BYTES
CLOCK_SECONDS: Final = 3.0
_OPEN_SHARE: Final = 0.8


def findings_of_machines(looks: Sequence[Look], has_login: bool) -> list[Finding]:
    """`has_login`: we say who we are, so that it cannot be seen whether others must."""
    found: list[Finding] = []
    for look in looks:
        if look.status:
            for part in (_disk(look), _open_files(look), _clock(look)):
                found += part
    return [*found, *_way(looks, has_login)]


def _disk(look: Look) -> Iterator[Finding]:
    free_bytes = look.metrics.get("hraft_disk_free_bytes")
    if free_bytes is None:
        return
    reserve_bytes = look.metrics.get("hraft_disk_reserve_bytes", DISK_RESERVE_BYTES)
    seen = f"{mebibytes(free_bytes)} free on its disk"
    advice = "make room: docs/operating.md#disk_full"
    if free_bytes <= reserve_bytes:
        seen += f", and with less than {mebibytes(reserve_bytes)} it takes no writes"
        yield Finding(Level.PROBLEM, "disk", look.name, seen, advice)
    elif free_bytes < LOW_DISK_BYTES:
        yield Finding(Level.WARNING, "disk", look.name, seen, advice)
    else:
        yield Finding(Level.OK, "disk", look.name, seen)
    errors_count = look.metrics.get("hraft_disk_errors_total", 0)
    if errors_count:
        seen = f"the system refused {errors_count:.0f} writes or syncs since the node was started"
        yield Finding(Level.WARNING, "disk", look.name, seen, "look at docs/operating.md#hraftdiskerrors")


def _open_files(look: Look) -> Iterator[Finding]:
    most, opened = look.metrics.get("process_max_fds"), look.metrics.get("process_open_fds", 0)
    if most is None:
        return
    seen = f"{opened:.0f} open files of {most:.0f} that it may have"
    if most < FILES_COUNT or opened > _OPEN_SHARE * most:
        advice = f"raise the limit (LimitNOFILE= in the unit, ulimit -n) to {FILES_COUNT} or more: docs/operating.md#open-files"
        yield Finding(Level.WARNING, "open files", look.name, seen, advice)
    else:
        yield Finding(Level.OK, "open files", look.name, seen)


def _clock(look: Look) -> Iterator[Finding]:
    """No promise of hraft's stands on it; but certificates expire by it, and logs are read by it."""
    ahead_seconds = look.clock_ahead_seconds
    if ahead_seconds is None:
        return
    if abs(ahead_seconds) > CLOCK_SECONDS:
        seen = f"its clock is {abs(ahead_seconds):.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'} this machine's"
        advice = "let NTP set both: certificates and logs go by them, hraft itself does not"
        yield Finding(Level.WARNING, "clock", look.name, seen, advice)
    else:
        yield Finding(Level.OK, "clock", look.name, "as this machine's, to a few seconds")


def _way(looks: Sequence[Look], has_login: bool) -> Iterator[Finding]:
    for look in looks:
        parts = urlsplit(look.url)
        if not look.status or _is_here(parts.netloc):
            continue
        if parts.scheme != "https":
            seen = f"{look.url}: anybody on the way can read and change what is said"
            yield Finding(Level.WARNING, "encryption", look.name, seen, "start the nodes with certificates: docs/security.md")
        if not has_login:
            advice = "start the nodes with users (--auth): docs/security.md"
            yield Finding(Level.WARNING, "users", look.name, f"{look.url} told all this without asking who we are", advice)


def _is_here(place: str) -> bool:
    try:
        return is_loopback(parse_address(place))
    except BadAddress:
        return False


def mebibytes(size_bytes: float) -> str:
    """In the unit that disks are thought of in."""
    return f"{size_bytes / 2**30:.1f} GiB" if size_bytes >= 2**30 else f"{size_bytes / 2**20:.0f} MiB"
