"""What a process uses: memory, processor, disk. Knows nothing of nodes."""

from __future__ import annotations

import os
from pathlib import Path


def resident_mib(pid: int) -> float:
    """What `ps` calls rss."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    """What all its threads have used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_mib(directory: Path) -> float:
    """Of all files below; one that goes meanwhile counts for nothing."""
    size_bytes = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                size_bytes += Path(folder, name).stat().st_size
            except FileNotFoundError:
                continue
    return size_bytes / 2**20
