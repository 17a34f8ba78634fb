"""What is wrong with a running cluster, by what its nodes say of themselves and of each other. Pure: looks in, findings out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from hraft.addresses import Address, is_loopback, parse_address
from hraft.client import ClusterView
from hraft.doctor.findings import Finding, Level
from hraft.doctor.looks import Look
from hraft.errors import BadAddress
from hraft.limits import READY_LAG_ENTRIES_COUNT

#: What a follower serves is old when it has not heard its leader for so long.
AGE_MS: Final = 5_000
#: A voter that its leader has not heard for so long is not there.
SILENT_SECONDS: Final = 1.0


def findings_of_cluster(looks: Sequence[Look]) -> list[Finding]:
    """Everything that was looked at, in an order that leads from causes to consequences."""
    # What one that was removed remembers is of then, and would have somebody look for a quorum that is not lost.
    there = [look for look in looks if look.status and look.removed_index is None]
    findings = list(_reached(looks))
    if there:
        view = _best_view(there)
        for part in (_identity, _leader, _progress, _alarms, _versions):
            findings += part(there)
        findings += [*_quorum(there, view), *_members(view)]
    return findings


def _best_view(there: Sequence[Look]) -> ClusterView:
    """The leader's own where it was reached: it alone knows how far everybody is."""
    views = [look.view for look in sorted(there, key=lambda look: look.status["role"] != "leader") if look.view is not None]
    return views[0]


def _reached(looks: Sequence[Look]) -> Iterator[Finding]:
    for look in looks:
        if look.is_refusal:
            advice = "say who you are with --user, --password-file or --token-file"
            yield Finding(Level.PROBLEM, "reachable", look.name, f"it answers, and refuses: {look.error}", advice)
        elif look.error:
            advice = "see in its log whether it runs, start it with its own command line, and see that nothing blocks its ports"
            yield Finding(Level.PROBLEM, "reachable", look.name, look.error, advice)
        elif look.removed_index is not None:
            advice = "stop it, and name a member of the cluster: docs/operating.md#members"
            seen = f"it was removed from the cluster at index {look.removed_index}"
            yield Finding(Level.PROBLEM, "member", look.name, seen, advice)
        else:
            yield Finding(Level.OK, "reachable", look.name, f"it answers at {look.url}")


def _identity(there: Sequence[Look]) -> Iterator[Finding]:
    clusters = sorted({look.status["cluster_id"] for look in there})
    if len(clusters) > 1:
        seen = f"the nodes belong to {len(clusters)} clusters: {', '.join(clusters)}"
        yield Finding(Level.PROBLEM, "cluster", "all", seen, "name the endpoints of one cluster; see how each node was started")


def _leader(there: Sequence[Look]) -> Iterator[Finding]:
    leaders = sorted({look.status["leader"]["id"] or "nobody" for look in there})
    terms = sorted({look.status["term"] for look in there})
    if leaders == ["nobody"]:
        advice = "start more voters: a majority must reach each other; if it is lost for good, docs/operating.md#quorum-lost"
        yield Finding(Level.PROBLEM, "leader", "all", "no node knows a leader", advice)
    elif len(leaders) > 1:
        told = "; ".join(f"{look.name} says {look.status['leader']['id'] or 'nobody'}" for look in there)
        advice = "look again in a few seconds: during an election this is so; if it lasts, some nodes cannot reach the others"
        yield Finding(Level.PROBLEM, "leader", "all", told, advice)
    else:
        yield Finding(Level.OK, "leader", leaders[0], f"it leads in term {terms[-1]}, as all say that answer")
    if len(terms) > 1:
        told = ", ".join(f"{look.name} {look.status['term']}" for look in there)
        yield Finding(Level.WARNING, "term", "all", f"terms differ: {told}", "look again; if it lasts, a node is cut off")


