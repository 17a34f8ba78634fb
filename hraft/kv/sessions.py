"""Clients whose writes are done exactly once: what each was answered, so that a repetition gets the same (Section 6.3).

Bounded, and expired by the log alone: for each client the answers of its newest serials, and of the clients those that wrote
last. What is forgotten is refused from then on, and never done again. Knows nothing of what the answers mean.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from hraft.kv.bounds import DEFAULTS, StoreLimits
from hraft.kv.results import NotDone, Result, encode_result

#: What an answer, and a session, is counted for beside its bytes.
_OVERHEAD_BYTES = 128


class Answer(msgspec.Struct, frozen=True):
    """What one write was answered. `digest` tells a repetition from another command under the same serial."""

    digest: bytes
    result: Result
    size_bytes: int


class Session:
    """One client. Serials up to `floor` are expired, unless their answers are here. `owner`: its user, "" for nobody."""

    __slots__ = ("answers", "floor", "owner")

    def __init__(self, floor: int = 0, owner: str = "") -> None:
        self.floor = floor
        self.owner = owner
        #: By serial, in the order in which they were done.
        self.answers: dict[int, Answer] = {}


class Sessions:
    """All clients, the longest unused first. An id is the index of the entry that made it known."""

    def __init__(self, store_limits: StoreLimits = DEFAULTS) -> None:
        self._sessions: dict[int, Session] = {}
        self._size_bytes = 0
        self._limits = store_limits

    def __len__(self) -> int:
        return len(self._sessions)

    def owner(self, client: int) -> str | None:
        """Whose client it is; it never becomes another's. None: there is no such client (any more)."""
        session = self._sessions.get(client)
        return None if session is None else session.owner

    def open(self, client: int, owner: str = "") -> None:
        """Make a client known. Others may have to go for it."""
        self._sessions[client] = Session(owner=owner)
        self._size_bytes += _OVERHEAD_BYTES
        self._expire()

    def close(self, client: int) -> bool:
        """Forget a client; whether it was known."""
        session = self._sessions.pop(client, None)
        if session is None:
            return False
        self._size_bytes -= _OVERHEAD_BYTES + sum(answer.size_bytes for answer in session.answers.values())
        return True

    def answer(self, client: int, serial: int, line: bytes) -> Result | None:
        """What is to be answered without doing anything: the first answer, or a refusal. None: it is to be done now."""
        session = self._sessions.get(client)
        if session is None:
            detail = f"client {client} is not known (any more); whether this was done is not known either"
            return NotDone("session_expired", detail)
        known = session.answers.get(serial)
        if known is None:
            if serial > session.floor:
                return None
            detail = f"the answer to write {serial} of client {client} is not kept any more; whether it was done is not known"
            return NotDone("serial_expired", detail)
        self._used(client, session)
        if known.digest != _digest(line):
            return NotDone("serial_reused", f"write {serial} of client {client} was another command")
        return known.result

    def done(self, client: int, serial: int, line: bytes, result: Result) -> None:
        """Keep the answer to a write that was just done; unless it ended its own session, or opened one in its place."""
        session = self._sessions.get(client)
        if session is None:
            return
        size_bytes = _OVERHEAD_BYTES + len(encode_result(result))
        session.answers[serial] = Answer(_digest(line), result, size_bytes)
        self._size_bytes += size_bytes
        if len(session.answers) > self._limits.session_answers_count:
            self._forget_lowest(session)
        self._used(client, session)
        self._expire()

    # --- snapshots -------------------------------------------------------------------------------

    def listed(self) -> list[tuple[int, int, str, dict[int, Answer]]]:
        """Each client with its floor, owner and answers; all copies, the longest unused first."""
        return [(client, each.floor, each.owner, each.answers.copy()) for client, each in self._sessions.items()]

    def restore(self, client: int, floor: int, owner: str = "") -> None:
        """The next client of a snapshot."""
        self._sessions[client] = Session(floor, owner)
        self._size_bytes += _OVERHEAD_BYTES

    def restore_answer(self, client: int, serial: int, digest: bytes, result: Result) -> None:
        """The next answer of a snapshot. Raises KeyError for a client that the snapshot has not named."""
        size_bytes = _OVERHEAD_BYTES + len(encode_result(result))
        self._sessions[client].answers[serial] = Answer(digest, result, size_bytes)
        self._size_bytes += size_bytes

    # --- forgetting ------------------------------------------------------------------------------

    def _used(self, client: int, session: Session) -> None:
        del self._sessions[client]
        self._sessions[client] = session

    def _expire(self) -> None:
        bytes_limit = self._limits.sessions_bytes
        while len(self._sessions) > self._limits.sessions_count or (self._size_bytes > bytes_limit and len(self._sessions) > 1):
            self.close(next(iter(self._sessions)))
        for session in self._sessions.values() if self._size_bytes > bytes_limit else ():
            while self._size_bytes > bytes_limit and len(session.answers) > 1:
                self._forget_lowest(session)

    def _forget_lowest(self, session: Session) -> None:
        lowest = min(session.answers)
        session.floor = max(session.floor, lowest)
        self._size_bytes -= session.answers.pop(lowest).size_bytes


def _digest(line: bytes) -> bytes:
    return blake2b(line, digest_size=8).digest()
