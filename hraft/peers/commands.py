"""What peers say to each other, as AMP commands: the single definition of the wire.

Arguments are named as the fields of the dataclasses that they carry. Knows nothing of connections.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, Generic, TypeVar

from twisted.protocols import amp

from hraft import interfaces
from hraft.errors import BadMessage
from hraft.limits import PEER_FRAME_BYTES
from hraft.peers.arguments import Blob, ChecksummedBytes, Count, Entries, Flag, SnapshotDescription, Text, put, take
from hraft.peers.boxes import serialized
from hraft.raft import messages

_T = TypeVar("_T")
_Arguments = list[tuple[bytes, amp.Argument]]


class OneWay(amp.Command):
    """No answer is wanted: Raft itself repeats what matters."""

    requiresAnswer = False


# --- Raft's messages: sent one way, never answered as such ---------------------------------------


class PreVote(OneWay):
    arguments: ClassVar[_Arguments] = [(b"term", Count()), (b"last_log_index", Count()), (b"last_log_term", Count())]


class PreVoteResponse(OneWay):
    arguments: ClassVar[_Arguments] = [(b"term", Count()), (b"vote_granted", Flag())]


class RequestVote(OneWay):
    arguments: ClassVar[_Arguments] = [
        (b"term", Count()),
        (b"last_log_index", Count()),
        (b"last_log_term", Count()),
        (b"leadership_transfer", Flag()),
    ]


class RequestVoteResponse(OneWay):
    arguments: ClassVar[_Arguments] = [(b"term", Count()), (b"vote_granted", Flag())]


class AppendEntries(OneWay):
    arguments: ClassVar[_Arguments] = [
        (b"term", Count()),
        (b"prev_log_index", Count()),
        (b"prev_log_term", Count()),
        (b"entries", Entries()),
        (b"leader_commit", Count()),
        (b"read_round", Count()),
    ]


class AppendEntriesResponse(OneWay):
    arguments: ClassVar[_Arguments] = [
        (b"term", Count()),
        (b"success", Flag()),
        (b"prev_log_index", Count()),
        (b"match_index", Count()),
        (b"conflict_index", Count()),
        (b"conflict_term", Count()),
        (b"last_log_index", Count()),
        (b"read_round", Count()),
    ]


class InstallSnapshotResponse(OneWay):
    arguments: ClassVar[_Arguments] = [(b"term", Count()), (b"match_index", Count())]


class TimeoutNow(OneWay):
    arguments: ClassVar[_Arguments] = [(b"term", Count())]


# --- a snapshot on its way -----------------------------------------------------------------------


class SnapshotChunk(OneWay):
    """InstallSnapshot in parts (Section 5.1): the message itself never travels, so that nobody can claim to have sent a file."""

    arguments: ClassVar[_Arguments] = [
        (b"term", Count()),
        (b"snapshot", SnapshotDescription()),
        (b"offset", Count()),
        (b"total_bytes", Count()),
        (b"data", ChecksummedBytes()),
    ]


class SnapshotChunkResponse(OneWay):
    arguments: ClassVar[_Arguments] = [(b"term", Count()), (b"index", Count()), (b"next_offset", Count()), (b"refused", Text())]


# --- questions, with an answer -------------------------------------------------------------------


class Hello(amp.Command):
    """The first thing said on every connection, by the node that dialled it; answered by the same about the other."""

    arguments: ClassVar[_Arguments] = [
        (b"protocol_version", Count()),
        (b"cluster_id", Text()),
        (b"node_id", Text()),
        (b"http_address", Text()),
        (b"to", Text()),
        (b"purpose", Text()),
    ]
    response: ClassVar[_Arguments] = [
        (b"protocol_version", Count()),
        (b"cluster_id", Text()),
        (b"node_id", Text()),
        (b"http_address", Text()),
    ]


class Ping(amp.Command):
    """Are you still there? Asked by the node that dialled, since TCP may take minutes to notice that nobody is."""


class ForwardProposal(amp.Command):
    arguments: ClassVar[_Arguments] = [(b"command", Blob())]
    response: ClassVar[_Arguments] = [(b"index", Count()), (b"result", Blob())]


class ForwardReadIndex(amp.Command):
    response: ClassVar[_Arguments] = [(b"read_index", Count())]


class ForwardQuestion(amp.Command):
    arguments: ClassVar[_Arguments] = [(b"question", Blob())]
    response: ClassVar[_Arguments] = [(b"answer", Blob())]


class ForwardJoin(amp.Command):
    arguments: ClassVar[_Arguments] = [
        (b"node_id", Text()),
        (b"address", Text()),
        (b"empty_log", Flag(optional=True)),
        (b"learner", Flag(optional=True)),
    ]
    response: ClassVar[_Arguments] = [(b"role", Text())]


class ForwardChange(amp.Command):
    arguments: ClassVar[_Arguments] = [(b"change", Text()), (b"node_id", Text())]
    response: ClassVar[_Arguments] = [(b"index", Count()), (b"node_id", Text())]


class CompareState(amp.Command):
    """The only question that a leader asks its members; all others are asked of it."""

    arguments: ClassVar[_Arguments] = [(b"index", Count()), (b"verdict", Blob())]
    response: ClassVar[_Arguments] = [(b"status", Text()), (b"release", Text()), (b"digest", Text())]


class ShareView(amp.Command):
    arguments: ClassVar[_Arguments] = [(b"full_disk", Text())]
    response: ClassVar[_Arguments] = [(b"document", Blob())]


# --- between dataclasses and boxes ---------------------------------------------------------------


class Shape(Generic[_T]):
    """How one dataclass is laid out in a box. Far cheaper than `callRemote` and `parseArguments`, with the same result."""

    def __init__(self, subject: type[_T], arguments: _Arguments) -> None:
        by_name = dict(arguments)
        self._subject = subject
        self._fields = [(field.name, field.name.encode(), by_name.pop(field.name.encode())) for field in fields(subject)]  # type: ignore[arg-type]
        assert not by_name, f"{subject.__name__} has no fields for {by_name}"

    def strings(self, value: _T) -> dict[bytes, bytes]:
        """The box's content. Raises BadMessage for text that is not Unicode."""
        strings: dict[bytes, bytes] = {}
        try:
            for name, key, argument in self._fields:
                put(argument, key, getattr(value, name), strings)
        except UnicodeEncodeError as error:
            raise BadMessage(f"{value!r:.200} cannot be sent: {error}") from error
        return strings

    def value(self, strings: dict[bytes, bytes]) -> _T:
        """Raises BadMessage. Keys that are not known here are those of a later version, and skipped."""
        return self._subject(*[take(argument, key, strings) for _, key, argument in self._fields])


