"""What one watcher wants to see, and the bytes that it is sent. Watchers with equal views share each message.

Server-sent events (the HTML standard, 9.2) or a line of JSON for each message. Pure; knows nothing of who is sent what, and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from hraft.kv.history import Event
from hraft.kv.texts import split
from hraft.kv.transactions import is_within
from hraft.web.documents import KeyDocument, RecordDocument, fill, record_document
from hraft.web.problems import Problem


class Form(Enum):
    """How messages are told apart. The value is the Content-Type."""

    EVENTS = b"text/event-stream"
    LINES = b"application/x-ndjson"


@dataclass(frozen=True, slots=True)
class View:
    """The key `start`, or `[start, end)` as in `hraft.kv.transactions`; with what was there before, if that is wanted."""

    start: bytes
    end: bytes | None
    wants_previous: bool = False
    form: Form = Form.EVENTS

    def sees(self, key: bytes) -> bool:
        return is_within(key, self.start, self.end)

    def change(self, revision: int, events: Sequence[bytes]) -> bytes:
        """All that this view sees of one revision, each event as `event_text` has it."""
        fields = b'"revision":%d,"events":[%b]' % (revision, b",".join(events))
        return self._message(b"change", b"id: %d\n" % revision, fields)

    def progress(self, revision: int) -> bytes:
        """All changes up to this revision have been sent."""
        return self._message(b"progress", b"id: %d\n" % revision, b'"revision":%d' % revision)

    def error(self, problem: Problem) -> bytes:
        """The last message: why there are no more."""
        body = problem.body(b"GET")
        return self._message(b"error", b"", (body if self.form is Form.EVENTS else _untyped(body))[1:-1])

    def _message(self, kind: bytes, id_line: bytes, fields: bytes) -> bytes:
        """`fields` are members of a JSON object. No line end is in them: JSON escapes it."""
        if self.form is Form.EVENTS:
            return b"%bevent: %b\ndata: {%b}\n\n" % (id_line, kind, fields)
        return b'{"type":"%b",%b}\n' % (kind, fields)


class _Put(RecordDocument, tag_field="type", tag="put", gc=False):
    prev: RecordDocument | UnsetType | None = UNSET


class _Delete(KeyDocument, tag_field="type", tag="delete", gc=False):
    mod_revision: int = 0
    prev: RecordDocument | UnsetType | None = UNSET


def event_text(event: Event, wants_previous: bool) -> bytes:
    """One event as JSON; the same for all who see it."""
    record, previous = event.record, event.previous
    document: _Put | _Delete
    if record is None:
        document = _Delete(*split(event.key), event.revision)
    else:
        document = _Put(*split(event.key))
        fill(document, record)
    if wants_previous:
        document.prev = None if previous is None else record_document(event.key, previous)
    return _encode(document)


def _untyped(body: bytes) -> bytes:
    """A problem's own `type` says nothing, and its place is taken."""
    document = msgspec.json.decode(body, type=dict[str, object])
    del document["type"]
    return _encode(document)


_encode: Final = msgspec.json.Encoder().encode
