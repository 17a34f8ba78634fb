"""What a route asks of whoever calls it, as data: every `Route` has a Permission, and one without lets nobody in.

    Route(b"GET", b"/v1/kv/{key}", ..., needs=reads(the_key))      whoever may read that key
    Route(b"POST", b"/join", ..., needs=ADMIN)                     administrators

Which keys a request touches is found by the functions that also read it for its answer, so that the two cannot differ. Knows
nothing of users' secrets, and of how a request came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from hraft.auth.users import Access, User
from hraft.errors import LeaseNotFound
from hraft.kv.transactions import TO_THE_LAST, GetRange, Operation, Put, Transaction
from hraft.web.asked import Asked
from hraft.web.problems import NOT_DONE, Problem


class Need(Enum):
    """What a caller must be, keys apart."""

    #: Open to everybody, without credentials and from any page: for orchestrators. It must tell nothing that is worth anything.
    NOTHING = "nobody in particular"
    READ = "any user"
    WRITE = "a user whose role is write or admin"
    ADMIN = "a user whose role is admin"
    #: Nobody has said it.
    UNSAID = "nobody: the route says no permission"


class Keys(msgspec.Struct, frozen=True, gc=False):
    """A request reads or writes the key `start`, or all keys in [start, end); ends are as in `hraft.kv.transactions`."""

    start: bytes
    end: bytes | None = None
    access: Access = "read"


class OfLease(msgspec.Struct, frozen=True, gc=False):
    """A request looks at a lease, or attaches to it, prolongs or ends it: that is for its owner, and for who has all keys."""

    lease: int


class OfClient(msgspec.Struct, frozen=True, gc=False):
    """A request is made in the name of a client whose answers are remembered: that is for its owner alone."""

    client: int


Touch: TypeAlias = Keys | OfLease | OfClient
#: What a request touches. Raises Problem where the request is wrong.
Touches: TypeAlias = Callable[[Asked], Iterable[Touch]]


class Permission(msgspec.Struct, frozen=True):
    """`touches` None: it is no matter of keys. `is_for_all`: those with all keys are asked, too."""

    need: Need
    touches: Touches | None = None
    is_for_all: bool = False


OPEN: Final = Permission(Need.NOTHING)
#: Whatever says nothing of keys and values: how the cluster is, who is in it.
ANY_USER: Final = Permission(Need.READ)
ANY_WRITER: Final = Permission(Need.WRITE)
ADMIN: Final = Permission(Need.ADMIN)
UNSAID: Final = Permission(Need.UNSAID)


def reads(touches: Touches) -> Permission:
    """Needs a user who may read all keys that the request touches."""
    return Permission(Need.READ, touches)


def writes(touches: Touches) -> Permission:
    """Needs a writer who may read, or write, whatever the request reads, or writes."""
    return Permission(Need.WRITE, touches)


def of_client(touches: Touches) -> Permission:
    """Needs a writer whose client it is."""
    return Permission(Need.WRITE, touches, is_for_all=True)


def every_key(asked: Asked) -> Iterable[Touch]:
    """For what tells something of all keys there are."""
    return (Keys(b"", TO_THE_LAST),)


def touches_of(transaction: Transaction) -> Iterator[Touch]:
    """All of it, whichever branch will be taken: to compare is to read, and what would be refused must not tell how it went."""
    for compare in transaction.compare:
        yield Keys(compare.key, compare.end)
    for operation in (*transaction.then, *transaction.otherwise):
        yield from _touches_of(operation)


def _touches_of(operation: Operation) -> Iterator[Touch]:
    if isinstance(operation, Put):
        yield Keys(operation.key, None, "write")
        if operation.lease:
            yield OfLease(operation.lease)
    elif isinstance(operation, GetRange):
        yield Keys(operation.start, operation.end)
    else:
        yield Keys(operation.start, operation.end, "write")


def check_role(permission: Permission, user: User) -> None:
    """Raises Problem (403) unless the user's role is enough."""
    need = permission.need
    if need is Need.UNSAID:
        raise forbidden(f"user {user.name!r} may not do this, and nobody may: it has no permission yet")
    if need is Need.ADMIN and not user.is_at_least("admin"):
        raise forbidden(f"user {user.name!r} has the role {user.role}, and this needs admin")
    if need is Need.WRITE and not user.is_at_least("write"):
        raise forbidden(f"user {user.name!r} has the role {user.role}, and this needs write")


def check_keys(keys: Keys, user: User) -> None:
    """Raises Problem (403) unless all are the user's to read, or to write. Says which were asked for, and not what is there."""
    if not user.may(keys.access, keys.start, keys.end):
        raise forbidden(f"user {user.name!r} may not {keys.access} {_shown(keys)}")


def check_lease(lease: int, owner: str, user: User) -> None:
    """Raises Problem (403) unless the user may use this lease."""
    if user.rules is not None and owner != user.name:
        raise forbidden(f"lease {lease} is not user {user.name!r}'s own, and others are for those who have all keys")


def check_client(client: int, owner: str, user: User) -> None:
    """Raises Problem (403) unless the user may ask in this client's name. Nobody's clients are from before there were users."""
    if owner != user.name and not (owner == "" and user.rules is None):
        raise forbidden(f"client {client} is not user {user.name!r}'s own; POST /v1/sessions makes one")


def check_is_over(touch: Touch, index: int) -> None:
    """Raises LeaseNotFound, or Problem (409), for what was not there at this index of the log and may be made after it: an id is
    the index of the entry that makes it, so it can be guessed, and would be somebody else's by the time it is used.
    """
    if isinstance(touch, OfLease) and touch.lease > index:
        raise LeaseNotFound(f"there is no lease {touch.lease} yet")
    if isinstance(touch, OfClient) and touch.client > index:
        detail = f"client {touch.client} is not known yet; POST /v1/sessions makes one"
        raise Problem(409, "session_expired", detail, outcome=NOT_DONE)


def forbidden(detail: str) -> Problem:
    """Who asks is known, and may not."""
    return Problem(403, "forbidden", detail, outcome=NOT_DONE)


def _shown(keys: Keys) -> str:
    if keys.end is None:
        return f"the key {_text(keys.start)}"
    if keys.end == TO_THE_LAST:
        return f"all keys from {_text(keys.start)} on" if keys.start else "all keys"
    return f"all keys from {_text(keys.start)} on and before {_text(keys.end)}"


def _text(key: bytes) -> str:
    return repr(key[:40].decode("utf-8", "replace"))
