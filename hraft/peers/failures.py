"""The errors of hraft as AMP errors: a code, and one text that carries the error's own field.

Knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.protocols import amp

from hraft import errors
from hraft.limits import PEER_ERROR_BYTES

_TEMPORARY = b"ChangeRefused.temporary"

_raised: dict[bytes, Callable[[str], errors.HraftError]] = {
    b"NotLeader": lambda leader_id: errors.NotLeader(leader_id or None),
    _TEMPORARY: lambda reason: errors.ChangeRefused(reason, temporary=True),
    b"ChangeRefused": errors.ChangeRefused,
    b"ProposalDropped": errors.ProposalDropped,
    b"NodeRemoved": lambda index: errors.NodeRemoved(int(index) if index.isdecimal() else 0),
    b"DiskFull": errors.DiskFull,
    b"OutcomeUnknown": errors.OutcomeUnknown,
    b"ReadFailed": errors.ReadFailed,
    b"LeaseNotFound": errors.LeaseNotFound,
    b"BadCommand": errors.BadCommand,
    b"BadMessage": errors.BadMessage,
    b"PeerUnreachable": errors.PeerUnreachable,
    b"WrongPeer": errors.WrongPeer,
    b"BadAddress": errors.BadAddress,
}


def as_amp_error(error: errors.HraftError) -> amp.RemoteAmpError:
    """What is sent in place of an answer. Only WrongPeer and NodeRemoved end the connection."""
    text, code = str(error), type(error).__name__.encode()
    if isinstance(error, errors.NotLeader):
        text = error.leader_id or ""
    if isinstance(error, errors.NodeRemoved):
        text = str(error.index)
    if isinstance(error, errors.ChangeRefused) and error.temporary:
        code = _TEMPORARY
    if code not in _raised:
        code, text = amp.UNKNOWN_ERROR_CODE, f"{type(error).__name__}: {text}"
    return amp.RemoteAmpError(code, _shortened(text), fatal=isinstance(error, errors.WrongPeer | errors.NodeRemoved))


def as_hraft_error(error: amp.RemoteAmpError) -> errors.HraftError | None:
    """The error that the peer met, or None where it could not say: then nothing is known of what it did."""
    raised = _raised.get(error.errorCode)
    return raised(error.description) if raised else None


def _shortened(text: str) -> str:
    return text.encode("utf-8", "replace")[:PEER_ERROR_BYTES].decode("utf-8", "ignore")
