"""log: what is in a data directory on which no node runs. Nothing here writes to it but `repair --yes`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from hraft.cli.keys import bytes_of
from hraft.cli.printing import field, shown
from hraft.cli.session import NO, REFUSED, Session, pass_session
from hraft.codec import encode_entry
from hraft.errors import HraftError
from hraft.kv.records import Record
from hraft.offline.contents import Contents, read_contents
from hraft.offline.holding import held
from hraft.offline.repair import carry_out, planned
from hraft.offline.replaying import state_at
from hraft.offline.verdicts import verdicts_of
from hraft.storage.files import LocalFileSystem

yes_option = click.option("--yes", "is_agreed", is_flag=True, help="Do it. Without this, only say what would be done.")


@click.group("log")
def log() -> None:
    """Look into a data directory, or repair it, while no node runs on it."""


def offline(function: Callable[..., None]) -> Callable[..., None]:
    """Whatever is wrong with the directory is one line on stderr, and an exit code."""

    @wraps(function)
    def guarded(session: Session, *arguments: Any, **options: Any) -> None:
        try:
            function(session, *arguments, **options)
        except BrokenPipeError:
            session.hang_up()
        except (HraftError, OSError) as error:
            session.fail(error)

    return guarded


def _end_where_damaged(session: Session, contents: Contents) -> None:
    """What was shown is all before the damage, and nobody shall take it for the whole."""
    if contents.damage is not None:
        session.fail(contents.damage)


@log.command()
@click.argument("directory")
@pass_session
@offline
def verify(session: Session, directory: str) -> None:
    """Read everything in DIRECTORY through, and say what is damaged and what can be done; exit code 1 if something is."""
    with held(directory) as path:
        contents = read_contents(path)
    verdicts, printing = verdicts_of(contents), session.printing
    for verdict in verdicts:
        if printing.is_json:
            printing.document({"damage": verdict.is_damage, "problem": verdict.problem, "advice": verdict.advice})
        else:
            printing.line(f"{'damaged' if verdict.is_damage else 'harmless'}: {verdict.problem}")
            printing.line(f"    {verdict.advice}")
    is_damaged = any(verdict.is_damage for verdict in verdicts)
    if not verdicts and not printing.is_json:
        printing.line(f"{path}: sound, up to entry {contents.log.next_index - 1}")
    sys.exit(NO if is_damaged else 0)


@log.command()
@click.argument("directory")
@click.option("--from", "first_index", type=click.IntRange(min=1), help="From this entry on.")
@click.option("--to", "last_index", type=click.IntRange(min=1), help="Up to this entry.")
@pass_session
@offline
def cat(session: Session, directory: str, first_index: int | None, last_index: int | None) -> None:
    """Print the entries of the log in DIRECTORY, one JSON object a line, as they stand in it; those that were replaced not."""
    if first_index is not None and last_index is not None and first_index > last_index:
        raise click.UsageError(f"--from {first_index} is behind --to {last_index}: there is nothing between them")
    with held(directory) as path:
        contents = read_contents(path)
    for entry in contents.log.entries:
        if (first_index is None or first_index <= entry.index) and (last_index is None or entry.index <= last_index):
            session.printing.raw(encode_entry(entry))
    _end_where_damaged(session, contents)


@log.command()
@click.argument("directory")
@pass_session
@offline
def stat(session: Session, directory: str) -> None:
    """Count what is in DIRECTORY: segments, batches, entries, terms, snapshots."""
    with held(directory) as path:
        contents = read_contents(path)
    found, printing = _counted(contents), session.printing
    if printing.is_json:
        printing.document(found)
    else:
        for name, value in found.items():
            for each in value or ["none"] if isinstance(value, list) else [value]:
                printing.line(f"{name}\t{shown(_told(each).encode())}")
    _end_where_damaged(session, contents)


def _told(value: Any) -> str:
    if value is None:
        return "nobody"  # the only thing that may be missing is whom this node voted for
    return "  ".join(f"{key}={part}" for key, part in value.items()) if isinstance(value, dict) else str(value)


def _counted(contents: Contents) -> dict[str, Any]:
    log = contents.log
    terms = Counter(entry.term for entry in log.entries)
    return {
        "cluster_id": contents.identity.cluster_id,
        "node_id": contents.identity.node_id,
        "term": log.hard_state.term,
        "voted_for": log.hard_state.voted_for,
        "first_index": log.first_index,
        "last_index": log.next_index - 1,
        "entries": len(log.entries),
        "kinds": dict(Counter(entry.kind.value for entry in log.entries)),
        "batches": sum(segment.batches_count for segment in contents.segments),
        "bytes": sum(segment.size_bytes for segment in contents.segments),
        "terms": [{"term": term, "entries": count} for term, count in sorted(terms.items())],
        "segments": [
            {"name": each.name, "bytes": each.size_bytes, "batches": each.batches_count, "last_index": each.last_index}
            for each in contents.segments
        ],
        "snapshots": [
            {"name": each.name, "bytes": each.size_bytes, "sound": each.snapshot is not None} for each in contents.snapshots
        ],
    }


@log.command()
@click.argument("directory")
@click.option("--to-index", type=click.IntRange(min=1), help="As of this entry; without it, as of the last.")
@click.option("--prefix", default="", help="Only keys that begin so.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line.")
@pass_session
@offline
def replay(session: Session, directory: str, to_index: int | None, prefix: str, is_json: bool) -> None:
    """Show the keys and values as they were after an entry, made again from the newest snapshot before it and the log.

    The last entries may be ones that the cluster never agreed on: one node alone cannot know.
    """
    with held(directory) as path:
        contents = read_contents(path)
        if to_index is None or to_index >= contents.log.next_index:
            _end_where_damaged(session, contents)
        store, printing = state_at(contents, to_index).store, session.printing
    begin = bytes_of(prefix)
    for key, record in store.range(begin):
        if not key.startswith(begin):
            break
        if is_json or printing.is_json:
            printing.document(_document(key, record))
        else:
            printing.line(f"{shown(key)}\t{shown(record.value)}")


def _document(key: bytes, record: Record) -> dict[str, Any]:
    revisions = {"create_revision": record.create_revision, "mod_revision": record.mod_revision, "version": record.version}
    return {**field("key", key), **field("value", record.value), **revisions, "lease": record.lease or None}


@log.command()
@click.argument("directory")
@yes_option
@pass_session
@offline
def repair(session: Session, directory: str, is_agreed: bool) -> None:
    """Cut a damaged log off before the damage. Says what that loses, and does it with --yes only (exit code 5 without)."""
    with held(directory, to_change=is_agreed) as path:
        contents, printing = read_contents(path), session.printing
        plan = planned(contents)
        if plan is None:
            is_sound = not any(verdict.is_damage for verdict in verdicts_of(contents))
            printing.line("there is nothing to cut off" if is_sound else f"cutting would not help: see hraft log verify {path}")
            sys.exit(0 if is_sound else NO)
        for sentence in plan.sentences():
            printing.line(sentence)
        if not is_agreed:
            click.echo("hraft: nothing was done; say --yes to do it", err=True)
            sys.exit(REFUSED)
        carry_out(plan, LocalFileSystem())
        printing.line("done")
