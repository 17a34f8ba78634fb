"""The users of one node, as their file has them: read at the start, and again whenever it has changed.

A new file with a mistake in it changes nothing, and is told in the log with its line. Knows nothing of what users may do.
"""

from __future__ import annotations

from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hraft import limits
from hraft.auth.logins import Logins, RunInThread
from hraft.auth.user_file import Stamp, read_users, stamp_of
from hraft.auth.users import User
from hraft.errors import BadUserFile, in_words
from hraft.ordinary_files import is_anothers

#: What others may do with the file: nothing.
_OTHERS = 0o077
_OTHERS_WRITE = 0o022

#: None in the place of the stamp: the file is not there.
_Found: TypeAlias = tuple[Stamp | None, dict[str, User] | BadUserFile]

_log = Logger(namespace="hraft.auth")


class KeptUsers:
    """Looks at the file now and then, in a thread of its own. Raises BadUserFile when the file is not right at the start."""

    def __init__(self, clock: IReactorTime, path: str, run_in_thread: RunInThread, run_hashing: RunInThread) -> None:
        self.path = path
        self._clock = clock
        self._run_in_thread = run_in_thread
        self._stamp: Stamp | None = stamp_of(path)
        users = _checked(path, self._stamp)
        self.logins = Logins(users, run_hashing, clock.seconds)
        self._timer: IDelayedCall | None = None
        self._is_looking = False
        self._is_stopped = False
        self._warn(self._stamp, users)

    def start(self) -> None:
        """Begin to look."""
        self._timer = self._clock.callLater(limits.USER_FILE_LOOK_SECONDS, self.look)

    def stop(self) -> None:
        """Look no more."""
        self._is_stopped = True
        self._stop_timer()

    def look(self) -> None:
        """Look now: the file may have changed."""
        self._stop_timer()
        if self._is_looking or self._is_stopped:
            return
        self._is_looking = True
        looking: Deferred[_Found | None] = self._run_in_thread(_news, self.path, self._stamp)
        looking.addCallback(self._found).addErrback(self._mistaken).addBoth(self._looked)

    def _found(self, found: _Found | None) -> None:
        if found is None or self._is_stopped:
            return
        self._stamp, users = found
        if isinstance(users, BadUserFile):
            raise users
        assert self._stamp is not None
        self.logins.replace(users)
        _log.info("{path}: has changed, and there are {count} users now", path=self.path, count=len(users))
        self._warn(self._stamp, users)

    def _mistaken(self, failure: Failure) -> None:
        _log.error("the users stay as they were: {reason}", reason=in_words(failure.value))

    def _looked(self, _: object) -> None:
        self._is_looking = False
        if not self._is_stopped:
            self.start()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _warn(self, stamp: Stamp, users: dict[str, User]) -> None:
        if stamp.mode & _OTHERS:
            _log.warn("{path}: others may read it; say chmod 600", path=self.path, mode=f"{stamp.mode:o}")
        if is_anothers(stamp.owner):
            words = "{path}: it belongs to another user ({owner}), who is as good as an admin; chown it"
            _log.warn(words, path=self.path, owner=stamp.owner)
        if not any(user.role == "admin" for user in users.values()):
            _log.warn("{path}: no user is an admin, so nobody may join a node or take a backup", path=self.path)


def _news(path: str, known: Stamp | None) -> _Found | None:
    """What the file says now, or what is wrong with it; None where it is as it was. A mistake is told once, not at each look."""
    try:
        stamp = stamp_of(path)
    except BadUserFile as error:
        return None if known is None else (None, error)
    if stamp == known:
        return None
    try:
        return stamp, _checked(path, stamp)
    except BadUserFile as error:
        return stamp, error


def _checked(path: str, stamp: Stamp) -> dict[str, User]:
    if stamp.mode & _OTHERS_WRITE:
        raise BadUserFile(f"{path}: others may write it (mode {stamp.mode:o}), so it proves nothing; say chmod 600")
    return read_users(path)
