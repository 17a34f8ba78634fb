"""members and transfer: who belongs to the cluster, who leads it, and changing either."""

from __future__ import annotations

import time
from typing import Any

import click

from hraft.cli.session import UNAVAILABLE, UNKNOWN, Session, pass_session
from hraft.cli.views import leaders_view
from hraft.client import ClusterView, HraftClient, Member


@click.group(invoke_without_command=True)
@click.pass_context
def members(context: click.Context) -> None:
    """List the members of the cluster, or change who they are."""
    if context.invoked_subcommand is None:
        context.invoke(list_members)


@members.command("list")
@pass_session
def list_members(session: Session) -> None:
    """List the members; exit code 3 if no leader is known."""

    async def body(client: HraftClient) -> ClusterView:
        return await leaders_view(client, session.endpoints)

    view, printing = session.run(body), session.printing
    if printing.is_json:
        for member in view.members:
            printing.document(_member(member))
    else:
        printing.table(("ID", "ROLE", "RAFT ADDRESS", "HTTP ADDRESS", "LAG", "LAST CONTACT"), map(_member_row, view.members))
    if view.leader_id is None:
        click.echo("hraft: no leader is known", err=True)
        raise SystemExit(UNAVAILABLE)


def _member(member: Member) -> dict[str, Any]:
    return {
        "id": member.node_id,
        "raft_address": member.raft_address,
        "http_address": member.http_address,
        "voter": member.is_voter,
        "replica": member.is_replica,
        "leader": member.is_leader,
        "match_index": member.match_index,
        "lag": member.lag_count,
        "last_contact_seconds": member.last_contact_seconds,
    }


def _member_row(member: Member) -> tuple[str, ...]:
    learner = "replica" if member.is_replica else "learner"
    role = "leader" if member.is_leader else "voter" if member.is_voter else learner
    contact = "-" if member.last_contact_seconds is None else f"{member.last_contact_seconds:.1f} s"
    lag = "-" if member.lag_count is None else str(member.lag_count)
    return (member.node_id, role, member.raft_address, member.http_address or "-", lag, contact)


@members.command()
@click.argument("node_id", metavar="ID")
@click.argument("raft_address", metavar="RAFT_ADDRESS")
@click.option("--learner", is_flag=True, help="Keep it a read replica until it is promoted.")
@pass_session
def add(session: Session, node_id: str, raft_address: str, learner: bool) -> None:
    """Take in a node that runs; wait until it has caught up and votes. `twist hraft --join` asks for this by itself."""

    async def body(client: HraftClient) -> str:
        deadline = time.monotonic() + session.timeout_seconds
        while True:
            role = await client.add_member(node_id, raft_address, learner=learner)
            if learner or role == "voter" or time.monotonic() >= deadline:
                return role

    role = session.run(body)
    _done(session, f"{node_id} is a {role}", {"id": node_id, "role": role})
    if role != "voter" and not learner:
        click.echo(f"hraft: {node_id} has not caught up yet; it becomes a voter by itself when it has", err=True)
        raise SystemExit(UNKNOWN)


@members.command()
@click.argument("node_id", metavar="ID")
@pass_session
def remove(session: Session, node_id: str) -> None:
    """Remove a member, for ever: its id is never used again. Refused where that would cost the quorum."""

    async def body(client: HraftClient) -> None:
        await client.remove_member(node_id)

    session.run(body)
    _done(session, f"{node_id} is removed", {"id": node_id, "removed": True})


@members.command()
@click.argument("node_id", metavar="ID")
@pass_session
def promote(session: Session, node_id: str) -> None:
    """Make a voter of a read replica. Refused while it has not caught up."""

    async def body(client: HraftClient) -> None:
        await client.promote_member(node_id)

    session.run(body)
    _done(session, f"{node_id} is a voter", {"id": node_id, "role": "voter"})


@click.command()
@click.argument("node_id", metavar="[ID]", required=False)
@pass_session
def transfer(session: Session, node_id: str | None) -> None:
    """Have another voter lead: ID, or the one that has most. Before a leader is stopped for longer, for instance."""

    async def body(client: HraftClient) -> str:
        return await client.transfer_leadership(node_id)

    leader = session.run(body)
    _done(session, f"{leader} leads", {"leader": leader})


def _done(session: Session, words: str, document: dict[str, Any]) -> None:
    if session.printing.is_json:
        session.printing.document(document)
    else:
        session.printing.line(words)
