"""What a node's URL is dialled with: TCP, and TLS on top of it for https. Knows nothing of HTTP.

A client that lives long shows a renewed certificate, and trusts renewed authorities, without being made anew.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from hraft.limits import CLIENT_CONNECT_TIMEOUT_SECONDS
from hraft.tls.connections import SecuredEndpoint
from hraft.tls.files import CLIENT, CertificateFiles
from hraft.tls.renewal import LiveCertificates


@implementer(IAgentEndpointFactory)
class Dialling:
    """Reads the files when it is made: raises CertificateUnusable. Without authorities among them, the system's count."""

    def __init__(self, reactor: Any, files: CertificateFiles) -> None:
        self._reactor = reactor
        self._certificates = LiveCertificates("client", files, reactor, (CLIENT,))
        if files.is_there:
            self._certificates.open()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Of a whole URI; only where it leads to counts."""
        host = uri.host.decode("ascii")
        endpoint = HostnameEndpoint(self._reactor, host, uri.port, timeout=CLIENT_CONNECT_TIMEOUT_SECONDS)
        if uri.scheme != b"https":
            return endpoint
        return SecuredEndpoint(endpoint, self._certificates.client_context, host.strip("[]"), self._reactor)

    def endpoint(self, url: str) -> IStreamClientEndpoint:
        """The same of a URL as people write it."""
        return self.endpointForURI(URI.fromBytes(url.encode("ascii")))
