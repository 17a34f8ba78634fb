"""Who speaks to whom: the first question on every connection, and the reasons to refuse.

Pure: knows neither connections nor boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hraft.errors import BadMessage
from hraft.interfaces import PeerIdentity


class Purpose(Enum):
    """What a connection is for."""

    #: Raft's messages and questions.
    MESSAGES = "messages"
    #: Snapshots, so that heartbeats need not wait behind them.
    BULK = "bulk"
    #: Only to see who answers.
    DIAL_BACK = "dial-back"


@dataclass(frozen=True, slots=True)
class Hello:
    """Said by the node that dialled. `to` is the id that it expects to find, empty when it cannot know."""

    protocol_version: int
    cluster_id: str
    node_id: str
    http_address: str
    to: str
    purpose: str


def hello_of(me: PeerIdentity, to: str, purpose: Purpose) -> Hello:
    return Hello(me.protocol_version, me.cluster_id, me.node_id, me.http_address, to, purpose.value)


def identity_in(hello: Hello) -> PeerIdentity:
    return PeerIdentity(hello.cluster_id, hello.node_id, hello.http_address, hello.protocol_version)


def purpose_of(hello: Hello) -> Purpose:
    try:
        return Purpose(hello.purpose)
    except ValueError:
        known = ", ".join(purpose.value for purpose in Purpose)
        raise BadMessage(f"a connection is for one of {known}, not for {hello.purpose!r:.40}") from None


def objection_to_hello(me: PeerIdentity, hello: Hello) -> str | None:
    """Why the node that was dialled will not talk, in words for both operators; None when it will."""
    objection = _objection(me, identity_in(hello))
    if objection is None and hello.to not in ("", me.node_id):
        return (
            f"node {hello.node_id!r} looked for node {hello.to!r} and found node {me.node_id!r}: "
            f"the address it was given belongs to another node now"
        )
    return objection


def objection_to_answer(me: PeerIdentity, answer: PeerIdentity, expected: str) -> str | None:
    """Why the node that dialled will not talk, after all; `expected` is empty when any node will do."""
    objection = _objection(me, answer)
    if objection is None and expected not in ("", answer.node_id):
        return f"node {answer.node_id!r} answers at the address of node {expected!r}"
    return objection


def _objection(me: PeerIdentity, other: PeerIdentity) -> str | None:
    if other.protocol_version != me.protocol_version:
        return (
            f"node {other.node_id!r} speaks version {other.protocol_version} of the peer protocol, and node {me.node_id!r} "
            f"version {me.protocol_version}: they need releases of hraft that have one in common"
        )
    if other.cluster_id != me.cluster_id:
        return (
            f"node {other.node_id!r} belongs to cluster {other.cluster_id!r}, and node {me.node_id!r} to cluster "
            f"{me.cluster_id!r}: an address or a data directory is the wrong one"
        )
    if other.node_id == me.node_id:
        return f"both ends say that they are node {me.node_id!r}: two nodes have one id, or a node was given its own address"
    if not other.node_id:
        return "a node without an id"
    return None
