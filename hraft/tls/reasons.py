"""Why a connection under TLS ended, in words: OpenSSL's own are for those who know its sources. Knows nothing else of it."""

from __future__ import annotations

from OpenSSL import SSL

#: Part of what OpenSSL says -> what it means. What the other end says of us comes as an alert.
_MEANINGS = (
    ("wrong version number", "the other end does not speak TLS here"),
    ("http request", "the other end does not speak TLS here"),
    ("record layer failure", "the other end does not speak TLS here"),
    ("packet length too long", "the other end does not speak TLS here"),
    ("unsupported protocol", "the other end speaks no version of TLS from 1.2 on"),
    ("alert protocol version", "the other end speaks no version of TLS that this one does"),
    ("no shared cipher", "the two ends have no cipher in common"),
    ("key too small", "the key is too short to be safe"),
    ("peer did not return a certificate", "the other end has shown no certificate, and must"),
    ("certificate verify failed", "the other end's certificate is refused"),
    ("alert certificate required", "the other end wants a certificate, and was shown none"),
    ("alert certificate expired", "the other end says that our certificate has expired"),
    ("alert unknown ca", "the other end does not know the authority of our certificate"),
    ("alert bad certificate", "the other end refuses our certificate"),
    ("alert unsupported certificate", "the other end says that our certificate is not for this use"),
    ("alert handshake failure", "the other end refuses the handshake"),
)
#: The other end refused this end's handshake, so it has read nothing of what was said after it.
_REFUSALS = (
    *("alert certificate required", "alert certificate expired", "alert unknown ca", "alert bad certificate"),
    *("alert unsupported certificate", "alert handshake failure", "alert protocol version"),
)


def in_words(error: BaseException | None) -> str:
    """What an error of TLS means; of another one, what it says."""
    said = _said(error)
    if said is None:
        return str(error) or type(error).__name__
    return next((meaning for part, meaning in _MEANINGS if part in said), said or "TLS ended without a reason")


def is_refusal(error: BaseException | None) -> bool:
    """Whether the other end did not let this one in, and has therefore done nothing."""
    said = _said(error)
    return said is not None and any(part in said for part in _REFUSALS)


def _said(error: BaseException | None) -> str | None:
    if not isinstance(error, SSL.Error):
        return None
    queue = error.args[0] if error.args else ()
    if not isinstance(queue, (list, tuple)):
        return str(error)
    return "; ".join(str(entry[-1]) for entry in queue if entry).lower()
