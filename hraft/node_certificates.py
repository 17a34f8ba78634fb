"""TLS of one node: which certificates are under which of its connections, and when they are read.

    --http-cert  --http-key  --http-client-ca     whoever dials the HTTP port
    --raft-cert  --raft-key  --raft-ca            peers, whichever end dialled
    --http-ca, and --http-cert                    this node when it asks to be taken in

Knows nothing of Raft and of what is served.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger

from hraft.addresses import Address, Endpoint, HttpsAddress, is_open_to_others, parse_advertised, place_of, url_of
from hraft.endpoints import client_endpoint
from hraft.hints import http_hint
from hraft.settings import NodeSettings
from hraft.tls.connections import Secured, SecuredEndpoint
from hraft.tls.files import CLIENT, SERVER, CertificateFiles, objection_to_host
from hraft.tls.renewal import LiveCertificates

_log = Logger(namespace="hraft.tls")


class NodeCertificates:
    """`live` are the certificates that this node shows, for whoever wants to know when they end; empty without TLS."""

    def __init__(self, reactor: Any, settings: NodeSettings) -> None:
        self._reactor = reactor
        self._settings = settings
        tls = settings.tls
        self._http = self._raft = None
        if tls.http.certificate is not None:
            self._http = LiveCertificates("HTTPS", tls.http, reactor, (SERVER,), protocols=(b"http/1.1",))
        if tls.raft.certificate is not None:
            self._raft = LiveCertificates("peers", tls.raft, reactor, (SERVER, CLIENT), one_authority=True)
        self.live = tuple(live for live in (self._http, self._raft) if live is not None)
        shown = CertificateFiles(
            tls.http.certificate, tls.http.key, tls.http_authorities, ("--http-cert", "--http-key", "--http-ca")
        )
        self._asking = LiveCertificates("HTTPS of others", shown, reactor)

    def open(self) -> None:
        """Read and check all files. Raises CertificateUnusable. To be done before anything listens."""
        for live in self.live:
            live.open()
        if self._asking.files.is_there:
            self._asking.open()
        settings = self._settings
        for found, option, told in (
            (self._http, "--http-cert", place_of(settings.http_address)),
            (self._raft, "--raft-cert", settings.raft_address),
        ):
            if found is not None:
                objection = objection_to_host(found.credentials.chain[0], parse_advertised(told).host)
                if objection:
                    _log.warn("{option}: {objection}, as others are told", option=option, objection=objection)
        self._warn_of_plain_ports()

    def start(self) -> None:
        for live in self.live:
            live.start()

    def stop(self) -> None:
        for live in self.live:
            live.stop()

    def reload(self) -> None:
        """Take in the files as they are now. What is wrong with them is in the log, and changes nothing."""
        for live in (*self.live, *((self._asking,) if self._asking.files.is_there else ())):
            live.reload()

    # --- connections -----------------------------------------------------------------------------

    def under_http(self, factory: IProtocolFactory) -> IProtocolFactory:
        """What listens on the HTTP port in the place of this factory."""
        if self._http is None:
            return factory
        hint = http_hint(f"This port speaks HTTPS: ask {url_of(self._settings.http_address)}/")
        return Secured(factory, self._http.server_context, self._reactor, answer_to_plain=hint)

    def under_peers(self, factory: IProtocolFactory) -> IProtocolFactory:
        """What listens on the raft port in the place of this factory."""
        return factory if self._raft is None else Secured(factory, self._raft.server_context, self._reactor)

    def peer_endpoint(self, address: str) -> IStreamClientEndpoint:
        """How to dial a peer, who must prove that it is that host's. Raises BadAddress."""
        target = parse_advertised(address)
        endpoint = client_endpoint(self._reactor, target)
        if self._raft is None:
            return endpoint
        return SecuredEndpoint(endpoint, self._raft.client_context, target.host, self._reactor)

    def http_endpoint(self, target: Address | Endpoint) -> IStreamClientEndpoint:
        """How to dial another node's HTTP port. Raises BadAddress."""
        endpoint = client_endpoint(self._reactor, target)
        if not isinstance(target, HttpsAddress):
            return endpoint
        return SecuredEndpoint(endpoint, self._asking.client_context, target.host, self._reactor)

    # --- without ---------------------------------------------------------------------------------

    def _warn_of_plain_ports(self) -> None:
        settings = self._settings
        ports, options = [], []
        if not settings.http_address.startswith("https://") and is_open_to_others(settings.http_listening, settings.http_address):
            ports.append(f"--haddr {settings.http_listening}")
            options.append("--http-cert, --http-key")
        if self._raft is None and is_open_to_others(settings.raft_listening, settings.raft_address):
            ports.append(f"--raddr {settings.raft_listening}")
            options.append("--raft-cert, --raft-key, --raft-ca")
        if ports:
            _log.warn(
                "no TLS on {ports}: whoever is on that network can read and change what is said there; make certificates with "
                "`hraft certs`, and say {options} (docs/security.md)",
                ports=" and ".join(ports),
                options=" and ".join(options),
            )
