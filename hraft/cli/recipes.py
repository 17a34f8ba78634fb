"""lock and elect: run something while nobody else does."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

import click
from twisted.internet.defer import Deferred

from hraft import limits
from hraft.cli.child import Child
from hraft.cli.keys import bytes_of
from hraft.cli.printing import field, shown
from hraft.cli.session import Session, pass_session
from hraft.client import Fence, HraftClient, Incumbent, LockLost

ttl_option = click.option(
    "--ttl",
    type=click.IntRange(min=1),
    default=limits.CLIENT_LEASE_TTL_SECONDS,
    show_default=True,
    help="Seconds after which it is free again if this program dies.",
)
wait_option = click.option("--wait", "wait_seconds", type=click.FloatRange(min=0), help="Give up after so long; 0: at once.")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@ttl_option
@wait_option
@pass_session
def lock(session: Session, name: str, command: tuple[str, ...], ttl: int, wait_seconds: float | None) -> None:
    """Hold the lock NAME while COMMAND runs (hraft lock NAME -- COMMAND ...), or until Ctrl-C without one.

    The exit code is the command's; 1 if others held the lock for too long; 6 if it was lost, and then the command is ended. The
    command finds the fencing token in HRAFT_FENCE, and the lock's key in HRAFT_FENCE_KEY: the token rises from holder to holder.
    """
    if command and shutil.which(command[0]) is None:
        raise click.UsageError(f"there is no program {command[0]!r}")

    async def body(client: HraftClient) -> int:
        held = client.lock(bytes_of(name), ttl_seconds=ttl)
        fence = await held.acquire(wait_seconds)
        try:
            lost = held.lease.lost()
            if not command:
                _say_fence(session, fence)
                await lost
            else:
                ended = await _run(command, fence, lost)
                if ended is not None:
                    return ended
            raise LockLost(f"the lock {name!r} was lost")
        finally:
            await held.release()

    sys.exit(session.run(body))


async def _run(command: tuple[str, ...], fence: Fence, lost: Deferred[None]) -> int | None:
    """The exit code of a command; None if the lock was lost first, and the command ended for it."""
    from twisted.internet import reactor

    environment = {**os.environ, "HRAFT_FENCE": str(fence.revision), "HRAFT_FENCE_KEY": shown(fence.key)}
    child = Child(reactor, command, environment)
    is_lost = False

    def end(_: object) -> None:
        nonlocal is_lost
        is_lost = True
        child.end()

    lost.addCallback(end)
    code = await child.ended()
    return None if is_lost else code


@click.command()
@click.argument("name")
@click.argument("value", required=False)
@click.option("--observe", is_flag=True, help="Do not stand: print who leads, now and whenever that changes.")
@ttl_option
@wait_option
@pass_session
def elect(session: Session, name: str, value: str | None, observe: bool, ttl: int, wait_seconds: float | None) -> None:
    """Stand for the office NAME and, once it is won, proclaim VALUE and hold it until Ctrl-C; exit code 6 if it is lost."""
    if observe == (value is not None):
        raise click.UsageError("name a VALUE to stand for office, or say --observe, and not both")

    async def stand(client: HraftClient) -> None:
        election = client.elect(bytes_of(name), ttl_seconds=ttl)
        fence = await election.campaign(bytes_of(value or ""), wait_seconds)
        try:
            _say_fence(session, fence)
            lost: Deferred[None] = Deferred()
            election.on_lost(lambda: lost.callback(None))
            await lost
            raise LockLost(f"the office {name!r} was lost")
        finally:
            await election.resign()

    async def look(client: HraftClient) -> None:
        async with client.elect(bytes_of(name)).observe() as seen:
            async for incumbent in seen:
                _say_incumbent(session, incumbent)

    session.run(look if observe else stand)


def _say_fence(session: Session, fence: Fence) -> None:
    if session.printing.is_json:
        session.printing.document({**field("key", fence.key), "fence": fence.revision})
    else:
        session.printing.line(f"held, with fencing token {fence.revision}")


def _say_incumbent(session: Session, incumbent: Incumbent | None) -> None:
    if session.printing.is_json:
        fields: dict[str, Any] = {"value": None, "fence": None}
        if incumbent is not None:
            fields = {**field("value", incumbent.value), "fence": incumbent.fence.revision}
        session.printing.document(fields)
    else:
        session.printing.line(
            "nobody" if incumbent is None else f"{shown(incumbent.value)} (fencing token {incumbent.fence.revision})"
        )
