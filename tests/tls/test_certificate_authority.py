"""The small authority: whatever it makes is of use, nobody else can read the keys, and nothing is overwritten."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import TestCase

import certificates
import pytest
from cryptography import x509

from hraft.errors import CertificateUnusable
from hraft.tls.authority import make_authority, sign_client, sign_node
from hraft.tls.files import CLIENT, SERVER


class AuthorityTests(TestCase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "deep" / "certs"

    def test_only_the_owner_reads_keys(self) -> None:
        """Whatever the umask is."""
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        make_authority(str(self.folder))
        sign_node(str(self.folder), "n1", ["h"])
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (self.folder, *self.folder.iterdir())}
        expected = {"certs": "0o700", "ca.pem": "0o644", "ca-key.pem": "0o600", "n1.pem": "0o644", "n1-key.pem": "0o600"}
        self.assertEqual(expected, modes)

    def test_nothing_is_overwritten(self) -> None:
        """A new authority's key in the place of the old one's, and nothing that it signed is of use any more."""
        folder = str(self.folder)
        make_authority(folder)
        sign_node(folder, "n1", ["h"])
        before = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        for again in (
            lambda: make_authority(folder),
            lambda: sign_node(folder, "n1", ["h"]),
            lambda: sign_client(folder, "n1"),
            lambda: sign_client(folder, "ca"),
            lambda: sign_client(folder, "../n2"),
            lambda: sign_node(folder, "n2", ["h:1"]),
            lambda: sign_node(folder, "n2", []),
        ):
            self.assertRaises(CertificateUnusable, again)
        self.assertEqual(before, {path.name: path.read_bytes() for path in self.folder.iterdir()})

    def test_what_is_signed(self) -> None:
        """A node's is for both ends, a client's for one; both verify, and neither can sign."""
        for made, usages in ((certificates.node("h", "::1"), {SERVER, CLIENT}), (certificates.client(), {CLIENT})):
            [found] = certificates.credentials(made).chain
            self.assertEqual(usages, set(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value))
            self.assertFalse(found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)

    def test_nothing_outlives_its_authority(self) -> None:
        """Or the date in it would be a lie."""
        make_authority(str(self.folder), days=10)
        self.assertEqual(
            make_authority(str(self.folder / "b"), days=10).expires_at.date(),
            sign_client(str(self.folder), "c", days=100).expires_at.date(),
        )

    def test_without_an_authority(self) -> None:
        """One line that names the file."""
        with self.assertRaisesRegex(CertificateUnusable, "ca.pem: No such file"):
            sign_client(str(self.folder), "c")
