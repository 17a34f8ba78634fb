# mypy: allow-untyped-calls
"""The guard before answers without an end, which have a resource of twisted.web's in the place of a function.

A stream ends when its user's rights change, or a watch would go on telling what its watcher may no longer know. Knows nothing of
what streams tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from hraft.auth.users import User
from hraft.web.api import Api
from hraft.web.asked import Asked
from hraft.web.guard import Guard
from hraft.web.openapi import STREAMS
from hraft.web.permissions import UNSAID, Need, Permission
from hraft.web.tree import asked_of, give


def guarded_streams(api: Api, streams: Mapping[bytes, Any]) -> dict[bytes, Any]:
    """The same streams, for those who may; by what STREAMS says of each path, and one it does not name is nobody's."""
    if api.guard is None:
        return dict(streams)
    needs = {route.path: route.needs for route in STREAMS}
    live = _Live(api.guard)
    return {path: _GuardedStream(api, api.guard, needs.get(path, UNSAID), inner, live) for path, inner in streams.items()}


class _Live:
    """All streams that go on, and whose they are."""

    def __init__(self, guard: Guard) -> None:
        self._users: dict[Any, User] = {}
        if guard.logins is not None:
            guard.logins.observe(self._replaced)

    def add(self, request: Any, user: User) -> None:
        self._users[request] = user
        request.notifyFinish().addBoth(lambda _: self._users.pop(request, None))

    def _replaced(self, users: Mapping[str, User]) -> None:
        for request, user in list(self._users.items()):
            if users.get(user.name) != user:
                request.channel.abort()


class _GuardedStream(Resource):
    isLeaf = True

    def __init__(self, api: Api, guard: Guard, needs: Permission, inner: Any, live: _Live) -> None:
        super().__init__()
        self._api = api
        self._guard = guard
        self._needs = needs
        self._inner = inner
        self._live = live

    def render(self, request: Any) -> Any:
        """Twisted's way in."""
        if self._needs.need is Need.NOTHING:
            return self._inner.render(request)
        try:
            admitted = self._guard.admitted(self._api.node, self._needs, asked_of(request))
        except Exception:
            return give(request, self._api.failed(Failure(), request.method, request.path))
        if not isinstance(admitted, Deferred):
            return self._begin(admitted, request)
        request.notifyFinish().addErrback(lambda _: admitted.cancel())
        admitted.addCallbacks(self._begin_later, self._refuse, (request,), errbackArgs=(request,))
        return NOT_DONE_YET

    def _begin(self, admitted: Asked, request: Any) -> Any:
        user = None if self._guard.logins is None else self._guard.logins.user_called(admitted.user)
        if user is not None:
            self._live.add(request, user)
        return self._inner.render(request)

    def _begin_later(self, admitted: Asked, request: Any) -> None:
        body = self._begin(admitted, request)
        if body is not NOT_DONE_YET:
            request.write(body)
            request.finish()

    def _refuse(self, failure: Failure, request: Any) -> None:
        if failure.check(CancelledError):  # The client has hung up.
            return
        request.write(give(request, self._api.failed(failure, request.method, request.path)))
        request.finish()