def _progress(there: Sequence[Look]) -> Iterator[Finding]:
    furthest_index = max(look.status["commit_index"] for look in there)
    for look in there:
        status = look.status
        behind_count, unapplied_count = furthest_index - status["commit_index"], status["commit_index"] - status["applied_index"]
        if max(behind_count, unapplied_count) > READY_LAG_ENTRIES_COUNT:
            seen = f"{behind_count} entries behind what is committed, and {unapplied_count} more are not applied"
            advice = "it catches up by itself if its disk and network are fast enough: look at docs/operating.md#hraftmemberlags"
            yield Finding(Level.WARNING, "lag", look.name, seen, advice)
        elif status["age_ms"] is None or status["age_ms"] > AGE_MS:
            age = "of unknown age" if status["age_ms"] is None else f"{status['age_ms'] / 1000:.0f} s old"
            advice = "it hears no leader: see that it reaches the other members' raft addresses, and they reach its own"
            yield Finding(Level.WARNING, "age", look.name, f"what it has is {age}", advice)
        else:
            yield Finding(Level.OK, "progress", look.name, f"committed up to {status['commit_index']}, applied, up to date")


def _quorum(there: Sequence[Look], view: ClusterView) -> Iterator[Finding]:
    voters = [member for member in view.members if member.is_voter]
    needed_count = len(voters) // 2 + 1
    names = {look.name for look in there}
    heard = [
        member
        for member in voters
        if member.node_id in names or (member.last_contact_seconds is not None and member.last_contact_seconds < SILENT_SECONDS)
    ]
    seen = f"{len(voters)} voters, {len(heard)} of them there, {needed_count} needed"
    spare_count = len(heard) - needed_count
    if spare_count < 0:
        advice = "start the others again; if they are lost for good, docs/operating.md#quorum-lost"
        yield Finding(Level.PROBLEM, "quorum", "all", seen, advice)
    elif len(voters) == 1:
        yield Finding(Level.WARNING, "quorum", "all", "one voter: when it is lost, so is everything", "add two more members")
    elif spare_count == 0:
        advice = "bring the missing voters back, or replace them: docs/operating.md#replacing-nodes"
        advice = advice if len(heard) < len(voters) else "add a member: two voters survive nothing that one does not"
        yield Finding(Level.WARNING, "quorum", "all", f"{seen}: the next that fails stops all writes", advice)
    else:
        yield Finding(Level.OK, "quorum", "all", f"{seen}: {spare_count} may still fail")
    if len(voters) > 2 and len(voters) % 2 == 0:
        advice = "add one, or remove one: an even number survives no more failures than one voter less"
        yield Finding(Level.WARNING, "voters", "all", f"an even number of voters, {len(voters)}", advice)


def _members(view: ClusterView) -> Iterator[Finding]:
    hosts = {member.node_id: _is_loopback(member.raft_address) for member in view.members}
    if any(hosts.values()) and not all(hosts.values()):
        for member in view.members:
            if hosts[member.node_id]:
                seen = f"its raft address is {member.raft_address}, which on another machine means that machine"
                advice = "start it with --raddr-adv and --haddr-adv that the others can dial"
                yield Finding(Level.PROBLEM, "address", member.node_id, seen, advice)
    elif len(view.members) > 1 and all(hosts.values()):
        advice = "fine for a trial; members on machines of their own survive the loss of one"
        yield Finding(Level.WARNING, "address", "all", "all members are on this one machine", advice)


def _alarms(there: Sequence[Look]) -> Iterator[Finding]:
    told: dict[tuple[str, str], Any] = {}
    for look in there:
        for alarm in look.status.get("alarms") or ():
            told.setdefault((alarm["kind"], ", ".join(alarm["members"])), alarm)
    for (kind, members), alarm in told.items():
        advice = f"{alarm['advice']} (docs/operating.md#{kind})"
        yield Finding(Level.PROBLEM, "alarm", members, f"{kind}: {alarm['detail']}", advice)


def _versions(there: Sequence[Look]) -> Iterator[Finding]:
    versions = sorted({look.status["version"] for look in there})
    if len(versions) > 1:
        told = ", ".join(f"{look.name} {look.status['version']}" for look in there)
        advice = "finish the upgrade: docs/operating.md#upgrading"
        yield Finding(Level.WARNING, "version", "all", f"versions differ: {told}", advice)
    else:
        yield Finding(Level.OK, "version", "all", f"hraft {versions[0]}")


def _is_loopback(text: str) -> bool:
    try:
        address: Address = parse_address(text)
    except BadAddress:
        return False
    return is_loopback(address)
