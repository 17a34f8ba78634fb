"""What one node keeps from one start to the next: its data directory, or nothing (`--inmem`).

Knows whose the directory is and what is to be remembered in it; nothing of what a node does with its log.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NoReturn

from twisted.logger import Logger

from hraft.counting import DiskTally
from hraft.errors import DirectoryUnusable, HraftError
from hraft.interfaces import DiskUse, Storage
from hraft.storage.directory import DataDirectory, Identity
from hraft.storage.durable import DurableStorage
from hraft.storage.files import LocalFileSystem, disk_use
from hraft.storage.memory import MemoryStorage
from hraft.unhurried import unhurried

_log = Logger(namespace="hraft.disk")


class NodeDisk:
    """Of one node, from `open` to `close`. `seconds` is the clock by which syncs are timed; `path` None: nothing is kept."""

    def __init__(self, path: str | None, seconds: Callable[[], float]) -> None:
        self._directory = None if path is None else DataDirectory(path)
        #: What was asked of the disk, and how full it is; None where there is none.
        self.tally = None if path is None else DiskTally(seconds)

    def open(self, node_id: str | None) -> Identity | None:
        """Whose it is, None where it is nobody's yet. Raises DirectoryUnusable, LogCorrupted, FormatUnknown."""
        if self._directory is None:
            return None
        self._directory.open(node_id)
        return self._directory.identity

    def close(self) -> None:
        if self._directory is not None:
            self._directory.close()

    # --- of the cluster --------------------------------------------------------------------------

    def remember(self, identity: Identity) -> None:
        """Durably, before anything is said or done in the cluster's name."""
        if self._directory is not None:
            self._directory.remember(identity)

    @property
    def is_founding(self) -> bool:
        """Whether this node has decided to found a cluster, and was stopped before that was done."""
        return self._directory is not None and self._directory.is_founding

    def remember_founding(self) -> None:
        if self._directory is not None:
            self._directory.remember_founding()

    def forget_founding(self) -> None:
        if self._directory is not None:
            self._directory.forget_founding()

    @property
    def removed_index(self) -> int | None:
        """By which entry this node was removed from its cluster, as far as that could be written down."""
        return None if self._directory is None else self._directory.removed_index

    def remember_removal(self, index: int) -> None:
        """Also a later start must know, or is told again where a full disk was why it does not."""
        if self._directory is not None and self._directory.removed_index is None:
            try:
                self._directory.remember_removal(index)
            except HraftError as error:
                _log.warn("{path}: could not remember the removal: {reason}", path=self._directory.path, reason=str(error))

    # --- of the log ------------------------------------------------------------------------------

    def storage(self, cluster_id: str) -> Storage:
        """For the log and the snapshots."""
        if self._directory is None:
            return MemoryStorage(cluster_id)
        return DurableStorage(LocalFileSystem(self.tally), self._directory.path, cluster_id, pace=unhurried)

    @property
    def use(self) -> Callable[[], DiskUse] | None:
        """What looks how full it is; it blocks."""
        return None if self._directory is None else partial(disk_use, self._directory.path)

    def refuse_lost_log(self, cluster_id: str) -> NoReturn:
        """An identity without a log: this node was stopped between its first two writes, or somebody removed its log.

        Whether it had promised anything, only the cluster can know.
        """
        assert self._directory is not None
        raise DirectoryUnusable(
            f"{self._directory.path} belongs to cluster {cluster_id} but has no log: say --join to be taken in "
            f"(again); or, if no such cluster was ever used, remove the directory to begin a new one"
        )
