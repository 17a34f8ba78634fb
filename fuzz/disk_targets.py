"""Targets that take what lies in a data directory: the log, a snapshot's file, the file that says whose the directory is.

A checksum hides from chance whatever is behind it, so each input is also fed with its checksums put right.
"""

from __future__ import annotations

import re
from functools import partial
from zlib import crc32

from fuzz.target import Target, expect, same
from fuzz.values import CONFIGURATIONS
from hraft.errors import FormatUnknown, LogCorrupted
from hraft.interfaces import Recovered
from hraft.raft.entry import Entry, EntryKind, HardState, Snapshot
from hraft.raft.ready import Save
from hraft.simulation.disk import SimulatedDisk
from hraft.storage import directory, snapshot_file
from hraft.storage.durable import DurableStorage
from hraft.storage.log_reader import SEGMENT_NAME, segment_name

_CLUSTER = "cluster-a"
_PATH = "node"
#: Ends a file in an input of several; each file begins with a line that is its name.
_FILE_END = b"\x1e"
_HEAD = re.compile(rb'(\{"batch":[^\n]*?"bytes":(\d{1,19}))(,"crc":")[0-9a-f]{8}')
_SUM = re.compile(rb'(,"crc":")[0-9a-f]{8}("\}\n)\Z')


# --- the log --------------------------------------------------------------------------------------


def _log(data: bytes) -> None:
    for files in (_files(data), {name: _sealed_batches(content) for name, content in _files(data).items()}):
        disk = SimulatedDisk(_PATH)
        for name, content in files.items():
            disk.put(f"{_PATH}/{'snapshots' if name.startswith('snapshot') else 'log'}/{name}", content)
        before = disk.contents()
        try:
            found = _opened(disk).recover()
        except (LogCorrupted, FormatUnknown):
            same(before, {path: disk.contents()[path] for path in before}, "files that were refused and yet changed")
            continue
        _check_recovered(disk, found)


def _check_recovered(disk: SimulatedDisk, found: Recovered) -> None:
    """Repaired once is repaired for good, and the log goes on."""
    first_index = found.base.index + 1
    same(list(range(first_index, first_index + len(found.entries))), [entry.index for entry in found.entries], "the indexes")
    storage = _opened(disk)
    again = storage.recover()
    same((found.hard_state, found.snapshot, found.base), (again.hard_state, again.snapshot, again.base), "what is found again")
    same(tuple(found.entries), tuple(again.entries), "the entries that are found again")
    same((), again.notes, "notes of a second start")
    last_index = max(again.base.index + len(again.entries), again.snapshot.index if again.snapshot else 0)
    if last_index >= 2**63 - 1:
        return
    more = Entry(last_index + 1, 7, EntryKind.COMMAND, b"{}")
    storage.save(Save(0, HardState(7, "n2"), None, (more,)))
    storage.close()
    after = _opened(disk).recover()
    same((HardState(7, "n2"), (*again.entries, more)), (after.hard_state, tuple(after.entries)), "what was saved after it")


def _opened(disk: SimulatedDisk) -> DurableStorage:
    return DurableStorage(disk, _PATH, _CLUSTER, segment_bytes=400, padding_bytes=600)


def _files(data: bytes) -> dict[str, bytes]:
    """The files of an input; one without a name is the log's first segment."""
    files = {}
    for part in data.split(_FILE_END)[:20]:
        first, _, rest = part.partition(b"\n")
        name = first.decode("latin-1")
        is_named = SEGMENT_NAME.fullmatch(name) or re.fullmatch(r"snapshot[\w.-]{1,80}", name)
        files[name if is_named else segment_name(1, 1)] = rest if is_named else part
    return files


def _sealed_batches(data: bytes) -> bytes:
    sealed, at = bytearray(data), 0
    while (head := _HEAD.search(sealed, at)) is not None:
        at = head.end()
        end = sealed.find(b"\n", at) + 1
        if end:
            checksum = crc32(sealed[end : end + int(head[2])], crc32(head[1]))
            sealed[head.end(3) : head.end(3) + 8] = b"%08x" % checksum
    return bytes(sealed)


