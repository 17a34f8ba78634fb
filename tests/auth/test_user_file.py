"""The file of users: what it may say, how a mistake is told, and how it is changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hraft.auth.secrets import check_password_hash, hash_password, hash_token, is_password, new_token
from hraft.auth.user_file import edit_users, line_of, parse_users, read_users
from hraft.auth.users import Rule, User
from hraft.errors import BadUserFile

TOKEN = hash_token("t")
PASSWORD = hash_password(b"secret", log_n=10)
ADA = User("ada", "admin", PASSWORD)
WEB = User("web", "write", None, (TOKEN,), (Rule(b"web/", "write"), Rule(b"\xff", "read")))


def test_what_is_written_is_read() -> None:
    """Users, their rules of any bytes, and comments between them."""
    data = b"# the team\n\n" + line_of(ADA) + b"\n  " + line_of(WEB) + b"\r\n"
    assert {"ada": ADA, "web": WEB} == parse_users("f", data)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "truncated"),
        (b'{"user":"a"}', "role"),
        (b'{"user":"a","role":"god"}', "god"),
        (b'{"user":"a","role":"read","rights":1}', "rights"),
        (b'{"user":"a b","role":"read"}', "without spaces|no spaces"),
        (b'{"user":"a:b","role":"read"}', "colons"),
        (b'{"user":"","role":"read"}', "1 to 128"),
        (b'{"user":"ada","role":"read"}', "there already"),
        (b'{"user":"a","role":"read","password":"hunter22"}', "scrypt"),
        (b'{"user":"a","role":"read","password":"scrypt$31$8$1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA"}', "cost"),
        (b'{"user":"a","role":"read","password":"scrypt$14$8$1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA"}', "salt"),
        (b'{"user":"a","role":"read","tokens":["hunter22"]}', "sha256"),
        (b'{"user":"a","role":"admin","keys":[]}', "admin"),
        (b'{"user":"a","role":"read","keys":[{"prefix":"a","access":"write"}]}', "read"),
        (b'{"user":"a","role":"read","keys":[{"access":"read"}]}', "missing"),
        (b"\xff", "malformed|UTF-8"),
        (b"[" * 100_000, "deep|Expected"),
    ],
)
def test_a_mistake_has_its_line(line: bytes, reason: str) -> None:
    """Whoever edits by hand is told where and what, and the secret is not repeated."""
    with pytest.raises(BadUserFile, match=rf"^f, line 3: .*({reason})") as caught:
        parse_users("f", b"#\n" + line_of(ADA) + b"\n" + line)
    assert "hunter22" not in str(caught.value)


def test_a_mistake_of_any_length_is_a_line() -> None:
    """A field's name may be as long as a file; the log is not to be."""
    with pytest.raises(BadUserFile) as caught:
        parse_users("f", b'{"user":"a","%b":1}' % (b"x" * 10_000))
    assert len(str(caught.value)) < 400


def test_hashes() -> None:
    """The right password and no other; the same twice is not the same hash; a token has enough chance in it."""
    kept = hash_password(b"secret", log_n=10)
    assert (True, False) == (is_password(b"secret", kept), is_password(b"Secret", kept))
    assert kept != hash_password(b"secret", log_n=10)
    check_password_hash(hash_password(b""))
    assert len({new_token() for _ in range(10)}) == 10 and len(new_token()) >= 43


@pytest.mark.scenario("O11")
def test_o11_written_for_its_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask is, and whatever it was before."""
    path = str(tmp_path / "users")
    (tmp_path / "users").write_bytes(b"# mine\n")
    os.chmod(path, 0o644)
    before = os.umask(0)
    try:
        edit_users(path, lambda users: users.update(ada=ADA))
    finally:
        os.umask(before)
    assert 0o600 == os.stat(path).st_mode & 0o777
    assert {"ada": ADA} == read_users(path)
    assert (tmp_path / "users").read_bytes().startswith(b"# mine\n")


def test_a_mistake_changes_nothing(tmp_path: Path) -> None:
    """Neither what is there, nor by leaving a part of something else."""
    path = tmp_path / "users"
    path.write_bytes(b"{\n")
    with pytest.raises(BadUserFile, match="line 1"):
        edit_users(str(path), lambda users: users.clear())
    assert (b"{\n", ["users"]) == (path.read_bytes(), os.listdir(tmp_path))


def test_a_link_stays_one(tmp_path: Path) -> None:
    """A node that reads the file under its own path would never hear of a change that was made under the link's."""
    path, link = tmp_path / "users", tmp_path / "link"
    path.write_bytes(b"")
    link.symlink_to(path)
    edit_users(str(link), lambda users: users.update(ada=ADA))
    assert (True, ["ada"]) == (link.is_symlink(), list(read_users(str(path))))


def test_one_at_a_time(tmp_path: Path) -> None:
    """Two who edit at once would lose what one of them did."""
    path = str(tmp_path / "users")

    def change(users: dict[str, User]) -> None:
        with pytest.raises(BadUserFile, match="somebody is changing"):
            edit_users(path, lambda _: None)
        users["ada"] = ADA

    edit_users(path, change)
    assert ["ada"] == list(read_users(path))


def test_not_there(tmp_path: Path) -> None:
    """One sentence with the path."""
    with pytest.raises(BadUserFile, match=r"users cannot be read: No such file"):
        read_users(str(tmp_path / "users"))
