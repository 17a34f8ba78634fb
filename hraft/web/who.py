"""`/v1/user`: who asks, and what that user may do; so that a page or a program need not offer what would be refused.

Knows nothing of secrets.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import UNSET

from hraft.auth.logins import Logins
from hraft.auth.users import Access, Role, Rule
from hraft.errors import LoginNeeded
from hraft.kv.texts import Base64, Text, split
from hraft.web.answers import Answer
from hraft.web.api import Route
from hraft.web.asked import Asked
from hraft.web.documents import json_answer
from hraft.web.parameters import Wants
from hraft.web.permissions import ANY_USER

_NOTHING = Wants()


class RuleDocument(msgspec.Struct):
    """What may be done with the keys that begin so; who may write them may read them."""

    access: Access
    prefix: Text = UNSET
    prefix_base64: Base64 = UNSET


class UserDocument(msgspec.Struct):
    """`user` null: this node knows no users, and everybody is an admin. `keys` null: all of them, by the role alone."""

    user: str | None
    role: Role
    keys: list[RuleDocument] | None


class WhoApi:
    """`logins` None: there are no users."""

    def __init__(self, logins: Logins | None) -> None:
        self._logins = logins

    def routes(self) -> Iterator[Route]:
        """Its part of the table."""
        about, answers = "Who asks, and what that user may do", {200: UserDocument}
        yield Route(b"GET", b"/v1/user", self._user, about, _NOTHING, None, answers, needs=ANY_USER)

    def _user(self, asked: Asked) -> Answer:
        _NOTHING.of(asked)
        if self._logins is None:
            return json_answer(UserDocument(None, "admin", None))
        user = self._logins.user_called(asked.user)
        if user is None:
            raise LoginNeeded("this user is gone")  # Between the guard and here.
        return json_answer(UserDocument(user.name, user.role, None if user.rules is None else list(map(_rule, user.rules))))


def _rule(rule: Rule) -> RuleDocument:
    return RuleDocument(rule.access, *split(rule.prefix))
