"""Certificates for tests, each made once in a run: of an authority called "ca" unless another is named, and of any age.

Made by hraft's own authority, whose clock is set back; so whatever it signs is tested wherever TLS is.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from unittest import mock

from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from hraft.tls import authority
from hraft.tls.authority import Made
from hraft.tls.contexts import client_context, server_context
from hraft.tls.files import CertificateFiles, Credentials, load

AGE_DAYS = 1000


@cache
def folder() -> Path:
    """Of all of them."""
    path = Path(tempfile.mkdtemp(prefix="hraft-certificates-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def ca(name: str = "ca") -> str:
    """The file of an authority."""
    return _ca(name)


@cache
def _ca(name: str) -> str:
    with _days_ago(AGE_DAYS):
        return authority.make_authority(str(folder() / name)).certificate


@cache
def node(*hosts: str, by: str = "ca", age_days: int = 0, days: int = 365, name: str = "") -> Made:
    """A node's, for these hosts."""
    ca(by)
    with _days_ago(age_days):
        return authority.sign_node(str(folder() / by), name or f"node{_number()}", hosts, days)


@cache
def client(by: str = "ca", age_days: int = 0, days: int = 365) -> Made:
    """A client's."""
    ca(by)
    with _days_ago(age_days):
        return authority.sign_client(str(folder() / by), f"client{_number()}", days)


def expired(*hosts: str) -> Made:
    """A node's that ended long ago."""
    return node(*hosts, age_days=400, days=1)


@cache
def weak(*hosts: str) -> Made:
    """A node's, with a key that OpenSSL takes for too short."""
    with mock.patch.object(authority.ec, "SECP256R1", ec.SECP192R1):
        return node(*hosts, name="weak")


def credentials(made: Made | None = None, authorities: str | None = None) -> Credentials:
    """What the files have, whether or not it is valid today."""
    files = CertificateFiles(made and made.certificate, made and made.key, authorities)
    return load(files, (), 0 if made is None else made.expires_at.timestamp() - 60)


@cache
def server(made: Made, authorities: str | None = None) -> Callable[[], SSL.Context]:
    """What a server that shows this asks for its context."""
    context = server_context(credentials(made, authorities), (b"http/1.1",))
    return lambda: context


@cache
def dialler(authorities: str | None = None, made: Made | None = None) -> Callable[[], SSL.Context]:
    """What a client that trusts these, and shows that, asks for its context."""
    context = client_context(credentials(made, authorities or ca()))
    return lambda: context


_numbers = iter(range(1_000_000))


def _number() -> int:
    return next(_numbers)


def _days_ago(days: int) -> mock._patch[object]:
    then = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=days)
    return mock.patch("hraft.tls.authority._now", lambda: then)
