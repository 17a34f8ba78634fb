"""status: how each node of the cluster is."""

from __future__ import annotations

from typing import Any

import click
from rich.live import Live
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from hraft.addresses import url_of
from hraft.cli.printing import shown, table_of
from hraft.cli.session import UNAVAILABLE, Session, pass_session
from hraft.cli.views import leaders_view
from hraft.client import ClientError, HraftClient
from hraft.client.errors import Forbidden, LoginNeeded


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on, and look again and again until Ctrl-C.")
@click.option("--interval", "interval_seconds", type=click.FloatRange(min=0.1), default=1.0, show_default=True)
@pass_session
def status(session: Session, follow: bool, interval_seconds: float) -> None:
    """Show each node of the cluster as it sees itself; exit code 3 if one does not answer, or no leader is known."""

    async def once(client: HraftClient) -> list[dict[str, Any]]:
        return await _look(client, session)

    async def on_and_on(client: HraftClient) -> None:
        from twisted.internet import reactor

        if session.printing.is_json or not session.printing.is_terminal:
            while True:
                _print(session, await _look(client, session))
                await deferLater(reactor, interval_seconds)
        with Live(console=session.printing.console, auto_refresh=False, screen=False) as live:
            while True:
                live.update(table_of(_COLUMNS, map(_status_row, await _look(client, session))), refresh=True)
                await deferLater(reactor, interval_seconds)

    if follow:
        session.run(on_and_on)
        return
    nodes = session.run(once)
    _print(session, nodes)
    if any("error" in node or not node["leader"] for node in nodes):
        raise SystemExit(UNAVAILABLE)


async def _look(client: HraftClient, session: Session) -> list[dict[str, Any]]:
    """Every member that has an HTTP address, all asked at once; without a cluster view, the endpoints that were named."""
    try:
        view = await leaders_view(client, session.endpoints)
        endpoints = {member.node_id: url_of(member.http_address) for member in view.members if member.http_address}
        unknown = [member.node_id for member in view.members if not member.http_address]
    except (LoginNeeded, Forbidden):
        # It did answer: only the one who asks can mend that.
        raise
    except ClientError:
        endpoints, unknown = {endpoint: endpoint for endpoint in session.endpoints.split(",")}, []
    asked = [Deferred.fromCoroutine(_ask(client, name, endpoint)) for name, endpoint in endpoints.items()]
    answers: list[tuple[bool, dict[str, Any]]] = await DeferredList(asked, fireOnOneErrback=True)
    missing = [{"id": name, "error": "it has not said its HTTP address"} for name in unknown]
    return _with_lags([answer for _, answer in answers]) + missing


async def _ask(client: HraftClient, name: str, endpoint: str) -> dict[str, Any]:
    try:
        told = await client.status(endpoint)
        return {
            "id": told["me"]["id"],
            "role": told["role"] if told.get("removed_index") is None else "removed",
            "term": told["term"],
            "leader": told["leader"]["id"],
            "commit_index": told["commit_index"],
            "applied_index": told["applied_index"],
            "snapshot_index": told["snapshot_index"],
            "revision": told["revision"],
            "keys_count": told["keys_count"],
            "age_ms": told["age_ms"],
            "version": told["version"],
            "backups": told.get("backups"),
            "disk": told.get("disk"),
            "alarms": told.get("alarms", []),
        }
    except (ClientError, KeyError, TypeError) as error:
        return {"id": name, "error": " ".join(str(error).split()) or repr(error)}


_COLUMNS = ("ID", "ROLE", "TERM", "LEADER", "COMMITTED", "APPLIED", "LAG", "REVISION", "KEYS", "AGE", "ROOM", "VERSION")


def _print(session: Session, nodes: list[dict[str, Any]]) -> None:
    if session.printing.is_json:
        for node in nodes:
            session.printing.document(node)
    else:
        session.printing.table(_COLUMNS, map(_status_row, nodes))
        for line in _alarm_lines(nodes):
            click.echo(line, err=True)


def _with_lags(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many entries each has yet to apply of what any of them knows to be committed."""
    committed = max((node["commit_index"] for node in nodes if "error" not in node), default=0)
    return [node if "error" in node else {**node, "lag": max(0, committed - node["applied_index"])} for node in nodes]


def _alarm_lines(nodes: list[dict[str, Any]]) -> list[str]:
    """Each alarm once, however many nodes tell of it."""
    alarms = {(alarm["kind"], *alarm["members"]): alarm for node in nodes for alarm in node.get("alarms") or ()}
    return [shown(f"ALARM {alarm['kind']}: {alarm['detail']}; {alarm['advice']}".encode()) for alarm in alarms.values()]


def _status_row(node: dict[str, Any]) -> tuple[str, ...]:
    if "error" in node:
        return (node["id"], "no answer", shown(node["error"].encode())[:60], *("-",) * 9)
    age = "-" if node["age_ms"] is None else f"{node['age_ms']} ms"
    room = "-" if node["disk"] is None else f"{node['disk']['free_bytes'] // (1024 * 1024)} MiB"
    names = ("commit_index", "applied_index", "lag", "revision", "keys_count")
    numbers = (str(node[name]) for name in names)
    return (node["id"], node["role"], str(node["term"]), node["leader"] or "none", *numbers, age, room, node["version"])
