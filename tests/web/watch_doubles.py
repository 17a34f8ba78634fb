"""What the tests of watches share: a store with changes in it, and streams whose clients read when told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.task import Clock

from hraft.kv.bounds import StoreLimits
from hraft.kv.commands import Command, Delete, Set, SetMany, encode_command
from hraft.kv.history import Change
from hraft.kv.store import KeyValueStore
from hraft.web.watch.hub import Hub, Watcher
from hraft.web.watch.views import Form, View

ALL = View(b"", b"")


def store(*commands: Command, remembers_count: int = 100_000) -> KeyValueStore:
    """A store after these commands, that remembers so many events."""
    made = KeyValueStore(StoreLimits(history_events_count=remembers_count))
    change(made, *commands)
    return made


def change(made: KeyValueStore, *commands: Command) -> None:
    """Apply these, each as an entry."""
    for command in commands:
        made.apply(1, encode_command(command))


def put(key: str, value: str = "1") -> Set:
    return Set(key.encode(), value.encode())


def put_many(**values: str) -> SetMany:
    return SetMany(tuple((key.encode(), value.encode()) for key, value in values.items()))


def delete(key: str) -> Delete:
    return Delete(key.encode())


def messages(data: bytes, form: Form = Form.EVENTS) -> list[dict[str, Any]]:
    """What was sent, message by message, with its kind as `type`; an event's id must be its revision. Whole messages only."""
    if form is Form.LINES:
        assert data == b"" or data.endswith(b"\n"), data[-200:]
        return [json.loads(line) for line in data.split(b"\n")[:-1]]
    assert data == b"" or data.endswith(b"\n\n"), data[-200:]
    read = []
    for block in data.split(b"\n\n")[:-1]:
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n"))
        document = json.loads(fields[b"data"])
        if b"id" in fields:
            assert int(fields[b"id"]) == document["revision"], block
        read.append({**document, "type": fields[b"event"].decode()})
    return read


def told(data: bytes, form: Form = Form.EVENTS) -> list[tuple[int, list[str]]]:
    """The changes among the messages: revision, and its events in short."""
    return [
        (message["revision"], [_short(event) for event in message["events"]])
        for message in messages(data, form)
        if message["type"] == "change"
    ]


def expected(changes: list[Change], sees: Callable[[bytes], bool] = lambda key: True) -> list[tuple[int, list[str]]]:
    """The same from the store's own history."""
    seen = []
    for one in changes:
        events = [
            f"-{event.key.decode()}" if event.record is None else f"{event.key.decode()}={event.record.value.decode()}"
            for event in one.events
            if sees(event.key)
        ]
        if events:
            seen.append((one.revision, events))
    return seen


def _short(event: dict[str, Any]) -> str:
    return f"-{event['key']}" if event["type"] == "delete" else f"{event['key']}={event['value']}"


@dataclass(eq=False)
class ToldStream:
    """A client that has read nothing since it was last told to; `room_bytes` None: it reads all the time."""

    hub: Hub
    room_bytes: int | None = None
    data: bytes = b""
    unread_bytes: int = 0
    is_full: bool = False
    ended_with: bytes | None = None
    watcher: Watcher | None = None

    def send(self, data: bytes) -> None:
        assert not self.is_full and self.ended_with is None
        self.data += data
        self.unread_bytes += len(data)
        if self.room_bytes is not None and self.unread_bytes >= self.room_bytes:
            self.is_full = True
            if self.watcher is not None:
                self.hub.is_full(self.watcher)

    def end(self, last: bytes) -> None:
        assert self.ended_with is None
        self.ended_with = last

    def read(self) -> None:
        """Its client reads all that was sent."""
        self.unread_bytes = 0
        if self.is_full:
            self.is_full = False
            if self.watcher is not None:
                self.hub.has_room(self.watcher)

    @property
    def reason(self) -> str:
        """The code of the error that it ended with."""
        assert self.ended_with is not None
        code: str = messages(self.ended_with)[0]["code"]
        return code


class TurningClock(Clock):
    """A clock that can let a single turn of the reactor pass, in which nothing runs that was only asked for in it."""

    def turn(self) -> None:
        for call in [call for call in self.calls if call.getTime() <= self.seconds()]:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)


class Watched:
    """A store, a hub and a clock."""

    def __init__(self, made: KeyValueStore | None = None, watchers_count: int = 100) -> None:
        self.store = made or store()
        self.clock = TurningClock()
        self.hub = Hub(self.clock, lambda: self.store, watchers_count)

    def watch(self, view: View = ALL, since: int | None = None, room_bytes: int | None = None) -> ToldStream:
        self.hub.check(since)
        stream = ToldStream(self.hub, room_bytes)
        stream.watcher = self.hub.add(view, since, stream)
        return stream

    def change(self, *commands: Command) -> None:
        """Apply these in one turn, and let the node say so."""
        change(self.store, *commands)
        self.hub.applied()

    def settle(self) -> None:
        """Let every turn pass that is due now."""
        for _ in range(1000):
            if not any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
                return
            self.clock.turn()
        raise AssertionError("this never ends")
