"""get, put, del, ls and watch: one key, or all that begin alike."""

from __future__ import annotations

import sys
from typing import Any

import click

from hraft.cli.printing import Printing, field, shortened, shown
from hraft.cli.session import NO, Session, pass_session
from hraft.client import Change, Event, HraftClient, KeyNotFound, KeyValue

LEVELS = click.Choice(["linearizable", "lease", "stale"])
level_option = click.option(
    "--level", type=LEVELS, default="linearizable", show_default=True, help="How fresh: stale may be old, and asks only one node."
)


def bytes_of(text: str) -> bytes:
    """What the shell gave, byte for byte, also where it is not UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def record(pair: KeyValue, with_value: bool = True) -> dict[str, Any]:
    """A key and its record as JSON fields."""
    return {
        **field("key", pair.key),
        **(field("value", pair.value) if with_value else {}),
        "create_revision": pair.create_revision,
        "mod_revision": pair.mod_revision,
        "version": pair.version,
        "lease": pair.lease,
    }


@click.command()
@click.argument("key")
@level_option
@click.option("--raw", is_flag=True, help="The value alone, without a newline.")
@pass_session
def get(session: Session, key: str, level: Any, raw: bool) -> None:
    """Print the value of KEY; exit code 1 if it is not there."""

    async def body(client: HraftClient) -> KeyValue | None:
        return await client.get(bytes_of(key), level=level)

    pair, printing = session.run(body), session.printing
    if pair is None:
        session.fail(KeyNotFound(f"there is no key {shown(bytes_of(key))}", "" if not printing.is_json else "key_not_found"))
    if printing.is_json:
        printing.document(record(pair))
    elif raw:
        printing.raw(pair.value)
    elif printing.is_terminal:
        printing.line(shown(pair.value))
    else:
        printing.raw(pair.value + b"\n")


@click.command()
@click.argument("key")
@click.argument("value", required=False)
@click.option("--lease", type=click.IntRange(min=1), help="The lease that the key dies with.")
@click.option("--if-revision", type=click.IntRange(min=1), help="Only if the key was last changed at this revision.")
@click.option("--if-absent", is_flag=True, help="Only if the key is not there.")
@pass_session
def put(session: Session, key: str, value: str | None, lease: int | None, if_revision: int | None, if_absent: bool) -> None:
    """Set KEY to VALUE, or to what comes on stdin. Done when a majority has it on disk."""
    if if_absent and if_revision is not None:
        raise click.UsageError("--if-absent and --if-revision cannot both hold")
    data = sys.stdin.buffer.read() if value is None else bytes_of(value)

    async def body(client: HraftClient) -> Any:
        return await client.put(bytes_of(key), data, lease=lease, if_revision=if_revision, if_absent=if_absent)

    result, printing = session.run(body), session.printing
    if printing.is_json:
        printing.document({**field("key", result.key), "revision": result.revision, "version": result.version})
    elif printing.is_terminal:
        printing.line(f"revision {result.revision}")


@click.command("del")
@click.argument("keys", nargs=-1)
@click.option("--prefix", help="All keys that begin so, as one step.")
@click.option("--if-revision", type=click.IntRange(min=1), help="Only if the (one) key was last changed at this revision.")
@pass_session
def delete(session: Session, keys: tuple[str, ...], prefix: str | None, if_revision: int | None) -> None:
    """Delete KEYS. Exit code 1 if none of them was there."""
    if bool(keys) == (prefix is not None):
        raise click.UsageError("name keys, or a --prefix, and not both")
    if if_revision is not None and len(keys) != 1:
        raise click.UsageError("--if-revision goes with one key")

    async def body(client: HraftClient) -> tuple[int, int]:
        if prefix is not None:
            result = await client.delete_prefix(bytes_of(prefix))
            return result.deleted_count, result.revision
        deleted_count = revision = 0
        for key in keys:
            result = await client.delete(bytes_of(key), if_revision=if_revision)
            deleted_count, revision = deleted_count + result.deleted_count, result.revision
        return deleted_count, revision

    deleted_count, revision = session.run(body)
    if session.printing.is_json:
        session.printing.document({"deleted": deleted_count, "revision": revision})
    elif session.printing.is_terminal:
        session.printing.line(f"{deleted_count} deleted")
    sys.exit(0 if deleted_count else NO)


@click.command("ls")
@click.argument("prefix", default="")
@click.option("--keys-only", "-k", is_flag=True, help="Without values.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
@click.option("--count", "only_count", is_flag=True, help="Only how many there are.")
@level_option
@pass_session
def list_keys(session: Session, prefix: str, keys_only: bool, limit: int | None, only_count: bool, level: Any) -> None:
    """List the keys that begin with PREFIX, in the order of their bytes."""
    printing = session.printing

    async def count(client: HraftClient) -> None:
        found = await client.count(bytes_of(prefix))
        if printing.is_json:
            printing.document({"count": found})
        else:
            printing.line(str(found))

    async def body(client: HraftClient) -> None:
        rows, left = [], limit
        async for pair in client.items(bytes_of(prefix), keys_only=keys_only, level=level):
            if left is not None:
                if left == 0:
                    break
                left -= 1
            if printing.is_json:
                printing.document(record(pair, with_value=not keys_only))
            elif printing.is_terminal:
                rows.append(_row(pair, keys_only))
            else:
                printing.line("\t".join((shown(pair.key), *(() if keys_only else (shown(pair.value),)))))
        if rows:
            printing.table(("KEY", "REVISION", *(() if keys_only else ("VALUE",))), rows)

    session.run(count if only_count else body)


def _row(pair: KeyValue, keys_only: bool) -> tuple[str, ...]:
    return (shown(pair.key), str(pair.mod_revision), *(() if keys_only else (shortened(pair.value),)))


@click.command()
@click.argument("key", required=False)
@click.option("--prefix", help="All keys that begin so; an empty one is all.")
@click.option("--since", type=click.IntRange(min=0), help="Changes after this revision, and not from now on.")
@click.option("--previous", is_flag=True, help="Also what was there before.")
@click.option("--count", "changes_limit", type=click.IntRange(min=1), help="End after so many changes.")
@pass_session
def watch(
    session: Session, key: str | None, prefix: str | None, since: int | None, previous: bool, changes_limit: int | None
) -> None:
    """Print every change of KEY, or below a prefix, as it comes; until Ctrl-C. Goes on at another node when one fails."""
    if (key is None) == (prefix is None):
        raise click.UsageError("name a key, or a --prefix, and not both")
    one = None if key is None else bytes_of(key)
    below = None if prefix is None else bytes_of(prefix)

    async def body(client: HraftClient) -> None:
        left = changes_limit
        async with client.watch(one, prefix=below, since=since, previous=previous) as changes:
            async for change in changes:
                for event in change.events:
                    _print_event(session.printing, change, event, previous)
                if left is not None:
                    left -= 1
                    if left == 0:
                        return

    session.run(body)


def _print_event(printing: Printing, change: Change, event: Event, previous: bool) -> None:
    if printing.is_json:
        fields: dict[str, Any] = {"type": event.kind, "revision": change.revision, **field("key", event.key)}
        if event.record is not None:
            fields.update(record(event.record))
        if previous:
            fields["previous"] = None if event.previous is None else record(event.previous)
        printing.document(fields)
        return
    value = "" if event.record is None else f" {shown(event.record.value)}"
    before = f"   (was {shown(event.previous.value)})" if event.previous is not None else ""
    printing.line(f"{change.revision} {event.kind} {shown(event.key)}{value}{before}")
