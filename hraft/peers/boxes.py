"""AMP boxes as bytes: cut out of a stream under limits, and written down.

Twisted's own parser takes a box of any size from anybody. Knows nothing of commands.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

from hraft.errors import BadMessage
from hraft.limits import PEER_FRAME_PARTS_COUNT

_pack_length = Struct("!H").pack
_KEY_BYTES = 255


class BoxParser:
    """Cuts a stream into boxes. Holds at most one box of `size_limit_bytes`, and 64 KiB of what follows."""

    def __init__(self, size_limit_bytes: int) -> None:
        self.size_limit_bytes = size_limit_bytes
        self._rest = b""
        self._key: bytes | None = None
        self._box: dict[bytes, bytes] = {}
        self._box_bytes = 0

    def feed(self, data: bytes) -> Iterator[dict[bytes, bytes]]:
        """Yield every box that is whole now. Raises BadMessage where the stream cannot go on; do not feed it again then."""
        buffer = self._rest + data if self._rest else data
        key, box = self._key, self._box
        at, last = 0, len(buffer) - 2
        while at <= last:
            length = (buffer[at] << 8) | buffer[at + 1]
            if length > _KEY_BYTES and key is None:
                raise BadMessage(f"this is not AMP: a key has at most {_KEY_BYTES} bytes, got {buffer[at : at + 40]!r}")
            if self._box_bytes + 2 + length > self.size_limit_bytes:
                raise BadMessage(f"a box is longer than the limit of {self.size_limit_bytes} bytes")
            end = at + 2 + length
            if end > last + 2:
                break
            self._box_bytes += 2 + length
            part, at = buffer[at + 2 : end], end
            if key is not None:
                if key in box:
                    raise BadMessage(f"the key {key!r} stands twice in a box")
                if len(box) >= PEER_FRAME_PARTS_COUNT:
                    raise BadMessage(f"a box has more keys than {PEER_FRAME_PARTS_COUNT}")
                box[key], key = part, None
            elif part:
                key = part
            else:
                yield box
                box, self._box_bytes = {}, 0
        self._rest, self._key, self._box = buffer[at:], key, box


def serialized(box: dict[bytes, bytes]) -> bytes:
    """The bytes of a box whose keys and values are known to be short enough."""
    parts: list[bytes] = []
    for key, value in box.items():
        parts += (_pack_length(len(key)), key, _pack_length(len(value)), value)
    parts.append(b"\0\0")
    return b"".join(parts)
