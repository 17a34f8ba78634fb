"""A command line that is wrong, told as whoever asks wants it: in click's words, or with --json as an object like other errors.

Knows no subcommand.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import IO, Any

import click
from click.exceptions import NoArgsIsHelpError


class BadCommandLine(click.ClickException):
    """A mistake on the command line, as one line of JSON on stderr."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.format_message())
        self.exit_code = error.exit_code  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Where click would print usage."""
        click.echo(json.dumps({"error": "usage", "detail": " ".join(self.message.split())}), file=file, err=file is None)


class CommandLine(click.Group):
    """The root of all subcommands. Has an option --json."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Reads the options before the subcommand."""
        is_json = "--json" in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _told(error, is_json) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Reads the rest, and runs the subcommand."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            raise _told(error, bool(ctx.params.get("is_json"))) from error
        except KeyboardInterrupt:
            # Where no reactor runs, as in those that look into a directory. click would say "Aborted!", and end with 1: a "no".
            sys.exit(128 + signal.SIGINT)


def _told(error: click.ClickException, is_json: bool) -> click.ClickException:
    # A group without a subcommand is answered with help, which is for people only.
    return BadCommandLine(error) if is_json and not isinstance(error, NoArgsIsHelpError) else error
