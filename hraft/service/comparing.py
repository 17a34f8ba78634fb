"""(leader) Whether all members have the same state: asked again and again in the background; an alarm where they have not (O14).

The leader names its last entry. No member can have applied a later one when the question comes, since the question leaves before
any later entry does and takes the same way; so each takes its hash when it comes there, and nobody has to go back. Where a
question was overtaken all the same, that member says so and is passed over, as are those that do not answer, that do not know the
question, and that run another release, whose lines may read differently.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from hraft import limits
from hraft.questions import CompareState, StateHash
from hraft.raft.node import RaftNode
from hraft.raft.ready import Role
from hraft.service.alarms import STATE_DIFFERS, Alarm, Alarms
from hraft.service.applying import Applying
from hraft.service.state_hashing import DONE, PENDING, StateHashing
from hraft.service.surroundings import Surroundings


@dataclass(slots=True)
class _Round:
    """One comparison: `answers` are final, `asked` have not answered yet, and `pending` are at work."""

    index: int
    members: tuple[str, ...]
    began_seconds: float
    next_seconds: float
    answers: dict[str, StateHash] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)

    def is_over(self, now: float) -> bool:
        """All have answered, or the time of those who have not is over."""
        limit_seconds = limits.CHECK_LONGEST_SECONDS if self.pending else limits.CHECK_PATIENCE_SECONDS
        return len(self.answers) == len(self.members) or now - self.began_seconds >= limit_seconds


class Comparing:
    """One node's: it asks while it leads, and hears what the leader found while it follows."""

    def __init__(self, around: Surroundings, node: RaftNode, applying: Applying, alarms: Alarms) -> None:
        self._clock = around.clock
        self._node = node
        self._node_id = around.node_id
        self._transport = around.transport
        self._alarms = alarms
        self._interval_seconds = around.precautions.check_interval_seconds
        self._hashing = StateHashing(around.clock, applying, around.run_in_background, around.precautions.release)
        self._term = 0
        self._due_seconds = 0.0
        self._round: _Round | None = None
        #: When a leader last said that there is a difference.
        self._said_seconds = 0.0
        #: Comparisons of at least two members, since the start.
        self.compared_count = 0

    def answer(self, question: CompareState) -> StateHash:
        """(any member) What a leader asks, or tells: without an index it tells what it found."""
        if not question.index:
            self._told(question.verdict)
        return self._hashing.ask(question.index) if question.index else StateHash(DONE, "", "")

    def tick(self) -> None:
        """(leader) Begin a round when it is time, ask on, and end it. (any member) Forget what no leader says any more."""
        node, now = self._node, self._clock.seconds()
        if now - self._said_seconds >= limits.CHECK_FORGET_SECONDS:
            # Who leads now compares nothing, as with --check-interval 0, or is of an earlier release.
            self._alarms.clear(STATE_DIFFERS)
        if self._interval_seconds is None:
            return
        term = node.current_term if node.role is Role.LEADER else 0
        if term != self._term:
            self._term, self._round = term, None
            self._due_seconds = now + self._soon_seconds(self._interval_seconds)
        if not term:
            return
        if self._round is not None:
            self._go_on(self._round, now)
        elif now >= self._due_seconds:
            self._begin(now)

    def _soon_seconds(self, interval_seconds: float) -> float:
        return min(interval_seconds, limits.CHECK_SOON_SECONDS)

    def stop(self) -> None:
        """Hash no more."""
        self._hashing.stop()

    # --- one round -------------------------------------------------------------------------------

    def _begin(self, now: float) -> None:
        members = tuple(self._node.configuration.members)
        self._round = _Round(self._node.last_index, members, now, now)
        self._go_on(self._round, now)

    def _go_on(self, round_: _Round, now: float) -> None:
        if now >= round_.next_seconds:
            round_.next_seconds = now + limits.CHECK_ASK_SECONDS
            for member in round_.members:
                if member not in round_.answers and member not in round_.asked:
                    self._ask(round_, member)
        if round_.is_over(now):
            self._end(round_, now)

    def _ask(self, round_: _Round, member: str) -> None:
        def answered(answer: StateHash) -> None:
            round_.asked.discard(member)
            round_.pending.discard(member)
            if answer.status == PENDING:
                round_.pending.add(member)
            else:
                round_.answers[member] = answer

        def not_answered(_: object) -> None:
            """It is down, or of an earlier release. It is asked again: it may come back."""
            round_.asked.discard(member)
            round_.pending.discard(member)

        if member == self._node_id:
            answered(self._hashing.ask(round_.index))
            return
        round_.asked.add(member)
        self._transport.call(member, CompareState(round_.index, b"")).addCallbacks(answered, not_answered)

    def _end(self, round_: _Round, now: float) -> None:
        assert self._interval_seconds is not None
        self._round = None
        self._judge(round_)
        alarm = self._alarms.get(STATE_DIFFERS)
        seconds = self._interval_seconds if alarm is None else self._soon_seconds(self._interval_seconds)
        self._due_seconds = now + seconds
        if alarm is not None:
            self._said_seconds = now
        verdict = b"" if alarm is None else msgspec.json.encode(alarm)
        for member in round_.members:
            if member != self._node_id:
                self._transport.call(member, CompareState(0, verdict)).addErrback(lambda _: None)

    # --- the verdict -----------------------------------------------------------------------------

    def _judge(self, round_: _Round) -> None:
        hashes = {member: answer for member, answer in round_.answers.items() if answer.status == DONE}
        self.compared_count += len(hashes) > 1
        suspects: list[str] = []
        for release in {answer.release for answer in hashes.values()}:
            suspects += _differing({member: answer.digest for member, answer in hashes.items() if answer.release == release})
        if suspects:
            detail = f"after entry {round_.index} the state of {', '.join(sorted(suspects))} is not that of the other members"
            digests = {member: answer.digest for member, answer in sorted(hashes.items())}
            self._alarms.sound(Alarm(STATE_DIFFERS, tuple(sorted(suspects)), detail, index=round_.index, hashes=digests))
            return
        before = self._alarms.get(STATE_DIFFERS)
        if before is not None and not set(before.members) & set(round_.members) - set(hashes):
            # All who were named, and are members still, were heard this time.
            self._alarms.clear(STATE_DIFFERS)

    def _told(self, verdict: bytes) -> None:
        """The leader's. What does not read is of a later release's making, and an alarm that is told again and again."""
        if not verdict:
            self._alarms.clear(STATE_DIFFERS)
            return
        try:
            alarm = msgspec.json.decode(verdict, type=Alarm)
        except (msgspec.MsgspecError, ValueError):
            return
        if alarm.kind == STATE_DIFFERS:
            self._said_seconds = self._clock.seconds()
            self._alarms.sound(alarm)


def _differing(digests: dict[str, str]) -> list[str]:
    """Who is not of the majority's opinion; all of them where there is none."""
    if len(set(digests.values())) <= 1:
        return []
    digest, count = Counter(digests.values()).most_common(1)[0]
    has_majority = 2 * count > len(digests)
    return [member for member, each in digests.items() if each != digest or not has_majority]
