"""The options of `twist hraft` that say who may come in: text in, checked values out. Opens no file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from twisted.python import usage

from hraft.settings import AccessSettings

ACCESS_PARAMETERS: Final = (
    ["auth", None, None, "file:PATH of the users who may come in over HTTP, see `hraft users`; without it everybody may"],
    ["join-auth", None, None, "file with the user:password, or the token, of an admin of the cluster at --join"],
    ["allowed-hosts", None, None, "more names that this node is asked by, with commas between; *.name, or * for any"],
)

_KIND: Final = "file:"
_HOST = re.compile(r"\*|(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")


def access_settings(options: Mapping[str, Any]) -> AccessSettings:
    """What was said. Raises usage.UsageError."""
    join_file = _path(options["join-auth"], "--join-auth")
    return AccessSettings(_user_file(options["auth"]), join_file, _hosts(options["allowed-hosts"]))


def _user_file(said: str | None) -> str | None:
    if said is None:
        return None
    if not said.startswith(_KIND) or said == _KIND:
        raise usage.UsageError(f"--auth {said[:200]}: write file:PATH, for example file:/etc/hraft/users")
    return _path(said[len(_KIND) :], "--auth")


def _path(said: str | None, option: str) -> str | None:
    if said is None:
        return None
    if not said:
        raise usage.UsageError(f"{option} is empty: name a file, or leave it out")
    return os.path.abspath(os.path.expanduser(said))


def _hosts(said: str | None) -> tuple[str, ...] | None:
    if said is None:
        return None
    hosts = tuple(name.strip() for name in said.split(",") if name.strip())
    for name in hosts:
        if not _HOST.fullmatch(name):
            raise usage.UsageError(f"--allowed-hosts {name[:200]!r}: write names without ports, *.name, or *")
    return hosts
