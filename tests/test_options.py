"""The command line of `twist hraft`, by parsing it: what is said ends up in the settings, and a mistake is one sentence."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from unittest import TestCase

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.python import usage

from hraft import __version__
from hraft.addresses import Address, Endpoint
from hraft.interfaces import SnapshotPolicy, Timing
from hraft.options import NUMBERS, BackupPolicy, NodeSettings, Options
from hraft.settings import AccessSettings, MemberSettings


def parse(*arguments: str) -> NodeSettings:
    """The settings that a command line makes."""
    options = Options()
    options.parseOptions(list(arguments))
    return options.settings


class SettingsTests(TestCase):
    """Right command lines."""

    def test_defaults_are_hraftds(self) -> None:
        """`twist hraft ~/node0` listens where hraftd does, and names the node after its raft address."""
        expected = NodeSettings(
            directory="node0",
            http_listening=Address("localhost", 11000),
            http_address="localhost:11000",
            raft_listening=Address("localhost", 12000),
            raft_address="localhost:12000",
        )
        self.assertEqual(expected, parse("node0"))
        self.assertEqual((Timing(), SnapshotPolicy()), (parse("node0").timing, parse("node0").snapshot_policy))

    def test_everything_said(self) -> None:
        """Each option reaches the settings."""
        settings = parse(
            *("--haddr", ":11001", "--raddr=tcp:12001", "--haddr-adv", "n1.example:80", "--raddr-adv", "[::1]:12001"),
            *("--join", ":11000, other:11000,unix:/run/hraft", "--id", "node1", "--forward"),
            *("--election-timeout", "1010", "--heartbeat-interval", "51", "--snapshot-entries", "10"),
            *("--snapshot-log-mib", "2", "--kept-entries", "5"),
            *("--auth", "file:/etc/users", "--join-auth", "/etc/join", "--allowed-hosts", "hraft.example, *.local"),
            *("--backup-dir", "/backups", "--backup-interval", "60", "--backup-keep", "3", "data"),
        )
        expected = NodeSettings(
            directory="data",
            node_id="node1",
            http_listening=Address("", 11001),
            http_address="n1.example:80",
            raft_listening=Endpoint("tcp:12001", Address("", 12001)),
            raft_address="[::1]:12001",
            join_targets=(Address("localhost", 11000), Address("other", 11000), Endpoint("unix:/run/hraft", None)),
            forward=True,
            timing=Timing(0.02, 3, 50),
            snapshot_policy=SnapshotPolicy(entries_count=10, log_bytes=2 * 1024 * 1024, kept_entries_count=5),
            backups=BackupPolicy("/backups", 60, 3),
            access=AccessSettings("/etc/users", "/etc/join", ("hraft.example", "*.local")),
        )
        self.assertEqual(expected, settings)

    def test_becoming_and_ceasing_to_be_a_member(self) -> None:
        """A voter that stays, unless more is said."""
        self.assertEqual(MemberSettings(), parse("node0").members)
        said = parse("--learner", "--join", "a:1", "--leave-on-stop", "--reap-after", "3600", "node0").members
        self.assertEqual(MemberSettings(is_learner=True, leaves_on_stop=True, reap_after_seconds=3600), said)
        expected = parse("--bootstrap-expect", "2", "--join", "a:1,b:1", "node0").members
        self.assertEqual(MemberSettings(expected_count=2), expected)

    def test_in_memory_needs_no_directory(self) -> None:
        """And takes one, as hraftd wanted it, without using it."""
        self.assertIsNone(parse("--inmem").directory)
        self.assertIsNone(parse("--inmem", "data").directory)

    def test_version_is_hrafts(self) -> None:
        """`twist hraft --version` would print Twisted's."""
        with redirect_stdout(io.StringIO()) as printed, self.assertRaises(SystemExit) as caught:
            parse("--version")
        self.assertEqual((f"hraft {__version__}\n", 0), (printed.getvalue(), caught.exception.code))

    def test_help_says_each_in_a_line(self) -> None:
        """No option without its line, and no line that is a page."""
        for *names, help_text in [*Options.optParameters, *Options.optFlags]:
            self.assertTrue(help_text.strip(), names)
            self.assertLessEqual(len(help_text), 110, names)
            self.assertNotIn("\n", help_text)


