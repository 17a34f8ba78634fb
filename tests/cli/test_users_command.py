"""`hraft users`, and how the command says who asks: nothing secret is on a command line, nor comes out unasked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hraft.auth.secrets import hash_token, is_password
from hraft.auth.user_file import read_users
from hraft.auth.users import Rule, User
from hraft.cli.login import credentials_of
from hraft.cli.main import main
from hraft.credentials import Credentials, read_credentials
from hraft.errors import BadUserFile


def run(*words: str, stdin: str = "", code: int = 0) -> str:
    """What it says, on stdout and stderr."""
    result = CliRunner().invoke(main, ["users", *words], input=stdin, prog_name="hraft")
    assert code == result.exit_code, result.output
    return result.output


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "users")


def test_a_user_from_beginning_to_end(file: str) -> None:
    """Added, given a token, another password, shown, and removed."""
    assert "ada was added" in run("add", file, "ada", "--role", "admin", stdin="sesame street\n")
    run("add", file, "web", "--role", "write", "--write", "web/", "--read", "shared/", "--no-password")
    token = run("token", file, "web").strip()
    users = read_users(file)
    assert is_password(b"sesame street", users["ada"].password or "")
    assert User("web", "write", None, (hash_token(token),), (Rule(b"web/", "write"), Rule(b"shared/", "read"))) == users["web"]
    run("passwd", file, "ada", stdin="open sesame\n")
    assert is_password(b"open sesame", read_users(file)["ada"].password or "")
    run("token", file, "web", "--revoke")
    assert () == read_users(file)["web"].tokens
    assert "write web/*, read shared/*" in run("list", file)
    run("remove", file, "web")
    assert ["ada"] == list(read_users(file))


@pytest.mark.scenario("O11")
def test_o11_what_it_leaves(file: str) -> None:
    """A file for its owner alone, without the secrets, which nothing that is printed has either."""
    said = run("add", file, "ada", "--role", "admin", stdin="sesame street\n") + run("list", file)
    token = run("token", file, "ada").strip()
    assert 0o600 == os.stat(file).st_mode & 0o777
    assert "sesame" not in said + Path(file).read_text() and token not in Path(file).read_text()
    assert ["users"] == os.listdir(os.path.dirname(file))


@pytest.mark.parametrize(
    ("words", "stdin", "reason"),
    [
        (("add", "{}", "ada", "--role", "read"), "sesame street\n", "has a user 'ada' already"),
        (("add", "{}", "a:b", "--role", "read"), "sesame street\n", "colons"),
        (("add", "{}", "bob", "--role", "read"), "short\n", "at least 8 characters, and not 5"),
        (("add", "{}", "bob", "--role", "read"), "", "at least 8 characters, and not 0"),
        (("add", "{}", "bob", "--role", "admin", "--read", "a"), "", "an admin has all keys"),
        (("add", "{}", "bob", "--role", "read", "--write", "a"), "", "writes nothing"),
        (("remove", "{}", "bob"), "", "no user 'bob'"),
        (("passwd", "{}", "bob"), "sesame street\n", "no user 'bob'"),
        (("token", "{}", "bob"), "", "no user 'bob'"),
        (("list", "{}.none"), "", "cannot be read"),
    ],
)
def test_refusals(file: str, words: tuple[str, ...], stdin: str, reason: str) -> None:
    """One line each, and the file is as it was."""
    run("add", file, "ada", "--role", "admin", stdin="sesame street\n")
    before = Path(file).read_bytes()
    said = run(*(word.replace("{}", file) for word in words), stdin=stdin, code=2)
    assert reason in said and 1 == said.count("\n")
    assert before == Path(file).read_bytes()


def test_tokens_are_bounded(file: str) -> None:
    """Each is compared with at every login."""
    run("add", file, "web", "--role", "read", "--no-password")
    for _ in range(16):
        run("token", file, "web")
    assert "that is the limit" in run("token", file, "web", code=2)


def test_no_option_takes_a_secret() -> None:
    """Whoever may list processes could read it."""
    names = {name for parameter in main.params for name in parameter.opts}
    assert {"--password", "--token"}.isdisjoint(names)


class TestCredentials:
    """Where the command finds who it is."""

    def test_from_files(self, tmp_path: Path) -> None:
        """A token, user:password, or the password of a user that was named."""
        path = tmp_path / "secret"
        for text, user, expected in (
            ("token-1\nmore\n", None, Credentials.of_token("token-1")),
            ("ada:sesame:x\r\n", None, Credentials.of_password("ada", "sesame:x")),
        ):
            path.write_text(text)
            path.chmod(0o600)
            assert expected == credentials_of(user, None, str(path))
        assert Credentials.of_password("bob", "ada:sesame:x") == credentials_of("bob", str(path), None)

    def test_from_the_environment(self, monkeypatch: Any) -> None:
        """For scripts; a prompt needs somebody who answers."""
        assert credentials_of(None, None, None) is None
        monkeypatch.setenv("HRAFT_TOKEN", "token-1")
        assert Credentials.of_token("token-1") == credentials_of(None, None, None)
        monkeypatch.setenv("HRAFT_PASSWORD", "sesame")
        assert Credentials.of_password("ada", "sesame") == credentials_of("ada", None, None)
        monkeypatch.delenv("HRAFT_PASSWORD")
        with pytest.raises(BadUserFile, match="set HRAFT_PASSWORD"):
            credentials_of("ada", None, None)

    @pytest.mark.scenario("O11")
    def test_o11_mistakes_show_no_secret(self, tmp_path: Path) -> None:
        """Neither in an error, nor in what a program shows of its objects; and a file that others may read keeps none."""
        path = tmp_path / "secret"
        for text, mode, reason in (
            ("hunter22", 0o644, "chmod 600"),
            ("hunter22", 0o640, "chmod 600"),
            ("hunter22 x", 0o600, "spaces"),
            ("\nhunter22", 0o600, "is empty"),
        ):
            path.write_text(text)
            path.chmod(mode)
            with pytest.raises(BadUserFile, match=reason) as caught:
                read_credentials(str(path))
            assert "hunter22" not in str(caught.value)
        assert "hunter22" not in repr(Credentials.of_token("hunter22"))
