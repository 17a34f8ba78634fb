"""What a request under /v1 may have beside its path and body: parameters of the query, and headers that set conditions.

Each is declared once, read by that declaration, and described by it in the OpenAPI document; what nobody declared is refused.
Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Generic, TypeAlias, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec

from hraft import limits
from hraft.web.asked import Asked
from hraft.web.problems import NOT_DONE, Problem

T = TypeVar("T")

#: What came, by name.
Given: TypeAlias = Mapping[str, bytes]

#: More digits than any number here has; a text of a million of them would take its time to be read.
_DIGITS: Final = 19
_FLAGS: Final = {b"": True, b"true": True, b"1": True, b"false": False, b"0": False}
#: Headers of MEANINGFUL that must not come where they mean nothing: who sends them relies on them.
_CONDITIONAL: Final = (b"if-match", b"if-none-match", b"idempotency-key")


class Parameter(msgspec.Struct, Generic[T], frozen=True):
    """One of a query. `of` gives its value, or raises Problem."""

    name: str
    about: str
    #: The code of the Problem.
    code: str = "bad_request"
    #: It may come several times, which is the same as once with commas.
    repeats: ClassVar[bool] = False

    def bad(self, detail: str) -> Problem:
        """It came, and cannot be what it should be."""
        return Problem(400, self.code, f"{self.name} {detail}", outcome=NOT_DONE)

    def of(self, given: Given) -> T:
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """What it may be, as JSON Schema."""
        raise NotImplementedError


class Flag(Parameter[bool], frozen=True):
    """True when it stands alone."""

    def of(self, given: Given) -> bool:
        value = given.get(self.name)
        if value is None:
            return False
        if value not in _FLAGS:
            raise self.bad(f"stands alone, or is true or false, and not {shown(value)}")
        return _FLAGS[value]

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": [text.decode() for text in _FLAGS]}


class Number(Parameter[int | None], frozen=True):
    """A whole number within bounds; None where it did not come."""

    lowest: int = 0
    highest: int = 2**63 - 1

    def of(self, given: Given) -> int | None:
        value = given.get(self.name)
        if value is None:
            return None
        number = int(value) if value.isdigit() and len(value) <= _DIGITS else -1
        if not self.lowest <= number <= self.highest:
            raise self.bad(f"is a whole number from {self.lowest} to {self.highest}, and not {shown(value)}")
        return number

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.lowest, "maximum": self.highest}


class Bytes(Parameter[bytes | None], frozen=True):
    """A key, or part of one: any bytes, percent-encoded. None where it did not come."""

    def of(self, given: Given) -> bytes | None:
        value = given.get(self.name)
        if value is not None and len(value) > limits.KEY_BYTES:
            raise bad_key(f"{self.name} may have {limits.KEY_BYTES} bytes, as keys, and not {len(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": limits.KEY_BYTES}


class Choice(Parameter[str], frozen=True):
    """One of several words; the first where it did not come."""

    words: tuple[str, ...] = ()

    def of(self, given: Given) -> str:
        value = given.get(self.name)
        if value is None:
            return self.words[0]
        for word in self.words:
            if value == word.encode():
                return word
        raise self.bad(f"is one of {', '.join(self.words)}, and not {shown(value)}")

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.words), "default": self.words[0]}


class Words(Parameter[frozenset[str]], frozen=True):
    """Some words, between commas or one by one; none where it did not come."""

    repeats: ClassVar[bool] = True

    def of(self, given: Given) -> frozenset[str]:
        words = given.get(self.name, b"").decode("utf-8", "replace").split(",")
        return frozenset(word for word in words if word)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


class Wants(msgspec.Struct, frozen=True):
    """What one kind of request may have. `headers` are some of those that set conditions."""

    parameters: tuple[Parameter[Any], ...] = ()
    headers: tuple[bytes, ...] = ()

    def of(self, asked: Asked) -> Given:
        """What came. Raises Problem for whatever means nothing here, and would be missed."""
        for name, _ in asked.headers:
            if name in _CONDITIONAL and name not in self.headers:
                raise bad(f"{name.decode().title()} means nothing on {asked.method.decode()} of this")
        return self.parsed(asked.query) if asked.query else {}

    def parsed(self, query: bytes) -> Given:
        """What came in a query, which may be empty."""
        given: dict[str, bytes] = {}
        names = {parameter.name: parameter.repeats for parameter in self.parameters}
        for pair in query.split(b"&"):
            if not pair:
                continue
            name_bytes, _, value = pair.partition(b"=")
            name = unquote_to_bytes(name_bytes.replace(b"+", b" ")).decode("utf-8", "replace")
            if name not in names:
                known = f"there are {', '.join(sorted(names))}" if names else "there are none"
                raise bad(f"there is no parameter {name[:40]!r} here; {known}")
            found = unquote_to_bytes(value.replace(b"+", b" "))
            if name not in given:
                given[name] = found
            elif names[name]:
                given[name] += b"," + found
            else:
                raise bad(f"{name} is there twice")
        return given


def bad(detail: str) -> Problem:
    """The request cannot be understood, so nothing is done."""
    return Problem(400, "bad_request", detail, outcome=NOT_DONE)


def bad_key(detail: str) -> Problem:
    """The same where it is a key that cannot be one."""
    return Problem(400, "bad_key", detail, outcome=NOT_DONE)


def shown(data: bytes) -> str:
    """Some of what a client sent, to be read by it again."""
    return repr(data[:40].decode("utf-8", "replace"))


def number_in(path: bytes, what: str) -> int:
    """The number that stands between the third and the fourth slash of a path; `what` it names, for a Problem."""
    text = path.split(b"/")[3]
    number = int(text) if text.isdigit() and len(text) < _DIGITS else 0
    if not number:
        raise bad(f"{what} is named by a whole number from 1, and not {shown(text)}")
    return number
