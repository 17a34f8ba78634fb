"""Each node in a network namespace of its own: one bridge, one veth per node, nftables for what is lost, tbf for what is slow.

Nothing of this touches the network of the machine: the bridge too is in a namespace, and clients enter it to make their sockets.
Needs root, iproute2 and nftables.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from chaos.links import LOSS_PERCENT, Conditions, Place
from chaos.security import Security, Users

_CLONE_NEWNET = 0x40000000
_NAMES = "hraft-chaos-"
_SUBNET = "10.77.0."
_HUB = _SUBNET + "254"
_HTTP_PORT, _RAFT_PORT = 11000, 12000
#: Heartbeats pass, a full load queues up and then is lost.
_SLOW = ("root", "tbf", "rate", "1mbit", "burst", "10kb", "latency", "300ms")


def _run(*command: str, text: str | None = None) -> None:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


def _left_behind() -> list[str]:
    """Namespaces of runs that were ended too hard to clean up."""
    found = []
    for path in Path("/run/netns").glob(_NAMES + "*") if Path("/run/netns").is_dir() else ():
        pid = path.name.removeprefix(_NAMES).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            found.append(path.name)
    return found


def objection() -> str | None:
    """Why there can be no namespaces here; None when there can."""
    for program in ("ip", "tc", "nft"):
        if shutil.which(program) is None:
            return f"{program} is not installed (on Debian: apt-get install iproute2 nftables)"
    network: Namespaces | None = None
    try:
        network = Namespaces()
        network.add("probe")
        network.apply(Conditions(cuts=frozenset({("probe", "probe")}), slow=frozenset({"probe"})))
        network.new_socket().close()
    except OSError as error:
        return f"network namespaces are not permitted here: {error}"
    finally:
        if network is not None:
            network.close()
    return None


class Namespaces:
    """A `Network` of namespaces. At most 250 nodes."""

    kind = "network namespaces"
    security: Security | None = None
    users: Users | None = None

    def __init__(self) -> None:
        self._prefix = f"{_NAMES}{os.getpid()}-"
        self._hub = self._prefix + "hub"
        self._names: list[str] = []
        self._slow: frozenset[str] = frozenset()
        self._setns = ctypes.CDLL(None, use_errno=True).setns
        self._made: list[str] = []
        self._hub_fd = self._home_fd = -1
        for name in _left_behind():
            with suppress(OSError):  # Another run has found it, too, and was quicker.
                _run("ip", "netns", "del", name)
        try:
            self._namespace(self._hub)
            _run("ip", "-n", self._hub, "link", "add", "bridge", "type", "bridge")
            _run("ip", "-n", self._hub, "addr", "add", _HUB + "/24", "dev", "bridge")
            _run("ip", "-n", self._hub, "link", "set", "bridge", "up")
            self._home_fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            self._hub_fd = os.open(f"/run/netns/{self._hub}", os.O_RDONLY)
        except BaseException:
            self.close()
            raise

    def _namespace(self, name: str) -> None:
        _run("ip", "netns", "add", name)
        self._made.append(name)
        _run("ip", "-n", name, "link", "set", "lo", "up")

    def _address(self, name: str) -> str:
        return f"{_SUBNET}{self._names.index(name) + 1}"

    def add(self, name: str) -> Place:
        """A namespace for one more node."""
        self._names.append(name)
        space, wire, address = self._prefix + name, f"v{len(self._names)}", self._address(name)
        self._namespace(space)
        _run("ip", "-n", self._hub, "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", space)
        _run("ip", "-n", self._hub, "link", "set", wire, "master", "bridge", "up")
        _run("ip", "-n", space, "addr", "add", address + "/24", "dev", "eth0")
        _run("ip", "-n", space, "link", "set", "eth0", "up")
        options = ("--haddr", f"{address}:{_HTTP_PORT}", "--raddr", f"{address}:{_RAFT_PORT}")
        return Place(options, ("ip", "netns", "exec", space), address, _HTTP_PORT)

    def apply(self, conditions: Conditions) -> None:
        """The rules of a node are replaced as one, so there is no moment without any."""
        for name in self._names:
            rules = [f"ip saddr {self._address(source)} drop" for source, to in sorted(conditions.cuts) if to == name]
            if name in conditions.lossy:
                rules.append(f"ip saddr != {_HUB} ip saddr {_SUBNET}0/24 numgen random mod 100 < {LOSS_PERCENT} drop")
            begin = ["flush ruleset", "table ip chaos {", "chain input {", "type filter hook input priority 0"]
            text = "\n".join([*begin, *rules, "}", "}", ""])
            _run("ip", "netns", "exec", self._prefix + name, "nft", "-f", "-", text=text)
        for name in conditions.slow - self._slow:
            _run("tc", "-n", self._prefix + name, "qdisc", "add", "dev", "eth0", *_SLOW)
        for name in self._slow - conditions.slow:
            _run("tc", "-n", self._prefix + name, "qdisc", "del", "dev", "eth0", "root")
        self._slow = conditions.slow

    def new_socket(self) -> socket.socket:
        """A socket belongs to the namespace in which its thread was when it made it."""
        self._enter(self._hub_fd)
        try:
            return socket.socket()
        finally:
            self._enter(self._home_fd)

    def dial(self, place: Place, seconds: float) -> socket.socket:
        made = self.new_socket()
        try:
            made.settimeout(seconds)
            made.connect((place.http_host, place.http_port))
        except OSError:
            made.close()
            raise
        return made

    def _enter(self, descriptor: int) -> None:
        if self._setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def close(self) -> None:
        while self._made:
            name = self._made.pop()
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=30)
        for descriptor in (self._hub_fd, self._home_fd):
            if descriptor >= 0:
                os.close(descriptor)
        self._hub_fd = self._home_fd = -1
