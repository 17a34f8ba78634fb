"""What stops a start: one clear line on stderr and a non-zero exit, never a traceback, never half a process."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from cluster import Cluster

from chaos.ports import free_ports


def refused(cluster: Cluster, *arguments: str) -> tuple[int, str]:
    """Run `twist hraft` on free ports where none are said; its exit status and the one line it ends with."""
    http_port, raft_port = free_ports(2)
    ports = [f"--haddr=localhost:{http_port}"] if "--haddr" not in "".join(arguments) else []
    ports += [f"--raddr=localhost:{raft_port}"] if "--raddr" not in "".join(arguments) else []
    command = [*cluster.twist, "hraft", *ports, *arguments]
    done = subprocess.run(command, env=cluster.environment, capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL)
    assert "Traceback" not in done.stderr + done.stdout
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("hraft: ")
    return done.returncode, lines[0]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--haddr", "nonsense", "data"], "--haddr: bad address 'nonsense'"),
        (["--kept-entries", "-1", "data"], "--kept-entries -1"),
        (["--nonesuch"], "not recognized"),
        ([], "no data directory"),
    ],
)
def test_wrong_options(cluster: Cluster, arguments: list[str], part: str) -> None:
    """Exit status 64, as sysexits.h has it for usage."""
    code, line = refused(cluster, *arguments)
    assert code == 64
    assert part in line


@pytest.mark.parametrize("which", ["--haddr", "--raddr"])
def test_port_in_use(cluster: Cluster, tmp_path: Path, which: str) -> None:
    """Either port; and the directory is free for the next try."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"localhost:{taken.getsockname()[1]}"
        code, line = refused(cluster, which, address, str(tmp_path / "data"))
    assert code == 1
    assert f"cannot listen on {address}" in line
    assert "in use" in line
    assert which in line


def test_unresolvable_host(cluster: Cluster, tmp_path: Path) -> None:
    """A name that is none."""
    code, line = refused(cluster, "--haddr", "nonesuch.invalid:17777", str(tmp_path / "data"))
    assert code == 1
    assert "'nonesuch.invalid' does not resolve" in line


def test_file_instead_of_a_directory(cluster: Cluster, tmp_path: Path) -> None:
    """A path that is something else."""
    (tmp_path / "data").write_text("not a directory")
    code, line = refused(cluster, str(tmp_path / "data"))
    assert code == 1
    assert str(tmp_path / "data") in line


def test_no_such_parent(cluster: Cluster, tmp_path: Path) -> None:
    """Below a file there can be no directory."""
    (tmp_path / "file").write_text("")
    code, line = refused(cluster, str(tmp_path / "file" / "data"))
    assert code == 1
    assert str(tmp_path / "file" / "data") in line


def test_read_only_directory(cluster: Cluster, tmp_path: Path) -> None:
    """Nothing can be kept there. Root may write anywhere but in the kernel's own file systems."""
    read_only = Path("/proc/hraft-data") if os.geteuid() == 0 else tmp_path / "data"
    if os.geteuid() != 0:
        read_only.mkdir(mode=0o500)
    code, line = refused(cluster, str(read_only))
    assert code == 1
    assert f"{read_only} cannot be used as a data directory" in line


@pytest.mark.scenario("D22")
def test_directory_in_use(cluster: Cluster) -> None:
    """A second process on the same directory is refused, and the first goes on."""
    node = cluster.node().start().wait_until_started()
    code, line = refused(cluster, str(node.directory))
    assert code == 1
    assert "in use" in line
    assert node.set("a", "1").status == 200


@pytest.mark.scenario("D7")
def test_corrupt_log(cluster: Cluster) -> None:
    """Damage before the last save may hide what was acknowledged: nothing is changed, and the line says where it is."""
    node = cluster.node().start().wait_until_started()
    for number in range(20):
        assert node.set(f"key{number}", "v").status == 200
    node.kill()
    segment = max((node.directory / "log").iterdir())
    data = bytearray(segment.read_bytes())
    where = data.index(b"key3")
    data[where] ^= 1
    segment.write_bytes(bytes(data))
    code, line = refused(cluster, f"--raddr={node.raft_address}", str(node.directory))
    assert code == 1
    assert str(segment) in line
    assert segment.read_bytes() == bytes(data)


@pytest.mark.scenario("D21")
def test_newer_format(cluster: Cluster) -> None:
    """A directory of a later release is left alone."""
    node = cluster.node().start().wait_until_started()
    node.kill()
    identity = node.directory / "node.json"
    identity.write_bytes(identity.read_bytes().replace(b'"format":1', b'"format":99'))
    code, line = refused(cluster, f"--raddr={node.raft_address}", str(node.directory))
    assert code == 1
    assert "99" in line


def test_another_id(cluster: Cluster) -> None:
    """A directory belongs to one node for all time."""
    node = cluster.node("--id", "node0").start().wait_until_started()
    node.kill()
    code, line = refused(cluster, "--id", "node7", str(node.directory))
    assert code == 1
    assert "node0" in line
    assert "node7" in line
