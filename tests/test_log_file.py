"""A log that nobody reads: lines wait, then are lost, and the node never does."""

from __future__ import annotations

import io
import os
import select
from unittest import TestCase

import pytest

from hraft.limits import LOG_BACKLOG_LINES_COUNT
from hraft.log_file import UnhurriedFile, has_room


class UnhurriedFileTests(TestCase):
    """On a pipe of which the test has both ends; a write that waited would hang the test."""

    def setUp(self) -> None:
        self.reading, writing = os.pipe()
        self.pipe = os.fdopen(writing, "w")
        self.addCleanup(os.close, self.reading)
        self.addCleanup(self.pipe.close)
        self.file = UnhurriedFile(self.pipe)

    def read_all(self) -> str:
        """All that is in the pipe now."""
        found = b""
        while select.select([self.reading], [], [], 0)[0]:
            found += os.read(self.reading, 65536)
        return found.decode()

    def test_lines_come_out_at_once(self) -> None:
        """While somebody reads it is a file like any other: nothing is held back, not even when the process is killed next."""
        self.file.write("one\n")
        self.file.write("zwölf\n")
        self.assertEqual("one\nzwölf\n", self.read_all())

    @pytest.mark.scenario("O7")
    def test_a_full_pipe_waits_for_its_reader_alone(self) -> None:
        """What finds no room comes later, whole and in order, with the first line that does find room."""
        lines = [f"{number:0999}\n" for number in range(300)]
        for line in lines:
            self.file.write(line)
        self.assertFalse(has_room(self.file.fileno()))
        read = self.read_all()
        while len(read) < 300_000:
            self.file.write("")
            read += self.read_all()
        self.assertEqual("".join(lines), read)

    @pytest.mark.scenario("O7")
    def test_memory_is_bounded(self) -> None:
        """What is above the limit is lost, and the log says how much."""
        for _ in range(LOG_BACKLOG_LINES_COUNT + 500):
            self.file.write("x" * 999 + "\n")
        found = ""
        for _ in range(100):
            found += self.read_all()
            self.file.write("")
        self.assertRegex(found, "hraft: [0-9]+ lines of this log are lost, since nobody read it\n$")

    def test_long_lines_are_written_in_pieces(self) -> None:
        """Room for PIPE_BUF bytes is all that the system promises."""
        line = "y" * 1_000_000 + "\n"
        self.file.write(line)
        found = self.read_all()
        while len(found) < len(line):
            self.file.write("")
            found += self.read_all()
        self.assertEqual(line, found)

    def test_it_is_a_text_file_to_twisted(self) -> None:
        """Twisted's log would write bytes to what it does not know."""
        self.assertIsInstance(self.file, io.TextIOBase)
