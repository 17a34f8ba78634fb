# mypy: allow-untyped-calls
"""From an Authorization header to a user, by `twisted.cred`: a portal, and a checker for each kind of credentials.

    Authorization: Basic base64(user:password)        the password is hashed in a thread
    Authorization: Bearer <token>

What was right is remembered, under a digest with a key of this process's own, until its user changes; so a password is hashed
once and not for each request. Knows nothing of requests and of what users may do.
"""

from __future__ import annotations

import secrets
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final, cast

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials, IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Attribute, Interface, implementer

from hraft import limits
from hraft.auth.failed_logins import FailedLogins
from hraft.auth.secrets import NOBODYS, hash_token, is_password
from hraft.auth.users import User
from hraft.errors import LoginNeeded, LoginsBusy, TooManyLogins

#: Runs a function where it may take its time; see `hraft.one_thread.OneThread`.
RunInThread = Callable[..., Deferred[Any]]

_WRONG: Final = "the user and password, or the token, are not right"
_MISSING: Final = "say who asks: Authorization: Basic with a user and a password, or Bearer with a token"

_log = Logger(namespace="hraft.auth")


class IUser(Interface):
    """What the portal gives: a `hraft.auth.users.User`."""


class IToken(ICredentials):
    """A secret that says who has it."""

    token = Attribute("The secret, a text.")


@implementer(IToken)
class Token:
    """What came after `Bearer`."""

    def __init__(self, token: str) -> None:
        self.token = token


@implementer(ICredentialsChecker)
class PasswordChecker:
    """Takes as long for a user who is not there as for a wrong password."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, users: Mapping[str, User], run_in_thread: RunInThread) -> None:
        self._users = users
        self._run_in_thread = run_in_thread

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        name: str = credentials.username.decode("utf-8", "replace")
        user = self._users.get(name)
        kept = NOBODYS if user is None or user.password is None else user.password

        def checked(is_right: bool) -> str:
            if not is_right or kept is NOBODYS:
                raise UnauthorizedLogin
            return name

        return self._run_in_thread(is_password, credentials.password, kept).addCallback(checked)


@implementer(ICredentialsChecker)
class TokenChecker:
    """Looks for hashes: how long that takes tells of them, and nothing of what they were made of."""

    credentialInterfaces = (IToken,)

    def __init__(self, users: Mapping[str, User]) -> None:
        self._names = {token: user.name for user in users.values() for token in user.tokens}

    def requestAvatarId(self, credentials: Any) -> Any:
        found = self._names.get(hash_token(credentials.token))
        if found is None:
            raise UnauthorizedLogin
        return found


@implementer(IRealm)
class Realm:
    """Users by their names."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = users

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: Any) -> tuple[Any, User, Callable[[], None]]:
        return IUser, self._users[avatarId], lambda: None


