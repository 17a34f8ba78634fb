"""`hraft certs`, and how the command is told of certificates."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import TestCase

import certificates
import pytest
from cli_doubles import run
from click.testing import CliRunner
from twisted.internet.testing import MemoryReactorClock

from hraft.cli import main
from hraft.client import HraftClient
from hraft.errors import CertificateUnusable
from hraft.tls.files import CertificateFiles, load, objection_to_host


class CertsTests(TestCase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "certs"

    def certs(self, *words: str, is_json: bool = False, code: int = 0) -> str:
        result, out = run(None, "certs", *words, is_json=is_json)
        self.assertEqual(code, result.exit_code, result.output)
        return out or result.output

    def test_a_trial(self) -> None:
        """Each command says what it has made, and what it has made is of use."""
        folder = str(self.folder)
        self.assertTrue(self.certs("ca", folder).startswith(f"{folder}/ca.pem  {folder}/ca-key.pem  until 20"))
        told = json.loads(self.certs("node", folder, "n1", "--host", "h", "--host", "::1", "--days", "30", is_json=True))
        self.certs("client", folder, "ops")
        files = CertificateFiles(told["certificate"], told["key"], f"{folder}/ca.pem")
        found = load(files, (), certificates.node("h").expires_at.timestamp() - 364 * 86400, one_authority=True)
        self.assertEqual(["", ""], [objection_to_host(found.chain[0], host) for host in ("h", "::1")])

    def test_mistakes_are_one_line(self) -> None:
        """That names the file, or what was said."""
        folder = str(self.folder)
        self.certs("ca", folder)
        self.assertIn("is there already, and is not overwritten", self.certs("ca", folder, code=2))
        self.assertIn("Missing option '--host'", self.certs("node", folder, "n1", code=2))
        self.assertIn("bad host", self.certs("node", folder, "n1", "--host", "h:1", code=2))
        self.assertIn("ca.pem: No such file", self.certs("client", str(self.folder / "none"), "ops", code=2))


class OptionTests(TestCase):
    def test_half_a_pair(self) -> None:
        """One line and exit code 2, before anybody is asked."""
        made = certificates.expired("localhost")
        result = CliRunner().invoke(main, ["--cert", made.certificate, "get", "a"])
        self.assertEqual((2, True), (result.exit_code, "--cert and --key are used together" in result.output), result.output)

    def test_certificates_that_are_not_fit(self) -> None:
        """The client that the command makes does not come to be."""
        made = certificates.expired("localhost")
        for files, message in (
            ({"cacert": "/nowhere"}, "--cacert /nowhere: No such file"),
            ({"cert": made.certificate, "key": made.key}, "it expired at"),
        ):
            with self.assertRaisesRegex(CertificateUnusable, message):
                HraftClient("https://localhost:1", MemoryReactorClock(), **files)
