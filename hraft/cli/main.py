"""The command's own options, and what belongs to it. What each subcommand does is in its own module."""

from __future__ import annotations

from functools import partial

import click
from click.shell_completion import get_completion_class

from hraft import __version__, limits
from hraft.cli.backups import backup, recover, restore
from hraft.cli.bench import bench
from hraft.cli.certs import certs
from hraft.cli.cluster import status
from hraft.cli.command_line import CommandLine
from hraft.cli.doctor import doctor
from hraft.cli.keys import delete, get, list_keys, put, watch
from hraft.cli.leases import lease
from hraft.cli.log import log
from hraft.cli.login import credentials_of
from hraft.cli.members import members, transfer
from hraft.cli.printing import Printing
from hraft.cli.recipes import elect, lock
from hraft.cli.session import Session
from hraft.cli.transactions import transact
from hraft.cli.users import users
from hraft.tls.files import CertificateFiles

_EXIT_CODES = """
\b
Exit codes:
  0  done
  1  no: not found, the condition does not hold, nobody gave way in time, or damage was found
  2  the command line is wrong
  3  no node could be asked: nothing was done, try again
  4  it is not known whether it was done
  5  refused: nothing was done
  6  lost: a lock, an office or a lease is held no more
  7  not allowed: the password or token is wrong, or its user may not do this
"""


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXIT_CODES)
@click.option(
    "--endpoints",
    "-e",
    envvar="HRAFT_ENDPOINTS",
    default="http://127.0.0.1:11000",
    show_default=True,
    help="Nodes of the cluster, separated by commas; any will do.  [env: HRAFT_ENDPOINTS]",
)
@click.option("--cacert", envvar="HRAFT_CACERT", help="For https: who vouches for the nodes (PEM file).  [env: HRAFT_CACERT]")
@click.option("--cert", envvar="HRAFT_CERT", help="For https: this client's own certificate.  [env: HRAFT_CERT]")
@click.option("--key", envvar="HRAFT_KEY", help="The key of --cert.  [env: HRAFT_KEY]")
@click.option("--user", envvar="HRAFT_USER", help="Who asks; the password is prompted for.  [env: HRAFT_USER, HRAFT_PASSWORD]")
@click.option("--password-file", envvar="HRAFT_PASSWORD_FILE", help="Its password is the first line of this file.")
@click.option("--token-file", envvar="HRAFT_TOKEN_FILE", help="A token instead, in a file.  [env: HRAFT_TOKEN_FILE, HRAFT_TOKEN]")
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line, for scripts.")
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=limits.CLIENT_DEADLINE_SECONDS,
    show_default=True,
    help="Seconds to go on trying.",
)
@click.version_option(__version__, message="hraft %(version)s")
@click.pass_context
def main(
    context: click.Context,
    endpoints: str,
    cacert: str | None,
    cert: str | None,
    key: str | None,
    user: str | None,
    password_file: str | None,
    token_file: str | None,
    is_json: bool,
    timeout_seconds: float,
) -> None:
    """A replicated key-value store, from the command line."""
    if context.obj is None:
        if (cert is None) != (key is None):
            raise click.UsageError("--cert and --key are used together")
        files = CertificateFiles(cert or None, key or None, cacert or None)
        login = partial(credentials_of, user, password_file, token_file)
        context.obj = Session(endpoints, timeout_seconds, Printing(is_json), files, login)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes SHELL complete this command.

    \b
    bash:  eval "$(hraft completion bash)"             in ~/.bashrc
    zsh:   eval "$(hraft completion zsh)"              in ~/.zshrc
    fish:  hraft completion fish | source              in config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(main, {}, "hraft", "_HRAFT_COMPLETE").source())


_OF_THE_STORE = (get, put, delete, list_keys, watch, transact, lease, lock, elect)
_OF_THE_CLUSTER = (members, transfer, status, doctor, bench, backup, restore, recover, log, certs, users)
for command in (*_OF_THE_STORE, *_OF_THE_CLUSTER):
    main.add_command(command)
