"""What an operator reads: one line per change of role, leader or members, per snapshot, recovery and fault; none per request.

Each line has fields, so that `--log-format json` can be searched. Observes; decides nothing.
"""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure

from hraft.raft.configuration import Configuration
from hraft.raft.entry import Snapshot
from hraft.raft.ready import Role
from hraft.service.chronicle import ALARM, ELECTION, MEMBERS, SNAPSHOT, Chronicle

_log = Logger(namespace="hraft.service")


class Events:
    """The log of one node."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._reign: tuple[Role, int, str | None] | None = None
        self._forgetful_peers: tuple[str, ...] = ()
        #: What a person would want to be shown of it.
        self.chronicle = Chronicle()
        #: In which this node stood, and how often it saw another leader than before.
        self.elections_count = 0
        self.leader_changes_count = 0

    # --- starting and stopping -------------------------------------------------------------------

    def recovered(self, notes: tuple[str, ...], term: int, last_index: int, snapshot_index: int) -> None:
        """What was found on disk, and what had to be repaired."""
        for note in notes:
            _log.warn("{node}: {note}", node=self._node_id, note=note)
        if last_index:
            _log.info(
                "{node}: restarted in term {term} with entries up to {index}, snapshot at {snapshot_index}",
                node=self._node_id,
                term=term,
                index=last_index,
                snapshot_index=snapshot_index,
            )

    def bootstrapped(self, cluster_id: str) -> None:
        _log.info("{node}: first voter of the new cluster {cluster}", node=self._node_id, cluster=cluster_id)

    def stopping(self) -> None:
        _log.info("{node}: stopping", node=self._node_id)

    def not_stopped_well(self, what: str, failure: Failure) -> None:
        _log.warn("{node}: {what} failed while stopping: {reason}", node=self._node_id, what=what, reason=repr(failure.value))

    def removed(self, index: int) -> None:
        _log.error(
            "{node}: was removed from the cluster at index {index}, and serves nobody any more: stop it; to have it join again, "
            "give it an empty data directory and a new id",
            node=self._node_id,
            index=index,
        )

    def halted(self, reason: str) -> None:
        _log.critical("{node}: must stop at once: {reason}", node=self._node_id, reason=reason)

    def broken(self, failure: Failure) -> None:
        _log.failure("{node}: a defect in hraft", failure, node=self._node_id)

    def observer_failed(self, failure: Failure) -> None:
        _log.failure("{node}: a defect in an observer of this node", failure, node=self._node_id)

    # --- Raft ------------------------------------------------------------------------------------

    def reign(self, role: Role, term: int, leader_id: str | None, last_index: int) -> None:
        """Say so if the role or the leader changed."""
        before, self._reign = self._reign, (role, term, leader_id)
        if before == self._reign:
            return
        if role in (Role.CANDIDATE, Role.LEADER) and (before is None or term > before[1]):
            self.elections_count += 1
        if leader_id is not None and (before is None or leader_id != before[2] or term > before[1]):
            self.leader_changes_count += 1
        if before is None or (before[0] is role and before[2] == leader_id):
            return
        self.chronicle.add(ELECTION, _reign_in_words(self._node_id, role, term, leader_id))
        _log.info(
            "{node}: {role} in term {term}, leader {leader}, last entry {index}",
            node=self._node_id,
            role=role.value,
            term=term,
            leader=leader_id or "unknown",
            index=last_index,
        )

    def configuration_committed(self, configuration: Configuration, index: int, term: int) -> None:
        """Who belongs to the cluster now, for good."""
        self.chronicle.add(MEMBERS, _members_in_words(configuration))
        _log.info(
            "{node}: members as of entry {index}: voters {voters}, learners {learners}",
            node=self._node_id,
            index=index,
            term=term,
            voters=dict(configuration.voters),
            learners=dict(configuration.learners),
        )

    def reaped(self, peer: str) -> None:
        _log.warn("{node}: removes {peer}, which was not heard for as long as --reap-after says", node=self._node_id, peer=peer)

    def not_reaped(self, peer: str, reason: str) -> None:
        _log.warn("{node}: cannot remove {peer}, which is silent: {reason}", node=self._node_id, peer=peer, reason=reason)

    def forgetful(self, peers: tuple[str, ...]) -> None:
        """Say so when a follower turns out to have lost what it had acknowledged."""
        before, self._forgetful_peers = self._forgetful_peers, peers
        for peer in peers:
            if peer not in before:
                _log.error(
                    "{node}: {peer} has lost entries that it had acknowledged, so it is neither fed nor counted: "
                    "its disk failed, or its data directory is an old copy; give it an empty directory and a new id",
                    node=self._node_id,
                    peer=peer,
                )

    # --- snapshots -------------------------------------------------------------------------------

    def snapshot_taken(self, snapshot: Snapshot) -> None:
        self._snapshot("{node}: took a snapshot as of entry {index} of term {term}", snapshot)

    def snapshot_installed(self, snapshot: Snapshot) -> None:
        self._snapshot("{node}: went on from a received snapshot as of entry {index} of term {term}", snapshot)

    def snapshot_received(self, snapshot: Snapshot, sender: str) -> None:
        self._snapshot("{node}: received a snapshot as of entry {index} of term {term} from {peer}", snapshot, sender)

    def snapshot_sent(self, snapshot: Snapshot, peer: str) -> None:
        self._snapshot("{node}: sent a snapshot as of entry {index} of term {term} to {peer}", snapshot, peer)

    def snapshot_not_taken(self, reason: str) -> None:
        _log.warn("{node}: could not take a snapshot, will try again: {reason}", node=self._node_id, reason=reason)

    def snapshot_not_received(self, sender: str, reason: str) -> None:
        _log.warn("{node}: gave up a snapshot from {peer}: {reason}", node=self._node_id, peer=sender, reason=reason)

    def snapshot_not_sent(self, peer: str, reason: str) -> None:
        _log.warn("{node}: gave up sending a snapshot to {peer}: {reason}", node=self._node_id, peer=peer, reason=reason)

    def _snapshot(self, text: str, snapshot: Snapshot, peer: str | None = None) -> None:
        words = text.partition(": ")[2].format(index=snapshot.index, term=snapshot.term, peer=peer)
        self.chronicle.add(SNAPSHOT, words)
        _log.info(text, node=self._node_id, index=snapshot.index, term=snapshot.term, peer=peer)

    # --- the disk --------------------------------------------------------------------------------

    def disk_is_full(self, reason: str) -> None:
        _log.error("{node}: the disk is full, nothing is acknowledged until there is room: {why}", node=self._node_id, why=reason)

    def disk_has_room(self) -> None:
        _log.info("{node}: there is room on the disk again", node=self._node_id)

    # --- alarms ----------------------------------------------------------------------------------

    def alarmed(self, kind: str, members: tuple[str, ...], detail: str, advice: str) -> None:
        """What an operator must look at."""
        self.chronicle.add(ALARM, f"{kind}: {detail}")
        _log.critical(
            "{node}: alarm {alarm}: {detail}; {advice} (docs/operating.md#{alarm})",
            node=self._node_id,
            alarm=kind,
            members=list(members),
            detail=detail,
            advice=advice,
        )

    def alarm_over(self, kind: str) -> None:
        self.chronicle.add(ALARM, f"{kind} is over")
        _log.info("{node}: alarm {alarm} is over", node=self._node_id, alarm=kind)


def _reign_in_words(node_id: str, role: Role, term: int, leader_id: str | None) -> str:
    if role is Role.LEADER:
        return f"{node_id} (this node) leads in term {term}"
    if leader_id is not None:
        return f"{leader_id} leads in term {term}"
    if role is Role.FOLLOWER:
        return f"no leader is known in term {term}"
    return f"no leader is heard: {node_id} (this node) is a {role.value} in term {term}"


def _members_in_words(configuration: Configuration) -> str:
    learners = f"; learners {', '.join(configuration.learners)}" if configuration.learners else ""
    return f"the voters are {', '.join(configuration.voters)}{learners}"
