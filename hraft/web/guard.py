"""Between every route and whoever asks: which host it is asked as, who asks, and whether that user may.

It stands in the routing table itself, in the place of the function that it guards; so there is no way in around it. Knows
nothing of users' secrets, and of what is answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias, cast

from twisted.internet.defer import Deferred

from hraft.auth.logins import Logins
from hraft.auth.users import User
from hraft.kv.store import KeyValueStore
from hraft.web.answers import Answer
from hraft.web.asked import Asked
from hraft.web.hosts import Hosts
from hraft.web.node import Node
from hraft.web.permissions import (
    Keys,
    Need,
    OfClient,
    OfLease,
    Permission,
    Touch,
    check_client,
    check_is_over,
    check_keys,
    check_lease,
    check_role,
)

_Function: TypeAlias = Callable[[Asked], "Answer | Deferred[Answer]"]

_AUTHORIZATION: Final = b"authorization"
_IDEMPOTENCY_KEY: Final = b"idempotency-key"
_CLIENT = re.compile(rb"([0-9]{1,18})/.*")
#: What means something here only.
_OURS: Final = frozenset({_AUTHORIZATION, b"origin", b"sec-fetch-site"})


class Guard:
    """Of one node. `logins` None: there are no users, and everybody may do everything."""

    def __init__(self, hosts: Hosts, logins: Logins | None = None) -> None:
        self.logins = logins
        self._hosts = hosts

    def around(self, node: Node, needs: Permission, function: _Function) -> _Function:
        """The function, for those who may call it. What it is given says who asks, and has no secret any more."""
        if needs.need is Need.NOTHING:
            return function

        def guarded(asked: Asked) -> Answer | Deferred[Answer]:
            self._hosts.check(asked)
            if self.logins is None:
                return function(asked)
            admitted = self._known(self.logins, node, needs, asked)
            if isinstance(admitted, Deferred):
                return admitted.addCallback(function)
            return function(admitted)

        return guarded

    def admitted(self, node: Node, needs: Permission, asked: Asked) -> Asked | Deferred[Asked]:
        """The request, and whose it is. Raises, or fails with, what says why not: 401, 403, 429 or 503."""
        self._hosts.check(asked)
        return asked if self.logins is None else self._known(self.logins, node, needs, asked)

    def _known(self, logins: Logins, node: Node, needs: Permission, asked: Asked) -> Asked | Deferred[Asked]:
        user = logins.user_of(asked.header(_AUTHORIZATION), asked.peer)
        if isinstance(user, Deferred):
            return user.addCallback(lambda user: _permitted(node, needs, asked, user))
        return _permitted(node, needs, asked, user)


def _permitted(node: Node, needs: Permission, asked: Asked, user: User) -> Asked | Deferred[Asked]:
    check_role(needs, user)
    headers = tuple(header for header in asked.headers if header[0] not in _OURS)
    known = Asked(asked.method, asked.path, asked.query, asked.body, headers, asked.host, asked.peer, user.name)
    unknown = [touch for touch in _touches(needs, known, user) if not _is_checked(node, touch, user)]
    if not unknown:
        return known

    def here(index: int) -> Asked:
        for touch in unknown:
            if not _is_checked(node, touch, user):
                check_is_over(touch, index)
        return known

    # Made elsewhere, perhaps, and not here yet. What is not there then either is over, or yet to come.
    return node.confirm_read().addCallback(here)


def _touches(needs: Permission, asked: Asked, user: User) -> Iterable[Touch]:
    """All that has to be looked at for this user: who has all keys needs no list of them."""
    if needs.touches is not None and (user.rules is not None or needs.is_for_all):
        yield from needs.touches(asked)
    key = asked.header(_IDEMPOTENCY_KEY) if asked.headers else None
    client = None if key is None else _CLIENT.fullmatch(key)
    if client is not None:
        yield OfClient(int(client[1]))


def _is_checked(node: Node, touch: Touch, user: User) -> bool:
    """Whether it could be found out. Raises Problem (403) where the user may not."""
    if isinstance(touch, Keys):
        check_keys(touch, user)
        return True
    store = cast(KeyValueStore, node.state_machine)
    if isinstance(touch, OfLease):
        lease = store.lease(touch.lease)
        if lease is not None:
            check_lease(touch.lease, lease.owner, user)
        return lease is not None
    owner = store.session_owner(touch.client)
    if owner is not None:
        check_client(touch.client, owner, user)
    return owner is not None
