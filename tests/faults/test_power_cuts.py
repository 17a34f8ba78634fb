"""The power of all nodes goes at once, on a file system that forgets what was not synced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cluster import Cluster
from mounts import forgetful_disk
from power_cuts import WRITES_COUNT, power_cuts
from requirements import needs_fuse

pytestmark = needs_fuse


@pytest.mark.scenario("D14")
@pytest.mark.parametrize(("how", "seed"), [("none", 0), ("some", 1)])
def test_nothing_promised_is_lost(cluster: Cluster, tmp_path: Path, how: str, seed: int) -> None:
    """Twice under load, snapshots among it: what was answered was synced on a majority, so it is there."""
    assert all(count >= WRITES_COUNT for count in power_cuts(cluster, tmp_path / "disk", how, seed, count=2))


def test_the_disk_forgets(tmp_path: Path) -> None:
    """What the other test rests on: what was not synced is gone, data and names, in each directory for itself."""
    with forgetful_disk(tmp_path / "disk", "none", 0) as disk:
        below = disk.folder / "below"
        below.mkdir()
        sync(disk.folder)
        for name in ("kept", "half", "unsynced", "unnamed"):
            descriptor = os.open(below / name, os.O_CREAT | os.O_RDWR)
            os.pwrite(descriptor, b"synced", 0)
            if name != "unsynced":
                os.fdatasync(descriptor)
            if name == "half":
                os.pwrite(descriptor, b", and more", 6)
            os.close(descriptor)
            if name == "unsynced":
                sync(below)
        sync(disk.folder)
        os.rename(below / "kept", below / "renamed")
        assert ["half", "renamed", "unnamed", "unsynced"] == sorted(os.listdir(below))
        assert b"synced, and more" == (below / "half").read_bytes()
        disk.cut_power()
        with pytest.raises(OSError, match="Input/output error"):
            os.listdir(below)
        disk.bring_power_back()
        found = {path.name: path.read_bytes() for path in below.iterdir()}
        assert {"kept": b"synced", "half": b"synced", "unsynced": b""} == found


def sync(folder: Path) -> None:
    """Make a directory's names durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
