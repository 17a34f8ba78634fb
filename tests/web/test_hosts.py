"""What keeps web pages from using their reader's browser against a node: by both ways in, with and without users."""

from __future__ import annotations

import pytest
from twisted.trial.unittest import SynchronousTestCase
from users_doubles import GuardedSite
from web_doubles import HAS_FRONT, Served, get, post

from hraft.web.asked import Asked
from hraft.web.guard import Guard
from hraft.web.hosts import Hosts

WAYS = (True, False) if HAS_FRONT else (False,)


def asked(
    hosts: Hosts, method: str, *headers: str, host: str | None = "localhost:11000", has_front: bool = True
) -> tuple[int, bytes]:
    """The status, and the body, of a request without users."""
    client = Served(has_front=has_front, guard=Guard(hosts)).connect()
    data = post(b'{"a":"1"}', *headers) if method == "POST" else get("/key/a", *headers, method=method)
    client.send(data.replace(b"Host: localhost\r\n", b"" if host is None else f"Host: {host}\r\n".encode()))
    head, _, body = client.received().partition(b"\r\n\r\n")
    client.hang_up()
    return int(head.split(b" ")[1]), body


def statuses(hosts: Hosts, method: str, *headers: str, host: str | None = "localhost:11000") -> set[int]:
    return {asked(hosts, method, *headers, host=host, has_front=has_front)[0] for has_front in WAYS}


class HostTests(SynchronousTestCase):
    """O9: which names a node answers to."""

    @pytest.mark.scenario("O9")
    def test_o9_names_that_no_stranger_can_own(self) -> None:
        """Addresses, names without a dot as containers have, localhost, and the names that the node was started with."""
        hosts = Hosts(("node0.example:11000", "box"))
        for good in (
            *(
                "127.0.0.1",
                "127.0.0.1:11000",
                "[::1]:11000",
                "192.0.2.7:80",
                "[2001:db8::1]",
                "localhost",
                "LOCALHOST:1",
                "node0",
            ),
            *("a.localhost", "node0.example", "NODE0.example.:11000", "box:11000", None),
        ):
            self.assertEqual({200}, statuses(hosts, "POST", host=good), good)

    @pytest.mark.scenario("O9")
    def test_o9_names_that_were_rebound(self) -> None:
        """A page's own name, made to mean this machine, is no name of this node: nothing is written, or told."""
        for bad in (
            "evil.example",
            "evil.example:11000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "node0.example.evil",
        ):
            for method in ("GET", "POST"):
                self.assertEqual({403}, statuses(Hosts(("node0.example",)), method, host=bad), bad)
        _, body = asked(Hosts(), "POST", host="evil.example")
        self.assertIn(b"host_not_allowed", body)
        self.assertIn(b"--allowed-hosts", body)

    def test_what_is_no_host(self) -> None:
        """Two of them, or what no name can be: a page cannot send it, and neither does anybody else."""
        for bad in ("a.b:c", "a..evil.example@localhost", "localhost\r\nHost: evil.example"):
            self.assertTrue(statuses(Hosts(), "POST", host=bad) <= {400, 403}, bad)

    def test_allowed_names(self) -> None:
        """One, all below one, or any."""
        hosts = Hosts(allowed=("hraft.example", "*.internal.example"))
        self.assertEqual(
            {200}, statuses(hosts, "GET", host="hraft.example:80") | statuses(hosts, "GET", host="a.internal.example")
        )
        for bad in ("internal.example", "evilinternal.example", "x.hraft.example"):
            self.assertEqual({403}, statuses(hosts, "GET", host=bad), bad)
        self.assertEqual({200}, statuses(Hosts(allowed=("*",)), "GET", host="anything.example"))

    def test_with_users_any_name_will_do(self) -> None:
        """A browser gives no page's secret to another; but whoever says names means them."""
        self.assertEqual(200, GuardedSite().ask("GET", "/key/a", None, "writer", Host="hraft.example").status)
        named = GuardedSite(hosts=Hosts(allowed=("a.example",), has_users=True))
        self.assertEqual(403, named.ask("GET", "/key/a", None, "writer", Host="hraft.example").status)

    def test_checks_are_open(self) -> None:
        """An orchestrator asks by whatever name it has."""
        client = Served(guard=Guard(Hosts())).connect()
        client.send(get("/livez").replace(b"localhost", b"node.of.orchestrator"))
        self.assertNotIn(b"403", client.received().split(b"\r\n")[0])

    def test_remembers_only_so_many(self) -> None:
        """Whoever asks by thousands of addresses fills no memory."""
        hosts = Hosts()
        for number in range(2000):
            hosts.check(Asked(b"GET", b"/key/a", b"", b"", host=f"10.0.{number // 256}.{number % 256}".encode()))
        self.assertLess(len(hosts._good), 300)


class OriginTests(SynchronousTestCase):
    """Pages of elsewhere."""

    @pytest.mark.scenario("O9")
    def test_o9_a_page_of_elsewhere_cannot_write(self) -> None:
        """A form, or fetch with text/plain, needs nobody's leave to post; only Origin, or Sec-Fetch-Site, tells of it."""
        hosts = Hosts()
        for headers in (
            ("Origin: http://evil.example", "Content-Type: text/plain"),
            ("Origin: null",),
            ("Origin: http://localhost:8080",),
            ("Origin: http://localhost",),
            ("Origin: file://",),
            ("Origin: http://localhost:11000.evil.example",),
            ("Sec-Fetch-Site: cross-site",),
            ("Sec-Fetch-Site: same-site",),
        ):
            self.assertEqual({403}, statuses(hosts, "POST", *headers), headers)
        self.assertIn(b"foreign_origin", asked(hosts, "POST", "Origin: http://evil.example")[1])

    def test_the_nodes_own_page_can(self) -> None:
        """The dashboard, over plain HTTP and TLS; and behind a proxy that the operator has named."""
        for headers in (
            ("Origin: http://localhost:11000", "Sec-Fetch-Site: same-origin"),
            ("Origin: https://localhost:11000",),
            ("Sec-Fetch-Site: same-origin",),
            ("Sec-Fetch-Site: none",),
        ):
            self.assertEqual({200}, statuses(Hosts(), "POST", *headers), headers)
        proxied = Hosts(allowed=("hraft.example",))
        self.assertEqual({200}, statuses(proxied, "POST", "Origin: https://hraft.example", host="10.0.0.1:11000"))

    def test_links_lead_here(self) -> None:
        """Somebody follows a link from a wiki to the dashboard; a script of elsewhere cannot read the answer, and is refused."""
        self.assertEqual({200}, statuses(Hosts(), "GET", "Sec-Fetch-Site: cross-site"))
        self.assertEqual({403}, statuses(Hosts(), "GET", "Origin: http://evil.example"))