class MistakeTests(TestCase):
    """Wrong command lines."""

    def refused(self, *arguments: str) -> str:
        """The one line that a wrong command line is answered with."""
        with self.assertRaises(usage.UsageError) as caught:
            parse(*arguments)
        message = str(caught.exception)
        self.assertNotIn("\n", message)
        return message

    def test_directory(self) -> None:
        """It is the one argument, and there must be one."""
        self.assertIn("no data directory", self.refused())
        self.assertIn("no data directory", self.refused(""))
        self.assertIn("one data directory, not 2: a b", self.refused("a", "b"))

    def test_addresses(self) -> None:
        """Each names its option and what was wrong."""
        self.assertIn("--haddr: bad address 'x'", self.refused("--haddr", "x", "data"))
        self.assertIn("--raddr: bad address 'localhost:0'", self.refused("--raddr", "localhost:0", "data"))
        self.assertIn("--haddr-adv: bad address", self.refused("--haddr-adv", "unix:/x", "data"))
        self.assertIn("--join: bad address ''", self.refused("--join", ":11000,", "data"))
        self.assertIn("--join: bad address", self.refused("--join", "", "data"))
        self.assertIn("add --haddr-adv", self.refused("--haddr", "unix:/run/hraft", "data"))
        self.assertIn("plain TCP", self.refused("--raddr", "ssl:12000", "data"))
        self.assertIn("a port each", self.refused("--haddr", ":12000", "data"))

    @pytest.mark.scenario("E19", "O12")
    def test_e19_heartbeat_must_be_well_below_the_election_timeout(self) -> None:
        """Or followers campaign against a healthy leader."""
        self.assertIn("at least 3 times", self.refused("--heartbeat-interval", "400", "data"))
        self.assertIn("at least 3 times", self.refused("--election-timeout", "280", "data"))
        # What is compared is what is used: both rounded to ticks.
        self.assertIn("at least 3 times", self.refused("--election-timeout", "289", "--heartbeat-interval", "109", "data"))
        self.assertEqual(Timing(0.02, 5, 15), parse("--election-timeout", "300", "data").timing)

    @pytest.mark.scenario("O12")
    def test_o12_silly_numbers(self) -> None:
        """Zero, negative, huge, NaN and words are refused by name and value."""
        for name, allowed in NUMBERS.items():
            for value in (str(allowed.lowest - 1), "-1", "NaN", "inf", "1e9", "1.5", "", " 5", "٣", "99999999999", "ten"):
                self.assertIn(f"--{name} {value}: must be a whole number", self.refused(f"--{name}={value}", "data"))

    def test_who_may_come_in(self) -> None:
        """A mistake here must not leave a node open, or closed to all."""
        for said in ("users", "file:", "memory:x", ""):
            self.assertIn(f"--auth {said}: write file:PATH", self.refused("--auth", said, "data"))
        self.assertIn("--join-auth is empty", self.refused("--join-auth", "", "data"))
        for said in ("a b", "http://a", "a:80", "*a", "a/b"):
            self.assertIn("--allowed-hosts", self.refused("--allowed-hosts", said, "data"))

    def test_members(self) -> None:
        """What does not belong together would form no cluster, or another one than was meant."""
        self.assertIn(
            "--bootstrap-expect 3 needs the HTTP addresses of all 3",
            self.refused("--bootstrap-expect", "3", "--join", "a:1,b:1", "d"),
        )
        self.assertIn("--bootstrap-expect 0: must be a whole number", self.refused("--bootstrap-expect", "0", "d"))
        both = ("--bootstrap-expect", "1", "--join", "a:1", "--learner", "d")
        self.assertIn("--learner joins a cluster, and --bootstrap-expect begins one", self.refused(*both))
        self.assertIn("--learner needs --join", self.refused("--learner", "d"))
        self.assertIn("--reap-after 9: must be a whole number from 10", self.refused("--reap-after", "9", "d"))

    def test_ids(self) -> None:
        """An id goes into file names, log lines and addresses."""
        for node_id in ("", "a b", "a\nb", "é", "x" * 129):
            self.assertIn("--id", self.refused("--id", node_id, "data"))

    def test_unknown_options(self) -> None:
        """Go's single dash too."""
        self.assertIn("not recognized", self.refused("-haddr", ":11000", "data"))
        self.assertIn("not recognized", self.refused("--nonesuch", "data"))

    def test_twisteds_own_complaints_are_short_lines_too(self) -> None:
        """They repeat what was typed, or pasted."""
        self.assertIn("option --x y not recognized", self.refused("--x\ny", "data"))
        for arguments in (["--" + "x" * 100_000], ["a", "b" * 100_000]):
            self.assertLess(len(self.refused(*arguments)), 1000)

    def test_under_twist_one_line_and_status_64(self) -> None:
        """Else the line would be followed by two pages of usage."""
        options = Options()
        options.parent = usage.Options()
        with redirect_stderr(io.StringIO()) as printed, self.assertRaises(SystemExit) as caught:
            options.parseOptions(["--haddr", "x", "data"])
        self.assertEqual(64, caught.exception.code)
        self.assertRegex(printed.getvalue(), r"\Ahraft: --haddr: bad address 'x': [^\n]*\n\Z")


OPTIONS = st.sampled_from(["--haddr", "--raddr", "--join", "--id", "--kept-entries", "--inmem"])


@given(st.lists(OPTIONS | st.text(max_size=12), max_size=6))
def test_only_usage_errors(arguments: list[str]) -> None:
    """Whatever is typed, there are settings or a UsageError, and never another exception."""
    try:
        with redirect_stdout(io.StringIO()):
            parse(*arguments)
    except usage.UsageError:
        pass
    except SystemExit as error:
        assert error.code == 0, "only --help and --version end well"
