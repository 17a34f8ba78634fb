"""Certificates as files: what a person names, read and checked before anything depends on it.

    CertificateFiles --load()--> Credentials

Every complaint names the option, the file and the reason. Knows nothing of connections.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from ipaddress import ip_address
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

from hraft.errors import CertificateUnusable
from hraft.limits import CERTIFICATE_FILE_BYTES
from hraft.ordinary_files import is_anothers, read_ordinary

#: What a certificate is for: to be dialled, to dial.
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
_USAGES: Final = {SERVER: "servers (serverAuth)", CLIENT: "clients (clientAuth)"}


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """PEM files. `certificate` may be followed by the certificates between it and its authority; `authorities` are who vouches
    for the other end. `labels` are the options that name them, in this order."""

    certificate: str | None = None
    key: str | None = None
    authorities: str | None = None
    labels: tuple[str, str, str] = field(default=("--cert", "--key", "--cacert"), compare=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """Those that are named."""
        return tuple(path for path in (self.certificate, self.key, self.authorities) if path is not None)

    @property
    def is_there(self) -> bool:
        """Whether any is named."""
        return bool(self.paths)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the files have. Without `chain` there is nothing to show; without `authorities` the system says whom to trust."""

    chain: tuple[x509.Certificate, ...] = ()
    key: Any = None
    authorities: tuple[x509.Certificate, ...] = ()
    #: What is not wrong enough to be refused.
    warnings: tuple[str, ...] = ()

    @property
    def expires_at(self) -> datetime | None:
        """When the first of its own certificates ends, in UTC; None where it has none."""
        return min((certificate.not_valid_after_utc for certificate in self.chain), default=None)

    @property
    def serial(self) -> int | None:
        """The serial number of its own certificate."""
        return self.chain[0].serial_number if self.chain else None

    def is_for(self, usage: x509.ObjectIdentifier) -> bool:
        """Whether its own certificate may be used so."""
        return bool(self.chain) and _is_for(self.chain[0], usage)


def load(
    files: CertificateFiles, usages: Sequence[x509.ObjectIdentifier], now: float, one_authority: bool = False
) -> Credentials:
    """Read and check them; `now` is in seconds since the epoch. Raises CertificateUnusable.

    `one_authority`: the authorities vouch for this end's certificate too, as among peers.
    """
    certificate_label, key_label, authorities_label = files.labels
    chain: tuple[x509.Certificate, ...] = ()
    authorities: tuple[x509.Certificate, ...] = ()
    key = None
    warnings: list[str] = []
    if (files.certificate is None) != (files.key is None):
        raise CertificateUnusable(f"{certificate_label} and {key_label} are used together, and one of them is missing")
    if files.certificate is not None and files.key is not None:
        where = f"{certificate_label} {files.certificate}"
        chain = _certificates(where, files.certificate)
        key = _key(f"{key_label} {files.key}", files.key)
        if _public(key.public_key()) != _public(chain[0].public_key()):
            raise CertificateUnusable(f"{key_label} {files.key}: it is not the key of {where}")
        _check_time(where, chain, now)
        for usage in usages:
            if not _is_for(chain[0], usage):
                raise CertificateUnusable(f"{where}: it is not for {_USAGES[usage]}, as its extended key usage says")
        warnings += [f"{key_label} {files.key} {objection}" for objection in _objections_to_owner(files.key)]
    if files.authorities is not None:
        authorities = _certificates(f"{authorities_label} {files.authorities}", files.authorities)
        if one_authority and chain:
            _check_signature(
                f"{certificate_label} {files.certificate}", chain, authorities, f"{authorities_label} {files.authorities}"
            )
    return Credentials(chain, key, authorities, tuple(warnings))


def objection_to_host(certificate: x509.Certificate, host: str) -> str:
    """Why a certificate does not belong to a host, by its subject alternative names (RFC 9525); empty when it does."""
    try:
        if is_ip(host):
            verify_certificate_ip_address(certificate, host.partition("%")[0])
        else:
            verify_certificate_hostname(certificate, host.rstrip("."))
    except (VerificationError, CertificateError, ValueError):
        return f"the certificate is for {_names(certificate) or 'no host at all'}, and not for {host}"
    return ""


def _names(certificate: x509.Certificate) -> str:
    """The hosts that a certificate is for, as people write them."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    names = [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def is_ip(host: str) -> bool:
    """Whether a host is an address and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_for(certificate: x509.Certificate, usage: x509.ObjectIdentifier) -> bool:
    """A certificate that says nothing of its use may be used for anything."""
    try:
        return usage in certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True


def _certificates(where: str, path: str) -> tuple[x509.Certificate, ...]:
    data = _read(where, path)
    try:
        return tuple(x509.load_pem_x509_certificates(data))
    except ValueError as error:
        raise CertificateUnusable(f"{where}: there is no certificate in it, in PEM (-----BEGIN CERTIFICATE-----)") from error


def _key(where: str, path: str) -> Any:
    data = _read(where, path)
    try:
        return serialization.load_pem_private_key(data, None)
    except TypeError as error:
        raise CertificateUnusable(
            f"{where}: the key has a passphrase, which nobody is there to type; store it without"
        ) from error
    except Exception as error:  # cryptography has several, for what it cannot read and what it does not know
        raise CertificateUnusable(f"{where}: there is no private key in it, in PEM (-----BEGIN PRIVATE KEY-----)") from error


def _read(where: str, path: str) -> bytes:
    try:
        data, _ = read_ordinary(path, CERTIFICATE_FILE_BYTES)
    except OSError as error:
        raise CertificateUnusable(f"{where}: {error.strerror}") from error
    if len(data) > CERTIFICATE_FILE_BYTES:
        raise CertificateUnusable(f"{where}: it is longer than {CERTIFICATE_FILE_BYTES} bytes")
    return data


def _check_time(where: str, chain: Sequence[x509.Certificate], now: float) -> None:
    present = datetime.fromtimestamp(now, timezone.utc)
    for certificate in chain:
        if certificate.not_valid_after_utc < present:
            raise CertificateUnusable(f"{where}: it expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; renew it")
        if certificate.not_valid_before_utc > present:
            begin = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"
            raise CertificateUnusable(f"{where}: it is valid from {begin} UTC on, and this machine's clock says that is to come")


def _check_signature(where: str, chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate], by: str) -> None:
    store = crypto.X509Store()
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
    certificate, *between = map(crypto.X509.from_cryptography, chain)
    try:
        crypto.X509StoreContext(store, certificate, between).verify_certificate()
    except crypto.X509StoreContextError as error:
        raise CertificateUnusable(f"{where}: {by} does not vouch for it: {error}") from error


def _objections_to_owner(path: str) -> Iterator[str]:
    found = os.stat(path)
    if found.st_mode & stat.S_IROTH:
        yield "can be read by every user of this machine: chmod 600 it"
    if is_anothers(found.st_uid):
        yield f"belongs to another user ({found.st_uid}), who can put another key in its place: chown it"


def _public(key: Any) -> bytes:
    found: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return found
