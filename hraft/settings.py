"""What an operator decides about one node, checked already: from the command line, or from an application that embeds hraft."""

from __future__ import annotations

from dataclasses import dataclass

from hraft import limits
from hraft.addresses import Address, Endpoint
from hraft.interfaces import SnapshotPolicy, Timing
from hraft.tls.files import CertificateFiles


@dataclass(frozen=True, slots=True)
class BackupPolicy:
    """Where a node keeps backups that it makes by itself, how often, and how many."""

    directory: str
    interval_seconds: float
    kept_count: int


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The files of TLS: of the HTTP port, of both ends of connections between peers, and of who vouches for the other nodes' HTTP
    ports (the system's authorities where it is None)."""

    http: CertificateFiles = CertificateFiles()
    raft: CertificateFiles = CertificateFiles()
    http_authorities: str | None = None


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Who may come in over HTTP: those of a file of users (None: everybody), and by which names, beside the node's own, it may
    be asked (None: by those that no stranger can own). `join_file` has what this node says where it asks to be taken in.
    """

    user_file: str | None = None
    join_file: str | None = None
    allowed_hosts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """How a node becomes a member, and when it or another ceases to be one.

    `expected_count`: so many nodes with this command line begin one cluster together. `reap_after_seconds`: while this node
    leads, members that are not heard for so long are removed; None: never.
    """

    is_learner: bool = False
    leaves_on_stop: bool = False
    reap_after_seconds: float | None = None
    expected_count: int | None = None


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """See docs/operating.md.

    `directory` is None when nothing is kept on disk. `node_id` is None when it was not said: the data directory may know it,
    and otherwise it is the raft address. The two `_address`es are what others are told; `http_address` begins with https:// where
    that is spoken.
    """

    directory: str | None
    http_listening: Address | Endpoint
    http_address: str
    raft_listening: Address | Endpoint
    raft_address: str
    node_id: str | None = None
    join_targets: tuple[Address | Endpoint, ...] = ()
    forward: bool = False
    timing: Timing = Timing()
    snapshot_policy: SnapshotPolicy = SnapshotPolicy()
    backups: BackupPolicy | None = None
    access: AccessSettings = AccessSettings()
    #: How often members compare their states (0: never), and how much room on the disk is kept for what must be written.
    check_interval_seconds: int = limits.CHECK_INTERVAL_SECONDS
    disk_reserve_bytes: int = limits.DISK_RESERVE_BYTES
    tls: TlsSettings = TlsSettings()
    members: MemberSettings = MemberSettings()
