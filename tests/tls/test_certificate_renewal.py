"""Certificates that change while they are in use: new connections show the new one, and bad files change nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certificates
import pytest
from certificates import dialler
from tls_doubles import Ends
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hraft import limits
from hraft.errors import CertificateUnusable
from hraft.tls.authority import Made
from hraft.tls.files import SERVER, CertificateFiles
from hraft.tls.renewal import LiveCertificates

DAY_SECONDS = 24 * 3600.0


@pytest.mark.scenario("O19")
class RenewalTests(SynchronousTestCase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def setUp(self) -> None:
        self.clock = Clock()
        self.old, self.new = certificates.node("localhost"), certificates.node("localhost", days=200)
        self.put(self.old)
        #: Of the wall, of which the days pass when a test says so.
        self.now = self.new.expires_at.timestamp() - 100 * DAY_SECONDS
        files = CertificateFiles(str(self.folder / "cert"), str(self.folder / "key"))
        self.live = LiveCertificates("HTTPS", files, self.clock, (SERVER,), wall_clock=lambda: self.now)
        self.live.open()
        self.lines: list[str] = []
        observe: Callable[[Any], None] = lambda event: self.lines.append(f"{event['log_level'].name} {formatEvent(event)}")  # noqa: E731
        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def put(self, certificate: Made, key: Made | None = None) -> None:
        """As a tool for renewal does: a new file in the place of the old one."""
        for name, path in (("cert", certificate.certificate), ("key", (key or certificate).key)):
            shutil.copy(path, self.folder / "new")
            os.replace(self.folder / "new", self.folder / name)

    def shown(self) -> int:
        """The serial number that a new connection is shown."""
        ends = Ends(self.live.server_context, dialler())
        ends.flush()
        found: int = ends.dialled.getPeerCertificate().get_serial_number()
        ends.dialled.abortConnection()
        ends.flush()
        return found

    def test_new_connections_show_the_new_one(self) -> None:
        """And old ones live on."""
        old, new = (certificates.credentials(made).serial for made in (self.old, self.new))
        before = Ends(self.live.server_context, dialler())
        before.flush()
        self.put(self.new)
        self.assertEqual(old, self.shown())
        self.clock.advance(limits.CERTIFICATE_LOOK_SECONDS)
        self.assertEqual(new, self.shown())
        self.assertEqual(self.new.expires_at, self.live.expires_at)
        before.client.say(b"still there")
        before.flush()
        self.assertEqual(b"still there", before.server.received)
        before.dialled.abortConnection()
        before.flush()

    def test_on_demand_at_once(self) -> None:
        """SIGHUP does not wait for the next look."""
        self.put(self.new)
        self.live.reload()
        self.assertEqual(certificates.credentials(self.new).serial, self.shown())
        self.assertIn("info HTTPS: new certificates are in force", self.lines[0])

    def test_files_are_looked_at_seldom(self) -> None:
        """Whatever number of clients connects."""
        looks = []
        self.patch(self.live, "_stamp_of_files", lambda: looks.append(1) or self.live._stamp)
        for _ in range(100):
            self.live.server_context()
            self.clock.advance(limits.CERTIFICATE_LOOK_SECONDS / 50)
        self.assertLessEqual(len(looks), 2)

    def test_bad_files_change_nothing(self) -> None:
        """And are an error in the log: once, whoever looks how often."""
        serial = self.shown()
        expired, weak = certificates.expired("h"), certificates.weak("h")
        bads = (
            *(lambda: self.put(self.new, self.old), (self.folder / "cert").unlink),
            *(lambda: self.put(expired), lambda: self.put(weak)),
        )
        for bad in bads:
            self.lines.clear()
            bad()
            for _ in range(4):
                self.clock.advance(limits.CERTIFICATE_LOOK_SECONDS)
                self.assertEqual(serial, self.shown())
            [line] = self.lines
            self.assertIn("error HTTPS: goes on with the certificates that it has: --cert", line.replace("--key", "--cert"))
            self.lines.clear()
            self.live.reload()
            self.assertEqual((1, serial), (len(self.lines), self.shown()))
        self.put(self.new)
        self.clock.advance(limits.CERTIFICATE_LOOK_SECONDS)
        self.assertEqual(certificates.credentials(self.new).serial, self.shown())

    def test_between_a_certificate_and_its_key(self) -> None:
        """They are replaced one after the other, which is no error, if the second comes soon."""
        self.put(self.new, self.old)
        self.clock.advance(limits.CERTIFICATE_LOOK_SECONDS)
        self.shown()
        self.put(self.new)
        self.clock.advance(limits.CERTIFICATE_LOOK_SECONDS)
        self.assertEqual(certificates.credentials(self.new).serial, self.shown())
        self.assertEqual([], [line for line in self.lines if line.startswith("error")])

    def test_bad_files_at_the_start(self) -> None:
        """There is nothing to go on with."""
        for bad, key in ((self.new, self.old), (certificates.weak("h"), None)):
            self.put(bad, key)
            self.assertRaises(CertificateUnusable, self.live.open)

    def test_the_end_is_foretold(self) -> None:
        """Two weeks before and then once a day, also while nobody connects."""
        self.live.start()
        self.addCleanup(self.live.stop)
        self.now = self.old.expires_at.timestamp() - 15 * DAY_SECONDS
        warned_days = []
        for hour in range(16 * 24):
            self.clock.advance(3600)
            self.now += 3600
            if self.lines:
                warned_days.append(hour / 24)
                self.assertIn(f"the certificate in {self.folder / 'cert'}", self.lines.pop())
        self.assertEqual((15, True), (len(warned_days), 0.9 < warned_days[0] < 1.1))

    def test_nothing_is_left(self) -> None:
        """Of a node that has stopped."""
        self.live.start()
        self.live.stop()
        self.live.stop()
        self.assertEqual([], self.clock.getDelayedCalls())
