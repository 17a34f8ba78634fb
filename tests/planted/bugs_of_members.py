"""Changes of members, disks that were lost, and reads, as the core sees them. Data only, see `planted_bug`."""

from planted_bug import bug

_QUICK = "only how soon: the cluster comes to the same, later"

LOST_DISKS = (
    bug("D15a", "a leader whose disk stalls goes on leading", "raft/reign", "state.is_disk_stalled or not", "not", unseen=_QUICK),
    bug(
        "D15b",
        "a node whose disk stalls campaigns",
        "raft/election",
        "state.may_be_needed and not state.is_disk_stalled and",
        "state.may_be_needed and",
        unseen=_QUICK,
    ),
    bug(
        "D19a",
        "an empty log grants votes",
        "raft/election",
        "    return state.log.last.index > 0 and candidate_last",
        "    return candidate_last",
    ),
    bug(
        "D19b",
        "a voter that lost its disk is fed again",
        "raft/replication",
        "    progress.is_wiped = has_lost and (progress.is_wiped or is_timely)\n",
        "    progress.is_wiped = False\n",
    ),
    bug(
        "D19c",
        "a voter that lost its disk is heard all the same",
        "raft/progress",
        "self._settings.election_timeout_ticks and not self.is_wiped\n",
        "self._settings.election_timeout_ticks\n",
    ),
    bug(
        "D19e",
        "a voter that lost its disk takes in what comes",
        "raft/following",
        "    is_wiped = state.log.last_index == 0 and configuration.is_voter(state.node_id)\n",
        "    is_wiped = False\n",
    ),
    bug(
        "D19f",
        "a voter that lost its disk is handed the leadership",
        "raft/transfer",
        "    if progress.match_index == state.log.last_index and not progress.is_wiped:\n",
        "    if progress.match_index == state.log.last_index:\n",
    ),
    bug(
        "D20",
        "a follower that lost part of what it had acknowledged is not noticed",
        "raft/replication",
        "    has_lost = response.last_log_index < max(progress.match_index, int(state.configuration.is_voter(peer)))\n",
        "    has_lost = response.last_log_index < max(progress.match_index > 0, state.configuration.is_voter(peer))\n",
        unseen="a simulated disk loses all that was synced, or nothing of it",
    ),
    bug(
        "D19d",
        "a late answer of an empty log condemns a follower for ever",
        "raft/replication",
        "    progress.is_wiped = has_lost and (progress.is_wiped or is_timely)\n",
        "    progress.is_wiped = progress.is_wiped or (has_lost and is_timely)\n",
    ),
)

MEMBERSHIP = (
    bug("M1", "two changes at a time", "raft/membership", "    if not state.is_configuration_committed:\n", "    if False:\n"),
    bug(
        "M2",
        "changes before an entry of the own term is committed",
        "raft/membership",
        "    if state.commit_index < leading.noop_index:\n",
        "    if False:\n",
    ),
    bug(
        "M3a",
        "a configuration that was truncated stays in force",
        "raft/following",
        "            state.configurations.truncated(entry.index)\n",
        "",
    ),
    bug(
        "M3b",
        "a configuration is in force only for whoever proposed it",
        "raft/following",
        "            state.append(new)\n",
        "            state.log.append(new)\n",
    ),
    bug(
        "M4",
        "the snapshot's configuration is forgotten",
        "raft/configuration_history",
        "        self._history = [(snapshot.index, snapshot.configuration), *later]\n",
        "        self._history = later or [(snapshot.index, snapshot.configuration)]\n",
    ),
    bug(
        "M7a",
        "a learner is promoted before it caught up",
        "raft/membership",
        "rounds is not None and rounds.is_done and rounds.ticks",
        "rounds is not None and rounds.ticks",
        unseen=_QUICK,
    ),
    bug(
        "M7b",
        "a learner that fell behind is promoted for what it once was",
        "raft/membership",
        " and rounds.ticks <= state.settings.election_timeout_ticks\n",
        "\n",
        unseen=_QUICK,
    ),
    bug(
        "M9",
        "a removal may cost the quorum",
        "raft/membership",
        "    if not quorum.is_majority(heard, changed.voters):\n",
        "    if False:\n",
        unseen="it may cost the quorum, and with it time, but no promise",
    ),
    bug(
        "M10a",
        "a removed leader goes before its removal is committed",
        "raft/leadership",
        "    if state.is_configuration_committed and not state",
        "    if not state",
    ),
    bug(
        "M10b",
        "a removed leader stays",
        "raft/leadership",
        "    if state.is_configuration_committed and not state.configuration.is_voter(state.node_id):\n",
        "    if False:\n",
    ),
    bug(
        "M13",
        "the id of a removed member is used again",
        "raft/configuration",
        "        if node_id in self.removed:\n",
        "        if False:\n",
        unseen="no simulated node comes back under the id of one that was removed",
    ),
    bug(
        "M19a",
        "learners count for commit",
        "raft/replication",
        "        for voter in state.configuration.voters\n",
        "        for voter in state.configuration.members\n",
    ),
    bug(
        "M19b",
        "learners count for reads and check quorum",
        "raft/quorum",
        "sum(voter in agreeing for voter in voters)",
        "len(agreeing)",
    ),
)

READS = (
    bug(
        "R1",
        "reads before an entry of the own term is committed",
        "raft/replication",
        " or state.commit_index < leading.noop_index:",
        ":",
    ),
    bug(
        "R2",
        "a read joins a round that began before it",
        "raft/reads",
        "        self._waiting.append(read_id)\n",
        "        (self._confirming or self._waiting).append(read_id)\n",
    ),
    bug(
        "R3a",
        "an answer to an earlier round confirms the present one",
        "raft/reads",
        "if read_round >= self._confirming_round}",
        "if read_round > 0}",
    ),
    bug("R3b", "rounds share one number", "raft/reads", "        self.round += 1\n", "        self.round = 1\n"),
    bug(
        "R5a",
        "reads wait on when the leader steps down",
        "raft/state",
        "            self.read_answers.extend(self.leading.reads.failed())\n",
        "            pass\n",
    ),
    bug(
        "R5b",
        "reads are confirmed when the leader steps down",
        "raft/reads",
        "ReadReady(read_id, None) for",
        "ReadReady(read_id, self._read_index) for",
    ),
)
