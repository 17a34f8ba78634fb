"""Elections and transfers of leadership. Data only, see `planted_bug`."""

from planted_bug import bug

_QUICK = "only how soon: the cluster comes to the same, later"
_POLITE = "a needless election costs time, and breaks no promise"

ELECTION = (
    bug(
        "E1a",
        "a vote leaves before it is on disk",
        "raft/election",
        "state.vouch(candidate, RequestVoteResponse(",
        "state.outbox.send(candidate, RequestVoteResponse(",
    ),
    bug(
        "E1b",
        "RequestVote leaves before the term is on disk",
        "raft/election",
        "state.vouch(voter, RequestVote(",
        "state.outbox.send(voter, RequestVote(",
    ),
    bug(
        "E3",
        "a candidate counts its own vote before it is on disk",
        "raft/election",
        "    state.campaign = Campaign(term=state.term, is_transfer=is_transfer)\n    _ask_for_votes(state, state.campaign)\n",
        "    state.campaign = Campaign(term=state.term, votes={state.node_id: True}, is_transfer=is_transfer)\n"
        "    _ask_for_votes(state, state.campaign)\n"
        "    _count(state, state.campaign)\n",
    ),
    bug(
        "E3+E1b",
        "nothing of a candidacy waits for the disk",
        "raft/election",
        "Campaign(term=state.term, is_transfer=is_transfer)",
        "Campaign(term=state.term, votes={state.node_id: True}, is_transfer=is_transfer)",
        "state.vouch(voter, RequestVote(",
        "state.outbox.send(voter, RequestVote(",
    ),
    bug(
        "E4",
        "votes of an earlier term are counted",
        "raft/node",
        "        elif isinstance(message, RequestVote):\n",
        "        elif isinstance(message, RequestVoteResponse):\n"
        "            election.on_request_vote_response(self.state, sender, message)\n"
        "        elif isinstance(message, RequestVote):\n",
    ),
    bug(
        "E5",
        "whoever answers yes counts, voter or not",
        "raft/quorum",
        "granted = sum(votes.get(voter) is True for voter in voters)",
        "granted = sum(votes.values())",
    ),
    bug(
        "E6",
        "a candidate claims what is not yet on its disk",
        "raft/election",
        "    index = state.saving.persisted_index\n",
        "    index = state.log.last_index\n",
    ),
    bug(
        "E7a",
        "any log is up to date",
        "raft/election",
        "return state.log.last.index > 0 and candidate_last >= state.log.last",
        "return state.log.last.index > 0",
    ),
    bug(
        "E7b",
        "the longer log counts before the later term",
        "raft/election",
        "candidate_last >= state.log.last\n",
        "(candidate_last.index, candidate_last.term) >= (state.log.last.index, state.log.last.term)\n",
    ),
    bug(
        "E8",
        "stepping down in the same term forgets the vote",
        "raft/state",
        "        if term > self.term:\n",
        "        if term >= self.term:\n",
    ),
    bug(
        "E11a",
        "being asked for a pre-vote raises the term",
        "raft/election",
        '    """Would we vote for it? Nothing changes here, whatever its term is (E11)."""\n',
        "    if request.term > state.term:\n        state.become_follower(request.term, None)\n",
        unseen=_POLITE,
    ),
    bug(
        "E11b",
        "a pre-vote takes the vote back",
        "raft/election",
        '    """Would we vote for it? Nothing changes here, whatever its term is (E11)."""\n',
        "    state.hard_state = HardState(state.term)\n",
    ),
    bug(
        "E12",
        "a pre-vote counts as a vote",
        "raft/election",
        "    if asking is None or state.role is not Role.PRE_CANDIDATE:\n",
        "    if asking is None:\n",
    ),
    bug(
        "E13",
        "a granted pre-vote carries the voter's own term",
        "raft/election",
        "PreVoteResponse(request.term if is_granted else state.term, is_granted)",
        "PreVoteResponse(state.term, is_granted)",
    ),
    bug(
        "E14",
        "pre-votes are granted while a leader is heard",
        "raft/election",
        "        and not state.hears_leader\n",
        "",
        unseen=_POLITE,
    ),
    bug(
        "E15a",
        "a leader of an earlier term is not told",
        "raft/node",
        "            following.refuse_stale(self.state, sender, message)\n",
        "            return\n",
        unseen=_QUICK,
    ),
    bug(
        "E15b",
        "a refused pre-vote teaches no term",
        "raft/election",
        "    if not response.vote_granted and response.term > state.term:\n",
        "    if False:\n",
        unseen=_QUICK,
    ),
    bug("E16", "a leader that hears nobody goes on", "raft/reign", " or not _hears_majority(state, leading)", "", unseen=_QUICK),
    bug("E17", "votes are given while a leader is heard", "raft/node", " and state.hears_leader:", " and False:", unseen=_POLITE),
    bug(
        "E18",
        "election timeouts are not drawn anew",
        "raft/state",
        "self.choose(timeout + 1, 2 * timeout)",
        "timeout + 1",
        unseen="chance still has it that elections end",
    ),
    bug(
        "E21a",
        "whoever is removed never campaigns, though its removal may be known to it alone",
        "raft/state",
        "        return not self.is_configuration_committed and self.configurations.previous.is_voter(self.node_id)\n",
        "        return False\n",
    ),
    bug(
        "E21b",
        "whoever is no voter campaigns all the same",
        "raft/election",
        "    return state.may_be_needed and not",
        "    return not",
        unseen=_POLITE,
    ),
)

TRANSFER = (
    bug(
        "T1a",
        "the target is told before it caught up",
        "raft/transfer",
        "    if progress.match_index == state.log.last_index and not progress.is_wiped:\n",
        "    if not progress.is_wiped:\n",
    ),
    bug(
        "T1b",
        "a transfer is never given up",
        "raft/transfer",
        "    if handing_over.ticks >= state.settings.election_timeout_ticks or handing_over.target not in leading.progress:\n",
        "    if handing_over.target not in leading.progress:\n",
    ),
    bug(
        "T1c",
        "a lost TimeoutNow is never sent again",
        "raft/transfer",
        "        handing_over.is_told = False\n",
        "        pass\n",
        unseen=_QUICK,
    ),
    bug(
        "T2",
        "commands are taken in during a transfer",
        "raft/leadership",
        "    if leading.transfer is not None:\n",
        "    if False:\n",
        unseen=_QUICK,
    ),
    bug(
        "T3",
        "leadership can be handed to a learner",
        "raft/transfer",
        "    if not state.configuration.is_voter(target):\n",
        "    if not state.configuration.is_member(target):\n",
        unseen="a second line of defence: a learner does not campaign (E21)",
    ),
    bug("T4", "the target campaigns with a dirty disk", "raft/election", " and state.saving.is_idle(state.hard_state):", ":"),
    bug(
        "T5",
        "a transfer gives a second vote",
        "raft/election",
        "    is_free = state.hard_state.voted_for in (None, candidate)\n",
        "    is_free = state.hard_state.voted_for in (None, candidate) or request.leadership_transfer\n",
    ),
)
