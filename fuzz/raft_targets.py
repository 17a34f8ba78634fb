"""The target of Raft's core: bytes as they come from peers, decoded, and handed to one node in any of its situations."""

from __future__ import annotations

from random import Random

from raft_solo import accepted, append, command, heartbeat, log_of
from test_step_fuzz import BEGINNINGS, act, begin

from fuzz.peer_targets import boxes_in, message_samples
from fuzz.target import Target, expect
from hraft.errors import BadMessage
from hraft.interfaces import SnapshotChunk, SnapshotChunkResponse
from hraft.peers.boxes import serialized
from hraft.peers.commands import decode_message, encode_message
from hraft.raft.entry import EntryId, Snapshot
from hraft.raft.invariants import check_state, check_step, facts
from hraft.raft.messages import (
    AppendEntriesResponse,
    Envelope,
    InstallSnapshot,
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)

#: Instead of a message, something that the node's own service asks for.
_VERBS = (
    *("tick", "time out", "saved", "propose", "read", "add", "remove", "transfer", "snapshot failed", "compact"),
)
_EVENTS_COUNT = 40


def _step(data: bytes) -> None:
    """The first byte says how it all begins; then boxes follow. A box without a command is a verb, or a peer's name."""
    solo = begin(BEGINNINGS[data[0] % len(BEGINNINGS)] if data else "new")
    solo.saves = not data or data[0] < 128
    sender = "n2"
    for box in boxes_in(data[1:])[0][:_EVENTS_COUNT]:
        before = facts(solo.state)
        sender = box.get(b"from", sender.encode()).decode("utf-8", "replace")
        verb = box.get(b"verb")
        if verb is not None:
            act(solo, verb.decode("latin-1"))
        if b"_command" in box:
            try:
                message = decode_message(box)
            except BadMessage:
                continue
            if isinstance(message, SnapshotChunk):
                # The whole of it has come: that is what the service would say next.
                message = InstallSnapshot(message.term, message.snapshot)
            if not isinstance(message, SnapshotChunkResponse):
                reason = solo.node.step(Envelope(sender, "n1", message))
                expect(reason is None or len(reason) > 10, f"no reason: {reason!r}")
        check_state(solo.state)
        check_step(before, facts(solo.state))
        solo._settle()


def _box(message: Message, sender: str = "n2") -> bytes:
    if isinstance(message, InstallSnapshot):
        return encode_message(SnapshotChunk(message.term, message.snapshot, 0, 1, b"x"))[:-2] + _sender(sender)
    return encode_message(message)[:-2] + _sender(sender)


def _sender(name: str) -> bytes:
    return serialized({b"from": name.encode()})


def _samples() -> list[bytes]:
    """Each message alone and stories of several, in each situation."""
    base = log_of(1, 1, 2)
    likely = [
        *(_box(PreVote(term, 4, 2), peer) for term in (2, 3) for peer in ("n2", "n3")),
        *(_box(PreVoteResponse(3, granted), peer) for granted in (True, False) for peer in ("n2", "n3")),
        *(_box(RequestVote(term, 4, 2, transfer)) for term in (3, 9) for transfer in (True, False)),
        *(_box(RequestVoteResponse(3, granted), peer) for granted in (True, False) for peer in ("n2", "n3")),
        *(_box(heartbeat(term, EntryId(2, 4), 4, 1)) for term in (2, 3, 4)),
        *(_box(append(term, EntryId(2, 4), command(5, term), command(6, term), commit=5)) for term in (2, 3)),
        *(_box(append(3, EntryId(1, 2), command(3, 3), commit=3)), _box(append(9, EntryId(0, 0), *base, commit=4))),
        *(_box(accepted(term, index), peer) for term in (2, 3) for index in (4, 5, 99) for peer in ("n2", "n3")),
        _box(AppendEntriesResponse(3, False, 4, 0, 2, 1, 3, 0)),
        *(_box(InstallSnapshot(term, Snapshot(index, 2, base[0].configuration))) for term in (3, 9) for index in (2, 4, 50)),
        *(_box(TimeoutNow(term)) for term in (2, 3)),
        *(serialized({b"verb": verb.encode()}) for verb in _VERBS),
    ]
    random = Random("steps")
    stories = [b"".join(random.choices(likely, k=random.randrange(2, 30))) for _ in range(40)]
    each = [*likely, *stories, *message_samples()]
    return [bytes([(number + random.choice((0, 128))) % 256]) + part for number, part in enumerate(each)]


TARGETS = (Target("step", "messages of peers, to a node of Raft in any situation", _step, _samples),)
