"""What `twist hraft` starts: options in, a service out; and whatever keeps it from starting is one line and an exit status."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import IService
from twisted.internet.base import ReactorBase
from twisted.internet.testing import MemoryReactorClock
from twisted.python.runtime import seconds as wall_clock_seconds

from hraft.assembly import HraftService
from hraft.storage.directory import DataDirectory, Identity
from hraft.tap import Options, makeService

PORTS = ("--haddr", "tcp:11000:interface=127.0.0.1", "--raddr", "tcp:12000:interface=127.0.0.1")


def made(reactor: Any, *arguments: str) -> Any:
    """The service of a command line."""
    options = Options()
    options.parseOptions([*PORTS, *arguments])
    return makeService(options, reactor)


class WallClockReactor(MemoryReactorClock):
    """One that counts time as Twisted's real ones do."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = wall_clock_seconds  # type: ignore[method-assign]


def test_a_service_is_made() -> None:
    """Nothing is opened before it is started, so `twist` can still refuse the rest of the command line."""
    reactor = MemoryReactorClock()
    assert IService.providedBy(made(reactor, "--inmem"))
    assert [] == reactor.tcpServers


def test_both_ports_are_opened() -> None:
    """HTTP first; at once, so that a port in use stops the start."""
    reactor = MemoryReactorClock()
    process = made(reactor, "--inmem")
    process.startService()
    assert [11000, 12000] == [server[0] for server in reactor.tcpServers]
    [service] = process
    assert isinstance(service, HraftService)
    assert service.node is not None
    assert ("127.0.0.1:12000", "127.0.0.1:11000") == (service.node.node_id, service.node.http_address)


@pytest.mark.scenario("X1")
def test_x1_monotonic_time() -> None:
    """The reactor's timers follow a clock that nobody sets, before any of them is made."""
    reactor = WallClockReactor()
    made(reactor, "--inmem")
    assert reactor.seconds is time.monotonic


@pytest.mark.scenario("X1")
def test_x1_too_late_for_monotonic_time() -> None:
    """A timer that was made by the wall clock would fire in fifty years, so hraft does not start beside one."""
    reactor = WallClockReactor()
    reactor.callLater(5, lambda: None)
    with pytest.raises(RuntimeError, match="monotonic"):
        made(reactor, "--inmem")


@pytest.mark.scenario("X1")
def test_x1_is_about_real_reactors() -> None:
    """Twisted's own count by the very function that hraft looks for; if that changes, this must be seen."""
    assert ReactorBase.seconds is wall_clock_seconds


def test_what_stops_the_start_is_one_line(tmp_path: Path) -> None:
    """SystemExit is the only exception that `twist` does not make a traceback of."""
    (tmp_path / "file").write_text("")
    reactor = MemoryReactorClock()
    with pytest.raises(SystemExit) as caught:
        made(reactor, str(tmp_path / "file")).startService()
    assert str(caught.value).startswith("hraft: ")
    assert str(tmp_path / "file") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_directory_that_knows_its_node(tmp_path: Path) -> None:
    """Without --id the node is who it was, also at another raft address; another --id is refused before anything is touched."""
    directory = DataDirectory(str(tmp_path))
    directory.open()
    directory.remember(Identity("c1", "node0"))
    directory.close()
    with pytest.raises(SystemExit, match="'node7'"):
        made(MemoryReactorClock(), "--id", "node7", str(tmp_path)).startService()
    with pytest.raises(SystemExit, match="belongs to cluster c1 but has no log"):
        made(MemoryReactorClock(), str(tmp_path)).startService()


def test_a_failed_start_lets_go_of_the_directory(tmp_path: Path) -> None:
    """The next try must not be refused because of this one."""
    reactor = MemoryReactorClock()

    def taken(*_: object, **__: object) -> None:
        raise OSError(98, "Address already in use")

    reactor.listenTCP = taken  # type: ignore[method-assign, assignment]
    with pytest.raises(SystemExit, match="--haddr: cannot listen"):
        made(reactor, str(tmp_path)).startService()
    directory = DataDirectory(str(tmp_path))
    directory.open()
    directory.close()
