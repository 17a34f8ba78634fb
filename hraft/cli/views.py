"""The cluster as the one sees it who knows: its leader. Any other node may have been asked first, even one that was removed."""

from __future__ import annotations

from hraft.addresses import url_of
from hraft.client import ClientError, ClusterView, HraftClient


async def leaders_view(client: HraftClient, endpoints: str) -> ClusterView:
    """The leader's own view; where it does not answer, what some node says. `endpoints`, with commas between, were named.

    Only the leader knows how far each is, and a removed node remembers who was a member. Raises as the client does when nobody
    answers.
    """
    first = await client.cluster()
    if _is_leaders_own(first) or first.leader_id is None:
        return first
    for endpoint in (_leader_url(first), *endpoints.split(",")):
        view = await _asked(client, endpoint)
        if view is not None and not _is_leaders_own(view) and _leader_url(view) not in (None, endpoint):
            view = await _asked(client, _leader_url(view))
        if view is not None and _is_leaders_own(view):
            return view
    return first


def _is_leaders_own(view: ClusterView) -> bool:
    return any(member.is_leader and member.last_contact_seconds is not None for member in view.members)


def _leader_url(view: ClusterView) -> str | None:
    return next((url_of(member.http_address) for member in view.members if member.is_leader and member.http_address), None)


async def _asked(client: HraftClient, url: str | None) -> ClusterView | None:
    try:
        return None if url is None else await client.cluster(url)
    except ClientError:
        return None
