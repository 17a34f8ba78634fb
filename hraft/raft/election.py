"""Elections: pre-vote, votes, and who may have one (Sections 3.4, 3.6.1, 4.2.3, 9.6)."""

from __future__ import annotations

from hraft.raft import leadership, quorum
from hraft.raft.entry import EntryId, HardState
from hraft.raft.messages import PreVote, PreVoteResponse, RequestVote, RequestVoteResponse, TimeoutNow, demand
from hraft.raft.quorum import VoteResult
from hraft.raft.ready import Role
from hraft.raft.state import Campaign, RaftState


def tick(state: RaftState) -> None:
    """One tick of a node that does not lead."""
    state.ticks_since_leader += 1
    state.election_ticks += 1
    is_alone = tuple(state.configuration.voters) == (state.node_id,)
    if state.election_ticks >= state.randomized_election_timeout_ticks or (is_alone and state.campaign is None):
        campaign(state)
    elif state.campaign is not None and state.election_ticks % state.settings.heartbeat_interval_ticks == 0:
        _ask_for_votes(state, state.campaign)


def may_campaign(state: RaftState) -> bool:
    """Only who may be needed as a leader, whose disk works and whose log is whole (D15)."""
    return state.may_be_needed and not state.is_disk_stalled and not state.saving.installs


def campaign(state: RaftState) -> None:
    """The election timeout is over: ask first whether an election could be won, without touching the term (E11)."""
    state.reset_election_timer()
    state.leader_id = None
    if not may_campaign(state):
        state.role, state.campaign = Role.FOLLOWER, None
        return
    state.role = Role.PRE_CANDIDATE
    state.campaign = Campaign(term=state.term + 1, votes={state.node_id: True})
    _ask_for_votes(state, state.campaign)
    _count(state, state.campaign)


def _stand(state: RaftState, is_transfer: bool) -> None:
    """Raise the term and vote for ourselves; the vote counts, and the requests leave, when it is on disk (E1, E3)."""
    state.reset_election_timer()
    state.role = Role.CANDIDATE
    state.leader_id = None
    state.hard_state = HardState(state.term + 1, voted_for=state.node_id)
    state.campaign = Campaign(term=state.term, is_transfer=is_transfer)
    _ask_for_votes(state, state.campaign)


def own_vote_saved(state: RaftState, saved: HardState) -> None:
    """The hard state reached the disk: a candidate's vote for itself counts from now on (E3)."""
    if state.role is Role.CANDIDATE and state.campaign is not None and saved == state.hard_state:
        state.campaign.votes[state.node_id] = True
        _count(state, state.campaign)


def _ask_for_votes(state: RaftState, asking: Campaign) -> None:
    """Ask every voter that has not answered yes; asked again while the campaign lasts, since requests get lost."""
    last = persisted_last(state)
    for voter in state.configuration.voters:
        if voter == state.node_id or asking.votes.get(voter) is True:
            continue
        if state.role is Role.PRE_CANDIDATE:
            state.outbox.send(voter, PreVote(asking.term, last.index, last.term))
        elif voter not in asking.votes:
            state.vouch(voter, RequestVote(asking.term, last.index, last.term, asking.is_transfer))


def persisted_last(state: RaftState) -> EntryId:
    """What a candidate may claim to have: not what is merely in memory (E6)."""
    index = state.saving.persisted_index
    return EntryId(state.log.term_at(index), index)


def _count(state: RaftState, counting: Campaign) -> None:
    result = quorum.vote_result(state.configuration.voters, counting.votes)
    if result is VoteResult.WON and state.role is Role.PRE_CANDIDATE:
        _stand(state, is_transfer=False)
    elif result is VoteResult.WON:
        leadership.become_leader(state)
    elif result is VoteResult.LOST and state.role is Role.CANDIDATE:
        state.become_follower(state.term, None)


def _is_up_to_date(state: RaftState, candidate_last: EntryId) -> bool:
    """Section 3.6.1. A node without any entry has promises to keep that it may have forgotten, so it agrees to nobody (D19)."""
    return state.log.last.index > 0 and candidate_last >= state.log.last


def on_pre_vote(state: RaftState, candidate: str, request: PreVote) -> None:
    """Would we vote for it? Nothing changes here, whatever its term is (E11)."""
    is_granted = (
        request.term > state.term
        and not state.hears_leader
        and _is_up_to_date(state, EntryId(request.last_log_term, request.last_log_index))
    )
    # Granted, the answer mirrors the term asked for, so that a node with a stale term can form a quorum (E13).
    state.outbox.send(candidate, PreVoteResponse(request.term if is_granted else state.term, is_granted))


def on_pre_vote_response(state: RaftState, voter: str, response: PreVoteResponse) -> None:
    """Stand once a majority would agree. A refusal may teach a later term; it is no vote either way (E12)."""
    if not response.vote_granted and response.term > state.term:
        state.become_follower(response.term, None)
        return
    asking = state.campaign
    if asking is None or state.role is not Role.PRE_CANDIDATE:
        return
    if response.vote_granted and response.term == asking.term:
        asking.votes[voter] = True
        _count(state, asking)


def on_request_vote(state: RaftState, candidate: str, request: RequestVote) -> None:
    """One vote a term, to one whose log is as up to date as ours; the answer leaves when the vote is on disk (E1, E2)."""
    is_free = state.hard_state.voted_for in (None, candidate)
    is_granted = is_free and _is_up_to_date(state, EntryId(request.last_log_term, request.last_log_index))
    if is_granted:
        state.become_follower(state.term, None)
        state.hard_state = HardState(state.term, voted_for=candidate)
    state.vouch(candidate, RequestVoteResponse(state.term, is_granted))


def on_request_vote_response(state: RaftState, voter: str, response: RequestVoteResponse) -> None:
    """Count one answer of the present term; once a voter has said yes, that stands (E5)."""
    asking = state.campaign
    if asking is None or state.role is not Role.CANDIDATE or not state.configuration.is_voter(voter):
        return
    asking.votes[voter] = response.vote_granted or asking.votes.get(voter, False)
    _count(state, asking)


def on_timeout_now(state: RaftState, leader: str, request: TimeoutNow) -> None:
    """Campaign at once, unless something here is not yet on disk: the leader will ask again (T4)."""
    demand(leader == state.leader_id, f"{leader} does not lead term {state.term}, so it cannot hand over")
    if may_campaign(state) and state.saving.is_idle(state.hard_state):
        _stand(state, is_transfer=True)
