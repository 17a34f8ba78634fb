"""Damage to valid samples, as a list of small edits: drawn by hypothesis in tests, by a seeded generator elsewhere.

Edits work on bytes and on words (texts in quotes, numbers, names, brackets), so that much of what comes out still reads as JSON,
HTTP or an address, and is wrong further inside. Knows no target.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

INPUT_BYTES = 256 * 1024
KINDS_COUNT = 9
POSITIONS_COUNT = 1 << 16

_WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|[0-9]+|[A-Za-z_]+|[^\w\s]')
#: What breaks readers elsewhere, too: limits of integers, odd texts, half a character, deep nests, words of the format.
WORDS: tuple[bytes, ...] = (
    *(b"%d" % number for number in (0, 1, -1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**19 - 1, 10**19, 10**40)),
    *(b"1.5", b"1e400", b"-0", b"00", b"+1", b"1_0", b"0x1", b"NaN", b"null", b"true", b"{}", b"[]", b'""', b'"\\u0000"'),
    *(b'"\\ud800"', b'"\\x"', b'"\\/"', b'"\xff"', b'"\xed\xa0\x80"', '"\u2028\u00e9\U0001f600"'.encode(), b'"/w=="', b'"%%%"'),
    *(b"[" * 200 + b"]" * 200, b"{" * 70, b'{"a":' * 70 + b"1" + b"}" * 70, b"[" * 5000, b"9" * 5000, b'"' + b"x" * 5000 + b'"'),
    *(b"\r\n", b"\n", b"\n\n", b"\0", b"\0\0", b"\x1e", b"\xff\xff", b"\x80", b" ", b"\t", b":", b"=", b"%", b"\\", b"'"),
    *("\x85".encode(), "\u2029".encode()),
    *("\u0661".encode(), b"\xcc\x81", b"..", b"[::1]", b"[", b"]", b"%2F", b"%00", b"?", b"&", b",", b"--", b"\xed\xb3\xbf"),
)


class Edit(NamedTuple):
    """One change. `first` and `second` choose places, whatever the length of what is changed."""

    kind: int
    first: int
    second: int
    word: bytes


def edited(data: bytes, edits: Sequence[Edit], other: bytes = b"") -> bytes:
    """`data` after all edits; some take a part of `other`."""
    for edit in edits:
        data = _one(data, edit, other)[:INPUT_BYTES]
    return data


def _one(data: bytes, edit: Edit, other: bytes) -> bytes:
    at = edit.first % (len(data) + 1)
    end = min(len(data), at + edit.second % 16)
    if edit.kind == 0:
        return data[:at] + edit.word + data[end:]
    if edit.kind == 1 and at < len(data):
        return data[:at] + bytes([data[at] ^ 1 << edit.second % 8]) + data[at + 1 :]
    if edit.kind == 2:
        return data[:at] + data[end:]
    if edit.kind == 3:
        return data[:end] + data[at:]
    if edit.kind == 4:
        return data[:at]
    if edit.kind == 5:
        start = edit.second % (len(other) + 1)
        return data[:at] + other[start : start + edit.second % 500] + data[at:]
    return _one_word(data, edit)


def _one_word(data: bytes, edit: Edit) -> bytes:
    words = list(_WORD.finditer(data, 0, 64 * 1024))
    if not words:
        return data + edit.word
    one, two = (words[place % len(words)] for place in (edit.first, edit.second))
    if edit.kind == 6:
        return data[: one.start()] + edit.word + data[one.end() :]
    if edit.kind == 7:
        return data[: one.start()] + two[0] + data[one.end() :]
    start, end = min(one.start(), two.start()), max(one.end(), two.end())
    return data[:end] + data[start:end] * (1 + edit.second % 3) + data[end:]


class Mutator:
    """Endless inputs from samples. The same seed gives the same ones."""

    def __init__(self, samples: Sequence[bytes], seed: int) -> None:
        self._samples = samples
        self._random = Random(seed)

    def next(self) -> bytes:
        random = self._random
        if random.randrange(50) == 0:
            return random.randbytes(random.randrange(200))
        edits = [
            Edit(random.randrange(KINDS_COUNT), self._position(), self._position(), self._word())
            for _ in range(1 + min(random.randrange(6), random.randrange(6)))
        ]
        return edited(random.choice(self._samples), edits, random.choice(self._samples))

    def _position(self) -> int:
        return self._random.randrange(POSITIONS_COUNT)

    def _word(self) -> bytes:
        random = self._random
        return random.choice(WORDS) if random.randrange(4) else random.randbytes(random.randrange(4))
