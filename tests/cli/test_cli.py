"""The `hraft` command without a cluster: what is printed for whom, and which exit code tells what."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from unittest import TestCase

from cli_doubles import run

from hraft.cli.bench import requests
from hraft.cli.printing import field, shortened, shown
from hraft.client import (
    Change,
    ClusterView,
    Compacted,
    ConditionFailed,
    Credentials,
    DeleteResult,
    Event,
    KeyValue,
    LeaseNotFound,
    LimitReached,
    LockLost,
    LockTimeout,
    LoginNeeded,
    Member,
    OutcomeUnknown,
    PutResult,
    Refused,
    Unavailable,
)

PAIR = KeyValue(b"a", b"1", 3, 7, 2, None)
BINARY = KeyValue(b"\xff", b"\x1b[31m\x00", 4, 4, 1, 9)


class Changes:
    """A watch that has these changes and then ends."""

    def __init__(self, changes: list[Change]) -> None:
        self.changes = changes

    async def __aenter__(self) -> AsyncIterator[Change]:
        return self.each()

    async def __aexit__(self, *_: object) -> None:
        pass

    async def each(self) -> AsyncIterator[Change]:
        for change in self.changes:
            yield change


class DoubleClient:
    """Answers with what it was given, or fails with it; remembers what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        answer = self.answers[name]

        def note(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
            self.asked.append((name, arguments, options))

        async def call(*arguments: Any, **options: Any) -> Any:
            note(arguments, options)
            if isinstance(answer, Exception):
                raise answer
            return answer

        async def items(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
            note(arguments, options)
            for each in answer:
                yield each

        def watch(*arguments: Any, **options: Any) -> Any:
            note(arguments, options)
            return Changes(answer)

        return {"items": items, "watch": watch}.get(name, call)


class GetTests(TestCase):
    def test_for_a_pipe(self) -> None:
        """The value and a newline, whatever bytes it has; --raw: the value alone."""
        self.assertEqual("1\n", run(DoubleClient(get=PAIR), "get", "a")[1])
        self.assertEqual("1", run(DoubleClient(get=PAIR), "get", "a", "--raw")[1])

    def test_for_a_terminal(self) -> None:
        """Nothing that a terminal would obey: a value may come from anybody."""
        self.assertEqual("\\x1b[31m\\x00\n", run(DoubleClient(get=BINARY), "get", "a", is_terminal=True)[1])

    def test_for_a_script(self) -> None:
        """One line of JSON; bytes that are no text in base64 under a name of their own."""
        told = json.loads(run(DoubleClient(get=BINARY), "get", "a", is_json=True)[1])
        self.assertEqual(("/w==", "\x1b[31m\x00", 9, 4), (told["key_base64"], told["value"], told["lease"], told["mod_revision"]))

    def test_a_key_that_is_not_there(self) -> None:
        """Exit code 1, and nothing on stdout that could be taken for a value."""
        result, out = run(DoubleClient(get=None), "get", "a")
        self.assertEqual((1, "", "hraft: there is no key a\n"), (result.exit_code, out, result.stderr))
        result, out = run(DoubleClient(get=None), "get", "a", is_json=True)
        self.assertEqual((1, "", "key_not_found"), (result.exit_code, out, json.loads(result.stderr)["error"]))

    def test_the_level_is_passed_on(self) -> None:
        """A stale read must be asked for, and only then."""
        client = DoubleClient(get=PAIR)
        run(client, "get", "a", "--level", "stale")
        run(client, "get", "a")
        self.assertEqual(["stale", "linearizable"], [options["level"] for _, _, options in client.asked])


class PutAndDeleteTests(TestCase):
    def test_a_value_from_stdin(self) -> None:
        """Any bytes, which an argument cannot have."""
        client = DoubleClient(put=PutResult(b"a", 7, 7, 1))
        result, _ = run(client, "put", "a", stdin=b"\x00\xff\n")
        self.assertEqual((0, (b"a", b"\x00\xff\n")), (result.exit_code, client.asked[0][1]))

    def test_conditions(self) -> None:
        """As they were said, and never both."""
        client = DoubleClient(put=PutResult(b"a", 7, 7, 1))
        run(client, "put", "a", "1", "--if-revision", "3", "--lease", "5")
        self.assertEqual({"lease": 5, "if_revision": 3, "if_absent": False}, client.asked[0][2])
        self.assertEqual(2, run(client, "put", "a", "1", "--if-revision", "3", "--if-absent")[0].exit_code)

    def test_delete(self) -> None:
        """Exit code 1 where there was nothing to delete."""
        self.assertEqual(0, run(DoubleClient(delete=DeleteResult(1, 8)), "del", "a", "b")[0].exit_code)
        self.assertEqual(1, run(DoubleClient(delete=DeleteResult(0, 8)), "del", "a", "b")[0].exit_code)
        client = DoubleClient(delete_prefix=DeleteResult(5, 8))
        result, out = run(client, "del", "--prefix", "a/", is_json=True)
        self.assertEqual((0, {"deleted": 5, "revision": 8}, (b"a/",)), (result.exit_code, json.loads(out), client.asked[0][1]))

    def test_delete_of_what(self) -> None:
        """Nothing is deleted by a command line that can be read in two ways."""
        for words in ((), ("a", "--prefix", "b"), ("a", "b", "--if-revision", "3")):
            self.assertEqual(2, run(DoubleClient(), "del", *words)[0].exit_code, words)


class ListAndWatchTests(TestCase):
    def test_ls(self) -> None:
        """Tabs in a pipe, a table on a terminal, objects for scripts."""
        client = DoubleClient(items=[PAIR, BINARY])
        self.assertEqual("a\t1\n\\xff\t\\x1b[31m\\x00\n", run(client, "ls")[1])
        self.assertIn("REVISION", run(client, "ls", is_terminal=True)[1])
        self.assertEqual(
            ["a"], [json.loads(line)["key"] for line in run(client, "ls", "--limit", "1", is_json=True)[1].splitlines()]
        )
        self.assertEqual("a\n\\xff\n", run(client, "ls", "-k")[1])

    def test_watch(self) -> None:
        """Each event on a line, with its revision, so that a script can go on from there."""
        changes = [
            Change(7, (Event("put", b"a", 7, PAIR, None), Event("delete", b"b", 7, None, PAIR))),
            Change(8, (Event("put", b"a", 8, PAIR, PAIR),)),
        ]
        client = DoubleClient(watch=changes)
        told = run(client, "watch", "--prefix", "", "--since", "6", "--previous")[1]
        self.assertEqual("7 put a 1\n7 delete b   (was 1)\n8 put a 1   (was 1)\n", told)
        self.assertEqual({"prefix": b"", "since": 6, "previous": True}, client.asked[0][2])
        self.assertEqual(2, len(run(client, "watch", "a", "--count", "1", is_json=True)[1].splitlines()))
        self.assertEqual(2, run(client, "watch")[0].exit_code)


class ExitCodeTests(TestCase):
    def test_each_error_has_its_code(self) -> None:
        """What a script does next depends on it: try again, look first, or give up."""
        for error, code in (
            (ConditionFailed("x"), 1),
            (LockTimeout("x"), 1),
            (Unavailable("x"), 3),
            (OutcomeUnknown("x"), 4),
            (LeaseNotFound("x"), 5),
            (LimitReached("x"), 5),
            (LockLost("x"), 6),
        ):
            result, _ = run(DoubleClient(put=error), "put", "a", "1")
            self.assertEqual((code, "hraft: x\n"), (result.exit_code, result.stderr), error)

    def test_errors_for_scripts(self) -> None:
        """In JSON too, on stderr, with what helps to go on."""
        error = Compacted("gone", "compacted", 410, {"oldest_revision": 40})
        result, _ = run(DoubleClient(get=error), "get", "a", is_json=True)
        told = json.loads(result.stderr)
        self.assertEqual(("compacted", 40), (told["error"], told["oldest_revision"]))

    def test_a_transaction_that_is_no_json(self) -> None:
        """Said before anything is asked."""
        result, _ = run(DoubleClient(), "txn", stdin=b"{")
        self.assertEqual(2, result.exit_code)
        self.assertIn("not JSON", result.stderr)


#: What a leader alone says: how far each is, itself among them.
OWN = ClusterView("c", 4, "n0", (Member("n0", "a:1", "a:2", True, True, 9, 0, 0.0),))


class Seen(DoubleClient):
    """Nodes with a view each; whoever is not among them does not answer. None: whichever node the client likes."""

    def __init__(self, views: dict[str | None, ClusterView]) -> None:
        super().__init__(status={"me": {"id": "n0"}})
        self.views = views

    async def cluster(self, endpoint: str | None = None) -> ClusterView:
        if endpoint not in self.views:
            raise Unavailable(f"{endpoint} does not answer")
        return self.views[endpoint]


class ClusterTests(TestCase):
    VIEW = ClusterView(
        "c",
        4,
        "n0",
        (
            Member("n0", "a:1", "a:2", True, True),
            Member("n1", "b:1", None, True, False, 7, 2, 0.05),
            Member("n2", "c:1", "c:2", False, False),
        ),
    )

    def test_members(self) -> None:
        """Who leads, who votes, and who lags."""
        _, out = run(DoubleClient(cluster=self.VIEW), "members")
        self.assertEqual(["n0\tleader\ta:1\ta:2\t-\t-", "n1\tvoter\tb:1\t-\t2\t0.1 s"], out.splitlines()[:2])
        self.assertIn("n2\tlearner", out)

    def test_members_as_the_leader_sees_them(self) -> None:
        """A follower does not know how far anybody is, and any node may be named."""
        result, out = run(Seen({None: self.VIEW, "http://a:2": OWN}), "members")
        self.assertEqual((0, "n0\tleader\ta:1\ta:2\t0\t0.0 s\n"), (result.exit_code, out))

    def test_members_where_one_that_was_removed_is_asked_first(self) -> None:
        """It remembers who was a member, and not where: the others that were named know."""
        past = ClusterView("c", 4, "n0", (Member("n0", "a:1", None, True, True), Member("n1", "b:1", "b:2", True, False)))
        for command in ("members", "status"):
            client = Seen({None: past, "http://a:1": past, "http://b:2": self.VIEW, "http://a:2": OWN})
            _, out = run(client, command)
            self.assertEqual(["n0"], [line.split()[0] for line in out.splitlines()], command)

    def test_members_while_the_leader_is_silent(self) -> None:
        """What the others say of who belongs is still of use."""
        result, out = run(Seen({None: self.VIEW}), "members")
        self.assertEqual((0, 3), (result.exit_code, len(out.splitlines())))

    def test_changing_members(self) -> None:
        """What was asked, in words or JSON; a node that is still catching up is asked for again until the time is over."""
        client = DoubleClient(add_member="learner", remove_member=None, promote_member=None, transfer_leadership="n1")
        self.assertEqual("n3 is a learner\n", run(client, "members", "add", "n3", "d:1", "--learner")[1])
        self.assertEqual(("add_member", ("n3", "d:1"), {"learner": True}), client.asked[-1])
        self.assertEqual("n3 is a voter\n", run(client, "members", "promote", "n3")[1])
        self.assertEqual({"id": "n3", "removed": True}, json.loads(run(client, "members", "remove", "n3", is_json=True)[1]))
        self.assertEqual({"leader": "n1"}, json.loads(run(client, "transfer", is_json=True)[1]))
        self.assertEqual(("transfer_leadership", (None,), {}), client.asked[-1])
        refused = DoubleClient(remove_member=Refused("it would cost the quorum", "change_refused", 409))
        self.assertEqual(5, run(refused, "members", "remove", "n1")[0].exit_code)

    def test_no_leader(self) -> None:
        """A script that waits for a cluster can ask for that."""
        view = ClusterView("c", 4, None, self.VIEW.members[1:])
        self.assertEqual(3, run(DoubleClient(cluster=view), "members")[0].exit_code)

    def test_status_of_nodes_that_do_not_answer(self) -> None:
        """Each has its line, and the exit code says that something is wrong."""
        client = DoubleClient(cluster=self.VIEW, status=Unavailable("no answer"))
        result, out = run(client, "status", is_json=True)
        told = {node["id"]: node["error"] for line in out.splitlines() for node in [json.loads(line)]}
        self.assertEqual({"n0", "n1", "n2"}, set(told))
        self.assertEqual(("no answer", "it has not said its HTTP address"), (told["n0"], told["n1"]))
        self.assertEqual(3, result.exit_code)

    def test_status_without_a_login(self) -> None:
        """The node answers: it is not down, and exit code 7 says what to mend."""
        client = DoubleClient(cluster=LoginNeeded("say who asks", "unauthorized", 401))
        self.assertEqual(7, run(client, "status")[0].exit_code)

    def test_status_of_one_that_was_removed(self) -> None:
        """It still calls itself a follower."""
        names = ("term", "commit_index", "applied_index", "snapshot_index", "revision", "keys_count", "age_ms", "removed_index")
        told = {"me": {"id": "n0"}, "role": "follower", "leader": {"id": "n0"}, "version": "1", **dict.fromkeys(names, 7)}
        _, out = run(DoubleClient(cluster=self.VIEW, status=told), "status", is_json=True)
        self.assertEqual("removed", json.loads(out.splitlines()[0])["role"])

    def test_bench_says_who_asks(self) -> None:
        """Or it measures how fast it is turned away."""
        for reads in (True, False):
            asked = requests(reads, 1, 1, Credentials.of_token("token-1"))()
            self.assertIn(b"\r\nAuthorization: Bearer token-1\r\n", asked.partition(b"\r\n\r\n")[0] + b"\r\n")
            self.assertNotIn(b"Authorization", requests(reads, 1, 1)())

    def test_status_tells_of_backups(self) -> None:
        """A script that watches a cluster must see that its backups fail; None from a node that makes none."""
        names = ("term", "commit_index", "applied_index", "snapshot_index", "revision", "keys_count", "age_ms")
        told = {"me": {"id": "n0"}, "role": "leader", "leader": {"id": "n0"}, "version": "1", **dict.fromkeys(names, 1)}
        backups = {"failure": "the disk is full"}
        for expected, status in ((backups, {**told, "backups": backups}), (None, told)):
            _, out = run(DoubleClient(cluster=self.VIEW, status=status), "status", is_json=True)
            self.assertEqual(expected, json.loads(out.splitlines()[0])["backups"])

    def test_status_tells_of_alarms(self) -> None:
        """Each once, with what to do, whoever tells of it; and how far each node is behind, and its room."""
        names = ("term", "commit_index", "applied_index", "snapshot_index", "revision", "keys_count", "age_ms")
        alarm = {"kind": "disk_full", "members": ["n0"], "detail": "3 MiB left", "advice": "make room"}
        told = {"me": {"id": "n0"}, "role": "leader", "leader": {"id": "n0"}, "version": "1", **dict.fromkeys(names, 7)}
        status = {**told, "commit_index": 9, "alarms": [alarm], "disk": {"free_bytes": 3 * 1024 * 1024}}
        result, out = run(DoubleClient(cluster=self.VIEW, status=status), "status")
        self.assertEqual(1, result.stderr.count("ALARM disk_full: 3 MiB left; make room"))
        self.assertEqual("n0 leader 7 n0 9 7 2 7 7 7 ms 3 MiB 1", out.splitlines()[0].replace("\t", " "))
        document = json.loads(run(DoubleClient(cluster=self.VIEW, status=status), "status", is_json=True)[1].splitlines()[0])
        self.assertEqual(([alarm], 2), (document["alarms"], document["lag"]))


class WordTests(TestCase):
    def test_bytes_for_people(self) -> None:
        """Readable, on one line, harmless."""
        self.assertEqual("a\\nb\\u2028é\\xff", shown("a\nb\u2028é".encode() + b"\xff"))
        self.assertEqual(60, len(shortened(b"x" * 1000)))
        self.assertEqual({"k": "é"}, field("k", "é".encode()))
        self.assertEqual({"k_base64": "/w=="}, field("k", b"\xff"))

    def test_completion(self) -> None:
        """For each shell that click knows."""
        for shell in ("bash", "zsh", "fish"):
            result, out = run(DoubleClient(), "completion", shell)
            self.assertEqual(0, result.exit_code)
            self.assertIn("_HRAFT_COMPLETE", out)

    def test_help_of_every_command(self) -> None:
        """Each says what it does, and exit codes are explained."""
        from hraft.cli import main

        self.assertIn("it is not known whether it was done", run(DoubleClient(), "--help")[0].stdout)
        for name in main.commands:
            result, _ = run(DoubleClient(), name, "--help")
            self.assertEqual(0, result.exit_code)
            self.assertGreater(len(result.stdout.splitlines()), 5, name)
