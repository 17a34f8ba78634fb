"""The options of `twist hraft` about certificates: names of files in, `TlsSettings` out. Opens no file."""

from __future__ import annotations

import os
from typing import Any

from twisted.python import usage

from hraft.settings import TlsSettings
from hraft.tls.files import CertificateFiles

TLS_PARAMETERS: list[list[str | None]] = [
    ["http-cert", None, None, "serve HTTPS with this certificate (PEM; those between it and its authority may follow it)"],
    ["http-key", None, None, "the key of --http-cert"],
    ["http-client-ca", None, None, "clients must show a certificate of these authorities"],
    ["http-ca", None, None, "authorities of the HTTPS that --join finds [default: the system's]"],
    ["raft-cert", None, None, "TLS between nodes, both ends verified: this node's certificate for it"],
    ["raft-key", None, None, "the key of --raft-cert"],
    ["raft-ca", None, None, "the authorities of all nodes' --raft-cert"],
]


def tls_settings(options: Any) -> TlsSettings:
    """What was said of TLS. Raises UsageError where it does not belong together."""
    paths: dict[str, str | None] = {}
    for name, *_ in TLS_PARAMETERS:
        assert name is not None
        said: str | None = options[name]
        if said == "":
            raise usage.UsageError(f"--{name} is empty: name a file, or leave it out")
        paths[name] = said if said is None else os.path.abspath(os.path.expanduser(said))
    _all_or_none(paths, "http-cert", "http-key")
    _all_or_none(paths, "raft-cert", "raft-key", "raft-ca")
    if paths["http-client-ca"] is not None and paths["http-cert"] is None:
        raise usage.UsageError("--http-client-ca is for HTTPS: say --http-cert and --http-key, too")
    return TlsSettings(
        http=CertificateFiles(
            paths["http-cert"], paths["http-key"], paths["http-client-ca"], ("--http-cert", "--http-key", "--http-client-ca")
        ),
        raft=CertificateFiles(
            paths["raft-cert"], paths["raft-key"], paths["raft-ca"], ("--raft-cert", "--raft-key", "--raft-ca")
        ),
        http_authorities=paths["http-ca"],
    )


def _all_or_none(paths: dict[str, str | None], *names: str) -> None:
    missing = [f"--{name}" for name in names if paths[name] is None]
    if missing and len(missing) < len(names):
        said = " and ".join(f"--{name}" for name in names if paths[name] is not None)
        raise usage.UsageError(f"{said} without {' and '.join(missing)}: they are used together")
