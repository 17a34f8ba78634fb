"""What is wrong with a node's data directory: who may read it, what disk it is on, and what is in it. Changes nothing.

While a node runs on it only what is around the files is looked at: they change under whoever reads them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from hraft.doctor.findings import Finding, Level
from hraft.doctor.machines import LOW_DISK_BYTES, mebibytes
from hraft.errors import DirectoryUnusable, HraftError, in_words
from hraft.limits import DISK_RESERVE_BYTES, SNAPSHOT_ENTRIES_COUNT
from hraft.offline.contents import Contents, read_contents
from hraft.offline.holding import held
from hraft.offline.verdicts import verdicts_of

_DAY_SECONDS: Final = 24 * 3600
#: Types of file systems -> why a log should not be there.
_FORGETFUL: Final = dict.fromkeys(("tmpfs", "ramfs", "devtmpfs"), "it is memory, and gone when the machine stops")
_REMOTE: Final = dict.fromkeys(
    ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "fuse.glusterfs"),
    "it is on another machine: a sync is slow, and may promise more than is so",
)
_LAYERED: Final = dict.fromkeys(("overlay", "aufs"), "it is a container's own layer, and gone with the container")
_UNFIT: Final = {**_FORGETFUL, **_REMOTE, **_LAYERED}


def findings_of_directory(directory: str, wall: Callable[[], float], mounts: str = "/proc/self/mounts") -> list[Finding]:
    """Everything that was looked at. `wall` is the time as files have it; `mounts` the system's table of file systems."""
    path = os.path.abspath(os.path.expanduser(directory))
    if not os.path.isdir(path):
        return [Finding(Level.PROBLEM, "directory", path, "this is not a directory", "name a node's data directory")]
    try:
        return [*_rights(path), *_file_system(path, mounts), *_room(path), *_contents(path, wall)]
    except OSError as error:
        return [Finding(Level.PROBLEM, "directory", path, in_words(error), "ask as the user that the node runs as")]


def _rights(path: str) -> Iterator[Finding]:
    found = os.stat(path)
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        seen = f"others than its owner may enter it (mode {mode:04o}), and every key and value is in it"
        yield Finding(Level.WARNING, "rights", path, seen, f"chmod 700 {path}")
    elif found.st_uid != os.geteuid() and os.geteuid() != 0:
        yield Finding(Level.WARNING, "rights", path, "it is another user's", "ask as the user that the node runs as")
    else:
        yield Finding(Level.OK, "rights", path, "only its owner may enter it")


def _file_system(path: str, mounts: str) -> Iterator[Finding]:
    kind = _kind_of_file_system(path, mounts)
    if kind in _UNFIT:
        advice = "keep the data on a local disk of the machine"
        yield Finding(Level.WARNING, "file system", path, f"{kind}: {_UNFIT[kind]}", advice)
    elif kind:
        yield Finding(Level.OK, "file system", path, kind)


def _kind_of_file_system(path: str, mounts: str) -> str:
    """Empty where the system has no such table."""
    real = os.path.realpath(path)
    best, kind = "", ""
    try:
        with open(mounts, encoding="utf-8", errors="replace") as table:
            for line in table:
                fields = line.split(" ")
                if len(fields) < 3:
                    continue
                point = fields[1].replace("\\040", " ").rstrip("/")
                # Of two on one point the later hides the earlier.
                if (real == point or real.startswith(f"{point}/")) and len(point) >= len(best):
                    best, kind = point, fields[2]
    except OSError:
        return ""
    return kind


def _room(path: str) -> Iterator[Finding]:
    disk = os.statvfs(path)
    free_bytes = disk.f_bavail * disk.f_frsize
    seen, advice = f"{mebibytes(free_bytes)} free", "make room: docs/operating.md#disk_full"
    if free_bytes <= DISK_RESERVE_BYTES:
        seen += f"; a node takes no writes with less than {mebibytes(DISK_RESERVE_BYTES)}"
        yield Finding(Level.PROBLEM, "room", path, seen, advice)
    elif free_bytes < LOW_DISK_BYTES:
        yield Finding(Level.WARNING, "room", path, seen, advice)
    else:
        yield Finding(Level.OK, "room", path, seen)
    if disk.f_files and not disk.f_favail:
        yield Finding(Level.PROBLEM, "room", path, "no file can be made: there are no inodes left", "remove files from this disk")


def _contents(path: str, wall: Callable[[], float]) -> Iterator[Finding]:
    try:
        with held(path):
            contents = read_contents(path)
    except DirectoryUnusable as error:
        if "in use" in str(error):
            yield Finding(Level.OK, "lock", path, "a node runs on it, so what is in it was not read")
            return
        yield Finding(Level.PROBLEM, "contents", path, str(error), "name a node's data directory, or restore it from a copy")
        return
    except HraftError as error:
        yield Finding(Level.PROBLEM, "contents", path, str(error), f"see hraft log verify {path}")
        return
    yield Finding(Level.OK, "lock", path, "no node runs on it")
    verdicts = verdicts_of(contents)
    for verdict in verdicts:
        yield Finding(Level.PROBLEM if verdict.is_damage else Level.WARNING, "contents", path, verdict.problem, verdict.advice)
    if not any(verdict.is_damage for verdict in verdicts):
        yield Finding(Level.OK, "contents", path, _in_short(contents))
    yield from _snapshot(path, contents, wall)


def _in_short(contents: Contents) -> str:
    size_bytes = sum(segment.size_bytes for segment in contents.segments)
    whose = f"node {contents.identity.node_id} of cluster {contents.identity.cluster_id}"
    count = len(contents.segments)
    log = f"{len(contents.log.entries)} entries in {count} segment{'' if count == 1 else 's'}, {mebibytes(size_bytes)}"
    return f"sound, of {whose}: {log}"


def _snapshot(path: str, contents: Contents, wall: Callable[[], float]) -> Iterator[Finding]:
    newest = contents.newest
    after_count = len(contents.entries_after(newest)) if newest is not None else len(contents.log.entries)
    seen = f"{after_count} entries since the last snapshot"
    if newest is None:
        seen = f"no snapshot yet, {after_count} entries"
    else:
        name = next(each.name for each in contents.snapshots if each.snapshot == newest)
        age_seconds = max(0.0, wall() - os.stat(f"{path}/snapshots/{name}").st_mtime)
        days = age_seconds / _DAY_SECONDS
        seen += f", which is {f'{days:.0f} days' if days >= 2 else f'{age_seconds / 3600:.0f} hours'} old"
    if after_count > 2 * SNAPSHOT_ENTRIES_COUNT:
        advice = "see in the node's log why it takes none; a start has to read all of them again"
        yield Finding(Level.WARNING, "snapshot", path, seen, advice)
    else:
        yield Finding(Level.OK, "snapshot", path, seen)
