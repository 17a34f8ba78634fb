"""What the guard tells those whom it turns away, and how it goes along with waiting, streams and users that change."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from held_thread import HeldThread
from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from users_doubles import EVERYBODY, USERS, GuardedSite
from web_doubles import HAS_FRONT

from hraft import limits
from hraft.auth.users import Rule, User
from hraft.kv.store import KeyValueStore
from hraft.web.answers import DONE
from hraft.web.api import Api, Route
from hraft.web.asked import Asked
from hraft.web.guard import Guard
from hraft.web.hosts import Hosts

WAYS = (True, False) if HAS_FRONT else (False,)


class RefusalTests(SynchronousTestCase):
    """401, 403 and 429."""

    def test_who_is_asked_for(self) -> None:
        """A program reads JSON, and a browser the challenge; what was wrong with which secret is not told."""
        for has_front in WAYS:
            for who in ("nobody", "wrong"):
                reply = GuardedSite(has_front).ask("PUT", "/v1/kv/web/a", b"x", who)
                self.assertEqual((401, "unauthorized", "not done"), (reply.status, reply.json()["code"], reply.json()["outcome"]))
                self.assertEqual("application/problem+json", reply.headers["content-type"])
                self.assertRegex(reply.headers["www-authenticate"], '^Basic realm="hraft".*, Bearer')
                self.assertTrue({"x-hraft-revision", "x-hraft-term"}.isdisjoint(reply.headers))

    def test_what_was_missing(self) -> None:
        """The role, or the key that the request itself names; never what else there is."""
        site = GuardedSite()
        details = [
            site.ask("PUT", "/v1/kv/web/a", b"x", "reader").json()["detail"],
            site.ask("GET", "/v1/kv/other/a", None, "web").json()["detail"],
            site.ask("GET", "/v1/kv?prefix=o", None, "web").json()["detail"],
            site.ask("DELETE", "/v1/leases/12", None, "web").json()["detail"],
        ]
        expected = [
            "user 'reader' has the role read, and this needs write",
            "user 'web' may not read the key 'other/a'",
            "user 'web' may not read all keys from 'o' on and before 'p'",
            "lease 12 is not user 'web''s own, and others are for those who have all keys",
        ]
        self.assertEqual(expected, details)

    @pytest.mark.scenario("O8")
    def test_o8_what_is_forbidden_tells_nothing(self) -> None:
        """Neither whether a key is there, nor how a comparison ended, nor what a condition found (as in CVE-2026-33413)."""
        site = GuardedSite()
        told = {
            site.ask(method, f"/v1/kv/other/{key}", body, "web", **headers).body.replace(b"other/" + key.encode(), b"KEY")
            for key in ("a", "none")
            for method, body, headers in (
                ("PUT", b"x", {"If_Match": '"3"'}),
                ("PUT", b"x", {"If_None_Match": "*"}),
                ("DELETE", None, {"If_Match": '"4"'}),
            )
        }
        self.assertEqual(1, len(told), told)
        body = b'{"compare":[{"key":"other/a","target":"value","value":"%b"}]}'
        told = {site.ask("POST", "/v1/txn", body % value, "web").body for value in (b"SECRET-other/a", b"no")}
        self.assertEqual(1, len(told), told)

    def test_a_bad_request_is_bad_for_everybody(self) -> None:
        """What cannot be read touches no key, and says what is wrong with it."""
        for target, body in (("/v1/txn", b"{"), ("/key", b'{"a":1}'), ("/v1/kv?start=b&end=a", None)):
            method = "GET" if body is None else "POST"
            self.assertEqual(400, GuardedSite().ask(method, target, body, "web").status, target)

    def test_too_many(self) -> None:
        """429 with when to come back; others go on, and so does who was known."""
        for has_front in WAYS:
            site = GuardedSite(has_front)
            wrong = {"Authorization": "Basic " + b64encode(b"admin:wrong").decode()}
            for _ in range(limits.FAILED_LOGINS_OF_USER_COUNT):
                self.assertEqual(401, site.ask("GET", "/key/a", **wrong).status)
            reply = site.ask("GET", "/key/a", **wrong)
            self.assertEqual((429, "6", "too_many_logins"), (reply.status, reply.headers["retry-after"], reply.json()["code"]))
            self.assertEqual(200, site.ask("GET", "/livez").status)

    def test_who_comes_through_a_proxy(self) -> None:
        """Is counted as who he is, where --haddr is a haproxy: endpoint: one client behind it must not lock out all others."""
        for has_front in WAYS:
            site, peers = GuardedSite(has_front), []
            self.patch(site.logins, "user_of", lambda header, address, peers=peers: peers.append(address) or USERS["reader"])
            transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
            connection = HAProxyWrappingFactory(site.served.site).buildProtocol(transport.getPeer())
            connection.makeConnection(transport)
            connection.dataReceived(b"PROXY TCP4 203.0.113.7 10.0.0.1 1234 80\r\n")
            connection.dataReceived(b"GET /key/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(["203.0.113.7"], peers)
            connection.connectionLost(Failure(ConnectionDone()))

    def test_a_route_without_a_permission(self) -> None:
        """Nobody's, the admin's neither, until somebody has thought of it."""
        site = GuardedSite()
        api = Api(site.node, [Route(b"GET", b"/new", lambda _: DONE)], Guard(Hosts(), site.logins))  # type: ignore[arg-type]
        site.served.site.serve(api)
        self.assertEqual((403, 401), (site.ask("GET", "/new", None, "admin").status, site.ask("GET", "/new").status))


class WaitingTests(SynchronousTestCase):
    """A password takes its time."""

    def test_other_requests_do_not_wait(self) -> None:
        """For somebody else's hash; and the one who does is answered in the end, with what it asked before."""
        for has_front in WAYS:
            slow = HeldThread()
            site = GuardedSite(has_front, run_in_thread=slow)
            waiting = [site.begin("GET", "/key/web/a", None, "admin"), site.begin("GET", "/v1/watch?since=0", None, "admin")]
            self.assertEqual(200, site.ask("GET", "/key/web/a", None, "writer").status)
            self.assertEqual([b"", b""], [client.received() for client in waiting])
            slow.work()
            site.served.clock.advance(1)
            answer, stream = (client.received() for client in waiting)
            self.assertTrue(answer.endswith(b'{"web/a":"SECRET-web/a"}'), answer)
            self.assertIn(b"SECRET-other/a", stream)
            for client in waiting:
                client.hang_up()

    def test_who_hangs_up_meanwhile(self) -> None:
        """Is not answered, and nothing is done for it."""
        for has_front in WAYS:
            slow = HeldThread()
            site = GuardedSite(has_front, run_in_thread=slow)
            for target in ("/v1/kv/web/a", "/v1/watch"):
                site.begin("DELETE" if "kv" in target else "GET", target, None, "admin").hang_up()
            before = site.node.state_machine.revision
            slow.work()
            self.assertEqual(before, site.node.state_machine.revision)

    def test_a_session_that_is_not_here_yet(self) -> None:
        """It was opened on another node: whose it is, is known when this one has caught up, and not before."""
        for has_front in WAYS:
            site = GuardedSite(has_front)
            site.node.is_fresh = False
            client = site.begin("PUT", "/v1/kv/web/a", b"x", "web", Idempotency_Key="30/1")
            site.node.put_line(30, b'{"op":"session_open","owner":"writer"}')
            [read] = [asked for asked in site.node.asked if asked.how == "confirm_read"]
            self.assertEqual(b"", client.received())
            read.answer.callback(30)
            self.assertIn(b"403", client.received().split(b"\r\n")[0])
            client.hang_up()


