"""Who a client or a joining node says it is: an Authorization header, made of what is never on a command line.

Knows nothing of how credentials are checked, and of what they allow.
"""

from __future__ import annotations

import os
import re
import stat
from base64 import b64encode
from dataclasses import dataclass, field

from hraft.errors import BadUserFile

_FILE_BYTES = 4096
_TOKEN = re.compile(r"[!-9;-~]{1,1024}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Of one user. What is secret in it is not shown."""

    authorization: str = field(repr=False)

    @classmethod
    def of_password(cls, user: str, password: str) -> Credentials:
        """Raises BadUserFile for a name that no user can have."""
        if not user or ":" in user or not user.isprintable():
            raise BadUserFile(f"a user's name has no colon in it, and is not {user[:40]!r}")
        both = f"{user}:{password}".encode("utf-8", "surrogateescape")
        return cls(f"Basic {b64encode(both).decode()}")

    @classmethod
    def of_token(cls, token: str) -> Credentials:
        """Raises BadUserFile, which does not show it, for what cannot be a token."""
        if not _TOKEN.fullmatch(token):
            raise BadUserFile("a token is printable ASCII characters without spaces and colons; `hraft users token` makes one")
        return cls(f"Bearer {token}")


def read_credentials(path: str) -> Credentials:
    """From a file whose first line is user:password, or a token. Raises BadUserFile, also where others may read the file."""
    line = read_secret(path)
    user, colon, password = line.partition(":")
    return Credentials.of_password(user, password) if colon else Credentials.of_token(line)


def read_secret(path: str) -> str:
    """The first line of a file that its owner alone may read. Raises BadUserFile, which shows nothing of it."""
    try:
        with open(path, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_FILE_BYTES)
    except OSError as error:
        raise BadUserFile(f"{path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise BadUserFile(f"{path}: others may read it (mode {mode:o}), so it keeps no secret; say chmod 600")
    line = data.split(b"\n")[0].rstrip(b"\r").decode("utf-8", "surrogateescape")
    if not line:
        raise BadUserFile(f"{path}: its first line must be user:password, a password or a token, and is empty")
    return line
