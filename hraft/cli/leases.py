"""lease: names for a time, and the keys that end with them."""

from __future__ import annotations

from typing import Any

import click

from hraft.cli.printing import field, shown
from hraft.cli.session import Session, pass_session
from hraft.client import HraftClient, Lease, LeaseLost

_id = click.argument("lease", type=click.IntRange(min=1))


@click.group()
def lease() -> None:
    """Leases: keys attached to one end with it."""


@lease.command()
@click.argument("ttl", type=click.IntRange(min=1))
@pass_session
def grant(session: Session, ttl: int) -> None:
    """Make a lease of TTL seconds, and print its id."""

    async def body(client: HraftClient) -> Any:
        return await client.lease(ttl)

    granted = session.run(body)
    if session.printing.is_json:
        session.printing.document({"id": granted.id, "ttl": granted.ttl_seconds})
    else:
        session.printing.line(str(granted.id))


@lease.command()
@_id
@click.option("--once", is_flag=True, help="Only this once, and not until Ctrl-C.")
@pass_session
def keep(session: Session, lease: int, once: bool) -> None:
    """Keep LEASE alive until Ctrl-C; exit code 6 when it is lost."""

    async def body(client: HraftClient) -> None:
        asked_at = client.caller.seconds()
        times = await client.keep_alive(lease)
        _print_times(session, times)
        if not once:
            await Lease(client, lease, times.ttl_seconds, asked_at).keep().lost()
            raise LeaseLost(f"the lease {lease} has ended")

    session.run(body)


@lease.command()
@_id
@pass_session
def show(session: Session, lease: int) -> None:
    """Show how long LEASE has left to live, and its keys."""

    async def body(client: HraftClient) -> Any:
        return await client.lease_times(lease)

    times = session.run(body)
    _print_times(session, times)
    if not session.printing.is_json:
        for key in times.keys:
            session.printing.line(shown(key))


@lease.command("ls")
@pass_session
def list_leases(session: Session) -> None:
    """List all leases."""

    async def body(client: HraftClient) -> Any:
        return await client.leases()

    found = session.run(body)
    if session.printing.is_json:
        for each in found:
            session.printing.document({"id": each.lease, "ttl": each.ttl_seconds, "keys_count": each.keys_count})
    elif found:
        rows = [(str(each.lease), f"{each.ttl_seconds:g}", str(each.keys_count)) for each in found]
        session.printing.table(("LEASE", "TTL", "KEYS"), rows)


@lease.command()
@_id
@pass_session
def revoke(session: Session, lease: int) -> None:
    """End LEASE now, with its keys."""

    async def body(client: HraftClient) -> Any:
        return await client.revoke(lease)

    result = session.run(body)
    if session.printing.is_json:
        session.printing.document({"deleted": result.deleted_count, "revision": result.revision})
    elif session.printing.is_terminal:
        session.printing.line(f"{result.deleted_count} keys deleted")


def _print_times(session: Session, times: Any) -> None:
    if session.printing.is_json:
        keys = [field("key", key) for key in times.keys]
        fields = {"id": times.lease, "ttl": times.ttl_seconds, "remaining": times.remaining_seconds, "keys": keys}
        session.printing.document(fields)
    else:
        session.printing.line(f"lease {times.lease}: {times.remaining_seconds:.1f} s of {times.ttl_seconds:g} s left")