class OwnerTests(SynchronousTestCase):
    """Whose leases and sessions are."""

    def test_what_is_yet_to_come_is_nobodys_to_use(self) -> None:
        """An id is an index of the log, so the next one can be guessed: it must not be used while another user makes it."""
        asked = (
            *(("DELETE", "/v1/leases/51", None, {}), ("POST", "/v1/leases/51/keepalive", None, {})),
            *(("PUT", "/v1/kv/web/a?lease=51", b"x", {}), ("PUT", "/v1/kv/web/a", b"x", {"Idempotency_Key": "51/1"})),
        )
        for has_front in WAYS:
            for method, target, body, headers in asked:
                site = GuardedSite(has_front)
                site.node.is_fresh = False
                client = site.begin(method, target, body, "web", **headers)
                [read] = site.node.asked
                read.answer.callback(50)
                self.assertIn(client.received()[9:12], (b"404", b"409"), target)
                self.assertEqual(["confirm_read"], [each.how for each in site.node.asked], target)
                client.hang_up()

    def test_who_makes_one_has_it(self) -> None:
        """In the log, and so on every node and in every backup."""
        site = GuardedSite()
        site.node.state_machine = KeyValueStore()
        lease = site.ask("POST", "/v1/leases", b'{"ttl":5}', "web").json()["id"]
        client = int(site.ask("POST", "/v1/sessions", None, "web").json()["client"])
        for store in (site.node.state_machine, site.node.state_machine.restored(site.node.state_machine.snapshot())):
            found = store.lease(lease)
            self.assertEqual(("web", "web"), (found and found.owner, store.session_owner(client)))

    def test_one_users_answers_are_not_anothers(self) -> None:
        """The same command with somebody's client and serial would be answered with what that client was told."""
        site = GuardedSite()
        first = site.ask("PUT", "/v1/kv/web/a?prev", b"x", "web", Idempotency_Key="21/1")
        self.assertIn(b"SECRET", first.body)
        self.assertEqual(first.body, site.ask("PUT", "/v1/kv/web/a?prev", b"x", "web", Idempotency_Key="21/1").body)
        for who in ("writer", "admin"):
            reply = site.ask("PUT", "/v1/kv/web/a?prev", b"x", who, Idempotency_Key="21/1")
            self.assertEqual((403, False), (reply.status, b"SECRET" in reply.body))


