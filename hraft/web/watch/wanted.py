"""What a request for a watch asks for: from a query and headers to a view, or to a Problem that says what is wrong.

Pure; knows nothing of watchers and of the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from hraft import limits
from hraft.kv.transactions import TO_THE_LAST, prefix_end
from hraft.web.problems import Problem
from hraft.web.watch.views import Form, View

_NAMES: Final = (b"key", b"prefix", b"start", b"end", b"since", b"prev", b"level")
#: More digits than any revision has; a text of a million of them would take its time to be read as a number.
_REVISION_DIGITS: Final = 19


@dataclass(frozen=True, slots=True)
class Wanted:
    """`since` None: from now on. `is_stale`: from what this node takes for now, without asking the leader."""

    view: View
    since: int | None
    is_stale: bool


def wanted(query: bytes, accept: bytes | None, last_event_id: bytes | None) -> Wanted:
    """`query` is as it was sent, the others are headers' values. Raises Problem."""
    given = _parameters(query)
    start, end = _range(given)
    level = given.get(b"level", b"linearizable")
    if level not in (b"linearizable", b"stale"):
        raise Problem(400, "bad_level", f"level must be linearizable or stale, and not {_shown(level)}")
    if given.get(b"prev", b"") not in (b"", b"true", b"1"):
        raise _bad(f"prev stands alone, and not with {_shown(given[b'prev'])}")
    since = last_event_id or given.get(b"since")
    view = View(start, end, b"prev" in given, _form(accept))
    return Wanted(view, None if since is None else _revision(since), level == b"stale")


def _parameters(query: bytes) -> dict[bytes, bytes]:
    given: dict[bytes, bytes] = {}
    # Latin-1 stands for bytes here, byte for character: keys need not be text.
    for pair in parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1"):
        name, value = (part.encode("latin-1") for part in pair)
        if name not in _NAMES:
            raise _bad(f"there is no parameter {_shown(name)}; there are {b', '.join(_NAMES).decode()}")
        if name in given:
            raise _bad(f"{name.decode()} is there twice")
        given[name] = value
    return given


def _range(given: dict[bytes, bytes]) -> tuple[bytes, bytes | None]:
    """The two ends as in `hraft.kv.transactions`. Without any, all keys."""
    if len({b"key", b"prefix"} & set(given)) + bool({b"start", b"end"} & set(given)) > 1:
        raise _bad("a watch is of one key, or one prefix, or from start to end")
    for name in (b"key", b"prefix", b"start", b"end"):
        if len(given.get(name, b"")) > limits.KEY_BYTES:
            raise Problem(400, "bad_key", f"{name.decode()} may have {limits.KEY_BYTES} bytes and not {len(given[name])}")
    if b"key" in given:
        if not given[b"key"]:
            raise Problem(400, "bad_key", "a key has at least one byte; for all keys leave it out")
        return given[b"key"], None
    if b"prefix" in given:
        return given[b"prefix"], prefix_end(given[b"prefix"])
    start, end = given.get(b"start", b""), given.get(b"end", TO_THE_LAST)
    if end != TO_THE_LAST and end <= start:
        raise _bad(f"no key comes from {_shown(start)} on and before {_shown(end)}")
    return start, end


def _form(accept: bytes | None) -> Form:
    """Whichever of the two the client names first; events for all others, and for those who take anything."""
    for kind in (accept or b"").lower().split(b","):
        named = kind.partition(b";")[0].strip()
        if named in (Form.EVENTS.value, Form.LINES.value):
            return Form(named)
    return Form.EVENTS


def _revision(text: bytes) -> int:
    if not text.isdigit() or len(text) > _REVISION_DIGITS:
        raise Problem(400, "bad_revision", f"a revision is a whole number, and not {_shown(text)}")
    return int(text)


def _bad(detail: str) -> Problem:
    return Problem(400, "bad_request", detail)


def _shown(data: bytes) -> str:
    return repr(data[:40].decode("utf-8", "replace"))