_ONE_WAY: list[tuple[type[Any], type[OneWay]]] = [
    (messages.PreVote, PreVote),
    (messages.PreVoteResponse, PreVoteResponse),
    (messages.RequestVote, RequestVote),
    (messages.RequestVoteResponse, RequestVoteResponse),
    (messages.AppendEntries, AppendEntries),
    (messages.AppendEntriesResponse, AppendEntriesResponse),
    (messages.InstallSnapshotResponse, InstallSnapshotResponse),
    (messages.TimeoutNow, TimeoutNow),
    (interfaces.SnapshotChunk, SnapshotChunk),
    (interfaces.SnapshotChunkResponse, SnapshotChunkResponse),
]
_shape_by_type = {subject: (command.commandName, Shape(subject, command.arguments)) for subject, command in _ONE_WAY}
_shape_by_name: dict[bytes, Shape[Any]] = dict(_shape_by_type.values())


def encode_message(message: object) -> bytes:
    """One message or chunk as the bytes of its box. Raises BadMessage for text that is not Unicode, and for too much."""
    name, shape = _shape_by_type[type(message)]
    data = serialized({b"_command": name, **shape.strings(message)})
    if len(data) > PEER_FRAME_BYTES:
        raise BadMessage(f"{name.decode()} takes {len(data)} bytes, and no peer takes more than {PEER_FRAME_BYTES}")
    return data


def decode_message(box: dict[bytes, bytes]) -> Any:
    """Raises BadMessage, naming the command and the argument."""
    name = box.get(b"_command", b"")
    shape = _shape_by_name.get(name)
    if shape is None:
        raise BadMessage(f"there is no message {name[:40]!r}")
    try:
        return shape.value(box)
    except BadMessage as error:
        raise BadMessage(f"{name.decode()}: {error}") from error
