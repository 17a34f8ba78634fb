"""Real nodes with users: the examples of docs/security.md, joining, a file that changes, and where no secret may ever be."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cluster import PATIENT, Cluster, Node, wait_until

from chaos.ports import free_ports

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "security.md"
PASSWORD = "correct horse"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the page's examples are made with curl")


def example() -> list[str]:
    """The lines of the page's beginning."""
    begin = PAGE.read_text("utf-8").split("    umask 077\n", 1)[1]
    return ["umask 077", *(line.strip() for line in begin.split("\n\n|", 1)[0].splitlines() if line.strip())]


class Shell:
    """Somebody at a keyboard, in a directory of their own."""

    def __init__(self, cluster: Cluster) -> None:
        self.folder = cluster.folder / "home"
        self.folder.mkdir()
        self.environment = {**cluster.environment, "HOME": str(self.folder)}

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """One line, in which `hraft` is the one that is tested."""
        script = f'set -e; umask 077; hraft() {{ "{sys.executable}" -m hraft "$@"; }}\n{line}'
        return subprocess.run(
            ["bash", "-c", script], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )


def told(node: Node, header: str, method: str, path: str) -> int:
    return node.ask(method, path, b"x" if method == "PUT" else None, headers={"Authorization": header}).status


@pytest.mark.scenario("O8", "O11")
def test_o11_the_page_and_no_secret_anywhere(cluster: Cluster) -> None:
    """Each command of the page does what it says; a node joins with an admin's file, and not without. And afterwards no password,
    token or header is in a log, a data directory or a command line; and whatever was made is its owner's alone."""
    before = os.umask(0)
    try:
        shell = Shell(cluster)
        first = cluster.node(*PATIENT, "--auth", f"file:{shell.folder}/users")
        for line in example():
            _follow(line, shell, first)
        logins = ("--auth", f"file:{shell.folder}/users", "--join-auth", f"{shell.folder}/ada.secret")
        second = cluster.node(*PATIENT, *logins, join=[first])
        second.start().wait_until_started()
    finally:
        os.umask(before)
    token = (shell.folder / "web.token").read_text().strip()
    # Checked where it was taken in, and passed on.
    assert [200, 403, 401] == [
        told(node, f"Bearer {said}", "PUT", path)
        for node, said, path in ((second, token, "/v1/kv/web/a"), (second, token, "/v1/kv/a"), (second, "none", "/v1/kv/web/a"))
    ]
    refused = cluster.node("--auth", f"file:{shell.folder}/users", join=[first]).start()
    assert 1 == refused.wait_for_exit()
    assert "--join-auth" in refused.log().strip().splitlines()[-1]
    _look_for_secrets(cluster, (PASSWORD, token, "correct%20horse", "YWRhOmNvcnJlY3Q"))


def _follow(line: str, shell: Shell, first: Node) -> None:
    """One line of the page."""
    if line.startswith("twist"):
        if "--join" not in line:
            first.start().wait_until_started()
            # It is ready a heartbeat later, which the page's reader does not type faster than.
            wait_until(lambda: first.ask("GET", "/readyz").status == 200, "the node is ready")
        return
    command, _, expected = line.partition(" # ")
    command = command.rstrip().replace("localhost:11000", first.http_address)
    if command.startswith("curl"):
        command = command.replace("curl", "curl -s -o answer -w '%{http_code}'", 1)
    if re.search(r"hraft (--|users)", command) and " users " not in command:
        command = command.replace("hraft --", f"hraft -e http://{first.http_address} --")
    done = shell.run(command)
    assert 0 == done.returncode, (line, done.stderr)
    if expected:
        assert expected == done.stdout, (line, (shell.folder / "answer").read_text())


def _look_for_secrets(cluster: Cluster, secrets: tuple[str, ...]) -> None:
    for node in cluster.nodes:
        for secret in secrets:
            assert secret not in node.log(), node.name
        if node.is_running():
            assert node.process is not None
            argv = Path(f"/proc/{node.process.pid}/cmdline").read_bytes()
            assert not any(secret.encode() in argv for secret in secrets)
        for path in (node.directory, *node.directory.rglob("*")) if node.directory.exists() else ():
            mode = path.stat().st_mode & 0o777
            assert (0o700 if path.is_dir() else 0o600) == mode, (path, oct(mode))
            assert path.is_dir() or not any(secret.encode() in path.read_bytes() for secret in secrets), path


@pytest.mark.scenario("O21")
def test_o21_the_file_changes(cluster: Cluster) -> None:
    """SIGHUP takes it in at once, and ends no process; a mistake changes nothing and is told with its line."""
    shell = Shell(cluster)
    users = shell.folder / "users"
    token = shell.run("hraft users add users web --role write --no-password; hraft users token users web").stdout.split()[-1]
    node = cluster.node("--auth", f"file:{users}").start().wait_until_started()
    assert 200 == told(node, f"Bearer {token}", "PUT", "/v1/kv/a")
    users.write_text(users.read_text() + "{}\n")
    node.send_signal(signal.SIGHUP)
    wait_until(lambda: re.search(r"users, line 2: ", node.log()), "the mistake is told")
    assert 200 == told(node, f"Bearer {token}", "PUT", "/v1/kv/a")
    assert 2 == shell.run("hraft users remove users web").returncode
    users.write_text(users.read_text().removesuffix("{}\n"))
    assert 0 == shell.run("hraft users remove users web").returncode
    node.send_signal(signal.SIGHUP)
    wait_until(lambda: told(node, f"Bearer {token}", "GET", "/v1/kv/a") == 401, "who was removed is out")
    assert node.is_running()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--auth", "file:{}/none"), "none cannot be read: No such file"),
        (("--auth", "file:{}/bad"), "bad, line 1: "),
        (("--auth", "file:{}/open"), "others may write it"),
        (("--join-auth", "{}/open"), "others may read it"),
    ],
)
def test_refused_at_the_start(cluster: Cluster, tmp_path: Path, arguments: tuple[str, str], reason: str) -> None:
    """One line, and nothing was opened."""
    for name, text, mode in (("bad", "{}", 0o600), ("open", json.dumps({"user": "a", "role": "read"}), 0o666)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
    http_port, raft_port = free_ports(2)
    option, value = arguments
    words = ["hraft", f"--haddr=:{http_port}", f"--raddr=:{raft_port}", option, value.replace("{}", str(tmp_path)), "--inmem"]
    done = subprocess.run(
        [*cluster.twist, *words], env=cluster.environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )
    assert (1, 1) == (done.returncode, done.stderr.count("\n")), done.stderr
    assert reason in done.stderr
