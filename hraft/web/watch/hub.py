"""Tells watchers of changes: each of every change that its view sees, once and in order, however slowly its client reads.

A watcher in step is one of a group with equal views, which are sent the same bytes. One whose client does not read leaves its
group and keeps nothing but its position, the revision up to which it was told everything; when there is room again it is told
the rest from the store's history, a portion at a time, and joins its group. So nothing is ever queued for anybody.

Knows nothing of HTTP: a stream takes bytes, and says when it is full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from hraft import limits
from hraft.kv.history import Change, Event
from hraft.web.problems import Problem
from hraft.web.watch.endings import compacted, stopping, too_many, too_slow, unknown_revision
from hraft.web.watch.interests import Interests
from hraft.web.watch.views import View, event_text


class Store(Protocol):
    """What a hub needs of the key-value store."""

    @property
    def revision(self) -> int: ...
    @property
    def oldest_revision(self) -> int: ...
    def changes_after(self, revision: int) -> Iterable[Change]: ...


class Stream(Protocol):
    """Where the messages of one watcher go. It tells the hub by `is_full` and `has_room` what its client's reading allows."""

    @property
    def is_full(self) -> bool:
        """Nothing is to be sent until there is room again. Only `send` may change this from within."""

    def send(self, data: bytes) -> None: ...

    def end(self, last: bytes) -> None:
        """Send this if the client can still be told anything, and close."""


class Watcher:
    """One client, and its view of the store. `position`: it was told of everything up to there, unless it is in step."""

    __slots__ = ("full_since_seconds", "group", "position", "stream", "view")

    def __init__(self, view: View, position: int, stream: Stream) -> None:
        self.view = view
        self.position = position
        self.stream = stream
        self.group: _Group | None = None
        self.full_since_seconds: float | None = None


class _Group:
    """Watchers in step with each other and with the hub."""

    def __init__(self, view: View, now: float) -> None:
        self.view = view
        self.members: dict[Watcher, None] = {}
        self.unsent: list[bytes] = []
        self.unsent_bytes = 0
        self.sent_seconds = now


