"""A reactor of its own in a thread of its own, for programs that run none: coroutines in, plain results out.

The program's own reactor, if it has one, is left alone; so are its signals. The thread, and those that resolve names, are
daemons: a program that forgets to close ends all the same. Knows nothing of what it runs.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from functools import partial
from threading import Lock, Thread, current_thread
from typing import Any, TypeVar, cast

from twisted.internet._resolver import GAIResolver
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.posixbase import PosixReactorBase
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from hraft.client.errors import Closed

T = TypeVar("T")

_NAMES_THREADS_COUNT = 4
_STOP_SECONDS = 5.0
#: A signal that arrives just before a thread goes to sleep does not wake it, so no sleep is longer.
_SLEEP_SECONDS = 0.25


def _new_reactor() -> Any:
    """Not installed anywhere. `poll` has no limit on descriptors; not every system has it."""
    if hasattr(select, "poll"):
        from twisted.internet.pollreactor import PollReactor

        return PollReactor()
    from twisted.internet.selectreactor import SelectReactor

    return SelectReactor()


class ReactorThread:
    """Begins at once; `close` ends it. `run` may be called from any other thread, from several at a time."""

    def __init__(self) -> None:
        self.reactor: Any = cast(PosixReactorBase, _new_reactor())
        self._guard = Lock()
        self._waiting: set[Future[Any]] = set()
        self._has_ended = False
        self._names = ThreadPool(0, _NAMES_THREADS_COUNT, "hraft-names")
        self._names.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
        self.reactor.installNameResolver(GAIResolver(self.reactor, lambda: self._names))
        self._names.start()
        # Twisted knows one thread as that of "the" reactor, which may be another.
        self.reactor._registerAsIOThread = False
        self._thread = Thread(target=self._live, name="hraft-client", daemon=True)
        self._thread.start()

    def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the thread, and wait for what it gives or raises. Ctrl-C cancels it. Raises Closed after `close`."""
        if current_thread() is self._thread:
            raise RuntimeError("this would wait for itself: a callback runs in the client's own thread, and must not call it")
        outcome: Future[T] = Future()
        with self._guard:
            # Also in a child after a fork, which does not have the thread.
            if self._has_ended or not self._thread.is_alive():
                raise Closed("the client is closed")
            self._waiting.add(outcome)
        under_way: list[Deferred[T]] = []

        def begin() -> None:
            deferred = Deferred.fromCoroutine(call())
            under_way.append(deferred)
            deferred.addCallbacks(outcome.set_result, lambda failure: outcome.set_exception(failure.value))

        def cancel() -> None:
            for deferred in under_way:
                deferred.cancel()

        self.reactor.callFromThread(begin)
        try:
            return _result(outcome)
        except BaseException:
            # Not the call's own error, but a signal that came while it was waited for.
            if not outcome.done():
                self.reactor.callFromThread(cancel)
            raise
        finally:
            with self._guard:
                self._waiting.discard(outcome)

    def close(self) -> None:
        """Stop the reactor and wait for its end. May be called twice."""
        if self._thread.is_alive() and current_thread() is not self._thread:
            self.reactor.callFromThread(self.reactor.stop)
            self._thread.join(_STOP_SECONDS)
            # It waits for names that are being looked up, and nobody waits for those any more.
            Thread(target=self._names.stop, daemon=True).start()

    def _live(self) -> None:
        self.reactor.run(installSignalHandlers=False)
        # Twisted's reactors are made to live as long as their process, and leave these open.
        for waker in list(self.reactor._internalReaders):
            self.reactor.removeReader(waker)
            waker.connectionLost(Failure(ConnectionDone()))
        with self._guard:
            self._has_ended = True
            for outcome in self._waiting:
                if not outcome.done():
                    outcome.set_exception(Closed("the client was closed while this was waited for"))


def _result(outcome: Future[T]) -> T:
    while True:
        try:
            return outcome.result(_SLEEP_SECONDS)
        except NotYet:
            # May be the call's own error.
            if outcome.done():
                return outcome.result()
