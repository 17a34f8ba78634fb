"""certs: a small certificate authority for trials, as files. What is signed, and how, is in `hraft.tls.authority`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from hraft.cli.log import offline
from hraft.cli.session import Session, pass_session
from hraft.tls.authority import AUTHORITY_DAYS, DAYS, Made, make_authority, sign_client, sign_node


def _days(default: int) -> Callable[[Any], Any]:
    allowed = click.IntRange(min=1, max=36_500)
    return click.option("--days", type=allowed, default=default, show_default=True, help="How long it is good for.")


@click.group()
def certs() -> None:
    """Make certificates for a trial of TLS: an authority, and what it signs, in one directory.

    Whoever has DIR/ca-key.pem can sign for everybody, so for more than a trial keep it elsewhere, or use the authority you have.
    """


@certs.command("ca")
@click.argument("directory", metavar="DIR")
@_days(AUTHORITY_DAYS)
@pass_session
@offline
def authority(session: Session, directory: str, days: int) -> None:
    """Make an authority: DIR/ca.pem for everybody, and DIR/ca-key.pem for nobody else."""
    _told(session, make_authority(directory, days))


@certs.command()
@click.argument("directory", metavar="DIR")
@click.argument("name")
@click.option(
    "--host", "hosts", multiple=True, required=True, help="A name or IP address that others dial; may be repeated."
)
@_days(DAYS)
@pass_session
@offline
def node(session: Session, directory: str, name: str, hosts: tuple[str, ...], days: int) -> None:
    """Sign for a node: DIR/NAME.pem and DIR/NAME-key.pem, for its HTTP port and its raft port."""
    _told(session, sign_node(directory, name, hosts, days))


@certs.command()
@click.argument("directory", metavar="DIR")
@click.argument("name")
@_days(DAYS)
@pass_session
@offline
def client(session: Session, directory: str, name: str, days: int) -> None:
    """Sign for a client: DIR/NAME.pem and DIR/NAME-key.pem, where nodes were started with --http-client-ca."""
    _told(session, sign_client(directory, name, days))


def _told(session: Session, made: Made) -> None:
    if session.printing.is_json:
        session.printing.document({"certificate": made.certificate, "key": made.key, "expires_at": made.expires_at.isoformat()})
    else:
        session.printing.line(f"{made.certificate}  {made.key}  until {made.expires_at:%Y-%m-%d}")
