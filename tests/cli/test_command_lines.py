"""The way into the `hraft` command: interrupted at any moment it is silent, and a wrong command line is told as was asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest import TestCase
from unittest.mock import patch

from cli_doubles import run
from click.testing import CliRunner

from hraft.cli import main

#: Ctrl-C while the command is being imported: at the first import of what it is made of.
INTERRUPTED = """
import os, signal, sys
from importlib.abc import MetaPathFinder
from hraft.__main__ import main
class Interrupting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "hraft.cli.session":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["hraft", "--version"]
main()
"""


class InterruptTests(TestCase):
    """Ctrl-C is an answer, not a defect."""

    def test_while_it_is_imported(self) -> None:
        """Half a second in which Python would print the imports that it was in the middle of."""
        restored = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        done = subprocess.run([sys.executable, "-c", restored + INTERRUPTED], capture_output=True, timeout=120)
        self.assertEqual((-signal.SIGINT, b"", b""), (done.returncode, done.stdout, done.stderr))

    def test_where_it_is_ignored(self) -> None:
        """As in the background of a shell script: it stays so."""
        ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        done = subprocess.run([sys.executable, "-c", ignored + INTERRUPTED], capture_output=True, timeout=120)
        self.assertEqual((0, b""), (done.returncode, done.stderr))

    def test_where_no_reactor_runs(self) -> None:
        """1 would be a "no", as of a log that is damaged."""
        with patch("hraft.cli.log.held", side_effect=KeyboardInterrupt):
            result = CliRunner().invoke(main, ["log", "verify", "nowhere"])
        self.assertEqual((130, ""), (result.exit_code, result.output))


class WrongCommandLineTests(TestCase):
    """Exit code 2, and with --json an object like every other error's."""

    def error(self, *words: str) -> dict[str, str]:
        result = CliRunner().invoke(main, ["--json", *words])
        self.assertEqual(2, result.exit_code, result.output)
        [line] = result.stderr.splitlines()
        found: dict[str, str] = json.loads(line)
        self.assertEqual("usage", found["error"])
        return found

    def test_with_json(self) -> None:
        """Before the subcommand, in it, in its arguments, and in what it makes of them."""
        self.assertIn("--nonesuch", self.error("--nonesuch", "get", "a")["detail"])
        self.assertIn("nonesuch", self.error("nonesuch")["detail"])
        self.assertIn("KEY", self.error("get")["detail"])
        self.assertIn("--from 9 is behind --to 2", self.error("log", "cat", "--from", "9", "--to", "2", "d")["detail"])

    def test_without(self) -> None:
        """For people, with the usage; and a group alone is asking for help."""
        result, _ = run(None, "get")
        self.assertIn("Usage: hraft get", result.stderr)
        self.assertIn("Commands:", CliRunner().invoke(main, ["--json", "log"]).output)


class CompletionTests(TestCase):
    def test_a_shell_is_told_what_may_follow(self) -> None:
        """What the printed script asks for at each press of the key."""
        asked = {"_HRAFT_COMPLETE": "bash_complete", "COMP_WORDS": "hraft log re", "COMP_CWORD": "2"}
        root = Path(__file__).resolve().parent.parent.parent
        environment = {**os.environ, **asked, "PYTHONPATH": str(root)}
        done = subprocess.run([sys.executable, "-m", "hraft"], capture_output=True, text=True, env=environment, timeout=120)
        self.assertEqual(["plain,repair", "plain,replay"], sorted(done.stdout.split()))
