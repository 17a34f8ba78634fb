"""Files of certificates: each that is not fit is named, with the reason, before anything depends on it."""

from __future__ import annotations

import os
from pathlib import Path
from unittest import TestCase
from unittest.mock import patch

import certificates
import pytest
from cryptography.hazmat.primitives import serialization

from hraft.errors import CertificateUnusable
from hraft.tls.authority import Made
from hraft.tls.files import CLIENT, SERVER, CertificateFiles, load, objection_to_host

BOTH = (SERVER, CLIENT)
#: While what was made for today is valid.
NOW = certificates.node("localhost").expires_at.timestamp() - 364 * 24 * 3600


class FileTests(TestCase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def setUp(self) -> None:
        self.made = certificates.node("localhost")

    def refused(self, certificate: str, key: str, authorities: str | None = None, **options: bool) -> str:
        files = CertificateFiles(certificate, key, authorities, ("--raft-cert", "--raft-key", "--raft-ca"))
        with self.assertRaises(CertificateUnusable) as caught:
            load(files, BOTH, NOW, **options)
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        return message

    def file(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def test_good_files(self) -> None:
        """They give what a context needs, and when it ends."""
        found = load(CertificateFiles(self.made.certificate, self.made.key, certificates.ca()), BOTH, NOW, True)
        self.assertEqual((self.made.expires_at, 1, 1), (found.expires_at, len(found.chain), len(found.authorities)))
        self.assertEqual((), found.warnings)

    def test_each_is_named_with_its_reason(self) -> None:
        """Whoever has seven options about files must not have to guess."""
        made, missing = self.made, str(self.folder / "missing.pem")
        text, old = self.file("text", b"hello"), certificates.expired("localhost")
        young = certificates.node("localhost", age_days=-3)
        for expected, message in (
            (f"--raft-cert {missing}: No such file", self.refused(missing, made.key)),
            (f"--raft-key {missing}: No such file", self.refused(made.certificate, missing)),
            (f"--raft-ca {missing}: No such file", self.refused(made.certificate, made.key, missing)),
            (f"--raft-cert {text}: there is no certificate in it", self.refused(text, made.key)),
            (f"--raft-key {text}: there is no private key in it", self.refused(made.certificate, text)),
            (f"--raft-cert {made.key}: there is no certificate in it", self.refused(made.key, made.certificate)),
            (f"--raft-cert {self.folder}: Is a directory", self.refused(str(self.folder), made.key)),
            (f"--raft-cert {old.certificate}: it expired at ", self.refused(old.certificate, old.key)),
            (f"--raft-cert {young.certificate}: it is valid from ", self.refused(young.certificate, young.key)),
        ):
            self.assertTrue(message.startswith(expected), message)

    def test_one_without_the_other(self) -> None:
        """A client whose certificate is quietly not shown would look for the fault elsewhere."""
        for files in (CertificateFiles(certificate=self.made.certificate), CertificateFiles(key=self.made.key)):
            self.assertRaisesRegex(CertificateUnusable, "--cert and --key are used together", load, files, BOTH, NOW)

    def test_anothers_key(self) -> None:
        """The commonest mistake of all."""
        other = certificates.node("elsewhere")
        message = self.refused(self.made.certificate, other.key)
        self.assertEqual(f"--raft-key {other.key}: it is not the key of --raft-cert {self.made.certificate}", message)

    def test_a_key_with_a_passphrase(self) -> None:
        """Nobody is there to type it."""
        key = serialization.load_pem_private_key(Path(self.made.key).read_bytes(), None)
        locked = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
        )
        self.assertIn("passphrase", self.refused(self.made.certificate, self.file("locked", locked)))

    def test_one_that_is_for_clients_only(self) -> None:
        """Peers are dialled as well as they dial, and would find out one by one."""
        only = certificates.client()
        self.assertIn("not for servers", self.refused(only.certificate, only.key))

    def test_one_that_the_authorities_do_not_vouch_for(self) -> None:
        """Every other node would refuse it, and each would say so."""
        message = self.refused(self.made.certificate, self.made.key, certificates.ca("other"), one_authority=True)
        self.assertIn(f"--raft-ca {certificates.ca('other')} does not vouch for it", message)

    def test_endless_files_are_not_read(self) -> None:
        """Nor a device, nor a pipe: a node would wait for whoever writes it, and could not read it again."""
        self.assertIn("longer than", self.refused(self.file("long", b"x" * 1_100_000), self.made.key))
        self.assertIn("must be an ordinary file", self.refused("/dev/zero", self.made.key))
        os.mkfifo(self.folder / "pipe")
        self.assertIn("must be an ordinary file", self.refused(self.made.certificate, str(self.folder / "pipe")))

    def test_a_key_that_all_can_read_is_a_warning(self) -> None:
        """It works, and should not be so."""
        key = self.file("open", Path(self.made.key).read_bytes())
        os.chmod(key, 0o644)
        found = load(CertificateFiles(self.made.certificate, key), BOTH, NOW)
        self.assertEqual([f"--key {key} can be read by every user of this machine: chmod 600 it"], list(found.warnings))

    def test_a_key_of_somebody_else_is_a_warning(self) -> None:
        """That user may put his own in its place; root's is as good as the node's own."""
        with patch("hraft.tls.files.is_anothers", return_value=True):
            found = load(CertificateFiles(self.made.certificate, self.made.key), BOTH, NOW)
        [warning] = found.warnings
        self.assertIn(f"--key {self.made.key} belongs to another user", warning)


class HostTests(TestCase):
    def objection(self, made: Made, host: str) -> str:
        return objection_to_host(certificates.credentials(made).chain[0], host)

    def test_names_and_addresses(self) -> None:
        """As RFC 9525 has it: a name is no address, and the other way round."""
        made = certificates.node("node1.example", "10.0.0.1", "::1", "*.wild.example")
        for host in ("node1.example", "NODE1.example", "node1.example.", "10.0.0.1", "::1", "0::1", "a.wild.example"):
            self.assertEqual("", self.objection(made, host), host)
        for host in ("node2.example", "10.0.0.2", "::2", "wild.example", "a.b.wild.example", "example", "", "b\xfccher"):
            self.assertIn("and not for", self.objection(made, host), host)

    def test_it_says_whose_it_is(self) -> None:
        """So that the operator sees which of the two is wrong."""
        made = certificates.node("node1.example", "10.0.0.1")
        self.assertEqual("the certificate is for node1.example, 10.0.0.1, and not for x", self.objection(made, "x"))
        self.assertEqual("the certificate is for no host at all, and not for x", self.objection(certificates.client(), "x"))
