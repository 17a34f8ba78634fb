"""A command line without a cluster: the client does what it is told, and nothing waits."""

from __future__ import annotations

import io
import sys
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hraft.cli import main
from hraft.cli.printing import Printing
from hraft.cli.session import Body, Session


class Terminal(io.StringIO):
    """Says of itself that people are watching."""

    def isatty(self) -> bool:
        return True


class DoubleSession(Session):
    """Awaits what is asked at once. What would have to wait is a defect of the test."""

    def __init__(self, client: Any, printing: Printing) -> None:
        super().__init__("http://a:1,http://b:2", 5.0, printing)
        self.client = client

    def outcome_of(self, body: Body) -> Any:
        done: list[Any] = []
        Deferred.fromCoroutine(body(self.client)).addBoth(done.append)  # type: ignore[arg-type]
        [outcome] = done
        if isinstance(outcome, Failure):
            outcome.raiseException()
        return outcome


def run(client: Any, *words: str, is_json: bool = False, is_terminal: bool = False, stdin: bytes = b"") -> tuple[Result, str]:
    """One command; its result, and what it printed."""
    out = Terminal() if is_terminal else io.StringIO()
    session = DoubleSession(client, Printing(is_json, out))
    result = CliRunner().invoke(main, list(words), obj=session, input=stdin, prog_name="hraft")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    sys.stdout.flush()
    return result, out.getvalue() or result.stdout