class Logins:
    """Knows the users, until they are replaced. `seconds` is a monotonic clock."""

    def __init__(self, users: Mapping[str, User], run_in_thread: RunInThread, seconds: Callable[[], float]) -> None:
        self._run_in_thread = run_in_thread
        self._failed = FailedLogins(seconds)
        #: Nobody guesses 256 bits, so nobody has to wait for wrong ones: a program whose token is old must not keep others out.
        self._failed_tokens = FailedLogins(seconds)
        self._key = secrets.token_bytes(32)
        #: Digest of a header -> whose it is; and those who wait for a header's first answer.
        self._right: dict[bytes, User] = {}
        self._under_way: dict[bytes, list[Deferred[User]]] = {}
        self._waiting: Counter[str] = Counter()
        self._observers: list[Callable[[Mapping[str, User]], object]] = []
        self.replace(users)

    def replace(self, users: Mapping[str, User]) -> None:
        """From now on these are the users. Those who are as they were stay known: they must not wait for what others tried."""
        self._users = users
        self._portal = Portal(Realm(users), [PasswordChecker(users, self._run_in_thread), TokenChecker(users)])
        self._right = {digest: user for digest, user in self._right.items() if users.get(user.name) == user}
        for observer in self._observers:
            observer(users)

    def observe(self, observer: Callable[[Mapping[str, User]], object]) -> None:
        """Call this with the users whenever they are replaced."""
        self._observers.append(observer)

    def user_called(self, name: str) -> User | None:
        """A user as it is now."""
        return self._users.get(name)

    def user_of(self, header: bytes | None, address: str) -> User | Deferred[User]:
        """Who asks, by the value of its Authorization header, from this address. At once where that is known already.

        Raises, or fails with, LoginNeeded, TooManyLogins and LoginsBusy.
        """
        if header is None:
            raise LoginNeeded(_MISSING)
        if len(header) > limits.LOGIN_BYTES:
            raise LoginNeeded(f"an Authorization header may have {limits.LOGIN_BYTES} bytes")
        digest = blake2b(header, key=self._key, digest_size=32).digest()
        user = self._right.get(digest)
        if user is not None:
            return user
        waiting: Deferred[User] = Deferred()
        if digest in self._under_way:
            self._under_way[digest].append(waiting)
        else:
            self._begin(digest, header, address, waiting)
        return waiting

    def _begin(self, digest: bytes, header: bytes, address: str, waiting: Deferred[User]) -> None:
        credentials, name = _credentials(header)
        is_full = self._waiting.total() >= limits.LOGINS_WAITING_COUNT
        if is_full or self._waiting[address] >= limits.LOGINS_WAITING_PER_CLIENT_COUNT:
            raise LoginsBusy("too many passwords wait to be looked at; try again")
        failed = self._failed_tokens if isinstance(credentials, Token) else self._failed
        seconds = failed.wait_seconds(address, name)
        if seconds > 0 and failed is self._failed:
            raise TooManyLogins("too many wrong logins came from this address lately; wait before you try again", seconds)
        failed.begun(address, name)
        self._waiting[address] += 1
        self._under_way[digest] = [waiting]
        Deferred.fromCoroutine(self._log_in(credentials, address, name, failed)).addBoth(self._tell, digest, address)

    async def _log_in(self, credentials: ICredentials, address: str, name: str, failed: FailedLogins) -> User:
        try:
            _, avatar, _ = await self._portal.login(credentials, None, IUser)
        except UnauthorizedLogin as error:
            if failed.is_first(address):
                # Whatever was typed in the place of a name may be a secret.
                _log.warn("a wrong login came from {address}", address=address, user=name if name in self._users else None)
            raise LoginNeeded(_WRONG) from error
        except Exception as error:
            _log.failure("a login could not be looked at")
            raise LoginsBusy("this node cannot look at passwords now") from error
        failed.was_right(address, name)
        return cast(User, avatar)

    def _tell(self, outcome: User | Failure, digest: bytes, address: str) -> None:
        """Everybody who waits; one that has hung up meanwhile was told already."""
        if isinstance(outcome, User):
            if self._users.get(outcome.name) == outcome:
                self._remember(digest, outcome)
            else:
                outcome = Failure(LoginNeeded(_WRONG))  # It was right a moment ago.
        self._waiting[address] -= 1
        if not self._waiting[address]:
            del self._waiting[address]
        for waiting in self._under_way.pop(digest):
            if isinstance(outcome, Failure):
                waiting.errback(outcome)
            else:
                waiting.callback(outcome)

    def _remember(self, digest: bytes, user: User) -> None:
        self._right[digest] = user
        if len(self._right) > limits.LOGINS_KEPT_COUNT:
            del self._right[next(iter(self._right))]


def _credentials(header: bytes) -> tuple[ICredentials, str]:
    """What a header says, and the user it names, if it does. Raises LoginNeeded, which shows nothing of it."""
    scheme, _, said = header.strip().partition(b" ")
    if scheme.lower() == b"bearer" and said.strip():
        return Token(said.strip().decode("utf-8", "surrogateescape")), ""
    if scheme.lower() != b"basic":
        raise LoginNeeded(_MISSING)
    try:
        name, colon, password = b64decode(said.strip(), validate=True).partition(b":")
    except ValueError:
        colon = b""
    if not colon:
        raise LoginNeeded("after Basic comes base64 of user:password")
    return UsernamePassword(name, password), name.decode("utf-8", "replace")
