"""What a node makes of what its operator has said about who may come in."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, globalLogPublisher

from hraft.access import Access
from hraft.options import Options
from hraft.web.asked import Asked
from hraft.web.permissions import ANY_USER
from hraft.web.problems import Problem


def access_of(*words: str) -> Access:
    options = Options()
    options.parseOptions([*words, "--inmem"])
    return Access(MemoryReactorClock(), options.settings)


def warnings_of(*words: str) -> list[str]:
    """What it warns of when it is opened."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    access = access_of(*words)
    try:
        access.open()
    finally:
        access.close()
        globalLogPublisher.removeObserver(events.append)
    return [event["log_format"] for event in events if event["log_namespace"] == "hraft.access"]


def test_an_open_port_is_told() -> None:
    """Who listens beyond this machine, and asks nobody who he is, should know that."""
    assert 1 == len(warnings_of("--haddr", ":11000"))
    assert 1 == len(warnings_of("--haddr", "systemd:domain=INET:index=0", "--haddr-adv", "h.example:80"))
    for words in (("--haddr", "localhost:11000"), ("--haddr", "[::1]:1"), ("--haddr", "unix:/s", "--haddr-adv", "h:1")):
        assert [] == warnings_of(*words), words


def test_users_are_no_open_port(tmp_path: Path) -> None:
    """And with them it is not said."""
    users = tmp_path / "users"
    users.write_text('{"user":"a","role":"admin"}\n')
    users.chmod(0o600)
    assert [] == warnings_of("--haddr", ":11000", "--auth", f"file:{users}")


@pytest.mark.scenario("O9")
def test_o9_its_own_names_are_good() -> None:
    """Those of --haddr and --haddr-adv, whatever is spoken there; and no others."""
    pem = ("--http-cert", "c.pem", "--http-key", "k.pem")
    for words in (
        ("--haddr", "h.example:80"),
        ("--haddr", ":80", "--haddr-adv", "h.example:80"),
        (*pem, "--haddr", "h.example:80"),
    ):
        access = access_of(*words)
        guard = access.open()
        access.close()
        asked = Asked(b"POST", b"/join", b"", b"", host=b"h.example:80")
        assert asked == guard.admitted(None, ANY_USER, asked)  # type: ignore[arg-type]
        with pytest.raises(Problem, match="not known as"):
            guard.admitted(None, ANY_USER, Asked(b"POST", b"/join", b"", b"", host=b"evil.example:80"))  # type: ignore[arg-type]
