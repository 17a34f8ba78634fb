"""Who may do what: every route of the table, and every stream beside it, for everybody who may ask, by both ways in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase
from users_doubles import EVERYBODY, GuardedSite
from web_doubles import HAS_FRONT, Served

from hraft.web.dashboard.page import FILES
from hraft.web.openapi import STREAMS
from hraft.web.permissions import Need

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"

ALL = frozenset(EVERYBODY)
USERS = ALL - {"nobody", "wrong"}
#: Who has all keys, to read and to write; who has those below web/ and shared/.
READ_ALL, WRITE_ALL = frozenset({"reader", "writer", "admin"}), frozenset({"writer", "admin"})
READ_WEB, WRITE_WEB = READ_ALL | {"web"}, WRITE_ALL | {"web"}
READ_SHARED = READ_WEB | {"guest"}
WRITERS, ADMIN = WRITE_WEB, frozenset({"admin"})


@dataclass(frozen=True)
class Example:
    """A request, and who may make it. `session` is the client whose Idempotency-Key it carries."""

    method: str
    target: str
    allowed: frozenset[str]
    body: bytes | None = None
    session: int | None = None

    @property
    def path(self) -> bytes:
        return self.target.partition("?")[0].encode()


def txn(allowed: frozenset[str], **lists: list[object]) -> Example:
    return Example("POST", "/v1/txn", allowed, json.dumps(lists).encode())


def put(key: str, **more: object) -> dict[str, object]:
    return {"put": {"key": key, "value": "x", **more}}


def compare(**more: object) -> dict[str, object]:
    return {"target": "version", "version": 1, **more}


#: Written down by hand, and not made of the table that it is about.
EXAMPLES = (
    # hraftd's
    Example("GET", "/key/web/a", READ_WEB),
    Example("GET", "/key/web%2Fa", READ_WEB),
    Example("GET", "/key/shared/a", READ_SHARED),
    Example("GET", "/key/other/a", READ_ALL),
    Example("GET", "/key/none", READ_ALL),
    Example("GET", "/key/web", READ_ALL),
    Example("GET", "/key", USERS),
    Example("POST", "/key", WRITE_WEB, b'{"web/b":"1"}'),
    Example("POST", "/key/web/a", WRITE_ALL, b'{"other/b":"1"}'),
    Example("POST", "/key", WRITE_ALL, b'{"web/b":"1","other/b":"1"}'),
    Example("POST", "/key", WRITE_ALL, b'{"shared/b":"1"}'),
    Example("POST", "/key", WRITERS, b"{}"),
    Example("DELETE", "/key/web/a", WRITE_WEB),
    Example("DELETE", "/key/shared/a", WRITE_ALL),
    Example("DELETE", "/key", WRITERS),
    # one key
    Example("GET", "/v1/kv/web/a", READ_WEB),
    Example("GET", "/v1/kv/web/a?raw&level=stale", READ_WEB),
    Example("GET", "/v1/kv/%6fther/a", READ_ALL),
    Example("GET", "/v1/kv/none", READ_ALL),
    Example("PUT", "/v1/kv/web/a", WRITE_WEB, b"x"),
    Example("PUT", "/v1/kv/shared/a?prev", WRITE_ALL, b"x"),
    Example("PUT", "/v1/kv/web/a?lease=11", WRITE_WEB, b"x"),
    Example("PUT", "/v1/kv/web/a?lease=12", WRITE_ALL, b"x"),
    Example("PUT", "/v1/kv/web/a?lease=13", WRITE_ALL, b"x"),
    Example("DELETE", "/v1/kv/web/a", WRITE_WEB),
    Example("DELETE", "/v1/kv/other/a?prev", WRITE_ALL),
    # many keys
    Example("GET", "/v1/kv?prefix=web/", READ_WEB),
    Example("GET", "/v1/kv?prefix=web/a/b", READ_WEB),
    Example("GET", "/v1/kv?prefix=web", READ_ALL),
    Example("GET", "/v1/kv?prefix=shared/&keys_only", READ_SHARED),
    Example("GET", "/v1/kv?prefix=other/&count_only", READ_ALL),
    Example("GET", "/v1/kv?start=web/&end=web0", READ_WEB),
    Example("GET", "/v1/kv?start=web/&end=web1", READ_ALL),
    Example("GET", "/v1/kv?start=web/", READ_ALL),
    Example("GET", "/v1/kv", READ_ALL),
    Example("DELETE", "/v1/kv?prefix=web/", WRITE_WEB),
    Example("DELETE", "/v1/kv?prefix=shared/", WRITE_ALL),
    Example("DELETE", "/v1/kv?prefix=", WRITE_ALL),
    # transactions: each place where a key may stand
    txn(WRITE_WEB, then=[put("web/a")]),
    txn(WRITE_ALL, then=[put("web/a"), put("other/a")]),
    txn(WRITE_ALL, compare=[compare(key="other/a")], then=[put("web/a")]),
    txn(WRITE_ALL, compare=[compare(prefix="other/")]),
    txn(WRITE_ALL, compare=[compare(key="web/", end="x")]),
    txn(WRITE_WEB, compare=[compare(key="shared/a")], then=[put("web/a")]),
    txn(WRITE_ALL, compare=[compare(key="web/a")], **{"else": [put("other/a")]}),
    txn(WRITE_ALL, **{"else": [{"get": {"key": "other/a"}}]}),
    txn(WRITE_ALL, then=[{"get": {"prefix": "other/"}}]),
    txn(WRITE_ALL, then=[{"get": {"prefix": ""}}]),
    txn(WRITE_WEB, then=[{"get": {"start": "shared/", "end": "shared0"}}]),
    txn(WRITE_ALL, then=[{"delete": {"prefix": "shared/"}}]),
    txn(WRITE_WEB, then=[{"delete": {"key": "web/a", "prev": True}}]),
    txn(WRITE_ALL, then=[put("web/a", lease=12)]),
    txn(WRITE_ALL, **{"else": [put("web/a", lease=12)]}),
    txn(WRITE_WEB, then=[put("web/a", lease=11)]),
    # leases
    Example("POST", "/v1/leases", WRITERS, b'{"ttl":5}'),
    Example("GET", "/v1/leases", READ_ALL),
    Example("GET", "/v1/leases/11", READ_WEB),
    Example("GET", "/v1/leases/12", READ_ALL),
    Example("GET", "/v1/leases/13", READ_ALL),
    Example("GET", "/v1/leases/99", USERS),
    Example("POST", "/v1/leases/11/keepalive", WRITE_WEB),
    Example("POST", "/v1/leases/12/keepalive", WRITE_ALL),
    Example("DELETE", "/v1/leases/11", WRITE_WEB),
    Example("DELETE", "/v1/leases/12", WRITE_ALL),
    Example("DELETE", "/v1/leases/99", WRITERS),
    # clients of exactly-once writes: one's own only, whoever one is
    Example("POST", "/v1/sessions", WRITERS),
    Example("DELETE", "/v1/sessions/21", frozenset({"web"})),
    Example("DELETE", "/v1/sessions/22", frozenset({"writer"})),
    Example("DELETE", "/v1/sessions/23", WRITE_ALL),
    Example("PUT", "/v1/kv/web/a", frozenset({"web"}), b"x", session=21),
    Example("PUT", "/v1/kv/web/a", frozenset({"writer"}), b"x", session=22),
    Example("POST", "/key", frozenset({"writer"}), b'{"web/b":"1"}', session=22),
    Example("PUT", "/v1/kv/web/a", WRITE_ALL, b"x", session=23),
    Example("PUT", "/v1/kv/web/a", WRITE_WEB, b"x", session=99),
    # the node and its cluster
    Example("GET", "/status", USERS),
    Example("GET", "/v1/status", USERS),
    Example("GET", "/v1/cluster", USERS),
    Example("GET", "/v1/openapi.json", USERS),
    Example("POST", "/join", ADMIN, b"no JSON"),
    # Who may is refused for the parameter that there is not.
    Example("POST", "/v1/cluster/members?none", ADMIN, b"{}"),
    Example("DELETE", "/v1/cluster/members/node2?none", ADMIN),
    Example("POST", "/v1/cluster/members/node2/promote?none", ADMIN),
    Example("POST", "/v1/cluster/transfer?none", ADMIN),
    Example("GET", "/v1/discovery", ALL),
    Example("GET", "/v1/user", USERS),
    Example("GET", "/livez", ALL),
    Example("GET", "/readyz", ALL),
    Example("GET", "/livez/disk", ALL),
    Example("GET", "/readyz/leader", ALL),
    Example("GET", "/metrics", USERS),
    # the dashboard
    *(Example("GET", path.decode(), USERS) for path in FILES),
    # streams
    Example("GET", "/v1/events", USERS),
    Example("GET", "/v1/watch?prefix=web/", READ_WEB),
    Example("GET", "/v1/watch?key=shared/a", READ_SHARED),
    Example("GET", "/v1/watch?prefix=other/&since=0", READ_ALL),
    Example("GET", "/v1/watch", READ_ALL),
    Example("GET", "/v1/snapshot", ADMIN),
)

WAYS = (True, False) if HAS_FRONT else (False,)


class TableTests(SynchronousTestCase):
    """Permissions are data, and the data is right."""

    def test_every_route_says_who_may_ask(self) -> None:
        """What nobody has thought of is open to nobody, and is found here before a user finds it."""
        silent = [route.path for route in (*Served().api.table, *STREAMS) if route.needs.need is Need.UNSAID]
        self.assertEqual([], silent)

    def test_every_route_has_an_example(self) -> None:
        """A new route without one below has been asked by nobody; so has a stream."""
        served = Served()
        routes = {(route.method.decode(), route.path) for route in (*served.api.table, *STREAMS)}
        streams = {route.path for route in STREAMS}
        found = {
            (example.method, example.path if example.path in streams else served.api.path_of(example.path))
            for example in EXAMPLES
        }
        self.assertEqual(set(), routes - found)

    def test_every_stream_is_in_the_list(self) -> None:
        """Who may see it is said there, and what is not there is nobody's."""
        self.assertEqual(sorted(route.path for route in STREAMS), sorted(Served().site.resource._streams))  # type: ignore[attr-defined]

    def test_the_page_has_the_table(self) -> None:
        """What docs/security.md says of each route is what the table says: its role, and whether it is a matter of keys."""
        rows = re.findall(r"^\| `([A-Z]+) (\S+)` \| (\w+) \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
        found = {(method, path, role, keys != "-") for method, path, role, keys in rows}
        words = {Need.NOTHING: "none", Need.READ: "read", Need.WRITE: "write", Need.ADMIN: "admin"}
        expected = {
            (route.method.decode(), _in_page(route.path), words[route.needs.need], route.needs.touches is not None)
            for route in (*Served().api.table, *STREAMS)
        }
        self.assertEqual((set(), set()), (expected - found, found - expected))

    @pytest.mark.scenario("O8")
    def test_o8_everybody_at_every_route(self) -> None:
        """Who may is answered as if there were no users; who may not is told 401 or 403, changes nothing and learns nothing.

        And by both ways in the same: a client must not get past the one in what the other refuses. HEAD is no way around GET.
        """
        wrong = []
        sites = [GuardedSite(has_front) for has_front in WAYS]
        for example in EXAMPLES:
            told = [dict(_told(example, site)) for site in sites]
            wrong += [(example, who) for who in EVERYBODY if any(told[0][who] != each[who] for each in told)]
            for who, (status, _, body, _) in told[0].items():
                expected = "answered" if who in example.allowed else "401" if who in ("nobody", "wrong") else "403"
                found = str(status) if status in (401, 403) else "answered"
                if expected != found or (found != "answered" and b"SECRET" in body):
                    wrong.append((example, who, status, body))
        self.assertEqual([], wrong)


def _in_page(path: bytes) -> str:
    """A path as the page has it: the dashboard's files are one row."""
    return "/dashboard/..." if path.startswith(b"/dashboard/") else path.decode()


def _told(example: Example, site: GuardedSite) -> Iterator[tuple[str, tuple[int, int, bytes, dict[str, str]]]]:
    """Each caller, its answer, and that to HEAD. Whoever may not ask leaves everything as it is."""
    site.reset()
    before = site.node.state_machine.state_hash()
    for who in sorted(EVERYBODY, key=lambda who: who in example.allowed):
        if who in example.allowed and example.method != "GET":
            if site.node.state_machine.state_hash() != before:
                raise AssertionError(f"something was changed: {example}")
            site.reset()
        head = site.ask("HEAD", example.target, None, who).status if example.method == "GET" else 0
        headers = {} if example.session is None else {"Idempotency_Key": f"{example.session}/1"}
        reply = site.ask(example.method, example.target, example.body, who, **headers)
        kept = {name: value for name, value in reply.headers.items() if name not in ("date", "server")}
        if head not in (0, reply.status):
            raise AssertionError(f"HEAD is answered {head}: {example}")
        if example.target == "/metrics" and reply.status == 200:  # It never says the same twice.
            yield who, (reply.status, head, b"", {})
            continue
        yield who, (reply.status, head, reply.body, kept)
        if who in example.allowed and example.method != "GET":
            before = site.node.state_machine.state_hash()


class WhoTests(SynchronousTestCase):
    """/v1/user: what a page goes by when it offers changes."""

    def test_each_is_told_what_it_may_do(self) -> None:
        """Its role and its keys, and nothing of others and of secrets."""
        site = GuardedSite()
        told = {who: site.ask("GET", "/v1/user", who=who).json() for who in ("reader", "web", "admin")}
        rules = [{"access": "write", "prefix": "web/"}, {"access": "read", "prefix": "shared/"}]
        self.assertEqual({"user": "reader", "role": "read", "keys": None}, told["reader"])
        self.assertEqual({"user": "web", "role": "write", "keys": rules}, told["web"])
        self.assertEqual({"user": "admin", "role": "admin", "keys": None}, told["admin"])
