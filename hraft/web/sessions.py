"""/v1/sessions: clients whose writes are done exactly once, by an Idempotency-Key of client and serial.

Knows nothing of what they write.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from twisted.internet.defer import Deferred

from hraft.kv.commands import CloseSession, OpenSession
from hraft.kv.results import Result, SessionOpened
from hraft.web.answers import Answer
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.documents import json_answer
from hraft.web.parameters import Wants, number_in
from hraft.web.permissions import ANY_WRITER, OfClient, Touch, of_client
from hraft.web.writes import IDEMPOTENCY_KEY, REDIRECT, Writes

_WANTS: Final = Wants((REDIRECT,), (IDEMPOTENCY_KEY,))


class SessionDocument(msgspec.Struct):
    """A client's name, for the first part of an Idempotency-Key."""

    client: str


class SessionApi:
    """Opens and closes sessions."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        opened, closed = {201: SessionDocument}, {200: SessionDocument}
        yield Route(b"POST", b"/v1/sessions", self._open, "Make a client known", _WANTS, None, opened, needs=ANY_WRITER)
        path, codes = b"/v1/sessions/{client}", ("session_expired",)
        yield Route(b"DELETE", path, self._close, "Forget a client", _WANTS, None, closed, codes, of_client(_touched))

    def _open(self, asked: Asked) -> Answer | Deferred[Answer]:
        def done(result: Result) -> Answer:
            assert isinstance(result, SessionOpened)
            return json_answer(SessionDocument(str(result.client)), 201)

        return self._writes.write(asked, OpenSession(asked.user), done, REDIRECT.of(_WANTS.of(asked)))

    def _close(self, asked: Asked) -> Answer | Deferred[Answer]:
        given, client = _WANTS.of(asked), number_in(asked.path, "a client")

        def done(result: Result) -> Answer:
            return json_answer(SessionDocument(str(client)))

        return self._writes.write(asked, CloseSession(client), done, REDIRECT.of(given))


def _touched(asked: Asked) -> Iterator[Touch]:
    yield OfClient(number_in(asked.path, "a client"))
