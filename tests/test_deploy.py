"""The files of deploy/: what can be known of them without the systems that they are for."""

from __future__ import annotations

import configparser
import json
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
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=120)
    assert (0, 3) == (done.returncode, len(units)), done.stderr
    # It also looks at units of the machine itself, whose faults are not ours.
    assert [] == [line for line in done.stderr.splitlines() if "hraft" in line]


def container_steps() -> list[tuple[str, str]]:
    """The instructions of the Containerfile, continued lines joined and comments left out."""
    lines = [line for line in (DEPLOY / "Containerfile").read_text("utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(step.split(None, 1)[0], step.split(None, 1)[1].strip()) for step in joined.splitlines() if step.strip()]


def words_of(step: str) -> list[str]:
    """The exec form of an instruction, as `twist hraft` gets it."""
    [found] = [rest for name, rest in container_steps() if name == step]
    words: list[str] = json.loads(found)
    return words


def test_the_container_takes_what_the_build_needs() -> None:
    """A file that is not copied is missing only where containers can be built, which is not here."""
    copied = [rest.split()[:-1] for name, rest in container_steps() if name == "COPY" and not rest.startswith("--from")]
    sources = {source for sources in copied for source in sources}
    assert [] == [source for source in sources if not (DEPLOY.parent / source).exists()]
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "hraft", "twisted", "docs/man"} <= sources
    stages = [rest for name, rest in container_steps() if name == "FROM"]
    assert ["${PYTHON} AS build", "${PYTHON}"] == stages


def test_the_container_runs_a_node_as_nobody_special() -> None:
    """By a command line that hraft takes, also with more options behind it, and with a user and a signal that fit."""
    steps = dict(container_steps())
    assert ("10001", "SIGTERM", "/data", "11000 12000") == (steps["USER"], steps["STOPSIGNAL"], steps["VOLUME"], steps["EXPOSE"])
    entry = words_of("ENTRYPOINT")
    settings = settings_of([*entry[entry.index("hraft") + 1 :], *words_of("CMD")]).settings
    assert ("/data", "localhost:11000") == (settings.directory, settings.http_address)
    program = json.loads(steps["HEALTHCHECK"].partition("CMD")[2])
    compile(program[2], "health check", "exec")
    assert "/livez" in program[2]


def test_the_compose_file_makes_one_cluster() -> None:
    """Every node has its own name, port and volume, and all but the first join the first."""
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra `docs`")
    composed = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    entry = words_of("ENTRYPOINT")
    for number, (name, service) in enumerate(composed["services"].items()):
        settings = settings_of([*entry[entry.index("hraft") + 1 :], *service["command"]]).settings
        told = (settings.node_id, settings.http_address, settings.raft_address)
        assert (f"node{number}", f"{name}:11000", f"{name}:12000") == told
        assert (0 if number == 0 else 1) == len(settings.join_targets)
        assert [f"127.0.0.1:{11000 + number}:11000"] == service["ports"]
        assert [f"{name}:/data"] == service["volumes"]
        assert "deploy/Containerfile" == service["build"]["dockerfile"]
    assert list(composed["services"]) == list(composed["volumes"])
