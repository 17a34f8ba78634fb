"""The files of deploy/: what can be known of them without the systems that they are for."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hraft import limits
from hraft.options import Options

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
#: What an operator of the example may write into /etc/hraft/node0.conf.
HANDED_OVER = (
    "--haddr systemd:domain=INET6:name=http --haddr-adv n0:11000 --raddr systemd:domain=INET6:name=raft --raddr-adv n0:12000"
)


def unit(name: str) -> configparser.ConfigParser:
    """A unit file; of a name that is said more than once the last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((DEPLOY / name).read_text("utf-8"))
    return parser


def settings_of(words: list[str]) -> Options:
    options = Options()
    options.parseOptions(words)
    return options


def test_the_units_fit_the_node() -> None:
    """The command line is one that hraft takes, the times are longer than its own, and the files are as many as it can use."""
    service = unit("hraft@.service")["Service"]
    words = service["ExecStart"].partition(" hraft ")[2].replace("%i", "node0")
    settings_of(words.replace("$HRAFT_OPTIONS", HANDED_OVER).split())
    assert int(service["LimitNOFILE"]) >= limits.FILES_COUNT
    # Closing connections and closing the disk; before it, three election timeouts of the default.
    assert int(service["TimeoutStopSec"].removesuffix("s")) > 2 * limits.STOP_TIMEOUT_SECONDS + 5
    assert ("notify", "on-failure", "64", "SIGTERM") == tuple(
        service[name] for name in ("Type", "Restart", "RestartPreventExitStatus", "KillSignal")
    )


@pytest.mark.parametrize("name", ["http", "raft"])
def test_the_socket_units_say_what_the_options_ask_for(name: str) -> None:
    """A name that differs would keep the node from starting."""
    text = (DEPLOY / f"hraft-{name}@.socket").read_text("utf-8")
    socket_unit = unit(f"hraft-{name}@.socket")["Socket"]
    assert ("hraft@%i.service", name) == (socket_unit["Service"], socket_unit["FileDescriptorName"])
    [endpoint] = re.findall(r"systemd:\S+", text)
    assert f"name={name}" in endpoint
    assert endpoint in HANDED_OVER


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_can_read_the_units(tmp_path: Path) -> None:
    """A misspelt setting is only a warning in a running system, and not in force."""
    for path in DEPLOY.glob("hraft*@.*"):
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text("utf-8"), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(text)
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
    assert (0, 3) == (done.returncode, len(units)), done.stderr
    # It also looks at units of the machine itself, whose faults are not ours.
    assert [] == [line for line in done.stderr.splitlines() if "hraft" in line]
