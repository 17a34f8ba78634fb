"""Paths, queries and conditions: what stands in a request around its body. Pure text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import quote_from_bytes

from hraft import limits
from hraft.client.transactions import to_bytes

Pair: TypeAlias = "tuple[str, str | bytes | None]"


def key_path(key: str | bytes) -> str:
    """Where a key is, whatever bytes it has. Raises ValueError for one that cannot be."""
    named = to_bytes(key)
    if not 1 <= len(named) <= limits.KEY_BYTES:
        raise ValueError(f"a key has 1 to {limits.KEY_BYTES} bytes, and not {len(named)}")
    return f"/v1/kv/{quote_from_bytes(named, safe='/').replace('.', '%2E')}"


def query_of(pairs: Iterable[Pair]) -> str:
    """name=value&name; None for what has no value."""
    return "&".join(name if value is None else f"{name}={quote_from_bytes(to_bytes(value), safe='')}" for name, value in pairs)


def range_query(prefix: str | bytes | None, start: str | bytes | None, end: str | bytes | None) -> list[Pair]:
    """Which keys: those that begin so, or those in [start, end) (an empty end is the last). Nothing for all, if that is
    allowed.
    """
    if prefix is not None and (start is not None or end is not None):
        raise ValueError("say prefix, or start and end, and not both")
    if prefix is not None:
        return [("prefix", to_bytes(prefix))]
    named: list[Pair] = [] if start is None else [("start", to_bytes(start))]
    return [*named, ("end", to_bytes(end))] if end else named


def freshness(level: str, max_lag_seconds: float | None, min_revision: int | None = None) -> list[Pair]:
    """How old an answer may be."""
    query: list[Pair] = [] if level == "linearizable" else [("level", level)]
    if max_lag_seconds is not None:
        query.append(("max_lag", str(round(max_lag_seconds * 1000))))
    return query if min_revision is None else [*query, ("min_revision", str(min_revision))]


def if_match(revision: int | None) -> tuple[tuple[str, str], ...]:
    """The header that demands a mod_revision, if one is demanded."""
    return () if revision is None else (("If-Match", f'"{revision}"'),)
