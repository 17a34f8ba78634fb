"""Whether a node lives, and whether it is ready to be asked: one check a line, each with its reason, as Kubernetes has them.

A node that is not ready may be so again by itself; one that does not live must be started anew. Looks, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from hraft import limits
from hraft.raft.ready import NodeStatus, Role
from hraft.service.alarms import DISK_FULL, STATE_DIFFERS, Alarms


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `words`: what was found, or why it fails."""

    name: str
    is_ok: bool
    words: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a node at one moment."""

    status: NodeStatus
    #: The leader, if it is known and a member.
    leader_id: str | None
    #: How old what this node serves may be; None: it never had all that was acknowledged.
    age_seconds: float | None
    #: Whether a leader was heard within the election timeout, and how long that is.
    hears_leader: bool
    election_timeout_ticks: int
    alarms: Alarms
    #: Why nothing is taken in, if so.
    closed_reason: str
    has_failed: bool


def liveness(has_failed: bool, closed_reason: str) -> tuple[Check, ...]:
    """It answers, so the process serves; and its disk has not failed."""
    return (Check("ping", True), Check("disk", not has_failed, closed_reason if has_failed else "has not failed"))


def readiness(facts: Facts) -> tuple[Check, ...]:
    """Whether clients should be sent here."""
    return (
        Check("running", not facts.closed_reason, facts.closed_reason),
        _member(facts.status),
        Check("leader", facts.leader_id is not None, facts.leader_id or "none is known"),
        _quorum(facts),
        _applied(facts),
        _disk(facts),
        _state(facts),
    )


def _member(status: NodeStatus) -> Check:
    if not status.configuration.is_member(status.node_id):
        return Check("member", False, "this node is not a member of the cluster, or not yet, or no longer")
    return Check("member", True, "voter" if status.configuration.is_voter(status.node_id) else "learner")


def _quorum(facts: Facts) -> Check:
    """A leader counts whom it has heard; a follower goes by its leader, which steps down when it hears no majority."""
    status = facts.status
    if status.role is not Role.LEADER:
        words = "the leader was heard" if facts.hears_leader else "no leader was heard within the election timeout"
        return Check("quorum", facts.hears_leader, words)
    voters = status.configuration.voters
    heard = [
        node_id
        for node_id in voters
        if node_id == status.node_id
        or (node_id in status.followers and status.followers[node_id].ticks_since_contact < facts.election_timeout_ticks)
    ]
    words = f"{len(heard)} of {len(voters)} voters were heard within the election timeout"
    return Check("quorum", 2 * len(heard) > len(voters), words)


def _applied(facts: Facts) -> Check:
    status = facts.status
    lag_count = status.commit_index - status.applied_index
    if lag_count > limits.READY_LAG_ENTRIES_COUNT:
        return Check("applied", False, f"{lag_count} committed entries wait to be applied")
    if facts.age_seconds is None:
        return Check("applied", False, "it has not caught up with the leader since it was started")
    if facts.age_seconds > limits.READY_AGE_SECONDS:
        return Check("applied", False, f"what it has may be {facts.age_seconds:.0f} s old")
    return Check("applied", True, f"entry {status.applied_index}")


def _disk(facts: Facts) -> Check:
    if facts.has_failed:
        return Check("disk", False, facts.closed_reason)
    full = facts.alarms.get(DISK_FULL)
    # What the system said has paths in it, which are not for everybody.
    return Check("disk", full is None, "writable" if full is None else full.detail.partition(": ")[0])


def _state(facts: Facts) -> Check:
    """Only those in the minority: the others serve what most agree on."""
    differs = facts.alarms.get(STATE_DIFFERS)
    is_suspect = differs is not None and facts.status.node_id in differs.members
    return Check("state", not is_suspect, differs.detail if differs is not None and is_suspect else "as compared")
