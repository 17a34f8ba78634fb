"""backup, restore and recover: a copy of the whole store, and a new cluster made of one, or of what is left of an old one."""

from __future__ import annotations

import sys
from typing import Any

import click

from hraft.addresses import parse_advertised
from hraft.cli.log import offline, yes_option
from hraft.cli.session import REFUSED, Session, pass_session
from hraft.client import HraftClient
from hraft.errors import BadAddress
from hraft.offline.holding import held
from hraft.offline.recovering import go_on, planned
from hraft.offline.restoring import restore as restored_from
from hraft.storage.backup_file import BackupFile
from hraft.storage.files import LocalFileSystem


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return None if value is None else str(parse_advertised(value))
    except BadAddress as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@pass_session
@offline
def backup(session: Session, file: str) -> None:
    """Write everything in the store to FILE: one state, that has all that was acknowledged before.

    It is verified and durable before it takes that name; until then it is FILE.writing. An older FILE is replaced.
    """
    writing = BackupFile(LocalFileSystem(), file)
    try:

        async def body(client: HraftClient) -> None:
            await client.snapshot(writing.append)

        session.run(body)
        snapshot = writing.complete()
    except BaseException:
        writing.abort()
        raise
    told: dict[str, Any] = {"file": file, "index": snapshot.index, "term": snapshot.term, "bytes": writing.size_bytes}
    if session.printing.is_json:
        session.printing.document(told)
    else:
        session.printing.line(f"{file}: {writing.size_bytes} bytes, everything up to entry {snapshot.index}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.argument("directory")
@click.option("--id", "node_id", help="Name of the node that begins the new cluster.  [default: its Raft address]")
@click.option("--raddr", default="localhost:12000", show_default=True, callback=_address, help="Raft address that others dial.")
@pass_session
@offline
def restore(session: Session, file: str, directory: str, node_id: str | None, raddr: str) -> None:
    """Make DIRECTORY the data directory of a new cluster of one node, with everything that is in the backup FILE.

    Start that node, and let others join it with empty directories. Leases get their whole time again; sessions are forgotten.
    """
    made = restored_from(file, directory, node_id or raddr, raddr)
    told: dict[str, Any] = {
        "cluster_id": made.cluster_id,
        "node_id": node_id or raddr,
        "backup_cluster_id": made.backup_cluster_id,
        "index": made.snapshot.index,
        "keys": made.keys_count,
        "revision": made.revision,
    }
    if session.printing.is_json:
        session.printing.document(told)
        return
    session.printing.line(
        f"{directory}: new cluster {made.cluster_id} of {node_id or raddr}, with {made.keys_count} keys "
        f"at revision {made.revision} of cluster {made.backup_cluster_id}"
    )


@click.command()
@click.argument("directory")
@click.option("--raddr", callback=_address, help="Raft address that others dial.  [default: as before]")
@yes_option
@pass_session
@offline
def recover(session: Session, directory: str, raddr: str | None, is_agreed: bool) -> None:
    """Make a new cluster of what DIRECTORY has, when a majority of its cluster is lost for good.

    Says what it has and what may be lost, and does it with --yes only (exit code 5 without). The old data stays in the directory.
    """
    printing = session.printing
    with held(directory, to_change=is_agreed) as path:
        done = go_on(path) if is_agreed else None
        if done is None:
            recovery = planned(path, raddr)
            for sentence in recovery.sentences():
                printing.line(sentence)
            if not is_agreed:
                click.echo("hraft: nothing was done; say --yes to do it", err=True)
                sys.exit(REFUSED)
            done = recovery.carry_out()
    cluster_id, before = done
    printing.line(f"done: {path} is of the new cluster {cluster_id}; what it was is in {before}")
