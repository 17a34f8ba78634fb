"""A whole node as a service: what it does at its edges when it is stopped, or removed, at a bad moment."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from unittest import TestCase
from unittest.mock import patch

import pytest
from test_options import parse
from twisted.internet.defer import succeed
from twisted.internet.testing import MemoryReactorClock

from hraft.assembly import HraftService
from hraft.storage.files import LocalFileSystem


class AssemblyTests(TestCase):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = str(tmp_path / "data")

    @pytest.mark.scenario("M12")
    def test_it_is_removed_because_its_disk_is_full(self) -> None:
        """What cannot be written down is told again at the next start; it is no reason to end the process with a failure."""
        service = HraftService(MemoryReactorClock(), parse(self.path))
        disk = service._disk
        disk.open(None)
        self.addCleanup(disk.close)
        with patch.object(LocalFileSystem, "create", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))):
            service._was_removed(17)
        self.assertIsNone(disk.removed_index)
        service._was_removed(17)
        self.assertEqual(17, disk.removed_index)

    @pytest.mark.scenario("O13")
    def test_it_is_stopped_while_it_asks_its_way_in(self) -> None:
        """It asks nobody any more: it would found, or enter, a cluster in a directory that is another process's by then."""
        for words in ((), ("--bootstrap-expect", "2")):
            reactor = MemoryReactorClock()
            service = HraftService(reactor, parse(*words, "--join", "127.0.0.1:7,127.0.0.1:8", self.path))
            with patch("hraft.assembly.listen", return_value=SimpleNamespace(stop=lambda: succeed(None))):
                service.startService()
            asked_count = len(reactor.tcpClients)
            self.assertGreater(asked_count, 0)
            service.stopService()
            reactor.pump([1.0] * 10)
            self.assertEqual(asked_count, len(reactor.tcpClients), words)
