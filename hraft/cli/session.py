"""Runs one subcommand: a client for it, the reactor around it, and an exit code for whatever becomes of it.

Every error is one line on stderr. Knows nothing of what is asked.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.python.failure import Failure

from hraft import errors
from hraft.cli.printing import Printing
from hraft.client import (
    Compacted,
    ConditionFailed,
    Forbidden,
    HraftClient,
    KeyNotFound,
    LeaseLost,
    LockLost,
    LockTimeout,
    LoginNeeded,
    OutcomeUnknown,
    Refused,
    Unavailable,
)
from hraft.credentials import Credentials
from hraft.tls.files import CertificateFiles

NO, USAGE, UNAVAILABLE, UNKNOWN, REFUSED, LOST, NOT_ALLOWED = 1, 2, 3, 4, 5, 6, 7
#: The first that fits counts.
_EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (ConditionFailed, NO),
    (KeyNotFound, NO),
    (LockTimeout, NO),
    (LeaseLost, LOST),
    (LockLost, LOST),
    (OutcomeUnknown, UNKNOWN),
    (LoginNeeded, NOT_ALLOWED),
    (Forbidden, NOT_ALLOWED),
    (Refused, REFUSED),
    (Unavailable, UNAVAILABLE),
    (errors.BadAddress, USAGE),
    (errors.CertificateUnusable, USAGE),
    (errors.BadUserFile, USAGE),
    (errors.LogCorrupted, NO),
    (errors.Compacted, NO),
    (errors.HraftError, REFUSED),
    (OSError, REFUSED),
)

NO_FILES = CertificateFiles()

Body = Callable[[HraftClient], Awaitable[Any]]


class Session:
    """What a subcommand finds in its context: where the cluster is, and how to print."""

    def __init__(
        self,
        endpoints: str,
        timeout_seconds: float,
        printing: Printing,
        files: CertificateFiles = NO_FILES,
        login: Callable[[], Credentials | None] = lambda: None,
    ) -> None:
        """`login` is asked, and may ask the person, when the first request is about to be made."""
        self.endpoints = endpoints
        self.timeout_seconds = timeout_seconds
        self.printing = printing
        self.files = files
        self._login = login
        #: Whether we say who we are; known once the first request is about to be made.
        self.has_login = False
        self._ended_by = signal.SIGINT

    def run(self, body: Body) -> Any:
        """Await `body(client)`, and return what it returns. Ends the process where it fails, with the exit code for that."""
        try:
            return self.outcome_of(body)
        except (errors.HraftError, ValueError) as error:
            self.fail(error)
        except CancelledError:
            self.printing.flush()
            sys.exit(128 + self._ended_by)
        except BrokenPipeError:
            self.hang_up()

    def outcome_of(self, body: Body) -> Any:
        """The same, with exceptions. Runs the reactor, so it can be called once in a process."""
        from twisted.internet import reactor as installed

        reactor: Any = installed
        credentials = self._login()
        self.has_login = credentials is not None
        outcome: list[Any] = []
        running: list[Deferred[Any]] = []

        async def whole() -> Any:
            files = self.files
            async with HraftClient(
                self.endpoints,
                reactor,
                deadline_seconds=self.timeout_seconds,
                cacert=files.authorities,
                cert=files.certificate,
                key=files.key,
                credentials=credentials,
            ) as client:
                return await body(client)

        def ended(result: Any) -> None:
            outcome.append(result)
            try:
                reactor.stop()
            except ReactorNotRunning:
                pass  # a signal has stopped it already

        def interrupted() -> Deferred[Any] | None:
            """Ctrl-C: let the body put away what it has, and wait for that."""
            if outcome:
                return None
            running[0].cancel()
            return running[0]

        def terminated(*_: object) -> None:
            self._ended_by = signal.SIGTERM
            reactor.callFromThread(reactor.stop)

        def begin() -> None:
            signal.signal(signal.SIGTERM, terminated)  # the reactor's own does not tell one signal from another
            running.append(Deferred.fromCoroutine(whole()))
            running[0].addBoth(ended)

        reactor.callWhenRunning(begin)
        reactor.addSystemEventTrigger("before", "shutdown", interrupted)
        reactor.run()
        [result] = outcome
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def hang_up(self) -> NoReturn:
        """Whoever read from us has had enough. Python would complain once more when it closes stdout."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)

    def fail(self, error: Exception) -> NoReturn:
        """Say what went wrong, and end with its exit code."""
        self.printing.flush()
        code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), USAGE)
        detail = " ".join((errors.in_words(error) if isinstance(error, OSError) else str(error)).split())
        if self.printing.is_json:
            document: dict[str, object] = {"error": getattr(error, "code", "") or type(error).__name__, "detail": detail}
            if isinstance(error, Compacted):
                document["oldest_revision"] = error.oldest_revision
            click.echo(json.dumps(document), err=True)
        else:
            click.echo(f"hraft: {detail}", err=True)
        sys.exit(code)


pass_session = click.make_pass_decorator(Session)
