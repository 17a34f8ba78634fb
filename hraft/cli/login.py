"""Who the command says it is: from files, the environment or a prompt, and never from the command line, which others can read."""

from __future__ import annotations

import os
import sys

import click

from hraft.credentials import Credentials, read_credentials, read_secret
from hraft.errors import BadUserFile


def credentials_of(user: str | None, password_file: str | None, token_file: str | None) -> Credentials | None:
    """None: nobody was named. Raises BadUserFile."""
    if user is not None and token_file is not None:
        raise BadUserFile("--user has a password and --token-file a token: use one of them")
    if user is not None:
        return Credentials.of_password(user, _password(user, password_file))
    if password_file is not None:
        raise BadUserFile("--password-file needs a --user")
    if token_file is not None:
        return read_credentials(token_file)
    token = os.environ.get("HRAFT_TOKEN")
    return Credentials.of_token(token) if token else None


def _password(user: str, password_file: str | None) -> str:
    if password_file is not None:
        return read_secret(password_file)
    password = os.environ.get("HRAFT_PASSWORD")
    if password is not None:
        return password
    if not sys.stdin.isatty():
        raise BadUserFile(f"the password of {user!r} is not known: set HRAFT_PASSWORD, or name a --password-file")
    return str(click.prompt(f"Password of {user}", hide_input=True, err=True))
