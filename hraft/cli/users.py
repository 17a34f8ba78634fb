"""users: the file that `twist hraft --auth file:FILE` reads. A node takes a change in by itself, within seconds.

Passwords come from a prompt, or the first line of stdin; what is made is printed once. Asks no node.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from hraft import limits
from hraft.auth.secrets import hash_password, hash_token, new_token
from hraft.auth.user_file import check_name, edit_users, read_users
from hraft.auth.users import ROLES, Role, Rule, User
from hraft.cli.keys import bytes_of
from hraft.cli.log import offline
from hraft.cli.printing import shown
from hraft.cli.session import Session, pass_session
from hraft.errors import BadUserFile

_LEAST_CHARACTERS_COUNT = 8

file_argument = click.argument("file", type=click.Path(dir_okay=False))


@click.group("users")
def users() -> None:
    """Say who may come in: edit the FILE of `twist hraft --auth file:FILE`."""


@users.command("add")
@file_argument
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What it may do; write may read, and admin everything.")
@click.option("--write", "written", multiple=True, metavar="PREFIX", help="Only keys that begin so, to write; several times.")
@click.option("--read", "read", multiple=True, metavar="PREFIX", help="Only keys that begin so, to read; several times.")
@click.option("--no-password", is_flag=True, help="It will have tokens only: see `hraft users token`.")
@pass_session
@offline
def add(session: Session, file: str, name: str, role: Role, written: Any, read: Any, no_password: bool) -> None:
    """Add user NAME to FILE, which is made if it is not there. Its password is prompted for, or the first line of stdin."""
    try:
        check_name(name)
    except ValueError as error:
        raise BadUserFile(str(error)) from error
    if role == "admin" and (written or read):
        raise BadUserFile("an admin has all keys: leave --read and --write out, or give it another role")
    if role == "read" and written:
        raise BadUserFile("--role read writes nothing: leave --write out, or say --role write")
    rules = (*(Rule(bytes_of(each), "write") for each in written), *(Rule(bytes_of(each), "read") for each in read))
    kept = None if no_password else hash_password(_new_password(name))

    def change(found: dict[str, User]) -> None:
        if name in found:
            raise BadUserFile(f"{file} has a user {name!r} already")
        if len(found) >= limits.USERS_COUNT:
            raise BadUserFile(f"{file} has {len(found)} users already, and that is the limit")
        found[name] = User(name, role, kept, (), rules or None)

    edit_users(file, change)
    session.printing.line(f"{file}: {name} was added")


@users.command("remove")
@file_argument
@click.argument("name")
@pass_session
@offline
def remove(session: Session, file: str, name: str) -> None:
    """Take user NAME out of FILE; its leases and sessions end by themselves."""
    _change(file, name, lambda user: None)
    session.printing.line(f"{file}: {name} was removed")


@users.command("passwd")
@file_argument
@click.argument("name")
@pass_session
@offline
def passwd(session: Session, file: str, name: str) -> None:
    """Give user NAME another password, from a prompt or the first line of stdin."""
    _find(file, name)
    kept = hash_password(_new_password(name))
    _change(file, name, lambda user: replace(user, password=kept))
    session.printing.line(f"{file}: {name} has another password")


@users.command("token")
@file_argument
@click.argument("name")
@click.option("--revoke", is_flag=True, help="Take all its tokens away instead.")
@pass_session
@offline
def token(session: Session, file: str, name: str, revoke: bool) -> None:
    """Make a token for user NAME, and print it: it is not kept, and cannot be shown again."""
    if revoke:
        _change(file, name, lambda user: replace(user, tokens=()))
        session.printing.line(f"{file}: {name} has no token any more")
        return
    made = new_token()

    def change(user: User) -> User:
        if len(user.tokens) >= limits.USER_TOKENS_COUNT:
            raise BadUserFile(f"{name} has {len(user.tokens)} tokens already, and that is the limit; --revoke takes them away")
        return replace(user, tokens=(*user.tokens, hash_token(made)))

    _change(file, name, change)
    session.printing.line(made)


@users.command("list")
@file_argument
@pass_session
@offline
def list_users(session: Session, file: str) -> None:
    """Show who is in FILE, and what each may do."""
    found = read_users(file)
    if session.printing.is_json:
        for user in found.values():
            session.printing.document(_document(user))
    else:
        session.printing.table(("USER", "ROLE", "KEYS", "PASSWORD", "TOKENS"), map(_row, found.values()))


def _change(file: str, name: str, change: Callable[[User], User | None]) -> None:
    """Put what `change` returns in the place of one user; None takes it away."""

    def edited(found: dict[str, User]) -> None:
        if name not in found:
            raise BadUserFile(f"{file} has no user {name!r}")
        changed = change(found[name])
        if changed is None:
            del found[name]
        else:
            found[name] = changed

    _find(file, name)
    edit_users(file, edited)


def _find(file: str, name: str) -> None:
    if name not in read_users(file):
        raise BadUserFile(f"{file} has no user {name!r}")


def _new_password(name: str) -> bytes:
    if sys.stdin.isatty():
        password = str(click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True))
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < _LEAST_CHARACTERS_COUNT:
        raise BadUserFile(f"a password has at least {_LEAST_CHARACTERS_COUNT} characters, and not {len(password)}")
    return password.encode("utf-8", "surrogateescape")


def _rules(user: User) -> list[str]:
    return [] if user.rules is None else [f"{rule.access} {shown(rule.prefix)}*" for rule in user.rules]


def _document(user: User) -> dict[str, Any]:
    keys = None if user.rules is None else _rules(user)
    return {"user": user.name, "role": user.role, "keys": keys, "password": user.password is not None, "tokens": len(user.tokens)}


def _row(user: User) -> tuple[str, ...]:
    rules = "all" if user.rules is None else ", ".join(_rules(user)) or "none"
    return (user.name, user.role, rules, "yes" if user.password is not None else "no", str(len(user.tokens)))