class Hub:
    """All watchers of one node. Runs timers only while there are some."""

    def __init__(self, clock: IReactorTime, store: Callable[[], Store], watchers_count: int = limits.WATCHERS_COUNT) -> None:
        """`store` gives the present one: a snapshot from the leader replaces it."""
        self._clock = clock
        self._store = store
        self._watchers_count = watchers_count
        self._watchers: dict[Watcher, None] = {}
        self._groups: dict[View, _Group] = {}
        self._interests: Interests[_Group] = Interests()
        #: What all groups were told of; within a delivery, what those have been told to whom is being sent.
        self._position = 0
        self._sending = 0
        #: Those who can be told more of the past, the longest waiting first; and those who read too slowly for that.
        self._behind: dict[Watcher, None] = {}
        self._full: dict[Watcher, None] = {}
        self._delivery: IDelayedCall | None = None
        self._not_before_seconds = 0.0
        self._catching_up: IDelayedCall | None = None
        self._look: IDelayedCall | None = None
        self._is_stopped = False

    def __len__(self) -> int:
        return len(self._watchers)

    # --- coming and going ------------------------------------------------------------------------

    def check(self, since: int | None) -> None:
        """Raise the Problem that a watcher would meet which wants to know what comes after this revision; None: after now."""
        store = self._store()
        if self._is_stopped:
            raise stopping()
        if len(self._watchers) >= self._watchers_count:
            raise too_many(self._watchers_count)
        if since is None:
            return
        if since > store.revision:
            raise unknown_revision(since, store.revision)
        if since < store.oldest_revision:
            raise compacted(since, store.oldest_revision)

    def add(self, view: View, since: int | None, stream: Stream) -> Watcher:
        """Tell this stream what its view sees, from after this revision on, or from now on. To be checked before."""
        self._deliver()
        watcher = Watcher(view, self._position if since is None else since, stream)
        self._watchers[watcher] = None
        stream.send(view.progress(watcher.position))
        self._go_on(watcher)
        if self._look is None:
            self._look = self._clock.callLater(limits.WATCH_LOOK_SECONDS, self._look_around)
        return watcher

    def remove(self, watcher: Watcher) -> None:
        """This client has gone, or is about to. Harmless for one that has."""
        if self._watchers.pop(watcher, self) is self:
            return
        self._behind.pop(watcher, None)
        self._full.pop(watcher, None)
        self._leave(watcher)
        if not self._watchers:
            for timer in (self._delivery, self._catching_up, self._look):
                if timer is not None:
                    timer.cancel()
            self._delivery = self._catching_up = self._look = None

    def stop(self) -> None:
        """The node is about to stop: so are all watches, and there will be no more."""
        self._is_stopped = True
        for watcher in list(self._watchers):
            self._cut(watcher, stopping())

    def is_full(self, watcher: Watcher) -> None:
        """Its client does not read as fast as things change: its time runs."""
        if watcher in self._watchers and watcher not in self._full:
            if watcher.group is not None:
                watcher.position = self._sending
                self._leave(watcher)
            self._full[watcher] = None
            watcher.full_since_seconds = self._clock.seconds()

    def has_room(self, watcher: Watcher) -> None:
        """What was sent has gone: tell the rest, if there is any, in a later turn."""
        if self._full.pop(watcher, self) is not self:
            self._wait(watcher)

    # --- what happens now ------------------------------------------------------------------------

    def applied(self) -> None:
        """The store has changed, or was replaced. In a turn of its own, watchers are told.

        After each delivery the others get as much of the reactor's time as it took: however many watch what changes all the
        time, telling them takes no more than half of it.
        """
        if self._watchers and self._delivery is None:
            seconds = max(0.0, self._not_before_seconds - self._clock.seconds())
            self._delivery = self._clock.callLater(seconds, self._delivery_due)

    def _delivery_due(self) -> None:
        self._delivery = None
        began_seconds = self._clock.seconds()
        self._deliver()
        now = self._clock.seconds()
        self._not_before_seconds = now + (now - began_seconds)

    def _deliver(self) -> None:
        """Tell every group all that its view sees after the hub's position, which is then the store's."""
        store = self._store()
        if store.revision == self._position:
            return
        if store.oldest_revision > self._position:
            for watcher in [watcher for group in self._groups.values() for watcher in group.members]:
                self._cut(watcher, compacted(self._position, store.oldest_revision))
        if self._groups:
            unsent: dict[_Group, None] = {}
            for change in store.changes_after(self._position):
                self._take(change, unsent)
            for group in unsent:
                self._send_unsent(group)
        self._position = self._sending = store.revision

    def _take(self, change: Change, unsent: dict[_Group, None]) -> None:
        seen: dict[_Group, list[bytes]] = {}
        for event in change.events:
            texts: dict[bool, bytes] = {}
            for group in self._interests.at(event.key):
                wants_previous = group.view.wants_previous
                if wants_previous not in texts:
                    texts[wants_previous] = event_text(event, wants_previous)
                seen.setdefault(group, []).append(texts[wants_previous])
        self._sending = change.revision
        for group, events in seen.items():
            message = group.view.change(change.revision, events)
            group.unsent.append(message)
            group.unsent_bytes += len(message)
            unsent[group] = None
            if group.unsent_bytes >= limits.WATCH_PORTION_BYTES:
                self._send_unsent(group)

    def _send_unsent(self, group: _Group) -> None:
        if group.unsent:
            data = b"".join(group.unsent)
            group.unsent, group.unsent_bytes = [], 0
            self._send(group, data)

    def _send(self, group: _Group, data: bytes) -> None:
        group.sent_seconds = self._clock.seconds()
        for watcher in list(group.members):
            watcher.stream.send(data)

    # --- what has happened before ----------------------------------------------------------------

    def _wait(self, watcher: Watcher) -> None:
        self._behind[watcher] = None
        if self._catching_up is None:
            self._catching_up = self._clock.callLater(0, self._catch_up)

    def _catch_up(self) -> None:
        """Tell some of those behind a portion. Never more than so many changes in one turn of the reactor."""
        self._catching_up = None
        changes_count = limits.WATCH_TURN_CHANGES_COUNT
        while self._behind and changes_count > 0:
            watcher = next(iter(self._behind))
            del self._behind[watcher]
            # One who has nothing to be told costs something, too.
            changes_count -= 1 + self._tell(watcher, changes_count)
            if watcher in self._watchers:
                self._go_on(watcher)

    def _go_on(self, watcher: Watcher) -> None:
        """Whatever comes next for one who is neither in step nor waits."""
        if watcher.stream.is_full:
            self.is_full(watcher)
        elif watcher.position == self._position:
            self._join(watcher)
        else:
            self._wait(watcher)

    def _tell(self, watcher: Watcher, changes_count: int) -> int:
        """One portion. Returns how many changes were looked at."""
        store = self._store()
        if store.oldest_revision > watcher.position:
            self._cut(watcher, compacted(watcher.position, store.oldest_revision))
            return 0
        view, messages, size_bytes, looked_at_count = watcher.view, [], 0, 0
        for change in islice(store.changes_after(watcher.position), changes_count):
            if change.revision > self._position or size_bytes >= limits.WATCH_PORTION_BYTES:
                break
            looked_at_count += 1
            watcher.position = change.revision
            events = _seen(view, change.events)
            if events:
                messages.append(view.change(change.revision, events))
                size_bytes += len(messages[-1])
        if messages:
            watcher.stream.send(b"".join(messages))
        return looked_at_count

    # --- groups ----------------------------------------------------------------------------------

    def _join(self, watcher: Watcher) -> None:
        view = watcher.view
        group = self._groups.get(view)
        if group is None:
            group = self._groups[view] = _Group(view, self._clock.seconds())
            self._interests.add(view.start, view.end, group)
        group.members[watcher] = None
        watcher.group = group

    def _leave(self, watcher: Watcher) -> None:
        group, watcher.group = watcher.group, None
        if group is not None:
            del group.members[watcher]
            if not group.members:
                del self._groups[group.view]
                self._interests.remove(group.view.start, group.view.end, group)

    # --- time, and the end -----------------------------------------------------------------------

    def _look_around(self) -> None:
        """The one timer: tell silent groups how far they are, and give up those who do not read."""
        self._look = self._clock.callLater(limits.WATCH_LOOK_SECONDS, self._look_around)
        now = self._clock.seconds()
        for group in list(self._groups.values()):
            if now - group.sent_seconds >= limits.WATCH_SILENCE_SECONDS:
                self._send(group, group.view.progress(self._position))
        for watcher in list(self._full):
            assert watcher.full_since_seconds is not None
            if now - watcher.full_since_seconds >= limits.WATCH_UNREAD_SECONDS:
                self._cut(watcher, too_slow(watcher.position))

    def _cut(self, watcher: Watcher, problem: Problem) -> None:
        self.remove(watcher)
        watcher.stream.end(watcher.view.error(problem))


def _seen(view: View, events: Iterable[Event]) -> list[bytes]:
    return [event_text(event, view.wants_previous) for event in events if view.sees(event.key)]
