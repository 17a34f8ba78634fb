"""What a request for a watch asks for: from a query and headers to a view, or to a Problem that says what is wrong.

Pure; knows nothing of watchers and of the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hraft.web.parameters import Bytes, Choice, Flag, Given, Number, Wants, bad, bad_key
from hraft.web.ranges import RANGE, range_of
from hraft.web.watch.views import Form, View

KEY: Final = Bytes("key", "one key")
SINCE: Final = Number("since", "tell all changes after this revision; without it, all from now on", code="bad_revision")
PREV: Final = Flag("prev", "with what was there before each event")
LEVEL: Final = Choice(
    "level", "what now means: not before whatever was acknowledged, or what this node has", "bad_level", ("linearizable", "stale")
)
WANTS: Final = Wants((KEY, *RANGE, SINCE, PREV, LEVEL), (b"accept", b"last-event-id"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """`since` None: from now on. `is_stale`: from what this node takes for now, without asking the leader."""

    view: View
    since: int | None
    is_stale: bool


def wanted(query: bytes, accept: bytes | None, last_event_id: bytes | None) -> Wanted:
    """`query` is as it was sent, the others are headers' values. Raises Problem."""
    given = WANTS.parsed(query)
    start, end = _range(given)
    view = View(start, end, PREV.of(given), _form(accept))
    since = SINCE.of({SINCE.name: last_event_id} if last_event_id else given)
    return Wanted(view, since, LEVEL.of(given) == "stale")


def _range(given: Given) -> tuple[bytes, bytes | None]:
    """The two ends as in `hraft.kv.transactions`. Without any, all keys."""
    key = KEY.of(given)
    if key is None:
        return range_of(given, may_be_all=True)
    if given.keys() & {parameter.name for parameter in RANGE}:
        raise bad("a watch is of one key, or one prefix, or from start to end")
    if not key:
        raise bad_key("a key has at least one byte; for all keys leave it out")
    return key, None


def _form(accept: bytes | None) -> Form:
    """Whichever of the two the client names first; events for all others, and for those who take anything."""
    for kind in (accept or b"").lower().split(b","):
        named = kind.partition(b";")[0].strip()
        if named in (Form.EVENTS.value, Form.LINES.value):
            return Form(named)
    return Form.EVENTS