def _log_samples() -> list[bytes]:
    """What a node's directory looks like after each of a few saves."""
    disk = SimulatedDisk(_PATH)
    storage = _opened(disk)
    storage.recover()
    samples = []
    for number in range(14):
        first, truncate_from = (number - 3, number - 3) if number in (6, 7) else (number + 1 - 4 * (number > 6), None)
        entries = (Entry(max(1, first), number + 1, EntryKind.COMMAND, b'{"op":"set","key":"k","value":"%d"}' % number),)
        if number == 0:
            entries = (Entry(1, 1, EntryKind.CONFIGURATION, configuration=CONFIGURATIONS[1]),)
        storage.save(Save(0, HardState(number + 1, (None, 'n"2', "n1")[number % 3]), truncate_from, entries))
        if number == 11:
            storage.write_snapshot(Snapshot(entries[0].index, number + 1, CONFIGURATIONS[1]), [b'{"a":1}', b"{}"])
            storage.compact(entries[0].index - 1)
        samples.append(
            _FILE_END.join(path.rpartition("/")[2].encode() + b"\n" + content for path, content in disk.contents().items())
        )
    return samples


# --- a snapshot's file ----------------------------------------------------------------------------


def _snapshot(data: bytes) -> None:
    for tried in (data, _sealed_whole(data)):
        read = partial(_read, tried)
        try:
            layout = snapshot_file.read_layout(read, len(tried), "it")
            lines, refusal = list(snapshot_file.read_lines(read, layout, "it")), ""
        except (LogCorrupted, FormatUnknown) as error:
            lines, refusal = [], str(error)
        try:
            snapshot_file.verify(read, snapshot_file.read_layout(read, len(tried), "it"), "it")
        except (LogCorrupted, FormatUnknown) as error:
            same(refusal, str(error), "what the reader and the verifier have against it")
            continue
        same("", refusal, "what the reader has against a file that was verified")
        own = b"".join(snapshot_file.encode(layout.snapshot, layout.cluster_id, lines))
        again_read = partial(_read, own)
        again = snapshot_file.read_layout(again_read, len(own), "its own")
        same((layout.snapshot, layout.cluster_id), (again.snapshot, again.cluster_id), "the header of its own bytes")
        same(lines, list(snapshot_file.read_lines(again_read, again, "its own")), "the lines of its own bytes")


def _read(data: bytes, offset: int, length: int) -> bytes:
    expect(offset >= 0 and length >= 0, f"{length} bytes at {offset} were asked for")
    return data[offset : offset + length]


def _sealed_whole(data: bytes) -> bytes:
    """The checksum at the end put right: that of all before it."""
    found = _SUM.search(data)
    return data if found is None else b"%b%b%08x%b" % (data[: found.start()], found[1], crc32(data[: found.start()]), found[2])


def _snapshot_samples() -> list[bytes]:
    lines = ((), (b"{}",), (b'{"store":1}', b'{"key":"a"}', b""), (b"x" * 70_000,) * 5)
    clusters = ("c", "cl\u00fcster\n", 'a"b')
    return [
        b"".join(snapshot_file.encode(Snapshot(9, 3, configuration), cluster, each))
        for cluster, configuration in zip(clusters, CONFIGURATIONS, strict=True)
        for each in lines
    ]


# --- whose directory it is ------------------------------------------------------------------------


def _identity(data: bytes) -> None:
    for tried in (data, _sealed_whole(data)):
        disk = SimulatedDisk(_PATH)
        disk.put(f"{_PATH}/node.json", tried)
        try:
            found = directory.read_identity(disk, _PATH)
        except (LogCorrupted, FormatUnknown):
            continue
        assert found is not None
        directory.write_identity(disk, _PATH, found)
        same(found, directory.read_identity(disk, _PATH), "what is read of its own bytes")


def _identity_samples() -> list[bytes]:
    samples = []
    for cluster_id, node_id in (("c", "n1"), ("cl\u00fcster", 'n"1\\'), ("x" * 3000, "localhost:12000")):
        disk = SimulatedDisk(_PATH)
        directory.write_identity(disk, _PATH, directory.Identity(cluster_id, node_id))
        samples.append(disk.contents()[f"{_PATH}/node.json"])
    return samples


TARGETS = (
    Target("log", "the files of a log, recovered, repaired and continued", _log, _log_samples),
    Target("snapshot-file", "a snapshot's file", _snapshot, _snapshot_samples),
    Target("identity", "node.json", _identity, _identity_samples),
)
