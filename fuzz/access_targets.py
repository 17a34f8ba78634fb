"""Targets that decide who comes in: the file of users, Authorization headers, Host and Origin."""

from __future__ import annotations

from base64 import b64encode

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from fuzz.target import Target, expect, same
from hraft.auth.logins import Logins
from hraft.auth.secrets import hash_token
from hraft.auth.user_file import line_of, parse_users
from hraft.auth.users import Rule, User
from hraft.errors import BadUserFile, LoginNeeded, LoginsBusy, TooManyLogins
from hraft.web.asked import Asked
from hraft.web.hosts import Hosts
from hraft.web.problems import Problem

_COMPLAINT_CHARACTERS_COUNT = 2500
_PASSWORD = f"scrypt$14$8$1${b64encode(bytes(16)).decode()}${b64encode(bytes(32)).decode()}"
_USERS = (
    User("ada", "admin", _PASSWORD),
    User("web", "write", None, (hash_token("t"), hash_token("u")), (Rule(b"web/", "write"), Rule(b"\xff", "read"))),
    User("guest", "read", rules=()),
)
_HEADERS = (b"Bearer t", b"bearer  u", b"Basic " + b64encode(b"ada:secret"), b"Basic " + b64encode(b":"), b"Digest x")
_HOSTS = (
    *(b"localhost", b"127.0.0.1:11000", b"[::1]:1", b"node0.example:80\nhttp://node0.example:80", b"a.allowed.example\nnull"),
    *(b"evil.example\nhttp://evil.example", b"node0.example\nhttps://b.allowed.example", b"10.0.0.1.\nhttp://[::1]:1"),
)


def _users(data: bytes) -> None:
    try:
        found = parse_users("users", data)
    except BadUserFile as error:
        expect(str(error).startswith("users, line "), f"no line: {error}")
        expect(len(str(error)) < _COMPLAINT_CHARACTERS_COUNT, f"a complaint of {len(str(error))} characters")
        return
    written = b"\n".join(map(line_of, found.values()))
    same(found, parse_users("users", written), "users, read from their own lines")


def _logins(data: bytes) -> None:
    # As if every password were wrong: what is fed is the header, and not the hash.
    logins = Logins({user.name: user for user in _USERS}, lambda *_: succeed(False), lambda: 0.0)
    outcome: list[object] = []
    try:
        found = logins.user_of(data, "192.0.2.1")
    except (LoginNeeded, LoginsBusy, TooManyLogins):
        return
    (found if isinstance(found, Deferred) else succeed(found)).addBoth(outcome.append)
    [user] = outcome
    if isinstance(user, Failure):
        user.trap(LoginNeeded)
        return
    expect(data.split()[-1] in (b"t", b"u"), f"{data!r} let {user} in")


def _hosts(data: bytes) -> None:
    host, _, origin = data.partition(b"\n")
    headers = ((b"origin", origin),) if origin else ()
    try:
        Hosts(("node0.example",), ("*.allowed.example",)).check(Asked(b"POST", b"/key", b"", b"", headers, host))
    except Problem as problem:
        expect(problem.status == 403, f"{problem}")
        return
    named = host.lower().partition(b":")[0].rstrip(b".")
    is_good = named == b"node0.example" or named.endswith((b".allowed.example", b".localhost")) or b"." not in named
    expect(is_good or named.replace(b".", b"").isdigit() or host.startswith(b"["), f"{host!r} is good")


TARGETS = (
    Target("users", "the file of users", _users, lambda: [*map(line_of, _USERS), b"\n# x\n".join(map(line_of, _USERS))]),
    Target("logins", "an Authorization header", _logins, lambda: list(_HEADERS)),
    Target("hosts", "a Host, and an Origin in the next line", _hosts, lambda: list(_HOSTS)),
)
