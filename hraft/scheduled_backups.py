"""Backups that a node makes by itself, again and again, into a directory: each node its own, so that none hangs on another.

A failure stops nothing and is told of in the log and in the status, and tried again. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from hraft import limits
from hraft.errors import HraftError, ReadFailed, in_words
from hraft.service import NodeService
from hraft.settings import BackupPolicy
from hraft.storage.backup_directory import BackupDirectory
from hraft.storage.files import LocalFileSystem

_log = Logger(namespace="hraft.backups")


class ScheduledBackups(Service):
    """Of one node. `node` is None until it has joined. `run_in_thread` is a thread of its own: a slow disk for backups must not
    keep the node from its snapshots."""

    def __init__(
        self,
        clock: IReactorTime,
        policy: BackupPolicy | None,
        node: Callable[[], NodeService | None],
        run_in_thread: Callable[..., Deferred[Any]],
    ) -> None:
        self._clock = clock
        self._policy = policy
        self._node = node
        self._run_in_thread = run_in_thread
        self._next: IDelayedCall | None = None
        self._last_index: int | None = None
        self._last_seconds: float | None = None
        self._failure: str | None = None

    def startService(self) -> None:
        """The first one comes soon: a node that is often restarted shall have backups, too."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._policy is not None:
            self._next = self._clock.callLater(_soon_seconds(self._policy), self._due, self._policy)

    def stopService(self) -> None:
        """Begin no more. One that is being written is left where it is, and is no backup."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def status(self) -> dict[str, object] | None:
        """For the node's status: the last one that succeeded, and why the last try failed, if it did. None: nobody wants any."""
        if self._policy is None:
            return None
        seconds = self._last_seconds
        return {
            "directory": self._policy.directory,
            "interval_seconds": self._policy.interval_seconds,
            "last_index": self._last_index,
            "age_seconds": None if seconds is None else int(self._clock.seconds() - seconds),
            "failure": self._failure,
        }

    def _due(self, policy: BackupPolicy) -> None:
        self._next = None
        trying = Deferred.fromCoroutine(self._back_up(policy))
        trying.addCallbacks(self._succeeded, self._failed, errbackArgs=(policy,)).addBoth(self._go_on, policy)

    async def _back_up(self, policy: BackupPolicy) -> int:
        """Make one, unless nothing was done since the last; the index that it is of."""
        node = self._node()
        if node is None:
            raise ReadFailed("this node has not joined its cluster yet")
        await node.confirm_read()
        backup = node.backup()
        index = backup.snapshot.index
        if index != self._last_index:
            directory = BackupDirectory(LocalFileSystem(), policy.directory, node.cluster_id, node.node_id, policy.kept_count)
            path = await self._run_in_thread(directory.write, backup.snapshot, backup.parts)
            _log.info("{node}: backed up to {path}", node=node.node_id, path=path, index=index)
        return index

    def _succeeded(self, index: int) -> None:
        self._last_index, self._last_seconds, self._failure = index, self._clock.seconds(), None

    def _failed(self, failure: Failure, policy: BackupPolicy) -> None:
        reason = " ".join(in_words(failure.value).split())
        self._failure = reason
        if failure.check(HraftError, OSError):
            _log.error("the scheduled backup into {directory} failed: {reason}", directory=policy.directory, reason=reason)
        else:
            _log.failure("the scheduled backup met a defect in hraft", failure)

    def _go_on(self, _: object, policy: BackupPolicy) -> None:
        if self.running:
            seconds = policy.interval_seconds if self._failure is None else _soon_seconds(policy)
            self._next = self._clock.callLater(seconds, self._due, policy)


def _soon_seconds(policy: BackupPolicy) -> float:
    return min(policy.interval_seconds, limits.BACKUP_RETRY_SECONDS)
