"""OpenSSL's settings for one end of a connection: TLS 1.2 or later, forward secrecy, the other end verified, nothing resumed.

A context is made once for each set of credentials, and serves every connection that begins while those are in force. Who a
client expects, and what it objects to, are with the connection: its `app_data` is a `Handshake`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from cryptography import x509
from OpenSSL import SSL, crypto

from hraft.tls.files import CLIENT, Credentials, objection_to_host

#: Ephemeral keys and authenticated encryption only. TLS 1.3 has no others.
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION

#: What OpenSSL objects to in a certificate, by its numbers (X509_V_ERR_...), as an operator would say it.
_OBJECTIONS = {
    2: "the authority that signed the certificate is not among those that are trusted here",
    7: "the certificate's signature is wrong",
    9: "the certificate is not valid yet; are the clocks right?",
    10: "the certificate has expired",
    18: "the certificate is self-signed, and nobody that is trusted here vouches for it",
    19: "the certificate's authority is not among those that are trusted here",
    20: "the authority that signed the certificate is not among those that are trusted here",
    21: "the authority that signed the certificate is not among those that are trusted here",
    24: "the certificate was signed by one that is no authority",
    26: "the certificate is not for this use; see its extended key usage",
}


class Handshake(Protocol):
    """What a connection knows while it shakes hands."""

    #: Whom this end has dialled; None for who was dialled.
    host: str | None
    #: Why the other end's certificate is refused.
    objection: str
    #: The certificate is that of `host`.
    is_host_verified: bool

    def hands_shaken(self) -> None: ...


def server_context(credentials: Credentials, protocols: Sequence[bytes] = ()) -> SSL.Context:
    """For who is dialled. With authorities in the credentials, whoever dials must have a certificate of theirs."""
    context = _context(credentials, is_shown=True)
    if credentials.authorities:
        _verify(context, credentials.authorities)
    if protocols:

        def select(connection: SSL.Connection, offered: list[bytes]) -> Any:
            return next((protocol for protocol in protocols if protocol in offered), SSL.NO_OVERLAPPING_PROTOCOLS)

        context.set_alpn_select_callback(select)
    return context


def client_context(credentials: Credentials) -> SSL.Context:
    """For who dials. Whoever is dialled must have a certificate of the authorities', or else of one that the system trusts."""
    context = _context(credentials, is_shown=credentials.is_for(CLIENT))
    _verify(context, credentials.authorities)
    if not credentials.authorities:
        context.set_default_verify_paths()
    return context


def _context(credentials: Credentials, is_shown: bool) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(_CIPHERS)
    # Nothing is resumed: whoever was let in by a certificate shows it again each time.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    if credentials.chain and is_shown:
        certificate, *between = credentials.chain
        context.use_certificate(certificate)
        context.use_privatekey(credentials.key)
        for authority in between:
            context.add_extra_chain_cert(authority)
        context.check_privatekey()
    context.set_info_callback(_progress)
    return context


def _verify(context: SSL.Context, authorities: Sequence[x509.Certificate]) -> None:
    store = context.get_cert_store()
    assert store is not None
    for authority in authorities:
        store.add_cert(crypto.X509.from_cryptography(authority))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _is_acceptable)


def _is_acceptable(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, is_good: int) -> bool:
    """Called for each certificate of a chain. What this raised would go past Twisted's TLS."""
    handshake: Handshake = connection.get_app_data()
    if not is_good:
        handshake.objection = _OBJECTIONS.get(error, f"the certificate is refused (X509_V_ERR {error})")
        return False
    if depth == 0 and handshake.host is not None:
        try:
            handshake.objection = objection_to_host(certificate.to_cryptography(), handshake.host)
        except Exception:  # an odd certificate, which is not worth more words
            handshake.objection = "the certificate cannot be read"
        handshake.is_host_verified = not handshake.objection
        return handshake.is_host_verified
    return True


def _progress(connection: SSL.Connection, where: int, _: int) -> None:
    if where & SSL.SSL_CB_HANDSHAKE_DONE:
        handshake: Handshake = connection.get_app_data()
        handshake.hands_shaken()
