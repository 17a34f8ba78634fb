"""A node's options for TLS, and what it makes of them: which files it reads, what it says of itself, when it warns."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import TestCase

import certificates
import pytest
from test_options import parse
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python import usage

from hraft.access import Access
from hraft.addresses import HttpsAddress
from hraft.assembly import HraftService
from hraft.errors import CertificateUnusable
from hraft.node_certificates import NodeCertificates
from hraft.tls.authority import Made
from hraft.tls.connections import Secured, SecuredEndpoint


def http(made: Made) -> tuple[str, ...]:
    return "--http-cert", made.certificate, "--http-key", made.key


def raft(made: Made, ca: str | None = None) -> tuple[str, ...]:
    return "--raft-cert", made.certificate, "--raft-key", made.key, "--raft-ca", ca or certificates.ca()


class OptionTests(TestCase):
    def test_what_belongs_together(self) -> None:
        """Half of it would be less than was meant."""
        for words, message in (
            (("--http-cert", "a"), "--http-cert without --http-key"),
            (("--raft-key", "a", "--raft-cert", "b"), "--raft-cert and --raft-key without --raft-ca"),
            (("--http-client-ca", "a"), "--http-client-ca is for HTTPS"),
            (("--http-ca", ""), "--http-ca is empty"),
            (("--haddr", "ssl:1:privateKey=k", "--http-cert", "a", "--http-key", "b"), "leave out one of them"),
        ):
            with self.assertRaisesRegex(usage.UsageError, message):
                parse(*words, "data")

    def test_who_serves_https_says_so_and_expects_it(self) -> None:
        """Where others are told, and where a bare target is asked; also with an endpoint string."""
        for words in (("--http-cert", "a", "--http-key", "b"), ("--haddr", "ssl:11000:interface=n1", "--haddr-adv", "n1:11000")):
            settings = parse(*words, "--join", "other:1,http://third:2", "data")
            self.assertTrue(settings.http_address.startswith("https://"), settings)
            self.assertEqual(["https://other:1", "third:2"], [str(target) for target in settings.join_targets])

    def test_files_are_found_from_anywhere(self) -> None:
        """A service may be started in another directory than it is reloaded in."""
        tls = parse("--http-cert", "a", "--http-key", "~/b", "data").tls
        self.assertEqual((str(Path("a").resolve()), str(Path.home() / "b")), (tls.http.certificate, tls.http.key))


class NodeTests(TestCase):
    def setUp(self) -> None:
        self.lines: list[str] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: Any) -> None:
        self.lines.append(formatEvent(event))

    def opened(self, *words: str) -> NodeCertificates:
        self.lines.clear()
        found = NodeCertificates(MemoryReactorClock(), parse(*words, "data"))
        found.open()
        return found

    def test_all_under_tls(self) -> None:
        """Both ports, and whoever is dialled; and when the certificates end can be seen."""
        made = certificates.node("localhost")
        node = self.opened(*http(made), *raft(made), "--http-ca", certificates.ca())
        ends = [(live.name, live.expires_at) for live in node.live]
        self.assertEqual([("HTTPS", made.expires_at), ("peers", made.expires_at)], ends)
        for factory in (node.under_http, node.under_peers):
            self.assertIsInstance(factory(Factory()), Secured)
        self.assertIsInstance(node.peer_endpoint("n2:12000"), SecuredEndpoint)
        self.assertIsInstance(node.http_endpoint(HttpsAddress("n2", 1)), SecuredEndpoint)
        self.assertEqual([], self.lines)

    def test_without_tls_it_warns_off_loopback(self) -> None:
        """In one line, that says what to do."""
        made = certificates.node("n1")
        self.assertEqual(((), []), (self.opened().live, self.lines))
        self.opened("--haddr", ":11000", "--raddr", "n1:12000")
        [line] = self.lines
        for words in ("--haddr :11000 and --raddr n1:12000", "hraft certs", "--http-cert", "--raft-ca", "docs/security.md"):
            self.assertIn(words, line)
        self.opened("--haddr", "n1:11000", "--raddr", "n1:12000", *http(made))
        [line] = self.lines
        self.assertEqual((True, False), ("--raddr" in line, "--haddr" in line))
        self.opened("--haddr", "n1:11000", "--raddr", "n1:12000", *http(made), *raft(made))
        self.assertEqual([], self.lines)

    def test_a_certificate_for_another_host_is_a_warning(self) -> None:
        """Every other node will refuse it; but one may be known by more names than it tells."""
        made = certificates.node("elsewhere")
        self.opened(*http(made), *raft(made))
        self.assertEqual(["--http-cert", "--raft-cert"], [line.partition(":")[0] for line in self.lines])
        self.assertIn("the certificate is for elsewhere, and not for localhost", self.lines[0])

    def test_a_node_knows_its_own_name_under_https_too(self) -> None:
        """Or it would take its own clients for a page's victims."""
        settings = parse(*http(certificates.node("n1.example")), "--haddr", "n1.example:11000", "data")
        self.assertEqual("https://n1.example:11000", settings.http_address)
        self.assertIn("n1.example:11000", Access(Clock(), settings)._own_names())


class StartTests(TestCase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def test_nothing_is_opened_with_bad_files(self) -> None:
        """Neither a port nor a directory: the files are the first that is looked at."""
        old = certificates.expired("localhost")
        reactor = MemoryReactorClock()
        service = HraftService(reactor, parse(*raft(old), str(self.folder / "data")))
        self.assertRaisesRegex(CertificateUnusable, "expired", service.startService)
        self.assertEqual(([], []), (list(self.folder.iterdir()), reactor.tcpServers))
