# mypy: allow-untyped-calls
"""/v1/snapshot: a consistent backup, streamed as fast as the client reads and made no faster.

What is kept for a client is one part, and the old values of what has changed since it began; so there are few at a time, and one
that does not read is cut off. What breaks off has no footer, which every reader looks for. Knows nothing of what is in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hraft import limits
from hraft.web.answers import Answer
from hraft.web.node import Backup, Node
from hraft.web.problems import Problem, retry_later
from hraft.web.streams import StreamResource

PATH = b"/v1/snapshot"

_log = Logger(namespace="hraft.web")


class SnapshotResource(StreamResource):
    """Every backup that this node is giving."""

    def __init__(self, node: Node, clock: IReactorTime, failed: Callable[[Failure, bytes, bytes], Answer]) -> None:
        super().__init__(failed)
        self._node = node
        self._clock = clock
        self._streams: set[_Stream] = set()
        self._begun_count = 0
        self._is_stopped = False

    def stop(self) -> None:
        """The node is stopping: who has not got all of it must ask another one."""
        self._is_stopped = True
        for stream in list(self._streams):
            stream.break_off()

    async def answer(self, request: Any) -> None:
        """All of the backup, as fast as the client reads."""
        if request.method not in (b"GET", b"HEAD"):
            raise Problem(405, "method_not_allowed", "a snapshot is got with GET", {b"Allow": "GET, HEAD"})
        if b"?" in request.uri:
            raise Problem(400, "bad_request", "a snapshot is of everything: there are no parameters")
        if self._begun_count >= limits.BACKUPS_COUNT:
            detail = f"{self._begun_count} backups are under way on this node, and that is the limit; ask another one"
            raise Problem(429, "too_many_backups", detail, {b"Retry-After": "10"})
        self._begun_count += 1
        try:
            await self._node.confirm_read()
            if self._is_stopped:
                raise retry_later("stopping", "this node is stopping; ask another one")
            backup = self._node.backup()
            request.setHeader(b"Content-Type", b"application/x-ndjson")
            request.setHeader(b"Cache-Control", b"no-store")
            request.setHeader(b"X-Content-Type-Options", b"nosniff")
            request.setHeader(b"X-Hraft-Index", b"%d" % backup.snapshot.index)
            request.setHeader(b"X-Hraft-Term", b"%d" % self._node.term)
            if request.method == b"HEAD":
                request.finish()
            else:
                await self._stream(request, backup)
        finally:
            self._begun_count -= 1

    async def _stream(self, request: Any, backup: Backup) -> None:
        stream = _Stream(request, self._clock)
        self._streams.add(stream)
        try:
            await stream.send(backup)
        except CancelledError:
            raise
        except Exception:
            _log.failure("a backup broke off")
            stream.break_off()
        finally:
            stream.end()
            self._streams.discard(stream)


@implementer(IPushProducer)
class _Stream:
    """One answer, which waits for its client."""

    def __init__(self, request: Any, clock: IReactorTime) -> None:
        self._request = request
        self._clock = clock
        self._has_room: Deferred[None] | None = None
        self._patience: IDelayedCall | None = None
        self._is_over = False

    async def send(self, backup: Backup) -> None:
        """All of it, a part at a time. Ends early where the stream is broken off."""
        self._request.registerProducer(self, True)
        while not self._is_over:
            part = await backup.next_part()
            if self._is_over:
                return
            if not part:
                self._request.unregisterProducer()
                self._request.finish()
                return
            self._request.write(part)
            if self._has_room is not None:
                await self._has_room

    def break_off(self) -> None:
        """End it in a way that nobody can take for the end of the file."""
        if not self._is_over:
            self.end()
            self._request.unregisterProducer()
            self._request.channel.abort()

    def end(self) -> None:
        """Send no more."""
        self._is_over = True
        self.resumeProducing()

    # --- what the transport does -----------------------------------------------------------------

    def pauseProducing(self) -> None:
        if self._has_room is None and not self._is_over:
            self._has_room = Deferred()
            self._patience = self._clock.callLater(limits.BACKUP_UNREAD_SECONDS, self.break_off)

    def resumeProducing(self) -> None:
        has_room, self._has_room = self._has_room, None
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        if has_room is not None and not has_room.called:
            has_room.callback(None)

    def stopProducing(self) -> None:
        """The connection is lost, of which the resource is told."""
