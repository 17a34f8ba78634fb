"""One snapshot as bytes: a header line, the state machine's lines, a footer line (docs/disk-format.md).

The same bytes lie on disk and travel to a follower. Knows nothing of where they lie or how they travel.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

from hraft import limits
from hraft.codec import decode_snapshot, encode_snapshot
from hraft.errors import BadMessage, FormatUnknown, LogCorrupted
from hraft.raft.entry import Snapshot

FORMAT = 1

_HEADER = re.compile(rb'\{"format":(\d{1,9}),"cluster_id":("(?:[^"\\\n]|\\[^\n])*"),("index":.*\})\n')
#: Only the format is promised to stay where it is.
_ANY_HEADER = re.compile(rb'\{"format":(\d{1,9})[,}]')
_FOOTER = re.compile(rb'\{"lines":(\d{1,19})(,"crc":"([0-9a-f]{8})"\}\n)')
_FOOTER_BYTES = 64
_PART_BYTES = 256 * 1024
#: As a number, as in `hraft.codec`.
_LINE_END = ord("\n")

#: Returns that many bytes at an offset, fewer at the end only.
Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a snapshot file are. `lines_start` is the end of the header, `lines_end` the start of the footer."""

    snapshot: Snapshot
    cluster_id: str
    lines_start: int
    lines_end: int
    summed_end: int
    lines_count: int
    checksum: bytes


def encode(snapshot: Snapshot, cluster_id: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the whole file in parts of a good size for writing."""
    part = bytearray(
        b'{"format":%d,"cluster_id":%b,%b\n' % (FORMAT, json.dumps(cluster_id).encode(), encode_snapshot(snapshot)[1:])
    )
    checksum = lines_count = 0
    for line in lines:
        if _LINE_END in line:
            raise ValueError(f"a state machine's line holds a newline: {line[:80]!r}")
        part += line
        part += b"\n"
        lines_count += 1
        if len(part) >= _PART_BYTES:
            checksum = crc32(part, checksum)
            yield bytes(part)
            part.clear()
    part += b'{"lines":%d' % lines_count
    part += b',"crc":"%08x"}\n' % crc32(part, checksum)
    yield bytes(part)


def read_layout(read: Read, size_bytes: int, name: str) -> Layout:
    """Find the parts of a file. Raises FormatUnknown, and LogCorrupted where it is not whole. Verifies no checksum."""
    header_line = _read_header_line(read, size_bytes, name)
    any_header = _ANY_HEADER.match(header_line)
    if any_header and int(any_header[1]) != FORMAT:
        found = int(any_header[1])
        raise FormatUnknown(f"{name} is of format {found}, this hraft reads format {FORMAT}; use the hraft that wrote it")
    header = _HEADER.fullmatch(header_line)
    if header is None:
        raise LogCorrupted(f"{name}: line 1 is not the header of a snapshot")
    footer_start = max(len(header_line), size_bytes - _FOOTER_BYTES)
    tail = read(footer_start, size_bytes - footer_start)
    line_start = tail.rfind(b"\n", 0, -1) + 1
    footer = _FOOTER.fullmatch(tail, line_start)
    if footer is None:
        raise LogCorrupted(f"{name}: its last line, before byte {size_bytes}, is not the footer of a snapshot: it is not whole")
    try:
        snapshot = decode_snapshot(b"{" + header[3])
        cluster_id = json.loads(header[2])
    except (BadMessage, ValueError) as error:
        raise LogCorrupted(f"{name}: its header cannot be read: {error}") from error
    return Layout(
        snapshot=snapshot,
        cluster_id=cluster_id,
        lines_start=len(header_line),
        lines_end=footer_start + line_start,
        summed_end=footer_start + footer.start(2),
        lines_count=int(footer[1]),
        checksum=footer[3],
    )


def read_lines(read: Read, layout: Layout, name: str) -> Iterator[bytes]:
    """Yield the state machine's lines, without newlines. Raises LogCorrupted at the end, if not before, for damage."""
    checksum = crc32(read(0, layout.lines_start))
    lines_count = 0
    rest = b""
    for part in _parts(read, layout.lines_start, layout.lines_end):
        checksum = crc32(part, checksum)
        lines = part.split(b"\n")
        lines[0] = rest + lines[0]
        rest = lines.pop()
        lines_count += len(lines)
        yield from lines
    checksum = crc32(read(layout.lines_end, layout.summed_end - layout.lines_end), checksum)
    _check_sums(layout, lines_count, checksum, name)


def verify(read: Read, layout: Layout, name: str) -> None:
    """Raise LogCorrupted unless the whole file has its checksum."""
    checksum = lines_count = 0
    for part in _parts(read, 0, layout.summed_end):
        checksum = crc32(part, checksum)
        lines_count += part.count(b"\n")
    _check_sums(layout, lines_count - 1, checksum, name)


def check_identity(layout: Layout, snapshot: Snapshot | None, cluster_id: str, name: str) -> None:
    """Raise LogCorrupted unless a file says of itself what it should."""
    if layout.cluster_id != cluster_id:
        raise LogCorrupted(f"{name} belongs to the cluster {layout.cluster_id!r}, not to {cluster_id!r}")
    if snapshot is not None and layout.snapshot != snapshot:
        raise LogCorrupted(f"{name} holds {layout.snapshot}, not {snapshot}")


def _check_sums(layout: Layout, lines_count: int, checksum: int, name: str) -> None:
    if b"%08x" % checksum != layout.checksum:
        raise LogCorrupted(f"{name}: its checksum is {checksum:08x}, its footer says {layout.checksum.decode()}")
    if lines_count != layout.lines_count:
        raise LogCorrupted(f"{name} has {lines_count} lines, its footer says {layout.lines_count}")


def _read_header_line(read: Read, size_bytes: int, name: str) -> bytes:
    """A header is as long as its configuration, which is one entry's at most."""
    line = b""
    limit = min(size_bytes, limits.ENTRY_BYTES)
    while len(line) < limit:
        part = read(len(line), min(4096, limit - len(line)))
        line += part
        end = line.find(b"\n")
        if end >= 0:
            return line[: end + 1]
        if not part:
            break
    raise LogCorrupted(f"{name}: line 1 has no end within {limit} bytes, so this is not a snapshot")


def _parts(read: Read, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        part = read(start, min(_PART_BYTES, end - start))
        if not part:
            return
        start += len(part)
        yield part
