"""Values of a type, made from its annotations alone: a kind of command or message that is added later is covered as it is.

Knows Raft's few shapes of which not every combination can be. Knows nothing of how they are written.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from random import Random
from typing import Any

import msgspec

from hraft.raft.configuration import Configuration
from hraft.raft.entry import Entry, EntryKind

_TEXTS = ("", "a", "k\u00e9y", "n1", "127.0.0.1:80", 'x"\\\n\u2028', "0" * 40)
_BYTES = (b"", b"a", b"k1", "k\u00e9y".encode(), b"\xff", b"\0\x80", b"v" * 40)
_NUMBERS = (1, 1, 2, 3, 7, 2**31, 2**63 - 1)
CONFIGURATIONS = (
    Configuration({"n1": "n1:1"}),
    Configuration({"n1": "n1:1", "n2": "n2:1", "n3": "n3:1"}, {"n4": "n4:1"}, ("n0",)),
    Configuration({}, {"n\u00e9": "[::1]:1"}),
)
_COMMANDS = (b"{}", b'{"op":"set","key":"a","value":"b"}', b'[1,"x",null]', b'"' + b"x" * 100 + b'"')


def value_of(kind: Any, random: Random) -> Any:
    """One value of a type: of a struct, a dataclass, a union of them, or anything that their fields may be."""
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return value_of(typing.get_args(kind)[0], random)
    if origin in (typing.Union, types.UnionType):
        return value_of(random.choice(typing.get_args(kind)), random)
    if origin is typing.Literal:
        return random.choice(typing.get_args(kind))
    if origin is not None:
        return _several(origin, typing.get_args(kind), random)
    if kind is Entry:
        return entry(random.choice(_NUMBERS), random.choice(_NUMBERS), random)
    if kind is Configuration:
        return random.choice(CONFIGURATIONS)
    if isinstance(kind, type) and (issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind)):
        return _record(kind, random)
    return _plain(kind, random)


def entry(index: int, term: int, random: Random) -> Entry:
    """An entry of any kind."""
    kind = random.choice((EntryKind.COMMAND, EntryKind.COMMAND, EntryKind.NOOP, EntryKind.CONFIGURATION))
    if kind is EntryKind.CONFIGURATION:
        return Entry(index, term, kind, configuration=random.choice(CONFIGURATIONS))
    return Entry(index, term, kind, random.choice(_COMMANDS) if kind is EntryKind.COMMAND else b"")


def variants(kind: Any) -> tuple[Any, ...]:
    """The types of a union, or the type alone."""
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _several(origin: Any, parts: tuple[Any, ...], random: Random) -> Any:
    count = random.randrange(4)
    if origin is tuple and parts[-1] is not Ellipsis:
        return tuple(value_of(part, random) for part in parts)
    if origin is dict:
        return {value_of(parts[0], random): value_of(parts[1], random) for _ in range(count)}
    return (origin if origin in (list, tuple) else tuple)(value_of(parts[0], random) for _ in range(count))


def _record(kind: type, random: Random) -> Any:
    hints = typing.get_type_hints(kind, include_extras=True)
    names = kind.__struct_fields__ if issubclass(kind, msgspec.Struct) else [each.name for each in dataclasses.fields(kind)]
    return kind(**{name: value_of(hints[name], random) for name in names})


def _plain(kind: Any, random: Random) -> Any:
    if kind in (None, type(None)):
        return None
    if kind is bool:
        return random.randrange(2) == 1
    if kind is float:
        return random.choice((0.0, 1.5, 1e300))
    if kind is int:
        return random.choice(_NUMBERS)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return random.choice(list(kind))
    if kind in (str, bytes):
        return random.choice(_TEXTS if kind is str else _BYTES)
    raise TypeError(f"fuzz.values knows no value of {kind!r}: give it one")
