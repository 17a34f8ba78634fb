"""What can go wrong, one class per situation; each says what the caller may do next.

Knows nothing of the rest of hraft. Broken invariants are not here: they are programmer errors
(`hraft.raft.invariants.InvariantBroken`) and stop the node.
"""

import errno

#: What to do about an error of the system's.
_ADVICE = {
    errno.EACCES: "give the user that runs this the right to, or name another place",
    errno.EPERM: "give the user that runs this the right to, or name another place",
    errno.ENOENT: "make what is missing first, or name another place",
    errno.ENOTDIR: "name a place that is below a directory",
    errno.EISDIR: "name a file",
    errno.ENOSPC: "make room, or name another place",
    errno.EDQUOT: "make room, or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.EIO: "look at the disk, it may be failing",
}


class HraftError(Exception):
    """The root of every error that hraft raises on purpose."""


def in_words(error: BaseException | None) -> str:
    """An error in a sentence to an operator: hraft's own are sentences already, the system's are made one that says where and
    what to do, and others tell little without their type."""
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename is not None else ""
        advice = _ADVICE.get(error.errno or 0)
        return f"{where}{error.strerror}" + (f"; {advice}" if advice else "")
    return str(error) if isinstance(error, HraftError) else repr(error)


# --- answers to a proposal or a read -------------------------------------------------------------


class NotLeader(HraftError):
    """This node does not lead: nothing was done. Ask `leader_id`, or retry later when it is None."""

    def __init__(self, leader_id: str | None) -> None:
        hint = f"ask {leader_id}" if leader_id else "no leader is known"
        super().__init__(f"this node is not the leader; {hint}")
        self.leader_id = leader_id


class ProposalDropped(HraftError):
    """The proposal was certainly not done and never will be. It is safe to repeat it."""


class DiskFull(ProposalDropped):
    """The same, for want of room on the disk of the node that leads. Repeat it when there is some."""


class OutcomeUnknown(HraftError):
    """The proposal may have been done, or may still be. Repeat it only if doing it twice is harmless."""


class ReadFailed(HraftError):
    """A linearizable read could not be confirmed (leader or term changed, or no quorum). Repeat it."""


class NodeRemoved(ProposalDropped, ReadFailed):
    """The node that was asked was removed from its cluster by the entry at `index`, or one before: it does nothing any more, and
    never will. Nothing was done: ask another node."""

    def __init__(self, index: int) -> None:
        super().__init__(
            f"this node was removed from the cluster at index {index}; ask another one, or give it an empty data directory and a "
            "new id to have it join again"
        )
        self.index = index


class BadCommand(HraftError):
    """The state machine cannot understand a command or a request: it is refused before it is proposed."""


class LeaseNotFound(HraftError):
    """There is no such lease (any more)."""


# --- membership ----------------------------------------------------------------------------------


class ChangeRefused(HraftError):
    """A configuration change or leadership transfer is not possible now, or not at all; nothing was done.

    `temporary` tells whether the same request may succeed a little later.
    """

    def __init__(self, reason: str, temporary: bool = False) -> None:
        super().__init__(reason)
        self.temporary = temporary


# --- the log and the disk ------------------------------------------------------------------------


class Compacted(HraftError):
    """The entry asked for is only in the snapshot."""


class LogCorrupted(HraftError):
    """A file that must be whole is not. An operator must look; nothing was changed on disk."""


class FormatUnknown(HraftError):
    """A file was written by another version of hraft. Nothing was changed on disk."""


class DirectoryUnusable(HraftError):
    """The data directory cannot be used: not a directory, not permitted, or in use by another process."""


class StorageFull(HraftError):
    """There was no room. Nothing of the save remains on disk; the very same save may be tried again."""


class StorageFailed(HraftError):
    """A write or an fsync failed. What is on disk is unknown: the process must stop, never retry."""


# --- the wire ------------------------------------------------------------------------------------


class BadMessage(HraftError):
    """Bytes from a peer or a file do not decode to what they should be."""


class PeerUnreachable(HraftError):
    """No connection to a peer could be had in time. Nothing was asked of it."""


class WrongPeer(HraftError):
    """Another cluster, another node or another protocol version answered at a peer's address."""


class PortUnusable(HraftError):
    """A port cannot be listened on: in use, not permitted, or not an address of this machine."""


class CertificateUnusable(HraftError):
    """A file of a certificate, a key or authorities cannot be read, or is not fit for its use."""


class HandshakeFailed(HraftError):
    """The two ends of a connection did not agree on TLS, or on who they are. Nothing else was said on it."""


class BadAddress(HraftError):
    """An address does not read as host:port, :port, [v6]:port or an endpoint string."""


# --- users ---------------------------------------------------------------------------------------


class LoginNeeded(HraftError):
    """Nobody has said who asks, or it was not true. Which of the two secrets was wrong is not told."""


class TooManyLogins(HraftError):
    """Too many wrong logins came from there: wait `seconds` before the next."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class LoginsBusy(HraftError):
    """So many passwords wait to be looked at that this one is not: nothing was done, and it may be asked again at once."""


class BadUserFile(HraftError):
    """A file of users or credentials cannot be used: the message names the file, the line and the reason, and no secret."""
