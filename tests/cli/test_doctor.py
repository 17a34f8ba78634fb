"""`hraft doctor`: whatever is not well is found, said with what to do, and is in the exit code; what is well is not blamed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any, cast
from unittest import TestCase

import pytest
from cli_doubles import run
from twisted.internet.defer import Deferred

from hraft.client import ClusterView, HraftClient, Member, Unavailable
from hraft.client.exchange import Answer
from hraft.doctor.cluster import findings_of_cluster
from hraft.doctor.directory import findings_of_directory
from hraft.doctor.findings import Finding, Level
from hraft.doctor.looks import Look, look_at_all
from hraft.doctor.machines import findings_of_machines
from hraft.storage.directory import DataDirectory, Identity

NAMES = ("n1", "n2", "n3")
METRICS = {
    "hraft_disk_free_bytes": 50e9,
    "hraft_disk_reserve_bytes": 64e6,
    "process_max_fds": 65536.0,
    "process_open_fds": 90.0,
}


def member(name: str, **changes: Any) -> Member:
    number = name[1:]
    made = Member(name, f"10.0.0.{number}:12000", f"10.0.0.{number}:11000", True, name == "n1", 9, 0, 0.02)
    return replace(made, **changes)


def status(name: str, **changes: Any) -> dict[str, Any]:
    told = {
        "me": {"id": name, "address": "x:1"},
        "leader": {"id": "n1", "address": "y:1"},
        "role": "leader" if name == "n1" else "follower",
        "term": 4,
        "cluster_id": "c1",
        "commit_index": 9,
        "applied_index": 9,
        "age_ms": 12,
        "version": "1.0",
        "alarms": [],
    }
    return {**told, **changes}


def view(*members: Member) -> ClusterView:
    return ClusterView("c1", 4, "n1", members or tuple(map(member, NAMES)))


def look(name: str, seen: ClusterView | None = None, **changes: Any) -> Look:
    url = f"https://10.0.0.{name[1:]}:11000"
    return Look(name, url, status=status(name, **changes), view=seen or view(), metrics=METRICS, clock_ahead_seconds=0.3)


def bad(findings: list[Finding]) -> list[tuple[Level, str, str]]:
    """What was found, but for what is well. Whatever is not well says what to do."""
    assert all(bool(each.advice) == (each.level > Level.OK) for each in findings), findings
    return [(each.level, each.check, each.subject) for each in findings if each.level > Level.OK]


class ClusterTests(TestCase):
    """By what nodes say of themselves and of each other."""

    def found(self, *looks: Look) -> list[tuple[Level, str, str]]:
        return bad(findings_of_cluster(looks))

    def whole(self, *, of: str = "n2", **changes: Any) -> list[tuple[Level, str, str]]:
        """In a cluster that is well but for one thing that one node says."""
        return self.found(*(look(name, **(changes if name == of else {})) for name in NAMES))

    def test_a_cluster_that_is_well(self) -> None:
        """A doctor who always finds something is not asked again."""
        self.assertEqual([], self.whole())

    def test_a_node_that_does_not_answer(self) -> None:
        """It is named; and that the next failure stops all writes, which is what matters now."""
        seen = view(member("n1"), member("n2"), member("n3", last_contact_seconds=60.0))
        gone = Look("n3", "http://10.0.0.3:11000", "it does not answer")
        expected = [(Level.PROBLEM, "reachable", "n3"), (Level.WARNING, "quorum", "all")]
        self.assertEqual(expected, self.found(look("n1", seen), look("n2", seen), gone))

    def test_a_majority_that_is_gone(self) -> None:
        """One node alone of three: nothing is written any more."""
        seen = view(*(member(name, last_contact_seconds=None) for name in NAMES))
        alone = look("n2", seen, leader={"id": "", "address": ""}, age_ms=60_000)
        found = self.found(alone, Look("n1", "u", "gone"), Look("n3", "u", "gone"))
        for expected in ((Level.PROBLEM, "leader", "all"), (Level.PROBLEM, "quorum", "all"), (Level.WARNING, "age", "n2")):
            self.assertIn(expected, found)

    def test_nobody_answers(self) -> None:
        """Of a cluster that cannot be asked nothing more can be said."""
        self.assertEqual([(Level.PROBLEM, "reachable", "n1")], self.found(Look("n1", "u", "gone")))

    def test_one_that_wants_a_login(self) -> None:
        """It is there; the advice is another one."""
        [finding] = findings_of_cluster([Look("n1", "u", "who are you?", is_refusal=True)])
        self.assertIn("--user", finding.advice)

    def test_one_that_was_removed(self) -> None:
        """Its view is of then: nobody is sent to look for a quorum that was never lost, or for members by its word."""
        unheard = view(*(member(name, last_contact_seconds=None) for name in NAMES))
        removed = look("n1", unheard, removed_index=19, alarms=[{"kind": "k", "members": [], "detail": "d", "advice": "a"}])
        self.assertEqual([(Level.PROBLEM, "member", "n1")], bad(findings_of_cluster([removed])))

    def test_two_leaders(self) -> None:
        """A node that is cut off goes on believing; or two clusters are mixed up."""
        self.assertIn((Level.PROBLEM, "leader", "all"), self.whole(leader={"id": "n2", "address": "z:1"}))
        self.assertEqual([(Level.PROBLEM, "cluster", "all")], self.whole(cluster_id="c2"))

    def test_what_one_node_is_behind_with(self) -> None:
        """Its term, its log, its store, its version."""
        self.assertEqual([(Level.WARNING, "term", "all")], self.whole(term=3))
        self.assertEqual([(Level.WARNING, "version", "all")], self.whole(version="0.9"))
        behind = [(Level.WARNING, "lag", "n1"), (Level.WARNING, "lag", "n3")]
        self.assertEqual(behind, self.whole(commit_index=5000, applied_index=5000))
        self.assertEqual([(Level.WARNING, "lag", "n2")], self.whole(commit_index=9, applied_index=-5000))
        self.assertEqual([(Level.WARNING, "age", "n2")], self.whole(age_ms=None))

    def test_how_many_voters_there_are(self) -> None:
        """One and two survive nothing; four no more than three; a learner does not count."""
        one, two = view(member("n1")), view(member("n1"), member("n2"))
        self.assertEqual([(Level.WARNING, "quorum", "all")], self.found(look("n1", one)))
        self.assertEqual([(Level.WARNING, "quorum", "all")], self.found(look("n1", two), look("n2", two)))
        names = ("n1", "n2", "n3", "n4")
        four = view(*map(member, names))
        self.assertEqual([(Level.WARNING, "voters", "all")], self.found(*(look(name, four) for name in names)))
        learner = view(*map(member, NAMES), member("n4", is_voter=False))
        self.assertEqual([], self.found(*(look(name, learner) for name in names)))

    def test_addresses_that_mean_another_machine_elsewhere(self) -> None:
        """localhost in a cluster of several machines; on one machine it is only worth a word."""
        mixed = view(member("n1", raft_address="localhost:12000"), member("n2"), member("n3"))
        self.assertEqual([(Level.PROBLEM, "address", "n1")], self.found(*(look(name, mixed) for name in NAMES)))
        local = view(*(member(name, raft_address=f"127.0.0.1:1200{name[1:]}") for name in NAMES))
        self.assertEqual([(Level.WARNING, "address", "all")], self.found(*(look(name, local) for name in NAMES)))

    def test_alarms_are_told_once(self) -> None:
        """However many nodes know of one."""
        alarm = {"kind": "state_differs", "members": ["n3"], "detail": "at 7", "advice": "replace it"}
        self.assertEqual([(Level.PROBLEM, "alarm", "n3")], self.found(*(look(name, alarms=[alarm]) for name in NAMES)))


class MachineTests(TestCase):
    """Disks, open files, clocks, and the way there."""

    def found(self, has_login: bool = True, **changes: Any) -> list[tuple[Level, str, str]]:
        metrics = {**METRICS, **changes.pop("metrics", {})}
        return bad(findings_of_machines([replace(look("n1"), metrics=metrics, **changes)], has_login))

    def test_a_machine_that_is_well(self) -> None:
        """Nothing to say; nor of one that tells nothing of itself."""
        self.assertEqual([], self.found())
        self.assertEqual([], bad(findings_of_machines([replace(look("n1"), metrics={}, clock_ahead_seconds=None)], True)))

    def test_disks(self) -> None:
        """Before it is full, and when it is; and one that refuses."""
        self.assertEqual([(Level.WARNING, "disk", "n1")], self.found(metrics={"hraft_disk_free_bytes": 300e6}))
        self.assertEqual([(Level.PROBLEM, "disk", "n1")], self.found(metrics={"hraft_disk_free_bytes": 60e6}))
        self.assertEqual([(Level.WARNING, "disk", "n1")], self.found(metrics={"hraft_disk_errors_total": 1.0}))

    def test_open_files(self) -> None:
        """Too low a limit, and one that is nearly reached."""
        self.assertEqual([(Level.WARNING, "open files", "n1")], self.found(metrics={"process_max_fds": 1024.0}))
        self.assertEqual([(Level.WARNING, "open files", "n1")], self.found(metrics={"process_open_fds": 60000.0}))

    def test_clocks(self) -> None:
        """A second's difference is in how it is measured."""
        self.assertEqual([], self.found(clock_ahead_seconds=-1.0))
        self.assertEqual([(Level.WARNING, "clock", "n1")], self.found(clock_ahead_seconds=-60.0))

    def test_who_may_listen_and_ask(self) -> None:
        """Off this machine only, and of the two each by itself."""
        self.assertEqual([(Level.WARNING, "encryption", "n1")], self.found(url="http://10.0.0.1:11000"))
        self.assertEqual([(Level.WARNING, "users", "n1")], self.found(has_login=False))
        self.assertEqual([], self.found(has_login=False, url="http://localhost:11000"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Of a node that has never written anything."""
    made = DataDirectory(str(tmp_path / "node"))
    made.open()
    made.remember(Identity("c1", "n1"))
    made.close()
    return tmp_path / "node"


def found_in(directory: Path, mounts: str = "") -> list[tuple[Level, str, str]]:
    table = directory.parent / "mounts"
    table.write_text(mounts or f"/dev/sda1 {directory.parent} ext4 rw 0 0\n")
    findings = findings_of_directory(str(directory), lambda: 0.0, str(table))
    assert {str(directory)} == {each.subject for each in findings}
    return [(level, check, "") for level, check, _ in bad(findings) if check != "room"]


def test_a_directory_that_is_well(directory: Path) -> None:
    """Nothing is written there by looking."""
    before = sorted(directory.rglob("*"))
    assert [] == found_in(directory)
    assert before == sorted(directory.rglob("*"))


def test_a_directory_that_others_may_read(directory: Path) -> None:
    """All keys and values are in it."""
    os.chmod(directory, 0o755)
    assert [(Level.WARNING, "rights", "")] == found_in(directory)


def test_file_systems_that_forget(directory: Path) -> None:
    """The nearest mount counts, and of two at one place the later one."""
    for kind in ("tmpfs", "nfs4", "overlay"):
        assert [(Level.WARNING, "file system", "")] == found_in(directory, f"a / ext4 rw\nb {directory} {kind} rw\n")
    assert [] == found_in(directory, f"b / tmpfs rw\na {directory.parent} ext4 rw\nc {directory}-other nfs rw\n")


def test_a_directory_in_use(directory: Path) -> None:
    """That a node runs is no trouble, but then its files are not judged: they change meanwhile."""
    held = DataDirectory(str(directory))
    held.open()
    (directory / "log").mkdir()
    (directory / "log" / "00000000000000000001.log").write_bytes(b"nonsense\n")
    try:
        assert [] == found_in(directory)
    finally:
        held.close()


def test_a_damaged_directory(directory: Path) -> None:
    """As `hraft log verify` has it."""
    (directory / "node.json").write_text("{}")
    assert [(Level.PROBLEM, "contents", "")] == found_in(directory)


def test_no_directory(tmp_path: Path) -> None:
    """Without a traceback."""
    path = str(tmp_path / "none")
    assert [(Level.PROBLEM, "directory", path)] == bad(findings_of_directory(path, lambda: 0.0))


class Nodes:
    """A client of nodes that are well, but for those that are `gone`; remembers whom it asked."""

    def __init__(self, *gone: str) -> None:
        self.gone = gone
        self.asked: list[str] = []

    async def status(self, endpoint: str) -> dict[str, Any]:
        self.asked.append(endpoint)
        name = {"http://a:1": "n1"}.get(endpoint, f"n{endpoint.split('.')[-1][0]}")
        if name in self.gone or endpoint == "http://b:2":
            raise Unavailable(f"{endpoint} does not answer")
        return status(name)

    async def cluster(self, endpoint: str) -> ClusterView:
        return view()

    async def ask(self, method: str, path: str, *, endpoint: str) -> Answer:
        lines = [f"{name} {value}" for name, value in METRICS.items()]
        text = "\n".join(["# HELP x", 'hraft_disk_free_bytes{x="1"} 0', *lines, ""])
        return Answer(endpoint, 200, {"date": formatdate(usegmt=True)}, text.encode())


class CommandTests(TestCase):
    """What is printed, and the exit code."""

    def test_all_members_are_looked_at(self) -> None:
        """Also those that nobody has named, and each only once."""
        client = Nodes()
        run(client, "doctor")
        self.assertEqual(["http://a:1", "http://b:2", "http://10.0.0.2:11000", "http://10.0.0.3:11000"], client.asked)

    def test_one_node_by_two_names(self) -> None:
        """Is one, and one that was named without a scheme is asked as ever."""
        looks: list[Look] = []
        coroutine = look_at_all(cast(HraftClient, Nodes()), "10.0.0.1:11000, http://10.0.0.1:11000,http://a:1", lambda: 0.0)
        Deferred.fromCoroutine(coroutine).addCallback(looks.extend)
        self.assertEqual(["n1", "n2", "n3"], [look.name for look in looks])
        self.assertTrue(all(look.url.startswith("http://") for look in looks))

    def test_nobody_is_looked_for_by_the_word_of_one_removed(self) -> None:
        """Those whom it remembers may have moved, or be gone, since."""

        class Removed(Nodes):
            async def status(self, endpoint: str) -> dict[str, Any]:
                return {**await super().status(endpoint), "removed_index": 19}

        client = Removed()
        run(client, "doctor")
        self.assertEqual(["http://a:1", "http://b:2"], client.asked)

    def test_exit_codes(self) -> None:
        """The worst that was found; scripts go by it."""
        result, text = run(Nodes("n3"), "doctor", "-q")
        self.assertEqual(2, result.exit_code)
        self.assertIn("PROBLEM  reachable, n3: http://10.0.0.3:11000 does not answer\n         -> see in its log", text)
        self.assertNotIn("\nok ", text)
        self.assertIn("problem", text.splitlines()[-1])

    def test_json(self) -> None:
        """One finding a line, and nothing else."""
        _, text = run(Nodes(), "doctor", is_json=True)
        documents = [json.loads(line) for line in text.splitlines()]
        self.assertEqual({"level", "check", "subject", "seen", "advice"}, set(documents[0]))
        self.assertEqual({"ok", "warning", "problem"}, {each["level"] for each in documents})

    def test_nothing_that_a_terminal_obeys(self) -> None:
        """A node chooses its own id."""

        class Hostile(Nodes):
            async def status(self, endpoint: str) -> dict[str, Any]:
                return {**await super().status(endpoint), "me": {"id": "\x1b]0;owned\x07", "address": "x:1"}}

        self.assertNotIn("\x1b", run(Hostile(), "doctor")[1])

    def test_directories(self) -> None:
        """No cluster is asked."""
        client = Nodes()
        result, text = run(client, "doctor", "--dir", "/none/such")
        self.assertEqual((2, []), (result.exit_code, client.asked))
        self.assertIn("not a directory", text)
