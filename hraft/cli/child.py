"""A program that is run for as long as something is held, on this terminal; told to end, and ended if it does not."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

#: From the first word that it shall end to the last.
GRACE_SECONDS = 5.0


class Child(ProcessProtocol):
    """Begins at once, with our own stdin, stdout and stderr."""

    transport: Any

    def __init__(self, reactor: Any, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._code: int | None = None
        self._waiting: list[Deferred[int]] = []
        self._last_word: Any = None
        reactor.spawnProcess(self, command[0], command, env=environment, childFDs={0: 0, 1: 1, 2: 2})

    async def ended(self) -> int:
        """Its exit code, as a shell has it. Cancelling this ends the program, and waits until nothing runs any more."""
        try:
            return await self._end()
        except CancelledError:
            self.end()
            await self._end()
            raise

    def _end(self) -> Deferred[int]:
        end: Deferred[int] = Deferred()
        if self._code is None:
            self._waiting.append(end)
        else:
            end.callback(self._code)
        return end

    def end(self) -> None:
        """SIGTERM now, and SIGKILL if that does not help."""
        if self._code is None and self._last_word is None:
            self._signal(signal.SIGTERM)
            self._last_word = self._reactor.callLater(GRACE_SECONDS, self._signal, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        try:
            self.transport.signalProcess(number.value)
        except error.ProcessExitedAlready:
            pass

    def processEnded(self, reason: Failure) -> None:
        if self._last_word is not None and self._last_word.active():
            self._last_word.cancel()
        how: Any = reason.value
        self._code = 128 + how.signal if getattr(how, "signal", None) else int(getattr(how, "exitCode", 0) or 0)
        waiting, self._waiting = self._waiting, []
        for end in waiting:
            if not end.called:
                end.callback(self._code)
