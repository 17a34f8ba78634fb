"""The process that a node lives in: how it ends, and what it may hold."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys

import pytest
from twisted.internet.selectreactor import SelectReactor
from twisted.trial.unittest import SynchronousTestCase

from hraft.kv.history import Event
from hraft.kv.records import Record
from hraft.process import files_count
from hraft.raft.entry import Entry, EntryKind


class EndingTests(SynchronousTestCase):
    """When nothing that is known may be trusted any more."""

    def test_end_at_once(self) -> None:
        """One line on stderr, a status that is not 0, and nothing else gets to run."""
        script = (
            "import atexit; from hraft.process import end_at_once; "
            "atexit.register(print, 'ran'); end_at_once('the disk failed')"
        )
        done = subprocess.run([sys.executable, "-c", script], timeout=120, capture_output=True)
        self.assertEqual((1, b"hraft: the disk failed\n", b""), (done.returncode, done.stderr, done.stdout))

    @pytest.mark.scenario("O7")
    def test_end_at_once_where_nobody_reads(self) -> None:
        """A full pipe must not keep a node alive whose disk has failed."""
        script = (
            "import os; from hraft.process import end_at_once; reading, writing = os.pipe(); os.set_blocking(writing, False)\n"
            "try:\n    while os.write(writing, bytes(4096)): pass\nexcept BlockingIOError: pass\n"
            "os.set_blocking(writing, True); os.dup2(writing, 2); end_at_once('the disk failed')"
        )
        self.assertEqual(1, subprocess.run([sys.executable, "-c", script], timeout=120).returncode)

    def test_end_at_once_where_the_log_has_stderr(self) -> None:
        """twist puts its log there; what ends a process is told to whoever started it, and the log has it already."""
        script = "import io, sys; from hraft.process import end_at_once; sys.stderr = io.StringIO(); end_at_once('full')"
        done = subprocess.run([sys.executable, "-c", script], timeout=120, capture_output=True)
        self.assertEqual((1, b"hraft: full\n"), (done.returncode, done.stderr))


class MemoryTests(SynchronousTestCase):
    """Full collections of garbage are pauses for every client: they may not grow with what a node holds."""

    def test_what_is_there_at_the_start_is_visited_no_more(self) -> None:
        """Tens of milliseconds, again and again, for modules and classes that never go. In a process of its own."""
        script = (
            "import gc, hraft.tap; from hraft.process import settle_memory; settle_memory()\n"
            "print(gc.get_freeze_count() > 10_000, len(gc.get_objects()) < 1000, gc.get_threshold())"
        )
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120)
        self.assertEqual("True True (10000, 10, 10)", done.stdout.strip())

    @pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such habit")
    def test_what_was_large_goes_back_to_the_system(self) -> None:
        """Or a node keeps the room of its log for ever, once a snapshot has replaced it. In a process of its own."""
        script = (
            "from pathlib import Path; from hraft.process import return_memory; return_memory()\n"
            "def pages(): return int(Path('/proc/self/statm').read_text().split()[1])\n"
            "bytes(1 << 20); before, log, state = pages(), [], []\n"
            "for _ in range(200): log.append(b'x' * 250_000); state.append(b'x' * 2_000)\n"
            "filled = pages(); log.clear(); print((pages() - before) * 5 < filled - before)"
        )
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
        self.assertEqual("True", done.stdout.strip())

    def test_what_a_node_holds_by_the_million(self) -> None:
        """Entries, records and events are nothing for the collector, so that a full collection does not visit them either."""
        entry, record = Entry(1, 1, EntryKind.COMMAND, b"1"), Record(b"v", 1, 1, 1)
        for each in (entry, entry.id, record, Event(b"k", record, None, 1)):
            self.assertFalse(gc.is_tracked(each), each)


class FilesTests(SynchronousTestCase):
    """How many files may be open decides how many clients a node can take."""

    def limits_after(self, wanted_count: int, soft: int, hard: int) -> list[int]:
        """In a process of its own, for a hard limit that was lowered stays so."""
        code = (
            "import resource, sys; from hraft.process import allow_files, files_count; from twisted.internet.task import Clock\n"
            f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); allow_files({wanted_count})\n"
            "print(files_count(Clock()), *resource.getrlimit(resource.RLIMIT_NOFILE))"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
        return [int(word) for word in done.stdout.split()]

    def test_the_soft_limit_is_raised_as_far_as_needed(self) -> None:
        """Up to the hard one; never lowered."""
        self.assertEqual([300, 300, 400], self.limits_after(300, 200, 400))
        self.assertEqual([400, 400, 400], self.limits_after(500, 200, 400))
        self.assertEqual([350, 350, 400], self.limits_after(300, 350, 400))

    def test_select_sees_no_more_than_1024(self) -> None:
        """A client beyond would end that reactor's loop."""
        reactor = SelectReactor.__new__(SelectReactor)
        self.assertLessEqual(files_count(reactor), 1024)
