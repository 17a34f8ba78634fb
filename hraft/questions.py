"""What a node asks its leader, or a leader its members, and what it is answered: frozen data, which travels between peers.

Knows neither how it is asked nor what becomes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class ForwardProposal:
    """Ask the leader to propose a command. Answer: ForwardedResult."""

    command: bytes


@dataclass(frozen=True, slots=True)
class ForwardReadIndex:
    """Ask the leader for a read index. Answer: int."""


@dataclass(frozen=True, slots=True)
class ForwardJoin:
    """Ask the leader to take a node in. Answer: JoinOutcome. `empty_log`: the joiner has no entry at all;
    None: unknown, since the request came from a plain hraftd client. `learner`: it stays one until it is promoted by hand."""

    node_id: str
    address: str
    empty_log: bool | None = None
    learner: bool | None = None


class Change(Enum):
    """What can be done to a member."""

    REMOVE = "remove"
    PROMOTE = "promote"
    #: Let it lead; without an id, whoever is best.
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class ForwardChange:
    """Ask the leader to change something about a member; `change` is a value of Change. Answer: ChangeOutcome."""

    change: str
    node_id: str


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """It is done, by the entry at `index` (0 where there is none). `node_id` is of whom: after a transfer, who leads."""

    index: int
    node_id: str


@dataclass(frozen=True, slots=True)
class ForwardQuestion:
    """Ask the leader's application something, in its own words. Answer: bytes."""

    question: bytes


@dataclass(frozen=True, slots=True)
class CompareState:
    """(by a leader, to any member) Ask for the hash of the state after the entry at `index`; or without an index (0), tell of an
    alarm, as JSON, or that there is none. Answer: StateHash."""

    index: int
    verdict: bytes


@dataclass(frozen=True, slots=True)
class StateHash:
    """`status`: done; pending (ask again); passed (this node is past that entry); never (its state cannot be compared)."""

    status: str
    release: str
    digest: str


@dataclass(frozen=True, slots=True)
class ShareView:
    """Tell the leader what is the matter with this node's disk (empty: nothing), and ask what it knows. Answer: ClusterView."""

    full_disk: str


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What a leader knows of all members, as JSON (`hraft.service.shared_view`)."""

    document: bytes


Request = ForwardProposal | ForwardReadIndex | ForwardJoin | ForwardChange | ForwardQuestion | CompareState | ShareView


@dataclass(frozen=True, slots=True)
class JoinOutcome:
    """`role` is "voter", or "learner" while it is still catching up, and where it is to stay one."""

    role: str


@dataclass(frozen=True, slots=True)
class ForwardedResult:
    """What the state machine answered (JSON text), and the index it was applied at."""

    index: int
    result: bytes
