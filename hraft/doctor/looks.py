"""What each node of a running cluster says of itself: asked all at once, every one for itself, and none for long.

Judges nothing; that is in `hraft.doctor.cluster`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList

from hraft.addresses import url_of
from hraft.client import ClientError, ClusterView, HraftClient
from hraft.client.endpoints import parse_endpoint
from hraft.client.errors import Forbidden, LoginNeeded

#: Figures without labels; the others tell nothing that is needed here.
_METRIC = re.compile(r"^(\w+) (\S+)$", re.MULTILINE)
_WANTED: Final = {
    *("hraft_disk_free_bytes", "hraft_disk_reserve_bytes", "hraft_disk_errors_total"),
    *("process_max_fds", "process_open_fds"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """One node. `status` is that of /v1/status, and empty where `error` says why there is none.

    `clock_ahead_seconds`: how far its wall clock is ahead of ours; None: unknown. `view`: the cluster as it sees it.
    """

    name: str
    url: str
    error: str = ""
    is_refusal: bool = False
    status: dict[str, Any] = field(default_factory=dict)
    view: ClusterView | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    clock_ahead_seconds: float | None = None

    @property
    def removed_index(self) -> int | None:
        """The entry that ended its membership; None: it is a member, or was none yet."""
        index: int | None = self.status.get("removed_index")
        return index


async def look_at_all(client: HraftClient, endpoints: str, wall: Callable[[], float]) -> list[Look]:
    """First those that were named, with commas between them, then whoever else is a member; each once.

    `wall` is the time as people have it. Never fails because of a node; raises BadAddress for what is no endpoint.
    """
    named = [parse_endpoint(text.strip()) for text in endpoints.split(",") if text.strip()]
    asked = await _together(client, {url: url for url in named}, wall)
    # One node may have been named in two ways.
    looks = list({look.name: look for look in asked}.values())
    known = {look.status["me"]["id"] for look in looks if look.status}
    views = [look.view for look in looks if look.view is not None and look.removed_index is None]
    members = [member for view in views for member in view.members]
    missing = {member.node_id: url_of(member.http_address) for member in members if member.http_address}
    urls = {look.url for look in looks}
    more = {node_id: url for node_id, url in missing.items() if node_id not in known and url not in urls}
    looks += await _together(client, more, wall)
    silent = {member.node_id for member in members if not member.http_address} - known
    return looks + [Look(node_id, "", "no member that was asked knows its HTTP address") for node_id in sorted(silent)]


async def _together(client: HraftClient, urls: dict[str, str], wall: Callable[[], float]) -> list[Look]:
    asked = [Deferred.fromCoroutine(_look(client, name, url, wall)) for name, url in urls.items()]
    answers: list[tuple[bool, Look]] = await DeferredList(asked, fireOnOneErrback=True)
    return [look for _, look in answers]


async def _look(client: HraftClient, name: str, url: str, wall: Callable[[], float]) -> Look:
    try:
        status = await client.status(url)
        view = await client.cluster(url)
        metrics, ahead_seconds = await _metrics(client, url, wall)
        name = status["me"]["id"]
    except (ClientError, KeyError, TypeError) as error:
        is_refusal = isinstance(error, LoginNeeded | Forbidden)
        return Look(name, url, " ".join(str(error).split()) or repr(error), is_refusal)
    return Look(name, url, status=status, view=view, metrics=metrics, clock_ahead_seconds=ahead_seconds)


async def _metrics(client: HraftClient, url: str, wall: Callable[[], float]) -> tuple[dict[str, float], float | None]:
    began_at = wall()
    try:
        answer = await client.ask("GET", "/metrics", endpoint=url)
    except ClientError:
        return {}, None
    middle = (began_at + wall()) / 2
    text = answer.body.decode("utf-8", "replace")
    found = {name: float(value) for name, value in _METRIC.findall(text) if name in _WANTED}
    return found, _ahead(answer.headers.get("date", ""), middle)


def _ahead(date: str, middle: float) -> float | None:
    """The header has whole seconds, cut off: on the average it is half a second late."""
    try:
        return parsedate_to_datetime(date).timestamp() + 0.5 - middle
    except (TypeError, ValueError):
        return None
