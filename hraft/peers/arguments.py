"""The types of AMP arguments that peers use.

AMP's own are too trusting (an Integer may have four thousand digits) and too small (a String ends at 65,535 bytes). Knows
no command by name.
"""

from __future__ import annotations

from typing import Any, cast
from zlib import crc32

from twisted.protocols import amp

from hraft.codec import decode_entries, decode_snapshot, encode_entries, encode_snapshot
from hraft.errors import BadMessage
from hraft.raft.entry import Entry, Snapshot

_COUNT_MAX = 2**63 - 1


class Argument(amp.Argument):
    """One value of a box; subclasses say what its bytes mean."""

    def __init__(self, optional: bool = False) -> None:
        self.optional = optional

    def toString(self, inObject: Any) -> bytes:
        return cast(bytes, inObject)

    def fromString(self, inString: bytes) -> Any:
        return inString


class Count(Argument):
    """A number from 0 to 2**63 - 1, in decimal digits."""

    def toString(self, inObject: int) -> bytes:
        return b"%d" % inObject

    def fromString(self, inString: bytes) -> int:
        # Before int(): it would take signs, blanks and underscores, and minutes for a million digits.
        if inString.isdigit() and len(inString) <= 19 and (count := int(inString)) <= _COUNT_MAX:
            return count
        raise BadMessage(f"expected a number from 0 to {_COUNT_MAX}, got {inString[:40]!r}")


class Flag(Argument):
    """True or False, by these names."""

    def toString(self, inObject: bool) -> bytes:
        return b"True" if inObject else b"False"

    def fromString(self, inString: bytes) -> bool:
        if inString not in (b"True", b"False"):
            raise BadMessage(f"expected True or False, got {inString[:40]!r}")
        return inString == b"True"


class Blob(Argument):
    """Bytes of any length: as many AMP values as it takes, under the keys `name`, `name.1`, `name.2`, ...

    Every value but the last is full.
    """

    def toBox(self, name: bytes, strings: dict[bytes, bytes], objects: dict[str, Any], proto: Any) -> None:
        put(self, name, objects[name.decode()], strings)

    def fromBox(self, name: bytes, strings: dict[bytes, bytes], objects: dict[str, Any], proto: Any) -> None:
        objects[name.decode()] = take(self, name, strings)


class Text(Blob):
    """Unicode text of any length, as UTF-8."""

    def toString(self, inObject: str) -> bytes:
        return inObject.encode()

    def fromString(self, inString: bytes) -> str:
        return inString.decode()


class Entries(Blob):
    """Entries of the log, by their lines: the very bytes that lie on disk."""

    def toString(self, inObject: tuple[Entry, ...]) -> bytes:
        return encode_entries(inObject)

    def fromString(self, inString: bytes) -> tuple[Entry, ...]:
        return decode_entries(inString) if inString else ()


class SnapshotDescription(Blob):
    """What a snapshot says of itself: a blob, since a large configuration is longer than one value."""

    def toString(self, inObject: Snapshot) -> bytes:
        return encode_snapshot(inObject)

    def fromString(self, inString: bytes) -> Snapshot:
        return decode_snapshot(inString)


class ChecksummedBytes(Blob):
    """Bytes that are still in memory when they are written down: the first four are the CRC-32 of the others."""

    def toString(self, inObject: bytes) -> bytes:
        return crc32(inObject).to_bytes(4, "big") + inObject

    def fromString(self, inString: bytes) -> bytes:
        data = inString[4:]
        if len(inString) < 4 or crc32(data) != int.from_bytes(inString[:4], "big"):
            raise BadMessage(f"the checksum of {len(data)} bytes is wrong: {inString[:40]!r}...")
        return data


def put(argument: Any, name: bytes, value: Any, strings: dict[bytes, bytes]) -> None:
    """Write one argument into a box. The same as the argument's `toBox`, without the detour over a dictionary."""
    if argument.optional and value is None:
        return
    whole = argument.toString(value)
    if len(whole) < amp.MAX_VALUE_LENGTH:
        strings[name] = whole
        return
    strings[name] = whole[: amp.MAX_VALUE_LENGTH]
    for number, start in enumerate(range(amp.MAX_VALUE_LENGTH, len(whole), amp.MAX_VALUE_LENGTH), 1):
        strings[b"%b.%d" % (name, number)] = whole[start : start + amp.MAX_VALUE_LENGTH]


def take(argument: Any, name: bytes, strings: dict[bytes, bytes]) -> Any:
    """Read one argument out of a box. Raises BadMessage where it is missing or does not read as what it should be."""
    first = strings.get(name)
    if first is None:
        if argument.optional:
            return None
        raise BadMessage(f"the argument {name.decode('ascii', 'replace')!r} is missing")
    if len(first) == amp.MAX_VALUE_LENGTH and isinstance(argument, Blob):
        first = _joined(name, first, strings)
    try:
        return argument.fromString(first)
    except (BadMessage, UnicodeDecodeError) as error:
        raise BadMessage(f"the argument {name.decode('ascii', 'replace')!r} is wrong: {error}") from error


def _joined(name: bytes, first: bytes, strings: dict[bytes, bytes]) -> bytes:
    parts = [first]
    while len(parts[-1]) == amp.MAX_VALUE_LENGTH:
        part = strings.get(b"%b.%d" % (name, len(parts)))
        if part is None:
            break
        parts.append(part)
    return b"".join(parts)
