"""A small certificate authority in a directory, for trials: it signs for nodes and for clients, and never overwrites a file.

    DIRECTORY/ca.pem  ca-key.pem      the authority
    DIRECTORY/NAME.pem  NAME-key.pem  what it has signed

Keys are on the curve P-256 and readable by their owner only. Knows nothing of how the files are used.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hraft.errors import CertificateUnusable
from hraft.tls.files import CLIENT, SERVER, CertificateFiles, load

AUTHORITY: Final = "ca"
AUTHORITY_DAYS: Final = 3650
DAYS: Final = 365
#: Clocks of machines that set up a cluster may differ by so much.
_CLOCK_SLACK = timedelta(minutes=5)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*")


@dataclass(frozen=True, slots=True)
class Made:
    """The files that were made, and when what is in them ends."""

    certificate: str
    key: str
    expires_at: datetime


def make_authority(directory: str, days: int = AUTHORITY_DAYS) -> Made:
    """A new authority in a directory, which is made if it is not there. Raises CertificateUnusable."""
    folder = Path(directory)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CertificateUnusable(f"{folder}: {os.strerror(error.errno or 0)}") from error
    key, begins_at = ec.generate_private_key(ec.SECP256R1()), _now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"hraft trial authority {begins_at:%Y-%m-%d %H:%M:%S}")])
    builder = _builder(name, name, key, begins_at, begins_at + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs=True), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return _written(folder, AUTHORITY, builder.sign(key, hashes.SHA256()), key)


def sign_node(directory: str, name: str, hosts: Sequence[str], days: int = DAYS) -> Made:
    """A certificate for a node that others find under these hosts (names and IP addresses): to be dialled, and to dial."""
    if not hosts:
        raise CertificateUnusable(f"node {name}: say by which hosts others dial it")
    return _sign(directory, name, [_subject(host) for host in hosts], (SERVER, CLIENT), days)


def sign_client(directory: str, name: str, days: int = DAYS) -> Made:
    """A certificate for a client: to dial only."""
    return _sign(directory, name, [], (CLIENT,), days)


def _sign(
    directory: str, name: str, subjects: Sequence[x509.GeneralName], usages: Sequence[x509.ObjectIdentifier], days: int
) -> Made:
    if not _NAME.fullmatch(name) or name == AUTHORITY:
        raise CertificateUnusable(
            f"bad name {name[:100]!r}: 1 to 63 letters, digits, dots, lines or hyphens, and not {AUTHORITY!r}"
        )
    folder = Path(directory)
    files = CertificateFiles(
        str(folder / f"{AUTHORITY}.pem"), str(folder / f"{AUTHORITY}-key.pem"), None, ("authority", "authority's key", "")
    )
    begins_at = _now()
    authority = load(files, (), begins_at.timestamp())
    [signer, *_] = authority.chain
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    # What outlives its authority is worth nothing.
    ends_at = min(begins_at + timedelta(days=days), signer.not_valid_after_utc)
    builder = _builder(subject, signer.subject, key, begins_at, ends_at)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    if subjects:
        builder = builder.add_extension(x509.SubjectAlternativeName(subjects), critical=False)
    return _written(folder, name, builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins_at: datetime, ends_at: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(begins_at - _CLOCK_SLACK).not_valid_after(ends_at)


def _key_usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise CertificateUnusable(f"bad host {host[:100]!r}: write a host name or an IP address, without a port")
    return x509.DNSName(host)


def _written(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Made:
    """The key first: a certificate without one is of no use, and what is there already is found before anything is written."""
    where, key_where = folder / f"{name}.pem", folder / f"{name}-key.pem"
    for path in (where, key_where):
        if path.exists():
            raise CertificateUnusable(f"{path} is there already, and is not overwritten; remove it if it is not needed any more")
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for path, data, mode in ((key_where, secret, 0o600), (where, certificate.public_bytes(serialization.Encoding.PEM), 0o644)):
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
        except OSError as error:
            raise CertificateUnusable(f"{path}: {os.strerror(error.errno or 0)}") from error
    return Made(str(where), str(key_where), certificate.not_valid_after_utc)


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)
