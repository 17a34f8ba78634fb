"""Bugs to be planted: each takes one rule out of `hraft/raft`. Tests that do not find them prove nothing.

Data only; `plant.py` plants them. Each row: the rule (docs/scenarios.md, and a letter where there are several), the module, the
text to be replaced, which stands there exactly once, and what takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """One rule taken out."""

    rule: str
    what: str
    #: File, old text, new text.
    edits: tuple[tuple[str, str, str], ...]


def _bug(rule: str, what: str, module: str, *texts: str) -> PlantedBug:
    """Old and new texts in turn, all in one module of the core."""
    return PlantedBug(rule, what, tuple((f"hraft/raft/{module}.py", *pair) for pair in zip(texts[::2], texts[1::2], strict=True)))


ELECTION = (
    _bug(
        "E1a",
        "a vote leaves before it is on disk",
        "election",
        "state.vouch(candidate, RequestVoteResponse(",
        "state.outbox.send(candidate, RequestVoteResponse(",
    ),
    _bug(
        "E1b",
        "RequestVote leaves before the term is on disk",
        "election",
        "state.vouch(voter, RequestVote(",
        "state.outbox.send(voter, RequestVote(",
    ),
    _bug(
        "E3",
        "a candidate counts its own vote before it is on disk",
        "election",
        "    state.campaign = Campaign(term=state.term, is_transfer=is_transfer)\n    _ask_for_votes(state, state.campaign)\n",
        "    state.campaign = Campaign(term=state.term, votes={state.node_id: True}, is_transfer=is_transfer)\n"
        "    _ask_for_votes(state, state.campaign)\n"
        "    _count(state, state.campaign)\n",
    ),
    _bug(
        "E3+E1b",
        "nothing of a candidacy waits for the disk",
        "election",
        "Campaign(term=state.term, is_transfer=is_transfer)",
        "Campaign(term=state.term, votes={state.node_id: True}, is_transfer=is_transfer)",
        "state.vouch(voter, RequestVote(",
        "state.outbox.send(voter, RequestVote(",
    ),
    _bug(
        "E4",
        "votes of an earlier term are counted",
        "node",
        "        elif isinstance(message, RequestVote):\n",
        "        elif isinstance(message, RequestVoteResponse):\n"
        "            election.on_request_vote_response(self.state, sender, message)\n"
        "        elif isinstance(message, RequestVote):\n",
    ),
    _bug(
        "E5",
        "whoever answers yes counts, voter or not",
        "quorum",
        "granted = sum(votes.get(voter) is True for voter in voters)",
        "granted = sum(votes.values())",
    ),
    _bug(
        "E6",
        "a candidate claims what is not yet on its disk",
        "election",
        "    index = state.saving.persisted_index\n",
        "    index = state.log.last_index\n",
    ),
    _bug(
        "E7a",
        "any log is up to date",
        "election",
        "return state.log.last.index > 0 and candidate_last >= state.log.last",
        "return state.log.last.index > 0",
    ),
    _bug(
        "E7b",
        "the longer log counts before the later term",
        "election",
        "candidate_last >= state.log.last\n",
        "(candidate_last.index, candidate_last.term) >= (state.log.last.index, state.log.last.term)\n",
    ),
    _bug(
        "E8",
        "stepping down in the same term forgets the vote",
        "state",
        "        if term > self.term:\n",
        "        if term >= self.term:\n",
    ),
    _bug(
        "E11a",
        "being asked for a pre-vote raises the term",
        "election",
        '    """Would we vote for it? Nothing changes here, whatever its term is (E11)."""\n',
        "    if request.term > state.term:\n        state.become_follower(request.term, None)\n",
    ),
    _bug(
        "E11b",
        "a pre-vote takes the vote back",
        "election",
        '    """Would we vote for it? Nothing changes here, whatever its term is (E11)."""\n',
        "    state.hard_state = HardState(state.term)\n",
    ),
    _bug(
        "E12",
        "a pre-vote counts as a vote",
        "election",
        "    if asking is None or state.role is not Role.PRE_CANDIDATE:\n",
        "    if asking is None:\n",
    ),
    _bug(
        "E13",
        "a granted pre-vote carries the voter's own term",
        "election",
        "PreVoteResponse(request.term if is_granted else state.term, is_granted)",
        "PreVoteResponse(state.term, is_granted)",
    ),
    _bug(
        "E14",
        "pre-votes are granted while a leader is heard",
        "election",
        "        and not state.hears_leader\n",
        "",
    ),
    _bug(
        "E15a",
        "a leader of an earlier term is not told",
        "node",
        "            following.refuse_stale(self.state, sender, message)\n",
        "            return\n",
    ),
    _bug(
        "E15b",
        "a refused pre-vote teaches no term",
        "election",
        "    if not response.vote_granted and response.term > state.term:\n",
        "    if False:\n",
    ),
    _bug("E16", "a leader that hears nobody goes on", "reign", " or not _hears_majority(state, leading)", ""),
    _bug("E17", "votes are given while a leader is heard", "node", " and state.hears_leader:", " and False:"),
    _bug(
        "E18",
        "election timeouts are not drawn anew",
        "state",
        "self.choose(timeout + 1, 2 * timeout)",
        "timeout + 1",
    ),
    _bug(
        "E21a",
        "whoever is removed never campaigns, though its removal may be known to it alone",
        "state",
        "        return not self.is_configuration_committed and self.configurations.previous.is_voter(self.node_id)\n",
        "        return False\n",
    ),
    _bug(
        "E21b",
        "whoever is no voter campaigns all the same",
        "election",
        "    return state.may_be_needed and not",
        "    return not",
    ),
)

LOG = (
    _bug(
        "L1",
        "entries of earlier terms are committed by counting",
        "replication",
        " or state.log.term_at(index) != state.term:",
        ":",
    ),
    _bug(
        "L2",
        "an entry of an earlier term blocks those behind it",
        "replication",
        "state.log.term_at(index) != state.term:",
        "state.log.term_at(state.commit_index + 1) != state.term:",
    ),
    _bug("L3", "a new leader appends no no-op", "leadership", "    append(state, leading, EntryKind.NOOP)\n", ""),
    _bug(
        "L4",
        "a leader counts itself before its own disk has the entry",
        "replication",
        "        state.saving.persisted_index if voter == state.node_id",
        "        state.log.last_index if voter == state.node_id",
    ),
    _bug(
        "L6a",
        "entries are acknowledged before they are on disk",
        "following",
        "        state.vouch(leader, _response(state, request, success=True, match_index=last_sent_index))\n",
        "        state.outbox.send(leader, _response(state, request, success=True, match_index=last_sent_index))\n",
    ),
    _bug(
        "L6b",
        "a heartbeat is answered for what is not on disk",
        "following",
        "match_index = min(last_sent_index, state.saving.persisted_index)",
        "match_index = last_sent_index",
    ),
    _bug(
        "L6c",
        "messages held back leave with any save",
        "outbox",
        "while self._held and self._held[0][0] <= number:",
        "while self._held:",
    ),
    _bug(
        "L6d",
        "what waits for the next save leaves with the one on its way",
        "saving",
        "            return self._number + 1\n",
        "            return self._number\n",
    ),
    _bug(
        "L7a",
        "a follower commits past what it was sent",
        "following",
        "state.commit_up_to(min(request.leader_commit, last_sent_index))",
        "state.commit_up_to(min(request.leader_commit, state.log.last_index))",
    ),
    _bug(
        "L7b",
        "the commit index may fall",
        "state",
        "        if index <= self.commit_index:\n",
        "        if index == self.commit_index:\n",
    ),
    _bug(
        "L8",
        "the match index may fall",
        "progress",
        "        if is_news:\n            self.match_index = match_index\n",
        "        self.match_index = match_index\n",
    ),
    _bug(
        "L9",
        "a late, shorter AppendEntries cuts the log",
        "following",
        "            if log.term_at(entry.index) == entry.term:\n",
        "            if log.term_at(entry.index) == entry.term and entry.index <= state.commit_index:\n",
    ),
    _bug(
        "L10",
        "committed entries can be replaced",
        "following",
        '            demand(entry.index > state.commit_index, f"entry {entry.index} would replace a committed one")\n',
        "",
    ),
    _bug(
        "L11",
        "what lies below the snapshot is a conflict",
        "following",
        "    if prev.index >= state.log.base.index and not state.log.holds(prev):\n",
        "    if not state.log.holds(prev):\n",
    ),
    _bug(
        "L12",
        "entries that the snapshot covers are appended again",
        "following",
        "[entry for entry in request.entries if entry.index > base.index]",
        "list(request.entries)",
    ),
    _bug(
        "L13a",
        "a refusal leads back one entry at a time",
        "following",
        "        conflict_index = state.log.first_index_of_term_at(request.prev_log_index)\n",
        "        conflict_index = request.prev_log_index\n",
    ),
    _bug(
        "L13b",
        "the leader does not look for the conflicting term in its own log",
        "replication",
        "        if ours is not None:\n",
        "        if False:\n",
    ),
    _bug(
        "L14a",
        "a stale refusal rewinds a healthy follower",
        "progress",
        "        if self.state is ProgressState.SNAPSHOT or prev_log_index <= self.match_index:\n",
        "        if self.state is ProgressState.SNAPSHOT:\n",
    ),
    _bug(
        "L14b",
        "a refusal of an earlier probe counts for the present one",
        "progress",
        "        if self.state is ProgressState.PROBE and prev_log_index != self.next_index - 1:\n            return False\n",
        "",
    ),
    _bug(
        "L15a",
        "entries need not be contiguous",
        "following",
        '        demand(entry.index == previous.index + 1, f"entry {entry.index} follows {previous.index}")\n',
        "",
    ),
    _bug(
        "L15b",
        "the size limit is not kept",
        "log",
        "            if room < 0 and count > 0:\n",
        "            if False:\n",
    ),
    _bug(
        "L17a",
        "the window has no end",
        "progress",
        "        return self.is_waiting or is_full\n",
        "        return self.is_waiting\n",
    ),
    _bug(
        "L17b",
        "a lost probe is never sent again",
        "replication",
        "        progress.is_probe_sent = False\n",
        "",
    ),
    _bug(
        "L17c",
        "a full window hides that the next entry is compacted away",
        "replication",
        "    if progress.next_index <= state.log.base.index:\n",
        "    if progress.next_index <= state.log.base.index and not progress.is_paused:\n",
    ),
    _bug(
        "L18",
        "the uncommitted tail grows for ever",
        "leadership",
        "    if uncommitted_count >= settings.uncommitted_entries_count or leading",
        "    if leading",
    ),
    _bug(
        "L22a",
        "a save vouches for entries that were replaced meanwhile (ABA)",
        "saving",
        "        self._sound_index = min(self._sound_index, index - 1)\n",
        "",
    ),
    _bug(
        "L22b",
        "entries that were replaced still count as persisted",
        "saving",
        "        self.persisted_index = min(self.persisted_index, index - 1)\n",
        "",
    ),
    _bug("L23", "any save may be said to be done", "saving", " or save.number != number:", ":"),
)

DISK = (
    _bug(
        "D15a",
        "a leader whose disk stalls goes on leading",
        "reign",
        "state.is_disk_stalled or not",
        "not",
    ),
    _bug(
        "D15b",
        "a node whose disk stalls campaigns",
        "election",
        "state.may_be_needed and not state.is_disk_stalled and",
        "state.may_be_needed and",
    ),
    _bug(
        "D19a",
        "an empty log grants votes",
        "election",
        "    return state.log.last.index > 0 and candidate_last",
        "    return candidate_last",
    ),
    _bug(
        "D19b",
        "a voter that lost its disk is fed again",
        "replication",
        "    progress.is_wiped = has_lost and (progress.is_wiped or is_timely)\n",
        "    progress.is_wiped = False\n",
    ),
    _bug(
        "D19c",
        "a voter that lost its disk is heard all the same",
        "progress",
        "self._settings.election_timeout_ticks and not self.is_wiped\n",
        "self._settings.election_timeout_ticks\n",
    ),
    _bug(
        "D19e",
        "a voter that lost its disk takes in what comes",
        "following",
        "    is_wiped = state.log.last_index == 0 and configuration.is_voter(state.node_id)\n",
        "    is_wiped = False\n",
    ),
    _bug(
        "D19f",
        "a voter that lost its disk is handed the leadership",
        "transfer",
        "    if progress.match_index == state.log.last_index and not progress.is_wiped:\n",
        "    if progress.match_index == state.log.last_index:\n",
    ),
    _bug(
        "D20",
        "a follower that lost part of what it had acknowledged is not noticed",
        "replication",
        "    has_lost = response.last_log_index < max(progress.match_index, int(state.configuration.is_voter(peer)))\n",
        "    has_lost = response.last_log_index < max(progress.match_index > 0, state.configuration.is_voter(peer))\n",
    ),
    _bug(
        "D19d",
        "a late answer of an empty log condemns a follower for ever",
        "replication",
        "    progress.is_wiped = has_lost and (progress.is_wiped or is_timely)\n",
        "    progress.is_wiped = progress.is_wiped or (has_lost and is_timely)\n",
    ),
)

MEMBERSHIP = (
    _bug(
        "M1",
        "two changes at a time",
        "membership",
        "    if not state.is_configuration_committed:\n",
        "    if False:\n",
    ),
    _bug(
        "M2",
        "changes before an entry of the own term is committed",
        "membership",
        "    if state.commit_index < leading.noop_index:\n",
        "    if False:\n",
    ),
    _bug(
        "M3a",
        "a configuration that was truncated stays in force",
        "following",
        "            state.configurations.truncated(entry.index)\n",
        "",
    ),
    _bug(
        "M3b",
        "a configuration is in force only for whoever proposed it",
        "following",
        "            state.append(new)\n",
        "            state.log.append(new)\n",
    ),
    _bug(
        "M4",
        "the snapshot's configuration is forgotten",
        "configuration_history",
        "        self._history = [(snapshot.index, snapshot.configuration), *later]\n",
        "        self._history = later or [(snapshot.index, snapshot.configuration)]\n",
    ),
    _bug(
        "M7a",
        "a learner is promoted before it caught up",
        "membership",
        "rounds is not None and rounds.is_done and rounds.ticks",
        "rounds is not None and rounds.ticks",
    ),
    _bug(
        "M7b",
        "a learner that fell behind is promoted for what it once was",
        "membership",
        " and rounds.ticks <= state.settings.election_timeout_ticks\n",
        "\n",
    ),
    _bug(
        "M9",
        "a removal may cost the quorum",
        "membership",
        "    if not quorum.is_majority(heard, changed.voters):\n",
        "    if False:\n",
    ),
    _bug(
        "M10a",
        "a removed leader goes before its removal is committed",
        "leadership",
        "    if state.is_configuration_committed and not state",
        "    if not state",
    ),
    _bug(
        "M10b",
        "a removed leader stays",
        "leadership",
        "    if state.is_configuration_committed and not state.configuration.is_voter(state.node_id):\n",
        "    if False:\n",
    ),
    _bug(
        "M13",
        "the id of a removed member is used again",
        "configuration",
        "        if node_id in self.removed:\n",
        "        if False:\n",
    ),
    _bug(
        "M19a",
        "learners count for commit",
        "replication",
        "        for voter in state.configuration.voters\n",
        "        for voter in state.configuration.members\n",
    ),
    _bug(
        "M19b",
        "learners count for reads and check quorum",
        "quorum",
        "sum(voter in agreeing for voter in voters)",
        "len(agreeing)",
    ),
)

READS = (
    _bug(
        "R1",
        "reads before an entry of the own term is committed",
        "replication",
        " or state.commit_index < leading.noop_index:",
        ":",
    ),
    _bug(
        "R2",
        "a read joins a round that began before it",
        "reads",
        "        self._waiting.append(read_id)\n",
        "        (self._confirming or self._waiting).append(read_id)\n",
    ),
    _bug(
        "R3a",
        "an answer to an earlier round confirms the present one",
        "reads",
        "if read_round >= self.round}",
        "if read_round > 0}",
    ),
    _bug("R3b", "rounds share one number", "reads", "        self.round += 1\n", "        self.round = 1\n"),
    _bug(
        "R5a",
        "reads wait on when the leader steps down",
        "state",
        "            self.read_answers.extend(self.leading.reads.failed())\n",
        "            pass\n",
    ),
    _bug(
        "R5b",
        "reads are confirmed when the leader steps down",
        "reads",
        "ReadReady(read_id, None) for",
        "ReadReady(read_id, self._read_index) for",
    ),
)

SNAPSHOTS = (
    _bug(
        "S2",
        "entries that are not on disk are compacted away",
        "node",
        "state.log.compact(min(first_index, snapshot.index + 1, state.saving.persisted_index + 1))",
        "state.log.compact(min(first_index, snapshot.index + 1))",
    ),
    _bug(
        "S4a",
        "the suffix stays whatever the snapshot's term is",
        "following",
        "    is_continued = state.log.holds(snapshot.id)\n",
        "    is_continued = state.log.base.index <= snapshot.index <= state.log.last_index\n",
    ),
    _bug(
        "S4b",
        "the disk is told to keep what it does not have",
        "following",
        " and state.saving.handed_index >= snapshot.index\n",
        "\n",
    ),
    _bug(
        "S4c",
        "the suffix always goes",
        "following",
        "    is_continued = state.log.holds(snapshot.id)\n",
        "    is_continued = False\n",
    ),
    _bug(
        "S5",
        "a snapshot is acknowledged before it is on disk",
        "following",
        "    state.vouch(leader, InstallSnapshotResponse(state.term, snapshot.index))\n",
        "    state.outbox.send(leader, InstallSnapshotResponse(state.term, snapshot.index))\n",
    ),
    _bug(
        "S6",
        "the last compacted entry is sent as an empty AppendEntries",
        "replication",
        "    if progress.next_index <= state.log.base.index:\n",
        "    if progress.next_index < state.log.base.index:\n",
    ),
    _bug(
        "S8a",
        "an old snapshot takes the place of a newer log",
        "following",
        "    if snapshot.index <= state.commit_index:\n",
        "    if False:\n",
    ),
    _bug(
        "S8b",
        "a snapshot lost without a word is never sent again",
        "progress",
        "        if self.snapshot_ticks >= self._settings.election_timeout_ticks:\n            self.snapshot_failed()\n",
        "",
    ),
    _bug(
        "S13",
        "a second snapshot is taken in while the first is on its way to the disk",
        "following",
        "    if state.saving.installs:\n        return  # One at a time; the leader asks again (S13).\n",
        "",
    ),
    _bug(
        "S15",
        "an own snapshot takes the place of a newer one",
        "node",
        "        if snapshot.index <= state.snapshot_index:\n            return\n",
        "",
    ),
    _bug(
        "S16",
        "a follower that no longer needs the snapshot waits for it",
        "progress",
        "self.match_index >= min(self.snapshot_index, base_index):",
        "self.match_index >= self.snapshot_index:",
    ),
)

TRANSFER = (
    _bug(
        "T1a",
        "the target is told before it caught up",
        "transfer",
        "    if progress.match_index == state.log.last_index and not progress.is_wiped:\n",
        "    if not progress.is_wiped:\n",
    ),
    _bug(
        "T1b",
        "a transfer is never given up",
        "transfer",
        "    if handing_over.ticks >= state.settings.election_timeout_ticks or handing_over.target not in leading.progress:\n",
        "    if handing_over.target not in leading.progress:\n",
    ),
    _bug(
        "T1c",
        "a lost TimeoutNow is never sent again",
        "transfer",
        "        handing_over.is_told = False\n",
        "        pass\n",
    ),
    _bug(
        "T2",
        "commands are taken in during a transfer",
        "leadership",
        "    if leading.transfer is not None:\n",
        "    if False:\n",
    ),
    _bug(
        "T3",
        "leadership can be handed to a learner",
        "transfer",
        "    if not state.configuration.is_voter(target):\n",
        "    if not state.configuration.is_member(target):\n",
    ),
    _bug(
        "T4",
        "the target campaigns with a dirty disk",
        "election",
        " and state.saving.is_idle(state.hard_state):",
        ":",
    ),
    _bug(
        "T5",
        "a transfer gives a second vote",
        "election",
        "    is_free = state.hard_state.voted_for in (None, candidate)\n",
        "    is_free = state.hard_state.voted_for in (None, candidate) or request.leadership_transfer\n",
    ),
)

BUGS = (*ELECTION, *LOG, *DISK, *MEMBERSHIP, *READS, *SNAPSHOTS, *TRANSFER)
