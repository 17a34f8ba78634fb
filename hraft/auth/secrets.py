"""Passwords and tokens as they are kept: hashed, so that whoever reads the file of users cannot log in with it.

    scrypt$14$8$1$<salt>$<hash>     a password: slow to try (RFC 7914), salt and hash in base64
    sha256$<hash>                   a token: 256 bits of chance, which nobody tries, so a fast hash does

Pure but for chance. Knows nothing of users.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from typing import Final

#: N = 2**14: some 50 ms, and 16 MiB meanwhile.
_LOG_N, _R, _P = 14, 8, 1
_SALT_BYTES, _HASH_BYTES = 16, 32
#: What a hash may cost at most: whoever edits the file by hand shall not stop the node.
_HIGHEST_LOG_N, _HIGHEST_R, _HIGHEST_P = 17, 16, 4
_MEMORY_BYTES = 2 * 128 * 2**_HIGHEST_LOG_N * _HIGHEST_R

_BASE64 = r"[A-Za-z0-9+/]{4,172}={0,2}"
_PASSWORD = re.compile(rf"scrypt\$(\d{{1,2}})\$(\d{{1,2}})\$(\d)\$({_BASE64})\$({_BASE64})")
_TOKEN = re.compile(r"sha256\$[0-9a-f]{64}")

TOKEN_PREFIX: Final = "hraft_"


def hash_password(password: bytes, log_n: int = _LOG_N) -> str:
    """A new hash. Takes its time: not for the reactor's thread."""
    salt = secrets.token_bytes(_SALT_BYTES)
    hashed = _scrypt(password, salt, log_n, _R, _P, _HASH_BYTES)
    return f"scrypt${log_n}${_R}${_P}${b64encode(salt).decode()}${b64encode(hashed).decode()}"


def is_password(password: bytes, kept: str) -> bool:
    """Whether this is the password that `kept` is the hash of. Takes its time, the same for right and wrong ones."""
    log_n, r, p, salt, hashed = _parts(kept)
    return hmac.compare_digest(_scrypt(password, salt, log_n, r, p, len(hashed)), hashed)


def check_password_hash(kept: str) -> None:
    """Raises ValueError, which does not show it, unless `is_password` can be asked of it."""
    _parts(kept)


def new_token() -> str:
    """A secret for a program. Shown once, to whoever is to have it."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    return "sha256$" + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def check_token_hash(kept: str) -> None:
    """Raises ValueError, which does not show it, unless it is the hash of a token."""
    if not _TOKEN.fullmatch(kept):
        raise ValueError("a token's hash is sha256$ and 64 small hexadecimal digits; `hraft users token` makes one")


#: Of no password. What is hashed for a user who is not there, so that it takes as long as for one who is.
NOBODYS: Final = f"scrypt${_LOG_N}${_R}${_P}${b64encode(bytes(_SALT_BYTES)).decode()}${b64encode(bytes(_HASH_BYTES)).decode()}"


def _parts(kept: str) -> tuple[int, int, int, bytes, bytes]:
    found = _PASSWORD.fullmatch(kept)
    if found is None:
        raise ValueError("a password's hash is scrypt$N$r$p$salt$hash; `hraft users passwd` makes one")
    log_n, r, p = (int(number) for number in found.groups()[:3])
    is_bearable = 10 <= log_n <= _HIGHEST_LOG_N and 1 <= r <= _HIGHEST_R and 1 <= p <= _HIGHEST_P
    if not is_bearable:
        most = f"{_HIGHEST_LOG_N}${_HIGHEST_R}${_HIGHEST_P}"
        raise ValueError(f"a password's hash may cost from scrypt$10$1$1 to scrypt${most}, and not scrypt${log_n}${r}${p}")
    salt, hashed = (b64decode(part, validate=True) for part in found.groups()[3:])
    if len(salt) < 8 or len(hashed) < 16:
        raise ValueError("a password's hash has at least 8 bytes of salt and 16 of hash")
    return log_n, r, p, salt, hashed


def _scrypt(password: bytes, salt: bytes, log_n: int, r: int, p: int, length: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=2**log_n, r=r, p=p, maxmem=_MEMORY_BYTES, dklen=length)
