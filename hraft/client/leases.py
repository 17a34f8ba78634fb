"""A lease that this client keeps alive, and knows in time when it has lost.

Times are this client's monotonic clock's, and counted from when the question left: the cluster counts from when it came, so
that the client never believes in a lease that the cluster has ended. Knows nothing of what depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall

from hraft.client.errors import ClientError, LeaseLost, LeaseNotFound

if TYPE_CHECKING:
    from hraft.client.client import HraftClient

_LAST_CALL_SECONDS = 2.0


class Lease:
    """A lease. `async with lease:` keeps it alive and revokes it at the end."""

    def __init__(self, client: HraftClient, lease: int, ttl_seconds: float, granted_at: float) -> None:
        self._client = client
        self.id = lease
        self.ttl_seconds = ttl_seconds
        self._expires_at = granted_at + ttl_seconds
        self._has_ended = False
        self._is_lost = False
        self._loop: LoopingCall | None = None
        self._asking: Deferred[None] | None = None
        self._expiry: IDelayedCall | None = None
        self._callbacks: list[Callable[[], object]] = []

    @property
    def is_held(self) -> bool:
        """Whether it is certainly alive: the last that was heard of it is not older than its time to live."""
        return not self._has_ended and self.remaining_seconds > 0

    @property
    def remaining_seconds(self) -> float:
        """How long it surely lives if nothing is heard any more."""
        return self._expires_at - self._client.caller.seconds()

    def on_lost(self, callback: Callable[[], object]) -> None:
        """Call this once when the lease is lost; at once, if it is already. Not when it is revoked here."""
        if self._is_lost:
            callback()
        else:
            self._callbacks.append(callback)

    def lost(self) -> Deferred[None]:
        """Fires when the lease is lost."""
        fired: Deferred[None] = Deferred()
        self.on_lost(lambda: None if fired.called else fired.callback(None))
        return fired

    def keep(self) -> Lease:
        """Keep it alive from now on, three times within its time to live."""
        if self._loop is None and not self._has_ended:
            clock = self._client.caller.clock
            self._client.caller.going_on[self] = self.let_go
            self._loop = LoopingCall(self._ask)
            self._loop.clock = clock
            self._watch_over()
            self._loop.start(self.ttl_seconds / 3, now=False)
        return self

    async def keep_alive(self) -> None:
        """Once. Raises LeaseLost; Unavailable, if nobody could be asked."""
        if self._has_ended:
            raise LeaseLost(f"the lease {self.id} has ended")
        asked_at = self._client.caller.seconds()
        try:
            times = await self._client.keep_alive(self.id, max(0.001, self.remaining_seconds))
        except LeaseNotFound as error:
            # This may be the loop's own question: it is over, and not to be cancelled.
            self._asking = None
            self._lose()
            raise LeaseLost(str(error)) from error
        self._expires_at = max(self._expires_at, asked_at + times.ttl_seconds)
        if self._loop is not None:
            self._watch_over()

    async def revoke(self) -> None:
        """End it, here and in the cluster. Where the cluster cannot be told it ends by itself."""
        was_ended = self._has_ended
        self.let_go()
        if not was_ended:
            try:
                await self._client.revoke(self.id, _LAST_CALL_SECONDS)
            except ClientError:
                pass

    def let_go(self) -> None:
        """Do not keep it alive any more, and do not hold it for alive."""
        self._has_ended = True
        self._client.caller.going_on.pop(self, None)
        if self._expiry is not None and self._expiry.active():
            self._expiry.cancel()
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()

    async def __aenter__(self) -> Lease:
        return self.keep()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.revoke()

    def _ask(self) -> Deferred[None]:
        """The loop's turn; it waits for its end. What goes wrong is tried again at the next, and the end is `_expire`'s to
        tell.
        """
        asking = self._asking = Deferred.fromCoroutine(self.keep_alive())

        def ended(result: object) -> None:
            if self._asking is asking:
                self._asking = None

        return asking.addBoth(ended)

    def _watch_over(self) -> None:
        if self._expiry is not None and self._expiry.active():
            self._expiry.cancel()
        if not self._has_ended:
            self._expiry = self._client.caller.clock.callLater(max(0.0, self.remaining_seconds), self._expire)

    def _expire(self) -> None:
        if self.remaining_seconds > 0:
            self._watch_over()
        else:
            self._lose()

    def _lose(self) -> None:
        if self._has_ended:
            return
        self._is_lost = True
        self.let_go()
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
