"""One batch of the log as bytes: a header line, then the lines of its entries (docs/disk-format.md).

A batch is what one save makes durable. Its header carries the hard state and the truncation, so that neither can be on disk
without the entries they belong to. Knows nothing of files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import msgspec

from hraft.codec import encode_entries
from hraft.raft.entry import Entry, HardState

#: `truncate_from` of a batch that begins the log anew: not even what came before the first entry stays.
RESET = 0

#: Digits are counted, so that no number is too long to read. No sound header is longer than what this can match.
_HEADER = re.compile(
    rb'\{"batch":(\d{1,19}),"term":(\d{1,19}),"voted_for":(null|"(?:[^"\\\n]|\\[^\n]){0,4000}"),"truncate_from":(null|\d{1,19}),'
    rb'"lines":(\d{1,19}),"bytes":(\d{1,19})(,"crc":"([0-9a-f]{8})"\}\n)'
)
_voted_for: msgspec.json.Decoder[str | None] = msgspec.json.Decoder(str | None)


class Batch(NamedTuple):
    """A sound batch as found in a segment: `lines` are the bytes of its entries, and it ends before `end`."""

    number: int
    hard_state: HardState
    truncate_from: int | None
    lines_count: int
    lines: bytes
    start: int
    end: int


def encode_batch(number: int, hard_state: HardState, truncate_from: int | None, entries: Sequence[Entry]) -> bytes:
    """Return the header line and the lines of one save."""
    lines = encode_entries(entries)
    head = b'{"batch":%d,"term":%d,"voted_for":%b,"truncate_from":%b,"lines":%d,"bytes":%d' % (
        number,
        hard_state.term,
        b"null" if hard_state.voted_for is None else msgspec.json.encode(hard_state.voted_for),
        b"null" if truncate_from is None else b"%d" % truncate_from,
        len(entries),
        len(lines),
    )
    return b'%b,"crc":"%08x"}\n%b' % (head, crc32(lines, crc32(head)), lines)


def decode_batch(data: bytes, offset: int) -> Batch | str:
    """Read the batch at `offset`, or say what is wrong with it."""
    header = _HEADER.match(data, offset)
    if header is None:
        return "no header of a batch"
    number, term, voted_for, truncate_from, lines_count, lines_bytes, _, checksum = header.groups()
    start = header.end()
    end = start + int(lines_bytes)
    if end > len(data):
        return f"a batch of {int(lines_bytes)} bytes, of which {len(data) - start} are there"
    lines = data[start:end]
    if b"%08x" % crc32(lines, crc32(data[offset : header.start(7)])) != checksum:
        return f"a batch that does not have its checksum, {checksum.decode()}"
    try:
        hard_state = _hard_state(term, voted_for)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"a vote that cannot be read: {voted_for!r}"
    truncated = None if truncate_from == b"null" else int(truncate_from)
    return Batch(int(number), hard_state, truncated, int(lines_count), lines, start, end)


@lru_cache(maxsize=16)
def _hard_state(term: bytes, voted_for: bytes) -> HardState:
    """Cached, since it seldom changes from batch to batch."""
    return HardState(int(term), _voted_for.decode(voted_for))


def find_other_header(data: bytes, offset: int, number: int) -> int | None:
    """Return where, from `offset` on, a header of another batch than `number` stands, if there is one.

    Looks inside lines too: the newline before the header may be what is damaged. No entry can look like one, whatever a
    client put into it: a header's last two bytes before the newline are `"}`, and a command cannot hold what comes before
    them, since it is a whole JSON text.
    """
    return next((found.start() for found in _HEADER.finditer(data, offset) if int(found[1]) != number), None)
