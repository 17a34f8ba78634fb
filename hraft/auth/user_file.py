"""The file of users: JSON, one user a line, so that an error has a line, `grep` finds a user, and Python 3.10 reads it.

    {"user":"ada","role":"admin","password":"scrypt$14$8$1$..."}
    {"user":"web","role":"write","tokens":["sha256$..."],"keys":[{"prefix":"web/","access":"write"},{"prefix":"shared/","access":"read"}]}

Empty lines, and those that begin with #, say nothing. `hraft users` edits it. Knows nothing of the node.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from hraft import limits
from hraft.auth.secrets import check_password_hash, check_token_hash
from hraft.auth.users import Access, Role, Rule, User
from hraft.errors import BadUserFile
from hraft.kv.texts import Base64, Text, joined, split
from hraft.ordinary_files import read_ordinary

_REASON_CHARACTERS_COUNT = 300
_NAME = re.compile(r"[!-9;-~]{1,128}")


class _Rule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    access: Access
    prefix: Text = UNSET
    prefix_base64: Base64 = UNSET


class _Line(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    user: str
    role: Role
    password: str | None = None
    tokens: Annotated[list[str], msgspec.Meta(max_length=limits.USER_TOKENS_COUNT)] = []
    keys: Annotated[list[_Rule], msgspec.Meta(max_length=limits.USER_RULES_COUNT)] | UnsetType = UNSET


_decoder: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when a file does. `mode` are its permissions, `owner` is a user of the system."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int
    mode: int
    owner: int


def stamp_of(path: str) -> Stamp:
    """Of a file as it is now. Raises BadUserFile."""
    try:
        found = os.stat(path)
    except OSError as error:
        raise BadUserFile(f"{path} cannot be read: {error.strerror}") from error
    mode = stat.S_IMODE(found.st_mode)
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, mode, found.st_uid)


def read_users(path: str) -> dict[str, User]:
    """All users by name. Raises BadUserFile for whatever is wrong, with its line."""
    return parse_users(path, _bytes_of(path))


def parse_users(path: str, data: bytes) -> dict[str, User]:
    """The same of bytes; `path` is for messages."""
    users: dict[str, User] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip() or line.lstrip().startswith(b"#"):
            continue
        try:
            user = _user(line)
            if user.name in users:
                raise ValueError(f"the user {user.name!r} is there already")
            if len(users) >= limits.USERS_COUNT:
                raise ValueError(f"there may be {limits.USERS_COUNT} users")
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BadUserFile(f"{path}, line {number}: {_reason(error)}") from error
        users[user.name] = user
    return users


def line_of(user: User) -> bytes:
    """One user as a line, without its end."""
    rules = UNSET if user.rules is None else [_Rule(rule.access, *split(rule.prefix)) for rule in user.rules]
    return _encoder.encode(_Line(user.name, user.role, user.password, list(user.tokens), rules))


def check_name(name: str) -> None:
    """Raises ValueError for what cannot be a user's name: HTTP Basic divides name and password by a colon."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"a user's name is 1 to 128 printable ASCII characters, no spaces or colons, and not {name[:140]!r}")


def edit_users(path: str, change: Callable[[dict[str, User]], object]) -> None:
    """Let `change` change the users of a file (none, where it is not there yet), and put the result in its place as one step.

    Whoever edits it at the same time is refused. Comments are kept, at the beginning. Raises BadUserFile, and what `change`
    raises: then the file is as it was.
    """
    # Of a link the file that it leads to, which other paths may lead to as well.
    path = os.path.realpath(path)
    temporary = f"{path}.writing"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        reason = f"somebody is changing {path}, or was interrupted: then remove it"
        raise BadUserFile(f"{temporary} is there: {reason}") from error
    except OSError as error:
        raise BadUserFile(f"{temporary} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            data = _bytes_of(path) if os.path.exists(path) else b""
            users = parse_users(path, data)
            change(users)
            lines = [*(line for line in data.split(b"\n") if line.lstrip().startswith(b"#")), *map(line_of, users.values())]
            _keep_owner(path, descriptor)
            file.write(b"".join(line + b"\n" for line in lines))
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        raise BadUserFile(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError):
            os.remove(temporary)


def _keep_owner(path: str, descriptor: int) -> None:
    """Root edits the file of a node that runs as somebody else."""
    with suppress(OSError):
        found = os.stat(path)
        if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, found.st_uid, found.st_gid)


def _bytes_of(path: str) -> bytes:
    try:
        data, _ = read_ordinary(path, limits.USER_FILE_BYTES)
    except OSError as error:
        raise BadUserFile(f"{path} cannot be read: {error.strerror or errno.errorcode.get(error.errno or 0, error)}") from error
    if len(data) > limits.USER_FILE_BYTES:
        raise BadUserFile(f"{path} has more than {limits.USER_FILE_BYTES} bytes, and that is the limit")
    return data


def _user(line: bytes) -> User:
    said = _decoder.decode(line)
    check_name(said.user)
    if said.password is not None:
        check_password_hash(said.password)
    for token in said.tokens:
        check_token_hash(token)
    if said.keys is UNSET:
        return User(said.user, said.role, said.password, tuple(said.tokens))
    if said.role == "admin":
        raise ValueError("an admin may do everything, so keys must not be said; make it a writer, or leave them out")
    rules = tuple(Rule(joined(rule.prefix, rule.prefix_base64), rule.access) for rule in said.keys)
    if said.role == "read" and any(rule.access == "write" for rule in rules):
        raise ValueError("a user whose role is read cannot have keys with access write")
    return User(said.user, said.role, said.password, tuple(said.tokens), rules)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it nests too deeply"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    # An unknown field is named whole, however long that is.
    return str(error)[:_REASON_CHARACTERS_COUNT]
