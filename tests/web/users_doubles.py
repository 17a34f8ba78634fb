"""What the tests of users share: one of each kind, what each says, and a site that knows them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from web_doubles import Client, Reply, Served

from hraft.auth.logins import Logins
from hraft.auth.secrets import hash_password, hash_token
from hraft.auth.users import Rule, User
from hraft.kv.store import KeyValueStore
from hraft.web.guard import Guard
from hraft.web.hosts import Hosts

#: As cheap as a hash may be.
PASSWORD = hash_password(b"sesame:street", log_n=10)
_RULES = (Rule(b"web/", "write"), Rule(b"shared/", "read"))

USERS = {
    user.name: user
    for user in (
        User("admin", "admin", PASSWORD),
        User("writer", "write", tokens=(hash_token("of-writer"),)),
        User("reader", "read", tokens=(hash_token("of-reader"),)),
        User("web", "write", tokens=(hash_token("of-web"), hash_token("another")), rules=_RULES),
        User("guest", "read", tokens=(hash_token("of-guest"),), rules=(Rule(b"shared/", "read"),)),
    )
}

EVERYBODY: dict[str, str | None] = {
    "nobody": None,
    "wrong": "Bearer of-nobody",
    "reader": "Bearer of-reader",
    "writer": "Bearer of-writer",
    "web": "Bearer of-web",
    "guest": "Bearer of-guest",
    "admin": "Basic " + b64encode(b"admin:sesame:street").decode(),
}


def at_once(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
    """A thread that takes no time."""
    return maybeDeferred(function, *arguments)


class GuardedSite:
    """A node with some keys, leases and sessions, and with users."""

    def __init__(self, has_front: bool = True, **options: Any) -> None:
        self.clock = Clock()
        self.logins = Logins(USERS, options.pop("run_in_thread", at_once), self.clock.seconds)
        hosts = options.pop("hosts", Hosts(has_users=True))
        self.served = Served(has_front=has_front, guard=Guard(hosts, self.logins), **options)
        node = self.node = self.served.node
        node.is_fresh = True
        self.reset()

    def reset(self) -> None:
        """As in the beginning, and long after it: nobody was wrong lately. A new site would cost fifty times as much."""
        node = self.node
        node.state_machine = KeyValueStore()
        node.asked.clear()
        self.clock.advance(1000.0)
        for number, key in enumerate(("web/a", "shared/a", "other/a"), 1):
            node.put_line(number, b'{"op":"set","key":"%b","value":"SECRET-%b"}' % (key.encode(), key.encode()))
        for number, owner in ((11, "web"), (12, "writer"), (13, "")):
            node.put_line(number, b'{"op":"lease_grant","ttl_seconds":60,"owner":"%b"}' % owner.encode())
        for number, owner in ((21, "web"), (22, "writer"), (23, "")):
            node.put_line(number, b'{"op":"session_open","owner":"%b"}' % owner.encode())

    def ask(self, method: str, target: str, body: bytes | None = None, who: str | None = None, **headers: str) -> Reply:
        """One request on a connection of its own, to its answer or its beginning. `who` is one of EVERYBODY."""
        client = self.begin(method, target, body, who, **headers)
        head, _, content = client.received().partition(b"\r\n\r\n")
        client.hang_up()
        first, *lines = head.decode("latin-1").split("\r\n")
        told = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return Reply(int(first.split(" ")[1]), told, content)

    def begin(self, method: str, target: str, body: bytes | None = None, who: str | None = None, **headers: str) -> Client:
        said = EVERYBODY[who] if who is not None else None
        lines = [f"{method} {target} HTTP/1.1", *([] if "Host" in headers else ["Host: localhost"])]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [] if said is None else [f"Authorization: {said}"]
        lines += [] if body is None else [f"Content-Length: {len(body)}"]
        client = self.served.connect()
        client.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))
        return client
