"""Transactions: what to compare, what to do if all of it holds, and what to do otherwise; all as one step.

    [Compare("a").version == 0]    the key a does not exist
    [Compare("a").value == "1"]    it exists and has this value

Pure values. How they are written as JSON is in `hraft.client.documents`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Target: TypeAlias = Literal["value", "version", "create_revision", "mod_revision", "lease"]
Relation: TypeAlias = Literal["=", "!=", "<", ">"]


def to_bytes(text: str | bytes) -> bytes:
    """Keys and values may be given as text: it is stored as UTF-8."""
    return text.encode() if isinstance(text, str) else bytes(text)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether `target` of the key stands in this relation to `operand`; of every key below it, where `is_prefix`."""

    key: bytes
    target: Target
    relation: Relation
    operand: bytes | int
    is_prefix: bool = False


class _Side:
    """The left side of a comparison, for Python's own operators."""

    def __init__(self, key: bytes, target: Target, is_prefix: bool) -> None:
        self._key = key
        self._target: Target = target
        self._is_prefix = is_prefix

    def _to(self, relation: Relation, operand: object) -> Comparison:
        if isinstance(operand, str | bytes) and self._target == "value":
            return Comparison(self._key, self._target, relation, to_bytes(operand), self._is_prefix)
        if isinstance(operand, int) and self._target != "value":
            return Comparison(self._key, self._target, relation, int(operand), self._is_prefix)
        wanted = "bytes or text" if self._target == "value" else "a whole number"
        raise TypeError(f"{self._target} is compared to {wanted}, and not to {operand!r}")

    def __eq__(self, operand: object) -> Comparison:  # type: ignore[override]
        return self._to("=", operand)

    def __ne__(self, operand: object) -> Comparison:  # type: ignore[override]
        return self._to("!=", operand)

    def __lt__(self, operand: object) -> Comparison:
        return self._to("<", operand)

    def __gt__(self, operand: object) -> Comparison:
        return self._to(">", operand)

    __hash__ = None  # type: ignore[assignment]


class Compare:
    """`Compare("a").mod_revision == 7` makes a Comparison. A missing key has 0 for every number, and no value."""

    def __init__(self, key: str | bytes, is_prefix: bool = False) -> None:
        named = to_bytes(key)
        self.value = _Side(named, "value", is_prefix)
        self.version = _Side(named, "version", is_prefix)
        self.create_revision = _Side(named, "create_revision", is_prefix)
        self.mod_revision = _Side(named, "mod_revision", is_prefix)
        self.lease = _Side(named, "lease", is_prefix)


@dataclass(frozen=True, slots=True)
class Put:
    """Give the key this value, attached to a lease if one is given."""

    key: str | bytes
    value: str | bytes
    lease: int | None = None
    wants_previous: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Take away the key `start`; or all keys that begin so (`is_prefix`); or those in [start, end), an empty end being the
    last.
    """

    start: str | bytes
    end: str | bytes | None = None
    is_prefix: bool = False
    wants_previous: bool = False


@dataclass(frozen=True, slots=True)
class Get:
    """Read such keys, as they are at this place of the transaction; at most `limit`."""

    start: str | bytes
    end: str | bytes | None = None
    is_prefix: bool = False
    limit: int | None = None
    keys_only: bool = False


Operation: TypeAlias = Put | Delete | Get


@dataclass(frozen=True, slots=True)
class Fence:
    """Proof of who held a lock when: `revision` is higher for each later holder, and the key is gone once the lock is lost.

    `holds` in a transaction makes the cluster itself refuse a former holder's writes. For other systems, hand `revision` along
    with each request, and let them refuse any that is lower than one they have seen.
    """

    key: bytes
    revision: int

    @property
    def holds(self) -> Comparison:
        """The comparison that is true for as long as the lock is held."""
        return Comparison(self.key, "create_revision", "=", self.revision)