class ChangeTests(SynchronousTestCase):
    """Users change while they are connected."""

    @pytest.mark.scenario("O21")
    def test_o21_a_watch_ends_with_its_users_rights(self) -> None:
        """Or it would go on telling; whose rights are as they were watches on."""
        for changed in (None, User("web", "write", tokens=USERS["web"].tokens, rules=(Rule(b"web/x", "write"),))):
            site = GuardedSite()
            web, writer = (site.begin("GET", "/v1/watch?prefix=web/", None, who) for who in ("web", "writer"))
            others = {name: user for name, user in USERS.items() if name != "web"}
            site.logins.replace(others if changed is None else {**others, "web": changed})
            self.assertEqual((True, False), (web.is_closed, writer.is_closed))
            writer.hang_up()

    def test_the_next_request_is_another_users(self) -> None:
        """On the same connection: each says who asks."""
        for has_front in WAYS:
            site = GuardedSite(has_front)
            client = site.begin("GET", "/key/other/a", None, "writer")
            self.assertIn(b"SECRET", client.received())
            for said, status in ((EVERYBODY["web"], b"403"), (None, b"401")):
                header = "" if said is None else f"Authorization: {said}\r\n"
                client.send(f"GET /key/other/a HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode())
                self.assertEqual(status, client.received().split(b" ")[1])
            client.hang_up()

    @pytest.mark.scenario("O11")
    def test_o11_functions_see_no_secret(self) -> None:
        """What answers, and may say what it was asked, is given who asks and not how that was proved."""
        seen: list[Any] = []
        site = GuardedSite()
        route = site.served.api.table[0]

        def function(asked: Any) -> Any:
            seen.append(asked)
            return DONE

        guarded = Guard(Hosts(), site.logins).around(site.node, route.needs, function)  # type: ignore[arg-type]
        secret = (b"authorization", (EVERYBODY["admin"] or "").encode())
        self.successResultOf(maybeDeferred(guarded, Asked(b"GET", b"/key/web/a", b"", b"", (secret,))))
        self.assertEqual("admin", seen[0].user)
        self.assertNotIn(b64encode(b"admin:sesame").decode()[:12], repr(seen[0]))
