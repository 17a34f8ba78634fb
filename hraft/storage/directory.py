"""The data directory: that it is ours alone, and whose it is (docs/disk-format.md).

Knows nothing of the log and the snapshots in it, but that they must not be there without an identity.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from dataclasses import dataclass
from zlib import crc32

import msgspec

from hraft.errors import DirectoryUnusable, FormatUnknown, LogCorrupted, in_words
from hraft.storage.fail_stop import FailStop
from hraft.storage.files import FileSystem, LocalFileSystem, replace_file, sync_directory

FORMAT = 1
_NAME = "node.json"
#: Where a new cluster's data is made ready in a directory, before it takes the place of what is there. Gone when that is done.
NEW_CLUSTER = "new-cluster"
_REMOVED = "removed.json"
_FOUNDING = "founding.json"
#: What a directory remembers of the cluster that it belongs to, beside its data.
REMEMBERED = (_REMOVED, _FOUNDING)
_FILE_BYTES = 64 * 1024
_STRING = rb'"(?:[^"\\\n]|\\[^\n])+"'
_IDENTITY = re.compile(rb'\{"format":(\d{1,9}),"cluster_id":(%b),"node_id":(%b)(,"crc":"([0-9a-f]{8})"\}\n)' % (_STRING, _STRING))
_names: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)
#: Only the format is promised to stay where it is.
_ANY_IDENTITY = re.compile(rb'\{"format":(\d{1,9})[,}]')


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose data this is."""

    cluster_id: str
    node_id: str


class _Removed(msgspec.Struct):
    removed_index: int


_removed = msgspec.json.Decoder(_Removed)


class DataDirectory:
    """One node's directory, held by this process from `open` to `close`."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(os.path.expanduser(path))
        #: None: the node has not yet learnt its cluster's id. Known after `open`.
        self.identity: Identity | None = None
        self._file_system = LocalFileSystem()
        self._fail_stop = FailStop()
        self._lock: int | None = None

    def open(self, node_id: str | None = None) -> None:
        """Make the directory if need be, lock it and read whose it is.

        Raises DirectoryUnusable, also when it belongs to another node than `node_id`; LogCorrupted, FormatUnknown.
        """
        try:
            self._make()
            self._lock = self._acquire()
            self.identity = read_identity(self._file_system, self.path)
            has_log = os.path.isdir(f"{self.path}/log") and bool(os.listdir(f"{self.path}/log"))
        except OSError as error:
            self.close()
            raise DirectoryUnusable(f"{self.path} cannot be used as a data directory: {in_words(error)}") from error
        except (LogCorrupted, FormatUnknown):
            self.close()
            raise
        problem = self._problem(node_id, has_log)
        if problem:
            self.close()
            raise DirectoryUnusable(problem)

    def remember(self, identity: Identity) -> None:
        """Write down whose this is, durably and once for all time. Raises DirectoryUnusable when it is another's."""
        if self.identity == identity:
            return
        if self.identity is not None:
            raise DirectoryUnusable(f"{self.path} belongs to {self.identity}, so it cannot become that of {identity}")
        with self._fail_stop:
            write_identity(self._file_system, self.path, identity)
        self.identity = identity

    @property
    def is_founding(self) -> bool:
        """Whether this node has decided to found a cluster, and was stopped before that was done."""
        return os.path.exists(f"{self.path}/{_FOUNDING}")

    def remember_founding(self) -> None:
        """Durably: nobody else founds any more, so this node must."""
        with self._fail_stop:
            replace_file(self._file_system, self.path, _FOUNDING, b"{}\n")

    def forget_founding(self) -> None:
        """It is done. What remains of it after a power cut is done once more, and changes nothing."""
        if self.is_founding:
            self._file_system.remove(f"{self.path}/{_FOUNDING}")

    @property
    def removed_index(self) -> int | None:
        """By which entry this node was removed from its cluster, if it has been told.

        A file that does not read tells nothing: the others will tell again.
        """
        try:
            with open(f"{self.path}/{_REMOVED}", "rb") as file:
                found = _removed.decode(file.read(_FILE_BYTES))
        except (OSError, msgspec.DecodeError):
            return None
        return found.removed_index

    def remember_removal(self, index: int) -> None:
        """Write down, durably, that this node was removed from its cluster."""
        with self._fail_stop:
            replace_file(self._file_system, self.path, _REMOVED, msgspec.json.encode(_Removed(index)) + b"\n")

    def close(self) -> None:
        """Let another process have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _make(self) -> None:
        if not os.path.exists(self.path):
            os.makedirs(self.path, 0o700)
            sync_directory(self._file_system, os.path.dirname(self.path))
        elif not os.path.isdir(self.path):
            raise DirectoryUnusable(f"{self.path} is not a directory; hraft needs one to keep its data in")

    def _acquire(self) -> int:
        lock = os.open(f"{self.path}/lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise DirectoryUnusable(f"{self.path} is in use by another process; each node needs its own directory") from error
        return lock

    def _problem(self, node_id: str | None, has_log: bool) -> str:
        if os.path.exists(f"{self.path}/{NEW_CLUSTER}"):
            return f"{self.path}: hraft restore or recover was interrupted here; `hraft recover --yes` finishes it"
        if self.identity is None:
            return f"{self.path} has a log, but no {_NAME} that says whose; restore {_NAME} from a copy" if has_log else ""
        if node_id is not None and node_id != self.identity.node_id:
            return (
                f"{self.path} holds the data of node {self.identity.node_id!r}, not of {node_id!r}; "
                f"start it as {self.identity.node_id!r}, or give {node_id!r} a directory of its own"
            )
        return ""


def read_identity(file_system: FileSystem, path: str) -> Identity | None:
    """Read node.json; None when there is none. Raises LogCorrupted, FormatUnknown."""
    try:
        file = file_system.open(f"{path}/{_NAME}")
    except FileNotFoundError:
        return None
    try:
        data = file.read(0, _FILE_BYTES)
    finally:
        file.close()
    any_identity = _ANY_IDENTITY.match(data)
    if any_identity and int(any_identity[1]) != FORMAT:
        raise FormatUnknown(
            f"{path}/{_NAME} is of format {int(any_identity[1])}, this hraft reads format {FORMAT}; use the hraft that wrote it"
        )
    identity = _IDENTITY.fullmatch(data)
    if identity is None or b"%08x" % crc32(data[: identity.start(4)]) != identity[5]:
        raise LogCorrupted(f"{path}/{_NAME} is damaged, or was edited: {data[:200]!r}; restore it from a copy")
    try:
        return Identity(_names.decode(identity[2]), _names.decode(identity[3]))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise LogCorrupted(f"{path}/{_NAME} has a name that cannot be read: {error}; restore it from a copy") from error


def write_identity(file_system: FileSystem, path: str, identity: Identity) -> None:
    cluster_id, node_id = json.dumps(identity.cluster_id).encode(), json.dumps(identity.node_id).encode()
    head = b'{"format":%d,"cluster_id":%b,"node_id":%b' % (FORMAT, cluster_id, node_id)
    replace_file(file_system, path, _NAME, b'%b,"crc":"%08x"}\n' % (head, crc32(head)))
