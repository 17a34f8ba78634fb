"""hraftd's /key: set, get and delete, so that a client written for hraftd works unchanged.

docs/http-api.md says where and why we differ. Knows nothing of sockets, limits on them, and the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.web.http import parse_qs

from hraft.kv.commands import Delete, Set
from hraft.kv.results import Result
from hraft.kv.store import KeyValueStore
from hraft.web.answers import DONE, TEXT, Answer, go_json, headers_of
from hraft.web.api import Route
from hraft.web.asked import PERCENT, Asked
from hraft.web.bodies import parse_pairs
from hraft.web.node import Node
from hraft.web.permissions import Keys, Touch, reads, writes
from hraft.web.problems import Problem
from hraft.web.writes import Writes

_KEY_PATH = b"/key/"
_EXISTS = headers_of(TEXT, (b"X-Hraft-Exists", b"true"))
_MISSING = headers_of(TEXT, (b"X-Hraft-Exists", b"false"))


class KeyApi:
    """What hraftd's clients do with keys."""

    def __init__(self, node: Node, writes: Writes) -> None:
        self._node = node
        self._writes = writes

    def routes(self) -> Iterator[Route]:
        """Its part of the table. A path that names no key is understood, so as to say so."""
        for path in (b"/key", b"/key/{key}"):
            yield Route(b"GET", path, self._get, needs=reads(lambda asked: [Keys(_key(asked).encode())]))
            yield Route(b"POST", path, self._post, needs=writes(_posted))
            yield Route(b"DELETE", path, self._delete, needs=writes(lambda asked: [Keys(_key(asked).encode(), None, "write")]))

    def _get(self, asked: Asked) -> Answer | Deferred[Answer]:
        """The value here and now; with ?level=linearizable, not before whatever was acknowledged is here."""
        key = _key(asked)
        if not asked.query or _level(asked) == b"stale":
            return self._value(key)
        return self._node.confirm_read().addCallback(lambda _: self._value(key))

    def _value(self, key: str) -> Answer:
        store: KeyValueStore = self._node.state_machine  # type: ignore[assignment]
        record = store.get(key.encode())
        if record is None:
            return Answer(200, _MISSING, go_json({key: ""}))
        return Answer(200, _EXISTS, go_json({key: record.value.decode("utf-8", "replace")}))

    def _post(self, asked: Asked) -> Answer | Deferred[Answer]:
        """Set all keys of the body as one entry. The path after /key means nothing, as in hraftd."""
        command = parse_pairs(asked.body)
        return DONE if command is None else self._writes.write(asked, command, _done)

    def _delete(self, asked: Asked) -> Answer | Deferred[Answer]:
        """Delete one key; a key that is not there is no error."""
        return self._writes.write(asked, Delete(_key(asked).encode()), _done)


def _posted(asked: Asked) -> Iterator[Touch]:
    """The keys of a body, whatever the path says."""
    command = parse_pairs(asked.body)
    if isinstance(command, Set):
        yield Keys(command.key, None, "write")
    elif command is not None:
        for key, _ in command.pairs:
            yield Keys(key, None, "write")


def _done(result: Result) -> Answer:
    """hraftd's answer to a write is empty."""
    return DONE


def _key(asked: Asked) -> str:
    """The key that a path names: all that follows /key/, slashes included."""
    try:
        name = asked.path[len(_KEY_PATH) :] if asked.path.startswith(_KEY_PATH) else b""
        key = (unquote_to_bytes(name) if PERCENT in name else name).decode()
    except UnicodeDecodeError as error:
        raise Problem(400, "bad_key", "the key is not UTF-8, so it cannot have been set here") from error
    if not key:
        raise Problem(400, "bad_key", "the path names no key: /key/foo does")
    return key


def _level(asked: Asked) -> bytes:
    """How fresh a read must be."""
    levels = parse_qs(asked.query, True).get(b"level", [b"stale"])
    if levels not in ([b"stale"], [b"linearizable"]):
        shown = ", ".join(level.decode("utf-8", "replace")[:40] for level in levels)
        raise Problem(400, "bad_level", f"level must be stale or linearizable, once, and not {shown!r}")
    return cast(bytes, levels[0])
