"""Users: what each may do, and with which keys. Pure; knows nothing of secrets' forms, of files and of what can be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias

from hraft.kv.transactions import TO_THE_LAST, prefix_end

Role: TypeAlias = Literal["read", "write", "admin"]
Access: TypeAlias = Literal["read", "write"]

#: Each may do all that those before it may.
ROLES: Final[tuple[Role, ...]] = ("read", "write", "admin")


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be done with all keys that begin with `prefix`. Who may write them may read them."""

    prefix: bytes
    access: Access


@dataclass(frozen=True)
class User:
    """One user. `rules` None: all keys, by the role alone; otherwise only what a rule gives, and the role allows.

    `password` and `tokens` are hashes in the forms of `hraft.auth.secrets`, and never shown.
    """

    name: str
    role: Role
    password: str | None = field(default=None, repr=False)
    tokens: tuple[str, ...] = field(default=(), repr=False)
    rules: tuple[Rule, ...] | None = None

    def is_at_least(self, role: Role) -> bool:
        """Whether this user may do what `role` may, as far as that is no matter of keys."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def may(self, access: Access, start: bytes, end: bytes | None) -> bool:
        """Whether all of a range is this user's to read or write: the key `start`, or all of [start, end); ends as in
        `hraft.kv.transactions`. A key that is not there counts as one that is: what is forbidden tells nothing.
        """
        if access == "write" and not self.is_at_least("write"):
            return False
        if self.rules is None:
            return True
        if end is None:
            return any(start.startswith(rule.prefix) for rule in self.rules if access in _given_by(rule))
        return any(begin <= start and _reaches(until, end) for begin, until in self._ranges[access])

    @cached_property
    def _ranges(self) -> dict[Access, tuple[tuple[bytes, bytes], ...]]:
        """What rules give, with neighbours put together: "a" and "b" give all of ["a", "c")."""
        return {"read": _merged(self.rules or (), "read"), "write": _merged(self.rules or (), "write")}


def _given_by(rule: Rule) -> tuple[Access, ...]:
    return ("read",) if rule.access == "read" else ("read", "write")


def _reaches(until: bytes, end: bytes) -> bool:
    return until == TO_THE_LAST or (end != TO_THE_LAST and end <= until)


def _merged(rules: tuple[Rule, ...], access: Access) -> tuple[tuple[bytes, bytes], ...]:
    merged: list[tuple[bytes, bytes]] = []
    for start, end in sorted((rule.prefix, prefix_end(rule.prefix)) for rule in rules if access in _given_by(rule)):
        if merged and (merged[-1][1] == TO_THE_LAST or start <= merged[-1][1]):
            begin, until = merged[-1]
            merged[-1] = begin, until if _reaches(until, end) else end
        else:
            merged.append((start, end))
    return tuple(merged)
